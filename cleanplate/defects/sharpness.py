"""Blur of a whole picture, told from what a further blur takes away, and where it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import cos, radians, sin

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .. import masks
from ..geometry import Box, Size
from .catalogue import kind
from .defect import Defect
from .luma import Level, Plane, luma
from .resolution import resampled

_DIRECTIONS = tuple(180 / 8 * n for n in range(8))
"""Degrees in which motion is looked for."""

_NEAR = 8
"""How many times as many pixels as count are looked at first in each direction: enough, unless the
picture is smeared."""


@dataclass(frozen=True)
class SharpnessSettings:
    """When a picture counts as blurred.

    Attributes:
        ratio: of the gradients of the strongest edges to those after a further blur; 1 where
            nothing is left to lose, 1.35 and more in sharp photos.
        strongest: the part of all pixels that counts as the strongest edges. Small, so that one
            small thing in focus makes a photo sharp.
        least_pixels: how many these are at least.
        least_gradient: levels of 255 over two pixels; where fewer pixels reach it, there is nothing
            to judge by.
        directional: the ratio in the worst direction for motion blur.
        uneven: how many times farther from 1 the best direction is, then.
        least_score: what is less sure is not reported.
    """

    ratio: Level = field(default_factory=lambda: Level(1.25, 1.1))
    strongest: float = 0.005
    least_pixels: int = 48
    least_gradient: float = 3.0
    directional: Level = field(default_factory=lambda: Level(1.2, 1.05))
    uneven: float = 2.0
    least_score: float = 0.5


def find_blur(image: Tensor, settings: SharpnessSettings = SharpnessSettings()) -> list[Defect]:
    """Blur of the picture as a whole: ``blur``, ``motion_blur``, or ``upscaled``.

    What is soft because it was enlarged shows how regularly it was interpolated, and gets that
    name. The idea of blurring again: Crete et al., *The blur effect*, SPIE 2007; Zhuo and Sim,
    *Defocus map estimation from a single image*, Pattern Recognition 2011.

    Args:
        image: ``[H, W, 3 or 4]`` in 0..1.
        settings: when it counts.

    Returns:
        one finding or none, of the image as a whole.
    """
    plane = luma(image)
    ratios = reblur_ratios(plane, settings)
    if ratios is None:
        return []
    ratio, directions = ratios
    worst, best = min(directions), max(directions)
    smeared = best - 1 >= settings.uneven * (worst - 1)
    if smeared and settings.directional.score(worst) >= max(settings.least_score, 0.01):
        across = f"{worst:.2f} along it and {best:.2f} in the sharpest direction"
        return [
            _whole(
                "motion_blur",
                settings.directional.score(worst),
                worst,
                f"smeared in one direction: the re-blur ratio is {across}",
            )
        ]
    score = settings.ratio.score(ratio)
    if score < max(settings.least_score, 0.01):
        return []
    soft = f"re-blur ratio {ratio:.2f}, sharp from {settings.ratio.threshold:.2f}"
    step = resampled(plane)
    if step is not None:
        reason = f"{soft}; interpolated at a period of {step:.1f} pixels"
        return [_whole("upscaled", score, ratio, reason)]
    return [_whole("blur", score, ratio, soft)]


def reblur_ratios(
    plane: Plane, settings: SharpnessSettings = SharpnessSettings()
) -> tuple[float, list[float]] | None:
    """By what a Gaussian of one pixel weakens the strongest edges: of all, and by direction.

    Args:
        plane: luma ``[H, W]``, 0..255.
        settings: which edges count.

    Returns:
        the median of the ratios, and the medians of those of the derivatives in eight directions,
        22.5 degrees apart; None where there are no edges to judge by.
    """
    if min(plane.shape) < 3:
        return None
    edges = _Edges(plane, settings)
    overall = edges.ratio(np.hypot)
    if overall is None:
        return None
    directions = []
    for degrees in _DIRECTIONS:
        found = edges.ratio(partial(_along, degrees))
        directions.append(overall if found is None else found)
    return overall, directions


class _Edges:
    """The slopes of a plane, before and after a further blur; most is asked of the steepest."""

    def __init__(self, plane: Plane, settings: SharpnessSettings) -> None:
        self._settings = settings
        self._slopes = _slopes(plane), _slopes(cv2.GaussianBlur(plane, (0, 0), 1.0))
        steepness = np.hypot(*self._slopes[0])
        self._count = max(settings.least_pixels, round(settings.strongest * steepness.size))
        self._cutoff = max(settings.least_gradient, _nth_largest(steepness, _NEAR * self._count))
        places = np.flatnonzero(steepness >= self._cutoff)
        self._steepest = tuple((right[places], down[places]) for right, down in self._slopes)

    def ratio(self, steep: Callable[[Plane, Plane], Plane]) -> float | None:
        """The median by how much the blur weakens those that are the steepest by a measure.

        The measure of two slopes, to the right and down, must not be larger than their length.
        """
        sharp = steep(*self._steepest[0])
        chosen = self._strongest(sharp)
        if self._cutoff <= self._settings.least_gradient or (
            len(chosen) >= self._count and sharp[chosen].min() > self._cutoff
        ):
            soft = steep(*self._steepest[1])
        else:
            # Some of the strongest by this measure may not be among the steepest.
            sharp, soft = (steep(*slopes) for slopes in self._slopes)
            chosen = self._strongest(sharp)
        if len(chosen) < self._settings.least_pixels:
            return None
        return float(np.median(sharp[chosen] / np.maximum(soft[chosen], 1e-3)))

    def _strongest(self, sharp: Plane) -> NDArray[np.intp]:
        least = max(self._settings.least_gradient, _nth_largest(sharp, self._count))
        return np.flatnonzero(sharp >= least)


def _nth_largest(values: Plane, count: int) -> float:
    """0 where there are not so many."""
    if count >= len(values):
        return 0.0
    return float(np.partition(values, len(values) - count)[len(values) - count])


def _slopes(plane: Plane) -> tuple[Plane, Plane]:
    """Differences over two pixels to the right and down, without the border of one pixel, flat."""
    right = plane[1:-1, 2:] - plane[1:-1, :-2]
    down = plane[2:, 1:-1] - plane[:-2, 1:-1]
    return right.ravel(), down.ravel()


def _along(degrees: float, right: Plane, down: Plane) -> Plane:
    """How steep it is in a direction."""
    steep = np.float32(cos(radians(degrees))) * right
    steep += np.float32(sin(radians(degrees))) * down
    return np.abs(steep, out=steep)


@dataclass(frozen=True)
class BlurMapSettings:
    """Which parts of a picture count as blurred.

    Attributes:
        ratio: of the gradient energy in a window to that with the gradients after a further blur.
        window: its side in pixels, odd.
        texture: mean gradient, in levels of 255 for each pixel, from which a window shows anything
            at all; what is plain is not blurred.
        least_share: of the image, for a region to be reported.
        most_share: of the image; where more is blurred, the picture as a whole is.
        least_score: what is less sure is not reported.
    """

    ratio: Level = field(default_factory=lambda: Level(1.2, 1.05))
    window: int = 31
    texture: float = 1.5
    least_share: float = 0.01
    most_share: float = 0.9
    least_score: float = 0.5


def find_blurred_regions(
    image: Tensor, settings: BlurMapSettings = BlurMapSettings()
) -> list[Defect]:
    """Regions out of focus, the largest first, at most eight: a suggestion.

    A background that is meant to be out of focus looks the same; choose this where you know better.

    Args:
        image: ``[H, W, 3 or 4]`` in 0..1.
        settings: when it counts.
    """
    plane = luma(image)
    size = Size(plane.shape[1], plane.shape[0])
    if min(size.width, size.height) < settings.window:
        return []
    ratio, texture = blur_map(plane, settings.window)
    soft = (ratio < settings.ratio.threshold) & (texture > settings.texture)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (settings.window, settings.window))
    soft = cv2.morphologyEx(soft.view(np.uint8), cv2.MORPH_CLOSE, kernel).view(bool)
    least = max(1, round(settings.least_share * size.area))
    labels, boxes = masks.largest_objects(torch.from_numpy(soft), least=least, most=8)
    found = []
    for label, box in boxes:
        inside = labels[box.rows, box.columns] == label
        share = float(inside.sum()) / size.area
        level = float(np.median(ratio[box.rows, box.columns][inside]))
        score = settings.ratio.score(level)
        if score < settings.least_score or share > settings.most_share:
            continue
        reason = f"{share:.0%} of the image, re-blur ratio {level:.2f}"
        found.append(_part(box, inside, score, level, reason))
    return found


def blur_map(plane: Plane, window: int) -> tuple[Plane, Plane]:
    """Re-blur ratio and texture around each pixel, both ``[H, W]``.

    Returns:
        the sum of squared gradients over that of their products with the gradients after a Gaussian
        of one pixel, both in a square window: 1 for what is blurred; and the mean gradient after a
        Gaussian of 1.5 pixels, in levels of 255 for each pixel.
    """
    before = _steepness(plane)
    product = before * _steepness(cv2.GaussianBlur(plane, (0, 0), 1.0))
    energy = cv2.blur(before * before, (window, window))
    ratio = energy / np.maximum(cv2.blur(product, (window, window)), 1e-3)
    del before, product, energy
    texture = cv2.blur(_steepness(cv2.GaussianBlur(plane, (0, 0), 1.5)), (window, window))
    return ratio, texture


def _steepness(plane: Plane) -> Plane:
    kernel = np.array([[-0.5, 0, 0.5]], np.float32)
    return np.hypot(cv2.filter2D(plane, -1, kernel), cv2.filter2D(plane, -1, kernel.T))


def _whole(name: str, score: float, measure: float, reason: str) -> Defect:
    return Defect(name, score, kind(name).severity(measure), "blur", reason)


def _part(box: Box, inside: np.ndarray, score: float, measure: float, reason: str) -> Defect:
    mask = torch.from_numpy(inside.astype(np.float32))
    severity = kind("blur").severity(measure)
    return Defect("blur", score, severity, "blur_map", reason, box, mask)
