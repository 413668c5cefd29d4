"""Pictures with what was found drawn into them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..geometry import Box, Size
from .catalogue import kind
from .defect import Defect

Colour = tuple[int, int, int]

COLOURS: dict[str, Colour] = {
    "anatomy": (230, 70, 160),
    "quality": (60, 130, 246),
    "light": (245, 180, 20),
    "composition": (20, 170, 150),
    "style": (150, 90, 230),
    "text": (235, 70, 50),
    "missing": (110, 180, 40),
}
"""Of the groups of the catalogue, RGB."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_TINT = 0.35
_LINES_IN_HEIGHT = 36
"""How many labels a picture is high."""

_LETTER = 22
"""Pixels of a letter's height at OpenCV's scale 1."""

_SMALLEST = 0.3
"""Scale of letters below which nobody can read them."""

_DARK, _LIGHT = (0, 0, 0), (255, 255, 255)
_BRIGHT = 150
"""Luma from which letters are dark."""


def draw_defects(image: Tensor, defects: Sequence[Defect]) -> Tensor:
    """Draw defects into a copy of an image.

    Those with a place get a frame in the colour of their group, a tint where they have a mask, and
    a label with their number among those with a place, from 0, their name and severity. Those of
    the image as a whole are listed in the upper left corner. The most severe lie on top.

    Args:
        image: ``[H, W, 3 or 4]`` in 0..1; alpha is dropped.
        defects: of that image, the most severe first.

    Returns:
        ``[H, W, 3]`` float32 in 0..1 on the CPU, in 256 steps.
    """
    tones = image[..., :3].detach().to("cpu", torch.float32).clamp(0, 1).mul(255).round()
    pixels = np.ascontiguousarray(tones.to(torch.uint8).numpy())
    size = Size(pixels.shape[1], pixels.shape[0])
    width = max(1, round(min(size.width, size.height) / 300))
    placed = [(defect, defect.box) for defect in defects if defect.box is not None]
    for defect, box in reversed(placed):
        colour = colour_of(defect)
        _tint(pixels, defect, box, colour)
        corner = (box.right - 1, box.bottom - 1)
        cv2.rectangle(pixels, (box.x, box.y), corner, colour, width)
    for number, (defect, box) in reversed(list(enumerate(placed))):
        _label(pixels, f"{number} {words(defect)}", colour_of(defect), box)
    top = 0
    for defect in defects:
        if defect.box is None:
            top = _label(pixels, words(defect), colour_of(defect), top=top)
    return torch.from_numpy(pixels).float().div_(255)


def colour_of(defect: Defect) -> Colour:
    """That of its group."""
    return COLOURS[kind(defect.kind).group]


def words(defect: Defect) -> str:
    """Name and severity."""
    return f"{kind(defect.kind).title} {defect.severity:.2f}"


def label_place(text: Size, box: Box, size: Size) -> Box:
    """Where the label of a box goes: above it, else below, else over it; always in the image.

    Args:
        text: size of the label.
        box: that it belongs to.
        size: of the image.
    """
    below = box.bottom if box.bottom + text.height <= size.height else box.y
    y = box.y - text.height if box.y >= text.height else below
    x = min(box.x, size.width - text.width)
    return Box(max(0, x), max(0, min(y, size.height - text.height)), text.width, text.height)


def _tint(pixels: NDArray[np.uint8], defect: Defect, box: Box, colour: Colour) -> None:
    if defect.mask is None:
        return
    part = pixels[box.rows, box.columns]
    share = _TINT * defect.mask.detach().to("cpu", torch.float32).clamp(0, 1).numpy()[..., None]
    part[:] = np.round(part + share * (np.array(colour, np.float32) - part)).astype(np.uint8)


def _label(
    pixels: NDArray[np.uint8], text: str, colour: Colour, box: Box | None = None, top: int = 0
) -> int:
    """Write the label of a box, or of the whole image from row `top` on; the row below it."""
    size = Size(pixels.shape[1], pixels.shape[0])
    scale = max(_SMALLEST, min(size.width, size.height) / _LINES_IN_HEIGHT / _LETTER)
    (wide, high), below, thickness, scale = _fitted(text, scale, size.width)
    room = max(1, round(4 * scale))
    label = Size(wide + 2 * room, high + below + 2 * room)
    place = label_place(label, box, size) if box else Box(0, top, label.width, label.height)
    corner = (place.right - 1, place.bottom - 1)
    cv2.rectangle(pixels, (place.x, place.y), corner, colour, cv2.FILLED)
    luma = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    letters = _DARK if luma > _BRIGHT else _LIGHT
    start = (place.x + room, place.y + room + high)
    cv2.putText(pixels, text, start, _FONT, scale, letters, thickness, cv2.LINE_AA)
    return place.bottom


def _fitted(text: str, scale: float, width: int) -> tuple[tuple[int, int], int, int, float]:
    """Size of a text, its depth below the line, thickness and scale, no wider than an image."""
    thickness = max(1, round(1.6 * scale))
    (wide, high), below = cv2.getTextSize(text, _FONT, scale, thickness)
    room = width - 8 * scale
    if wide > room and scale > _SMALLEST:
        scale = max(_SMALLEST, scale * room / wide)
        thickness = max(1, round(1.6 * scale))
        (wide, high), below = cv2.getTextSize(text, _FONT, scale, thickness)
    return (min(wide, width), high), below, thickness, scale
