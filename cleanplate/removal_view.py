"""A hole and its surroundings before and after a refinement, brought to one size and one tone."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from .geometry import Box

Array = NDArray[np.float32]
Flags = NDArray[np.bool_]

SIDE = 96
"""Pixels that a hole's bounding box measures when it is looked at (the root of its area)."""


@dataclass(frozen=True, eq=False)
class View:
    """A hole and its surroundings, at the size at which they are compared.

    Attributes:
        before: ``[h, w, 3]``, CIE Lab divided by 100.
        after: the same, brought to the tone of `before` by what the surroundings show.
        hole: ``[h, w]``, True in it.
        box: where the view lies in the image, in its pixels.
    """

    before: Array
    after: Array
    hole: Flags
    box: Box

    @property
    def extent(self) -> float:
        """The root of the hole's area, in pixels of the view."""
        return sqrt(float(self.hole.sum()))

    def box_of(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Box:
        """The box in the image around pixels of the view."""
        scale = self.box.width / self.hole.shape[1], self.box.height / self.hole.shape[0]
        around = Box.from_edges(
            self.box.x + round(int(columns.min()) * scale[0]),
            self.box.y + round(int(rows.min()) * scale[1]),
            self.box.x + round((int(columns.max()) + 1) * scale[0]),
            self.box.y + round((int(rows.max()) + 1) * scale[1]),
        )
        return around.intersect(self.box) or self.box


def view(before: Array, after: Array, hole: Flags, found: Box) -> View:
    """Cut the hole out with half its size around it, and shrink it to a common size.

    Args:
        before: ``[H, W, 3]`` RGB in 0..1.
        after: the same place, changed.
        hole: ``[H, W]``, with at least one True pixel.
        found: its bounding box.
    """
    side = sqrt(found.width * found.height)
    whole = Box(0, 0, hole.shape[1], hole.shape[0])
    box = found.pad(round(0.5 * side) + 8).intersect(whole) or found
    place = box.rows, box.columns
    cut = [before[place], after[place], hole[place].astype(np.float32)]
    if side > SIDE:
        size = (
            max(1, round(box.width * SIDE / side)),
            max(1, round(box.height * SIDE / side)),
        )
        cut = [cv2.resize(np.ascontiguousarray(x), size, interpolation=cv2.INTER_AREA) for x in cut]
    small_before, small_after, covered = cut
    small = covered >= 0.5
    if not small.any():
        small = covered >= covered.max()
    toned = _same_tone(small_after, small_before, ~small)
    return View(_lab(small_before), _lab(toned), small, box)


def _lab(picture: Array) -> Array:
    lab: Array = cv2.cvtColor(np.ascontiguousarray(picture.clip(0, 1)), cv2.COLOR_RGB2Lab)
    return lab / np.float32(100)


def rgb(lab: Array) -> Array:
    """A picture of a `View` as RGB in 0..1."""
    picture: Array = cv2.cvtColor(lab * np.float32(100), cv2.COLOR_Lab2RGB)
    return picture.clip(0, 1)


def _same_tone(after: Array, before: Array, ring: Flags) -> Array:
    """Undo a gain and an offset per channel, fitted to the surroundings without their outliers."""
    clear = cv2.erode(ring.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    where = clear if clear.sum() >= 20 else ring
    if where.sum() < 4:
        return after
    result = after.copy()
    soft_after, soft_before = blur(after, 1.5)[where], blur(before, 1.5)[where]
    for c in range(3):
        x, y = soft_after[:, c], soft_before[:, c]
        keep = np.ones(len(x), bool)
        gain, offset = 1.0, 0.0
        for _ in range(3):
            middle_x, middle_y = float(x[keep].mean()), float(y[keep].mean())
            together = float(((x[keep] - middle_x) * (y[keep] - middle_y)).mean())
            gain = (together + 1e-4) / (float(x[keep].var()) + 1e-4)
            gain = min(max(gain, 0.8), 1.25)
            offset = middle_y - gain * middle_x
            error = abs(gain * x + offset - y)
            keep = error <= np.quantile(error, 0.8) + 1e-6
        result[..., c] = gain * after[..., c] + offset
    return result


def blur(x: Array, sigma: float) -> Array:
    """Gaussian; sigma in pixels."""
    blurred: Array = cv2.GaussianBlur(x, (0, 0), sigma)
    return blurred
