"""The 8x8 blocks of strong JPEG compression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .catalogue import kind
from .defect import Defect
from .luma import Level, Plane, luma

_BLOCK = 8
_CAP = 25.0
"""Levels of 255: the corners of things shall not outweigh those of blocks."""

_FLOOR = 0.05
"""Levels of 255 added to both sides of the ratio: plain areas are no evidence."""

_CHANCE = 1.6
"""How far the largest of 64 means lies above the fourth fifth by chance, in standard errors."""

_REPEATED = 0.85
"""How much of a peak shows half a block away, too, where something else has a period of 4 or 2."""


@dataclass(frozen=True)
class CompressionSettings:
    """When blocks count.

    Attributes:
        ratio: of the cross difference at the corners of blocks to that elsewhere.
        least_blocks: below that many blocks chance decides.
        least_score: what is less sure is not reported.
    """

    ratio: Level = field(default_factory=lambda: Level(1.18, 1.8))
    least_blocks: int = 36
    least_score: float = 0.5


def find_compression(
    image: Tensor, settings: CompressionSettings = CompressionSettings()
) -> list[Defect]:
    """The grid of JPEG blocks, wherever it begins; none after a picture was resized.

    Args:
        image: ``[H, W, 3 or 4]`` in 0..1.
        settings: when it counts.
    """
    if count_blocks(image.shape) < settings.least_blocks:
        return []
    ratio, (row, column) = corner_cross(luma(image))
    score = settings.ratio.score(ratio)
    if score < max(settings.least_score, 0.01):
        return []
    entry = kind("compression")
    reason = (
        f"blocks of 8x8 pixels, the first from column {column}, row {row}: "
        f"{ratio:.2f} times the steps elsewhere"
    )
    return [Defect(entry.name, score, entry.severity(ratio), "compression", reason)]


def count_blocks(shape: Sequence[int]) -> int:
    """How many whole blocks ``[H, W, ...]`` holds, wherever their grid begins."""
    height, width = shape[:2]
    return (height - 1) // _BLOCK * ((width - 1) // _BLOCK)


def corner_cross(plane: Plane) -> tuple[float, tuple[int, int]]:
    """How the corners of blocks stand out, and where the grid begins.

    The cross difference ``|a - b - c + d|`` of four neighbours ignores edges along rows and
    columns; its mean at each of the 64 places within a block is compared with the 80th percentile
    of these, and what repeats after half a block does not count. The grid is searched for as in
    Wang, Sheikh and Bovik, *No-reference perceptual quality assessment of JPEG*, ICIP 2002.

    Args:
        plane: luma ``[H, W]``, 0..255, at least 9x9.

    Returns:
        the ratio, less what chance gives so few blocks; row and column where a block begins.
    """
    sums = np.zeros((_BLOCK, _BLOCK))
    rows = (plane.shape[0] - 1) // _BLOCK * _BLOCK
    columns = (plane.shape[1] - 1) // _BLOCK * _BLOCK
    for top in range(0, rows, 32 * _BLOCK):
        part = plane[top : min(top + 32 * _BLOCK, rows) + 1, : columns + 1]
        steps = part[1:] - part[:-1]
        cross = np.minimum(np.abs(steps[:, 1:] - steps[:, :-1]), _CAP)
        shape = (cross.shape[0] // _BLOCK, _BLOCK, columns // _BLOCK, _BLOCK)
        sums += cross.reshape(shape).sum((0, 2))
    count = rows // _BLOCK * (columns // _BLOCK)
    means: NDArray[np.float64] = sums / count + _FLOOR
    row, column = np.unravel_index(int(means.argmax()), means.shape)
    half = means[[row - 4, row - 4, row], [column - 4, column, column - 4]]
    usual = float(np.percentile(means, 80))
    if half.max() - usual > _REPEATED * (means.max() - usual):
        usual = float(half.max())
    ratio = float(means.max()) / usual - _CHANCE / count**0.5
    return ratio, ((int(row) + 1) % _BLOCK, (int(column) + 1) % _BLOCK)
