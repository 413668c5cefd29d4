"""What every detector's search has in common: its settings, turned images, progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..geometry import Size
from .face import Face

SMALLEST_FACE = 12
"""Pixels of a side; the window of MTCNN's first network."""

Step = Callable[[int, int], None]
"""Is told what is done and what there is to do; may raise to cancel."""


def face_of(box: Sequence[float], score: float, points: Sequence[Sequence[float]]) -> Face:
    """A face from a detector's numbers; `points` are its five landmarks."""
    left, top, right, bottom = box
    one, two, three, four, five = ((float(x), float(y)) for x, y in points)
    return Face((left, top, right, bottom), score, (one, two, three, four, five))


def turned_back(points: Tensor, turn: int, size: Size) -> Tensor:
    """Points ``[N, 5, 2]`` of the image turned by quarters, against the clock, in the image."""
    x, y = points.unbind(dim=2)
    if turn == 1:
        x, y = size.width - y, x
    elif turn == 2:
        x, y = size.width - x, size.height - y
    elif turn == 3:
        x, y = y, size.height - x
    return torch.stack((x, y), dim=2)


def quarters(rotations: Sequence[int]) -> list[int]:
    """Degrees as numbers of quarter turns, each once.

    Raises:
        ValueError: none, or others than multiples of 90.
    """
    if not rotations or any(angle % 90 for angle in rotations):
        raise ValueError(
            f"rotations is {list(rotations)}: give multiples of 90 degrees, such as "
            "0, 90, 180, 270."
        )
    return sorted({angle // 90 % 4 for angle in rotations})


def check_settings(confidence: float, least_face: float, max_side: int, most: int | None) -> None:
    """Refuse settings of a search that make no sense.

    Raises:
        ValueError: one is out of range.
    """
    if not 0 <= confidence <= 1:
        raise ValueError(f"confidence is {confidence}: give a score from 0 to 1, such as 0.95.")
    if not least_face >= SMALLEST_FACE:
        raise ValueError(
            f"least_face is {least_face} pixels: give at least {SMALLEST_FACE}, smaller faces "
            "are not recognised."
        )
    if max_side < SMALLEST_FACE:
        raise ValueError(f"max_side is {max_side} pixels: give at least {SMALLEST_FACE}.")
    if most is not None and most < 1:
        raise ValueError(f"most is {most}: give at least 1 face, or none for all.")


class Progress:
    """Counts steps and tells the caller."""

    def __init__(self, tell: Step | None, total: int) -> None:
        self._tell, self._total, self._done = tell, total, 0

    def __call__(self) -> None:
        self._done += 1
        if self._tell is not None:
            self._tell(self._done, self._total)
