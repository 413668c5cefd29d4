"""Small white spots where a surface mirrors a light."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..geometry import Box, Size
from .catalogue import kind
from .defect import Defect
from .luma import Level, luma

_LOOKED_AT = 500
"""Spots, the largest: noise in a white wall has thousands."""

_STRIP = 256
"""Rows that are compared at once: the colours of all of them take as much room as the image."""

_ROUND = cv2.MORPH_ELLIPSE


@dataclass(frozen=True)
class HighlightSettings:
    """Which white spots count as reflections.

    Attributes:
        value: least of the largest channel, 0..1.
        saturation: most difference of the channels, as a part of the largest.
        least_pixels: of a spot.
        least_share: of the image.
        most_share: of the image; what is larger is a white thing.
        slim: least width of the spot's box divided by its length, or the other way round.
        solidity: part of its convex hull that the spot fills; letters, rims and twigs do not.
        contrast: levels of 255 by which it outshines the pixels around it.
        core: levels of 255 that the darkest channel reaches in it.
        around: levels of 255 that 9 of 10 pixels around it stay below.
        least_score: what is less sure is not reported.
    """

    value: float = 0.9
    saturation: float = 0.2
    least_pixels: int = 12
    least_share: float = 1e-5
    most_share: float = 0.005
    slim: float = 0.28
    solidity: Level = field(default_factory=lambda: Level(0.83, 0.97))
    contrast: Level = field(default_factory=lambda: Level(50, 110))
    core: Level = field(default_factory=lambda: Level(238, 254))
    around: Level = field(default_factory=lambda: Level(222, 170))
    least_score: float = 0.5


def find_highlights(
    image: Tensor, settings: HighlightSettings = HighlightSettings()
) -> list[Defect]:
    """Specular highlights, the largest first: a suggestion.

    Bright pixels without colour, as in Morgand and Tamaazousti, *Generic and real-time detection of
    specular reflections*, VISAPP 2014, kept where they form a compact spot that outshines what is
    around it. Lamps, catchlights in eyes and drops of water are found, too, and small white things.

    Args:
        image: ``[H, W, 3 or 4]`` in 0..1.
        settings: what counts.
    """
    size = Size(image.shape[1], image.shape[0])
    white = _white(image, settings)
    if not white.any():
        return []
    _, labels, stats, _ = cv2.connectedComponentsWithStats(white, connectivity=8)
    entry = kind("specular_highlight")
    plane, darkest = luma(image), None
    found = []
    for label, box, pixels in _spots(stats, size, settings):
        if darkest is None:
            darkest = _darkest(image)
        inside = labels[box.rows, box.columns] == label
        score = _score(label, box, labels, plane, darkest, settings)
        if score < settings.least_score:
            continue
        share = pixels / size.area
        reason = f"a white spot of {pixels} pixels, {box.width}x{box.height}"
        mask = torch.from_numpy(inside.astype(np.float32))
        severity = entry.severity(share)
        found.append(Defect(entry.name, score, severity, "highlights", reason, box, mask))
    return found


def _white(image: Tensor, settings: HighlightSettings) -> NDArray[np.uint8]:
    white = np.empty(tuple(image.shape[:2]), np.uint8)
    for top in range(0, len(white), _STRIP):
        part = image[top : top + _STRIP, :, :3].detach().to("cpu").float().clamp(0, 1)
        low, high = torch.aminmax(part, dim=2)
        chosen = (high > settings.value) & (high - low <= settings.saturation * high)
        white[top : top + _STRIP] = chosen.numpy()
    return white


def _darkest(image: Tensor) -> NDArray[np.uint8]:
    """The darkest channel of each pixel, 0..255."""
    darkest = np.empty(tuple(image.shape[:2]), np.uint8)
    for top in range(0, len(darkest), _STRIP):
        part = image[top : top + _STRIP, :, :3].detach().to("cpu").float().amin(dim=2)
        darkest[top : top + _STRIP] = (part.clamp(0, 1) * 255).round().numpy()
    return darkest


def _spots(
    stats: NDArray[np.int32], size: Size, settings: HighlightSettings
) -> Iterator[tuple[int, Box, int]]:
    """Number, box and pixels of the spots of a size that counts and clear of the border."""
    left, top, width, height, pixels = stats.T.astype(np.int64)
    slim = np.minimum(width, height) / np.maximum(np.maximum(width, height), 1)
    least = max(settings.least_pixels, settings.least_share * size.area)
    clear = (left > 0) & (top > 0) & (left + width < size.width) & (top + height < size.height)
    usable = clear & (pixels >= least) & (pixels <= settings.most_share * size.area)
    usable &= slim >= settings.slim
    usable[0] = False
    chosen = np.flatnonzero(usable)
    for label in chosen[np.argsort(-pixels[chosen], kind="stable")][:_LOOKED_AT]:
        box = Box(int(left[label]), int(top[label]), int(width[label]), int(height[label]))
        yield int(label), box, int(pixels[label])


def _score(
    label: int,
    box: Box,
    labels: NDArray[np.int32],
    plane: NDArray[np.float32],
    darkest: NDArray[np.uint8],
    settings: HighlightSettings,
) -> float:
    """The least of what its shape, its core and its surroundings say, 0..1."""
    inside = labels[box.rows, box.columns] == label
    pixels = int(np.count_nonzero(inside))
    points = cv2.findNonZero(inside.view(np.uint8))
    hull = cv2.fillConvexPoly(np.zeros(inside.shape, np.uint8), cv2.convexHull(points), 1)
    shape = settings.solidity.score(pixels / int(hull.sum()))
    core = settings.core.score(float(np.percentile(darkest[box.rows, box.columns][inside], 95)))
    if min(shape, core) < settings.least_score:
        return 0.0
    reach = max(3, round(0.6 * pixels**0.5))
    whole = Box.of(Size(plane.shape[1], plane.shape[0]))
    view = box.pad(reach + 1).intersect(whole)
    assert view is not None
    spot = (labels[view.rows, view.columns] == label).view(np.uint8)
    near = cv2.dilate(spot, np.ones((3, 3), np.uint8))
    kernel = cv2.getStructuringElement(_ROUND, (2 * reach + 1, 2 * reach + 1))
    around = cv2.dilate(spot, kernel).view(bool) & ~near.view(bool)
    values = plane[view.rows, view.columns]
    middle, bright = np.percentile(values[around], (50, 90))
    contrast = settings.contrast.score(float(np.median(values[spot.view(bool)]) - middle))
    return min(shape, core, contrast, settings.around.score(float(bright)))
