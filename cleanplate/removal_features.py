"""What `removal_check` measures in a hole: numbers that grow when a new object is there."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from .geometry import Box
from .novelty import Samples, clustered, nearest, novelty

Array = NDArray[np.float32]
Flags = NDArray[np.bool_]

SIDE = 96
"""Pixels that a hole's bounding box measures when it is looked at (the root of its area)."""

_RADIUS = 2
_INSIDE, _AROUND = 600, 1000
"""Most patches that are compared: of the hole, and of its surroundings."""

_SEEN = 0.1
"""A distance between two patches of 5x5 pixels in Lab / 100 that hardly anybody sees."""


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


@dataclass(frozen=True)
class Features:
    """What was measured, each a logarithm.

    Attributes:
        pattern: how badly the worst small patches (5x5 pixels at half the view's size) fit their
            surroundings, and how much worse than what was there before.
        shape: the same of patches of twice that size.
        texture: how far the strength of the texture is from any around and before.
        enclosed: size and contrast of the largest new region that stands out from all that leads
            to it.
        island: the change in the middle of the hole against that at its rim: what continues from
            outside changes both.
        change: the change since before at the size of an object, against what varies around.
        detail: the strength of details against that of the surroundings. Its weight is negative:
            where all of the hole got sharper, the others are high for no object.
    """

    pattern: float
    shape: float
    texture: float
    enclosed: float
    island: float
    change: float
    detail: float

    @property
    def values(self) -> tuple[float, ...]:
        return (
            self.pattern,
            self.shape,
            self.texture,
            self.enclosed,
            self.island,
            self.change,
            self.detail,
        )


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


def _lab(rgb: Array) -> Array:
    lab: Array = cv2.cvtColor(np.ascontiguousarray(rgb.clip(0, 1)), cv2.COLOR_RGB2Lab)
    return lab / np.float32(100)


def _same_tone(after: Array, before: Array, ring: Flags) -> Array:
    """Undo a gain and an offset per channel, fitted to the surroundings without their outliers."""
    clear = cv2.erode(ring.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    where = clear if clear.sum() >= 20 else ring
    if where.sum() < 4:
        return after
    result = after.copy()
    soft_after, soft_before = _blur(after, 1.5)[where], _blur(before, 1.5)[where]
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


def _blur(x: Array, sigma: float) -> Array:
    blurred: Array = cv2.GaussianBlur(x, (0, 0), sigma)
    return blurred


def _high(values: Array, quantile: float = 0.97) -> float:
    return float(np.quantile(values, quantile)) if values.size else 0.0


def measure(seen: View) -> tuple[Features, Box | None]:
    """The features of a hole, and a box around what is newest in it, if anything is."""
    after, before = _blur(seen.after, 0.8), _blur(seen.before, 0.8)
    fine = _patches(seen, after, before, 2, dc=0.6, nearness=0.1)
    coarse = _patches(seen, after, before, 4, dc=0.7, nearness=0.3)
    change, detail = _bands(seen)
    enclosed, region = _enclosed(seen)
    features = Features(
        pattern=log(_high(fine.misfit) + 0.1),
        shape=log(_high(coarse.misfit) + 0.1),
        texture=log(_texture(seen, after, before) + 0.03),
        enclosed=log(sqrt(enclosed) + 0.01),
        island=_island(seen),
        change=change,
        detail=detail,
    )
    return features, _newest(seen, fine, region)


@dataclass(frozen=True, eq=False)
class _Found:
    """How badly patches fit, and where: rows and columns of the view.

    `alone` before, `misfit` after taking the mean over neighbours.
    """

    alone: Array
    misfit: Array
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]


