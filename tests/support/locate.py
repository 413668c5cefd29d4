"""Finds the pack and ComfyUI on this machine, without importing either."""

from __future__ import annotations

import os
from pathlib import Path

PACK = Path(__file__).resolve().parents[2]
"""The repository root, which ComfyUI loads as a custom node."""
TINY_WIDTHS = Path(__file__).resolve().parent / "tiny_widths"
"""The test-only custom node that lets ComfyUI read narrow text encoders."""


def find_comfyui() -> tuple[Path | None, str]:
    """Return the ComfyUI folder, or None and why there is none.

    Looked for in: the environment variable COMFYUI_PATH, the ComfyUI whose `custom_nodes` holds
    this repository, `~/comfy/ComfyUI`.
    """
    if named := os.environ.get("COMFYUI_PATH"):
        path = Path(named).expanduser().resolve()
        return (path, "") if _is_comfyui(path) else (None, f"COMFYUI_PATH={named} has no main.py")
    candidates = [Path("~/comfy/ComfyUI").expanduser()]
    if PACK.parent.name == "custom_nodes":
        candidates.insert(0, PACK.parents[1])
    for path in candidates:
        if _is_comfyui(path):
            return path.resolve(), ""
    looked = ", ".join(map(str, candidates))
    return None, f"ComfyUI not found: set COMFYUI_PATH to its folder (looked in {looked})"


def _is_comfyui(path: Path) -> bool:
    return (path / "main.py").is_file() and (path / "comfy" / "model_management.py").is_file()
