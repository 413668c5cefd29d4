"""Find text: watermarks, signatures, and what generated images write by themselves."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..faces.suppress import suppress
from ..geometry import Box, Size
from .catalogue import kind
from .defect import Defect
from .text_models import Pixels, TextBox, TextModels

SOURCE = "text"
ZONES = ("anywhere", "corners", "border")

MOST_SIDE = 2048
"""Pixels: a larger image is looked at shrunk to this."""

MOST_AREA = 0.25
"""Share of the image; a larger box is a picture taken for a letter."""

READABLE = 0.8
"""Least mean probability of the characters of a line; below it is texture."""

_SHORT, _LONG = 736, 1600
"""Pixels of the shorter and at most of the longer side in which the whole image is looked at."""

_TILE, _SHARED = 800, 96
"""Pixels of the largest part looked at, and of what neighbours share. The detectors know letters
of some 10 to 100 pixels, and those of PP-OCRv6 see ever less text in larger parts."""

_CLOSER = 2.0
"""How much the corners are enlarged: names of some 12 pixels are there, and drown in texture."""

_CLOSE = (480, 160)
"""Most pixels of a corner that are looked at closely, across and down."""

_LEAST_CHARACTERS = 2
_CORNER = (0.3, 0.2)
"""Share of width and height in which the middle of a box lies in a corner."""

_BAND = 0.15
_OVERLAP = 0.5
_TILTED = 12.0
_REPEATED = 3
_MARK = re.compile(r"[©®™@]|\(c\)|www|\.(com|net|org|io)\b|stock|watermark|sample|preview", re.I)


@dataclass(frozen=True, eq=False)
class Line:
    """A line of text that could be read.

    Attributes:
        place: where, see `TextBox`.
        text: what it says.
        read: how sure that is, 0..1.
    """

    place: TextBox
    text: str
    read: float


def detect_text(
    image: Tensor,
    models: TextModels,
    *,
    zone: str = "anywhere",
    readable: float = READABLE,
    most_area: float = MOST_AREA,
    contrast: bool = True,
    max_side: int = MOST_SIDE,
) -> list[Defect]:
    """Find text that could be read, as defects.

    Args:
        image: ``[H, W, 3]`` float in 0..1.
        models: see `load_text_models`.
        zone: one of `ZONES`, where the middle of a box has to lie.
        readable: least mean probability of a line's characters, 0..1.
        most_area: largest box, as a share of the image.
        contrast: look a second time with local contrast raised, for text that is faint.
        max_side: a larger image is looked at shrunk to this.

    Returns:
        best read first; the kind is ``watermark`` for text that is tilted, repeated or says so,
        ``signature`` for other lines in a lower corner, ``text`` elsewhere.

    Raises:
        ValueError: a setting is out of range.
    """
    if zone not in ZONES:
        raise ValueError(f"zone is {zone!r}: choose one of {', '.join(ZONES)}.")
    if not 0 <= readable <= 1 or not 0 < most_area <= 1:
        raise ValueError(
            f"readable is {readable} and most_area {most_area}: give shares of 1, such as "
            f"{READABLE} and {MOST_AREA}."
        )
    if max_side < 64:
        raise ValueError(f"max_side is {max_side} pixels: give at least 64.")
    size = Size(image.shape[1], image.shape[0])
    lines = [
        line
        for line in find_lines(image, models, readable, most_area, contrast, max_side)
        if in_zone(line.place.corners, size, zone)
    ]
    texts = Counter(line.text.lower() for line in lines)
    return [
        _defect(line, size, texts[line.text.lower()])
        for line in sorted(lines, key=lambda line: -line.read)
    ]


def find_lines(
    image: Tensor,
    models: TextModels,
    readable: float = READABLE,
    most_area: float = MOST_AREA,
    contrast: bool = True,
    max_side: int = MOST_SIDE,
) -> list[Line]:
    """Lines of text that can be read; arguments as in `detect_text`."""
    pixels = _bgr(image)
    looks = [pixels, raise_contrast(pixels)] if contrast else [pixels]
    height, width = pixels.shape[:2]
    enlarged = max(1.0, _SHORT / min(height, width))
    found = _boxes(pixels, models, min(enlarged, max_side / max(height, width)), _TILE)
    if enlarged < _CLOSER:
        found += _in_corners(pixels, models)
    if contrast or max(height, width) > _TILE:
        # The whole image at once: what is larger than a tile is found there.
        scale = min(_SHORT / min(height, width), _LONG / max(height, width))
        found += _boxes(looks[-1], models, scale, _LONG)
    found = [box for box in found if area(box.corners) <= most_area * width * height]
    lines = []
    for box in _once(found):
        text, read = max((models.read(look, box.corners) for look in looks), key=lambda r: r[1])
        if read >= readable and sum(map(str.isalnum, text)) >= _LEAST_CHARACTERS:
            lines.append(Line(box, text, read))
    return lines


def _boxes(pixels: Pixels, models: TextModels, scale: float, tile: int) -> list[TextBox]:
    """Boxes of an image that is looked at scaled, in parts no larger than a tile."""
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    seen = pixels if scale == 1 else cv2.resize(pixels, (width, height), interpolation=how)
    back = np.array((pixels.shape[1] / width, pixels.shape[0] / height), np.float32)
    boxes = []
    for top, bottom in spans(height, tile):
        for left, right in spans(width, tile):
            offset = np.array((left, top), np.float32)
            for box in models.find(seen[top:bottom, left:right]):
                boxes.append(TextBox((box.corners + offset) * back, box.score))
    return boxes


def _in_corners(pixels: Pixels, models: TextModels) -> list[TextBox]:
    """Boxes of the corners, looked at enlarged; not those that go on beyond."""
    height, width = pixels.shape[:2]
    across, down = min(_CLOSE[0], width // 2), min(_CLOSE[1], height // 2)
    boxes = []
    for top in (0, height - down):
        for left in (0, width - across):
            part = pixels[top : top + down, left : left + across]
            for box in _boxes(part, models, _CLOSER, _LONG):
                x, y = box.corners.T
                beyond_x = x.min() < 1 if left else x.max() > across - 1
                beyond_y = y.min() < 1 if top else y.max() > down - 1
                if not (beyond_x or beyond_y):
                    corners = box.corners + np.array((left, top), np.float32)
                    boxes.append(TextBox(corners, box.score))
    return boxes


def spans(length: int, most: int) -> list[tuple[int, int]]:
    """Parts of equal length, at most `most`, that share a little and cover a length."""
    if length <= most:
        return [(0, length)]
    count = ceil((length - _SHARED) / (most - _SHARED))
    part = ceil((length + (count - 1) * _SHARED) / count)
    return [
        (start, start + part)
        for start in (round(i * (length - part) / (count - 1)) for i in range(count))
    ]


def raise_contrast(pixels: Pixels) -> Pixels:
    """Contrast-limited adaptive histogram equalisation (Zuiderveld 1994) of the lightness."""
    lab = cv2.cvtColor(pixels, cv2.COLOR_BGR2LAB)
    lab[..., 0] = cv2.createCLAHE(clipLimit=3.0, tileGridSize=(8, 8)).apply(lab[..., 0])
    raised: Pixels = cv2.cvtColor(lab, cv2.COLOR_LAB2BGR)
    return raised


def in_zone(corners: NDArray[np.float32], size: Size, zone: str) -> bool:
    """Whether the middle of a box lies in a zone of an image.

    Corners reach over 30 % of the width and 20 % of the height, the border over 15 % of either.
    """
    x, y = corners.mean(0) / (size.width, size.height)
    across, down = min(x, 1 - x), min(y, 1 - y)
    if zone == "corners":
        return bool(across <= _CORNER[0] and down <= _CORNER[1])
    return zone == "anywhere" or bool(min(across, down) <= _BAND)


def area(corners: NDArray[np.float32]) -> float:
    """Pixels in a rotated rectangle."""
    return float(cv2.contourArea(np.ascontiguousarray(corners, np.float32)))


def _defect(line: Line, size: Size, times: int) -> Defect:
    corners = line.place.corners
    along = corners[1] - corners[0]
    tilt = abs(float(np.degrees(np.arctan2(along[1], along[0]))))
    tilt = min(tilt, abs(tilt - 90))
    below = corners[:, 1].mean() > size.height / 2
    if times >= _REPEATED or tilt > _TILTED or _MARK.search(line.text):
        name = "watermark"
    elif below and in_zone(corners, size, "corners"):
        name = "signature"
    else:
        name = "text"
    share = area(corners) / size.area
    box, mask = _painted(corners, size)
    return Defect(
        name,
        line.read,
        kind(name).severity(line.read),
        SOURCE,
        f"text {_shown(line.text)} was read with confidence {line.read:.2f}, "
        f"{share:.1%} of the image",
        box,
        mask,
    )


def _painted(corners: NDArray[np.float32], size: Size) -> tuple[Box, Tensor]:
    """The pixels of a rotated rectangle, and the box around them."""
    left, top = np.floor(corners.min(0)).astype(int)
    right, bottom = np.ceil(corners.max(0)).astype(int)
    whole = Box.of(size)
    box = Box.from_edges(int(left), int(top), int(right), int(bottom)).intersect(whole) or whole
    mask = np.zeros((box.height, box.width), np.uint8)
    cv2.fillPoly(mask, [np.round(corners - (box.x, box.y) - 0.5).astype(np.int32)], 1)
    return box, torch.from_numpy(mask).float()


def _once(boxes: list[TextBox]) -> Iterator[TextBox]:
    """Those that overlap only once, the likeliest."""
    if boxes:
        corners = np.stack([box.corners for box in boxes])
        edges = np.concatenate((corners.min(1), corners.max(1)), axis=1)
        scores = torch.tensor([box.score for box in boxes])
        for index in suppress(torch.from_numpy(edges), scores, _OVERLAP).tolist():
            yield boxes[index]


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")


def _bgr(image: Tensor) -> Pixels:
    tones = image[..., :3].flip(2).to("cpu", torch.float32).clamp(0, 1).mul(255).round()
    return np.ascontiguousarray(tones.to(torch.uint8).numpy())