def _patches(
    seen: View, after: Array, before: Array, factor: int, *, dc: float, nearness: float
) -> _Found:
    """Compare patches of 5x5 pixels at 1/factor of the view's size with those around the hole.

    `dc` is the part of a patch's mean colour that does not count: light varies more than texture.
    `nearness` is what the hole's own extent adds to the distance of two patches.
    """
    height, width = seen.hole.shape
    size = max(5, width // factor), max(5, height // factor)
    small_after, small_before, covered = (
        cv2.resize(x, size, interpolation=cv2.INTER_AREA)
        for x in (after, before, seen.hole.astype(np.float32))
    )
    inner = covered > 0.9
    if not inner.any():
        inner = covered >= covered.max()
    kernel = np.ones((2 * _RADIUS + 1, 2 * _RADIUS + 1), np.uint8)
    outer = cv2.erode((covered <= 0).astype(np.uint8), kernel, borderValue=1) > 0
    if outer.sum() < 20:
        outer = covered < 0.5
    inside, around = _pick(inner, _INSIDE), _pick(outer, _AROUND)

    def samples(image: Array, places: tuple[NDArray[np.int64], ...]) -> Array:
        cut = _windows(image, *places)
        return cut - dc * cut.mean(axis=(1, 2), keepdims=True)

    ring = samples(small_after, around)
    scale = factor if width // factor >= 5 and height // factor >= 5 else 1
    found = Samples(*inside, _flat(samples(small_after, inside)))
    new = novelty(
        found,
        _flat(samples(small_before, inside)),
        Samples(*around, _flat(ring)),
        _flat(samples(small_before, around)),
        mirrored=[_flat(ring[:, ::-1]), _flat(ring[:, :, ::-1])],
        apart=0.25 * seen.extent / scale,
        nearness=nearness * scale / seen.extent,
        slack=_SEEN,
    )
    radius = seen.extent / 8 / scale
    stretch = width / size[0], height / size[1]
    rows = (inside[0] * stretch[1] + stretch[1] / 2).astype(np.int64)
    columns = (inside[1] * stretch[0] + stretch[0] / 2).astype(np.int64)
    alone = np.sqrt((new.now - 0.5).clip(0) * new.worse.clip(0)).astype(np.float32)
    return _Found(alone, clustered(alone, found.places, radius), rows, columns)


def _pick(where: Flags, most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of at most about `most` True pixels, spread evenly."""
    total = int(where.sum())
    rows, columns = np.nonzero(where)
    if total > most:
        # an irrational stride meets all columns alike
        chosen = np.unique((np.arange(most) * (total / most)).astype(np.int64))
        rows, columns = rows[chosen], columns[chosen]
    return rows, columns


def _windows(image: Array, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Array:
    """The windows ``[N, 5, 5, C]`` around some pixels."""
    padded = np.pad(image, ((_RADIUS, _RADIUS), (_RADIUS, _RADIUS), (0, 0)), mode="reflect")
    steps = np.arange(2 * _RADIUS + 1)
    windows: Array = padded[
        rows[:, None, None] + steps[None, :, None], columns[:, None, None] + steps[None, None, :]
    ]
    return windows


def _flat(windows: Array) -> Array:
    return np.ascontiguousarray(windows.reshape(len(windows), int(np.prod(windows.shape[1:]))))


def _bands(seen: View) -> tuple[float, float]:
    """Features `change` and `detail`: what two bands of a Laplacian pyramid hold."""
    hole, ring = seen.hole, ~seen.hole

    def band(image: Array, sigma: float) -> Array:
        sigma = max(sigma, 0.3)
        return _blur(image, sigma) - _blur(image, 3 * sigma)

    def strength(values: Array) -> Array:
        root: Array = np.sqrt((values**2).sum(axis=2))
        return root

    middle, fine = seen.extent / 10, seen.extent / 24
    old = band(seen.before, middle)
    changed = strength(band(seen.after, middle) - old)
    change = log((_high(changed[hole]) + 0.005) / (_high(strength(old)[ring]) + 0.01))
    now = strength(band(seen.after, fine))
    detail = log((_high(now[hole]) + 0.005) / (_high(now[ring]) + 0.01))
    return change, detail


def _texture(seen: View, after: Array, before: Array) -> float:
    """How far the energies of three bands in the hole are from any around and before."""
    window = max(1.0, seen.extent / 20)
    depth = cv2.distanceTransform(seen.hole.astype(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform((~seen.hole).astype(np.uint8), cv2.DIST_L2, 5)
    inner = depth > 0.7 * window
    outer = (outside > 0.7 * window) & ~seen.hole
    inside = _pick(inner if inner.any() else seen.hole, 500)
    around = _pick(outer if outer.sum() >= 20 else ~seen.hole, _AROUND)
    now, then = _energies(after, window), _energies(before, window)
    found = Samples(*inside, now[inside])
    keys = np.concatenate((now[around], then[inside]))
    away = nearest(found.values, keys, 1)[0]
    return _high(clustered(away, found.places, seen.extent / 8))


def _energies(image: Array, window: float) -> Array:
    """Logarithm of the root mean square of three bands ``[h, w, 3]`` in a Gaussian window."""
    bands, last = [], image
    for sigma in (1.0, 2.0, 4.0):
        softer = _blur(image, sigma)
        square = ((last - softer) ** 2).sum(axis=2)
        bands.append(np.log(np.sqrt(_blur(square, window)) + 0.012))
        last = softer
    return np.dstack(bands).astype(np.float32)


def _island(seen: View) -> float:
    """Feature `island`."""
    change = np.sqrt(((_blur(seen.after, 1.5) - _blur(seen.before, 1.5)) ** 2).sum(axis=2))
    depth = cv2.distanceTransform(seen.hole.astype(np.uint8), cv2.DIST_L2, 5)
    rim = seen.hole & (depth < 0.06 * seen.extent + 1.5)
    middle = seen.hole & (depth > 0.15 * seen.extent)
    return log((_high(change[middle]) + 0.02) / (_high(change[rim]) + 0.02))


def _enclosed(seen: View) -> tuple[float, Flags]:
    """Contrast times share of the hole of the largest new enclosed region, and what shows of it.

    A pixel is enclosed by as much as it is brighter (or darker, or of another hue) than the best
    path to the surroundings: grey-scale reconstruction (Vincent, 1993).
    """
    soft = seen.extent / 40 + 0.6
    after, before = _blur(seen.after, soft), _blur(seen.before, soft)
    changed = 1.5 * np.sqrt(((after - before) ** 2).sum(axis=2))
    new = np.minimum(_stands_out(after, seen.hole), changed)
    marked = ((new > 0.03) & seen.hole).astype(np.uint8)
    count, labels = cv2.connectedComponents(marked, connectivity=4)
    if count < 2:
        return 0.0, np.zeros_like(seen.hole)
    weight = np.bincount(labels.ravel(), (new * marked).ravel())
    largest = int(weight.argmax())
    return float(weight[largest]) / float(seen.hole.sum()), (labels == largest) & (new > 0.06)


def _stands_out(image: Array, where: Flags) -> Array:
    """By how much each pixel of a region differs from every path to its outside: ``[h, w]``."""
    rows, columns = np.nonzero(where)
    place = (
        slice(max(0, int(rows.min()) - 2), int(rows.max()) + 3),
        slice(max(0, int(columns.min()) - 2), int(columns.max()) + 3),
    )
    kernel, inside = np.ones((3, 3), np.uint8), where[place][..., None]
    most = np.zeros(image[place].shape, np.float32)
    for signed in (image[place], -image[place]):
        reached = np.where(inside, np.float32(-9), signed)
        while True:
            last = reached
            for _ in range(8):
                reached = np.minimum(cv2.dilate(reached, kernel), signed)
            if np.array_equal(reached, last):
                break
        # without an outside nothing is reached
        most = np.maximum(most, np.where(reached > -9, signed - reached, 0))
    result = np.zeros(image.shape[:2], np.float32)
    result[place] = np.sqrt((most**2).sum(axis=2))
    return result


_NEW = 0.5


def _newest(seen: View, patches: _Found, region: Flags) -> Box | None:
    """A box around the largest group of novel patches and what the enclosed region adds."""
    height, width = seen.hole.shape
    marked = np.zeros((height, width), np.uint8)
    # half of the highest: patches that lie half on the object
    novel = patches.alone > max(_NEW, 0.5 * _high(patches.alone))
    marked[patches.rows[novel].clip(0, height - 1), patches.columns[novel].clip(0, width - 1)] = 1
    step = max(1, round(sqrt(float(seen.hole.sum()) / max(len(patches.rows), 1))))
    marked = cv2.morphologyEx(
        marked, cv2.MORPH_CLOSE, np.ones((2 * step + 1, 2 * step + 1), np.uint8)
    )
    marked = ((marked.astype(bool) & seen.hole) | region).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(marked)
    if count < 2:
        return None
    rows, columns = np.nonzero(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()))
    return seen.box_of(rows, columns)
