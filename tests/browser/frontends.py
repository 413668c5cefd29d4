"""The frontends that ComfyUI is tested with: its own, and the newest that is published."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

Frontend = Literal["own", "newest"]

_PACKAGE = "comfyui_frontend_package"
_NEWEST_SINCE = (0, 33)
"""Older servers lack what the newest frontend asks for."""


def find_newest(comfyui: Path) -> tuple[Path | None, str]:
    """The folder to serve the newest frontend from, or None and why it is not used.

    Looked for in: the environment variable CLEANPLATE_FRONTEND_PATH, the folder newest-frontend of
    the virtual environment.
    """
    text = (comfyui / "comfyui_version.py").read_text(encoding="utf-8")
    found = re.search(r'__version__ = "(\d+)\.(\d+)', text)
    if found and (int(found[1]), int(found[2])) < _NEWEST_SINCE:
        return None, f"ComfyUI {found[1]}.{found[2]} is older than the newest frontend"
    named = os.environ.get("CLEANPLATE_FRONTEND_PATH")
    folder = Path(named).expanduser() if named else Path(sys.prefix) / "newest-frontend"
    static = folder / _PACKAGE / "static"
    if (static / "index.html").is_file():
        return static, ""
    return None, f"the newest frontend is not in {folder}: run make install"


def version_of(frontend: Frontend) -> str:
    """The version of a frontend, as far as it can be told."""
    if frontend == "own":
        try:
            return version(_PACKAGE)
        except PackageNotFoundError:
            return "unknown"
    text = (Path(__file__).parent / "newest-frontend.txt").read_text(encoding="utf-8")
    return text.rpartition("==")[2].strip()


def table(outcomes: Counter[tuple[str, str, str]]) -> list[str]:
    """Lines that say how many tests passed with each frontend and renderer.

    Args:
        outcomes: how often (frontend, renderer, outcome) came up.
    """
    lines = [f"{'frontend':<18}{'renderer':<12}{'passed':>8}{'failed':>8}{'skipped':>9}"]
    for frontend, renderer in sorted({key[:2] for key in outcomes}, reverse=True):
        passed, failed, skipped = (
            outcomes[frontend, renderer, outcome] for outcome in ("passed", "failed", "skipped")
        )
        lines.append(f"{frontend:<18}{renderer:<12}{passed:>8}{failed:>8}{skipped:>9}")
    return lines
