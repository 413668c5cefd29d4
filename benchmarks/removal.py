"""How good the removals are, and what they cost.

    python benchmarks/removal.py fills    pictures and scores of the fills that need no weights
    python benchmarks/removal.py cost     LamaRemove beside LaMa on the whole image
    python benchmarks/removal.py check    how well RemovalCheck sees that an object came back

Each part has options of its own: `python benchmarks/removal.py fills --help`.
"""

from __future__ import annotations

import importlib
import sys

from library import load_library

PARTS = ("fills", "cost", "check")


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in PARTS:
        raise SystemExit(__doc__)
    load_library()
    part = importlib.import_module(f"removal_{sys.argv[1]}")
    part.main(sys.argv[2:])


if __name__ == "__main__":
    main()
