"""How well faces are found and restored, and what it costs.

    python benchmarks/faces.py detect     faces found, landmarks of tilted and scaled faces, cost
    python benchmarks/faces.py restore    what FaceRestore does outside its network

Each part has options of its own: `python benchmarks/faces.py detect --help`.
"""

from __future__ import annotations

import importlib
import sys

from library import load_library

PARTS = ("detect", "restore")


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in PARTS:
        raise SystemExit(__doc__)
    load_library()
    part = importlib.import_module(f"faces_{sys.argv[1]}")
    part.main(sys.argv[2:])


if __name__ == "__main__":
    main()
