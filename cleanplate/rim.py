"""Whether a mask leaves a rim of its object outside: the mask too tight to remove it cleanly.

Along the outline of an object lies an edge of the image. Where a mask reaches beyond its object
that edge lies inside of the mask, where it is too tight outside. One pixel's gradient does not
tell the outline from a texture; but only the outline follows the contour of the mask all the way
round, at one distance. So the edge is measured between bands that run along the contour, in
sectors, by Fisher's criterion: the difference of the mean colours over their scatter.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from . import masks
from .geometry import Box, Size
from .upscale.resize import resize, resize_mask

_Array = npt.NDArray[np.float64]

_REACH = 12
"""Pixels on each side of the contour in which the edge is looked for."""
_BAND = 2
"""Width in pixels of the bands on both sides of an edge."""
_SECTOR = 10
"""Pixels of the contour for which one edge strength is measured."""
_FLOOR = 0.03
"""Scatter that even flat areas are taken to have: noise, in 0..1."""
_LONGEST = 384
"""A longer object is measured on a reduced picture: its slips and its edges are wider too."""
_SMALLEST = 100
_MOST = 32
_FEWEST_PIXELS = 3
_LEAST_SEEN = 0.4
STRONG = 0.85
"""Edge strength from which an outline counts. On the tuning half of ``benchmarks/masks.py`` that is
exceeded by 98 of 100 masks too small by 3 pixels, and by 1 of 100 that are 4 too large."""


@dataclass(frozen=True)
class Rim:
    """The strongest edge that follows the contour of a masked object on it or outside of it.

    Attributes:
        box: of the masked object.
        strength: difference of the colours across the edge over their scatter, the mean along the
            contour; 0 where nothing can be measured.
        pixels: how far outside of the mask the edge lies, in pixels of the image.
    """

    box: Box
    strength: float
    pixels: int

    @property
    def is_cut(self) -> bool:
        """Whether the mask cuts through its object."""
        return self.strength >= STRONG


def rims(image: Tensor, core: Tensor) -> list[Rim]:
    """Measure for each masked object whether its outline lies outside of the mask.

    Args:
        image: ``[H, W, 3 or 4]`` in 0..1; a fourth channel is ignored.
        core: bool ``[H, W]``, the mask that will be replaced.

    Returns:
        one `Rim` for each 8-connected object of at least 100 pixels, of the 32 largest.
    """
    labels, objects = masks.largest_objects(core, least=_SMALLEST, most=_MOST)
    return [_rim(image, labels, label, box) for label, box in objects]


def _rim(image: Tensor, labels: npt.NDArray[np.int32], label: int, box: Box) -> Rim:
    scale = max(1.0, max(box.width, box.height) / _LONGEST)
    margin = round((_REACH + _BAND + 2) * scale)
    whole = Box(0, 0, labels.shape[1], labels.shape[0])
    view = box.pad(margin).intersect(whole) or box
    crop = image[view.rows, view.columns, :3].to("cpu", torch.float32)[None]
    here = labels[view.rows, view.columns]
    own = torch.from_numpy(here == label)[None]
    foreign = torch.from_numpy((here > 0) & (here != label))[None]
    size = Size(max(1, round(view.width / scale)), max(1, round(view.height / scale)))
    strength, at = _strongest_edge(
        resize(crop, size)[0].numpy(),
        masks.core(resize_mask(own, size))[0].numpy(),
        masks.core(resize_mask(foreign, size))[0].numpy(),
    )
    return Rim(box, strength, max(0, round(at * scale)))


def _strongest_edge(
    image: npt.NDArray[np.float32], marked: npt.NDArray[np.bool_], foreign: npt.NDArray[np.bool_]
) -> tuple[float, int]:
    """The strength of the strongest edge on the contour or outside, and how far outside it is."""
    # A frame around the picture, so that a mask at the border has a contour there too.
    inside = np.pad(marked.astype(np.uint8), 1)
    pixels = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    sector, count = _sectors(inside)
    if count == 0:
        return 0.0, 0
    on_contour = (sector >= 0).astype(np.uint8)
    away, nearest = cv2.distanceTransformWithLabels(
        1 - on_contour, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_label = np.zeros(int(nearest.max()) + 1, np.int64)
    of_label[nearest[on_contour > 0]] = sector[on_contour > 0]
    # Half a pixel, because the contour runs between the last masked pixel and the first other.
    signed = np.where(inside > 0, -away - 0.5, away - 0.5)

    bands = 2 * (_REACH + _BAND)
    band = np.floor(signed).astype(np.int64) + bands // 2
    real = np.zeros(inside.shape, bool)
    real[1:-1, 1:-1] = ~foreign
    used = (band >= 0) & (band < bands) & real
    cell = of_label[nearest[used]] * bands + band[used]
    strength = _strength(pixels[used].astype(np.float64), cell, count, bands)

    first = _REACH
    seen = np.isfinite(strength).mean(axis=0)
    mean = np.nansum(strength, axis=0) / np.maximum(np.isfinite(strength).sum(axis=0), 1)
    outside = np.where(seen >= _LEAST_SEEN, mean, 0.0)[first:]
    best = int(outside.argmax())
    return float(outside[best]), best


def _sectors(inside: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.int64], int]:
    """Number the outer contours piece by piece; -1 elsewhere."""
    sector = np.full(inside.shape, -1, np.int64)
    count = 0
    contours, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    for contour in contours:
        x, y = contour[:, 0, 0], contour[:, 0, 1]
        pieces = max(1, round(len(x) / _SECTOR))
        sector[y, x] = count + np.arange(len(x)) * pieces // len(x)
        count += pieces
    return sector, count


def _strength(colours: _Array, cell: npt.NDArray[np.int64], count: int, bands: int) -> _Array:
    """Edge strength ``[sector, edge]`` between the bands on both sides; NaN where unseen.

    Edge k lies `k - _REACH` bands outside of the contour.
    """

    def total(values: _Array | None) -> _Array:
        sums = np.bincount(cell, values, minlength=count * bands).reshape(count, bands)
        running = np.concatenate([np.zeros((count, 1)), sums.cumsum(axis=1)], axis=1)
        return running[:, _BAND:] - running[:, :-_BAND]

    number = total(None)
    below, above = slice(None, -_BAND), slice(_BAND, None)
    difference = np.zeros((count, bands - 2 * _BAND + 1))
    scatter = np.zeros_like(difference)
    for channel in range(colours.shape[1]):
        values = colours[:, channel]
        mean = total(values) / np.maximum(number, 1)
        spread = total(values**2) - number * mean**2
        difference += (mean[:, above] - mean[:, below]) ** 2
        scatter += (spread[:, above] + spread[:, below]).clip(min=0)
    scatter /= np.maximum(number[:, above] + number[:, below], 1)
    strength = np.sqrt(difference) / (np.sqrt(scatter) + _FLOOR)
    seen = np.minimum(number[:, above], number[:, below]) >= _FEWEST_PIXELS
    return np.where(seen, strength, np.nan)
