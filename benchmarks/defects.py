"""How well defects are found.

    python benchmarks/defects.py classical    blur, noise, JPEG, light, highlights: no weights
    python benchmarks/defects.py quality      how the quality score falls with damage

Each part has options of its own: `python benchmarks/defects.py classical --help`. Every file
`defects_*.py` beside this one is a part.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from library import load_library

PARTS = sorted(path.stem.split("_", 1)[1] for path in Path(__file__).parent.glob("defects_*.py"))


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in PARTS:
        raise SystemExit(f"{__doc__}\nParts: {', '.join(PARTS)}")
    load_library()
    part = importlib.import_module(f"defects_{sys.argv[1]}")
    part.main(sys.argv[2:])


if __name__ == "__main__":
    main()
