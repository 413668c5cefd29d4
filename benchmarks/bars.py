"""A plain bar chart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

COLOURS = {"ours": "#2a7f62", "core": "#b5532a"}
_LEFT, _WIDTH, _ROW, _GAP = 260, 560, 26, 12


def draw(path: Path, title: str, bars: Sequence[tuple[str, str, float, str]]) -> None:
    """Draw one bar for each (what, who, value, text), and write the picture."""
    font = ImageFont.load_default(15)
    groups = len({what for what, *_ in bars})
    height = 50 + len(bars) * _ROW + groups * _GAP
    sheet = Image.new("RGB", (_LEFT + _WIDTH + 180, height), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((12, 12), title, "black", font)
    most = max(value for _, _, value, _ in bars)
    y, last = 44, None
    for what, who, value, text in bars:
        if what != last:
            y += _GAP if last else 0
            pen.text((12, y), what, "black", font)
            last = what
        length = max(1, round(_WIDTH * value / most))
        pen.text((_LEFT - 50, y), who, "black", font)
        pen.rectangle((_LEFT, y, _LEFT + length, y + _ROW - 8), COLOURS.get(who, "#555555"))
        pen.text((_LEFT + length + 8, y), text, "black", font)
        y += _ROW
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
