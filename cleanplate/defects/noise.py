"""Grain where nothing else is."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from torch import Tensor

from .catalogue import kind
from .defect import Defect
from .luma import Level, Plane, luma

_BLOCK = 8
_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
_STRIP = 64 * _BLOCK


@dataclass(frozen=True)
class NoiseSettings:
    """When grain counts as noise.

    Attributes:
        sigma: standard deviation in levels of 255 of luma, less `slope` for what is correlated.
        white: grain at half the size over grain, up to which it counts in full: 0.5 to 0.7 for the
            noise of a sensor, 1 and more for texture.
        slope: levels that are taken off for each 1 of ratio above that.
        flattest: the part of the blocks that is looked at, those with the least detail.
        darkest: mean of a block in levels of 255, from where grain is not cut off; as far from the
            brightest.
        least_blocks: below that many blocks there is no telling.
        least_score: what is less sure is not reported.
    """

    sigma: Level = field(default_factory=lambda: Level(3.0, 6.0))
    white: float = 0.85
    slope: float = 8.0
    flattest: float = 0.1
    darkest: float = 8.0
    least_blocks: int = 16
    least_score: float = 0.5


def find_noise(image: Tensor, settings: NoiseSettings = NoiseSettings()) -> list[Defect]:
    """Noise of the picture as a whole.

    Args:
        image: ``[H, W, 3 or 4]`` in 0..1.
        settings: when it counts.
    """
    measured = grain(luma(image), settings)
    if measured is None:
        return []
    sigma, ratio = measured
    score = settings.sigma.score(evidence(sigma, ratio, settings))
    if score < max(settings.least_score, 0.01):
        return []
    entry = kind("noise")
    reason = (
        f"even areas vary by {sigma:.1f} levels of 255, at half the size by {ratio:.2f} times that"
        + ("; it may be fine texture" if ratio > settings.white else "")
    )
    return [Defect(entry.name, score, entry.severity(sigma), "noise", reason)]


def evidence(sigma: float, ratio: float, settings: NoiseSettings = NoiseSettings()) -> float:
    """The levels of `sigma` that speak for noise, not for texture."""
    return sigma - settings.slope * max(0.0, ratio - settings.white)


def grain(plane: Plane, settings: NoiseSettings = NoiseSettings()) -> tuple[float, float] | None:
    """Standard deviation of the noise, and how much of it is left at half the size.

    The second difference of Immerkaer, *Fast noise variance estimation*, CVIU 1996, removes slopes
    and edges along rows and columns; its deviation in the flattest blocks is the noise. White
    noise falls to half when pixels are averaged in pairs each way, texture does not.

    Args:
        plane: luma ``[H, W]``, 0..255.
        settings: which blocks count.

    Returns:
        sigma in levels of 255, and the ratio; None for too few blocks that are neither black nor
        white.
    """
    rows, columns = (side // _BLOCK * _BLOCK for side in plane.shape)
    if rows == 0 or columns == 0:
        return None
    strips = [
        _blocks(plane[top : min(top + _STRIP, rows), :columns]) for top in range(0, rows, _STRIP)
    ]
    fine, coarse, mean = (np.concatenate(parts) for parts in zip(*strips, strict=True))
    usable = (mean > settings.darkest) & (mean < 255 - settings.darkest)
    if np.count_nonzero(usable) < settings.least_blocks:
        return None
    fine, coarse = fine[usable], coarse[usable]
    limit = np.percentile(fine, 100 * settings.flattest)
    # The tenth percentile of the blocks' deviations lies below the true one by this much.
    sigma = 1.25 * float(limit)
    flattest = fine <= max(float(np.percentile(fine, 150 * settings.flattest)), 1e-3)
    energy = float(np.mean(fine[flattest] ** 2))
    if energy < 1e-6:
        return sigma, 0.0
    return sigma, float(np.sqrt(np.mean(coarse[flattest] ** 2) / energy))


def _blocks(part: Plane) -> tuple[Plane, Plane, Plane]:
    """Deviation of the second difference in each block, at full and at half size, and the mean."""
    half = cv2.resize(part, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    fine = _tiles(cv2.filter2D(part, -1, _KERNEL), _BLOCK).std(axis=-1)
    coarse = _tiles(cv2.filter2D(half, -1, _KERNEL), _BLOCK // 2).std(axis=-1)
    return fine, coarse, _tiles(part, _BLOCK).mean(axis=-1)


def _tiles(plane: Plane, side: int) -> Plane:
    rows, columns = plane.shape[0] // side, plane.shape[1] // side
    tiles = plane.reshape(rows, side, columns, side).swapaxes(1, 2)
    return tiles.reshape(rows * columns, side * side)
