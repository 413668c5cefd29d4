"""What `removal_check` measures in a hole: numbers that grow when a new object is there."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from .geometry import Box
from .novelty import Samples, clustered, nearest, novelty
from .removal_view import Array, Flags, View, blur

_RADIUS = 2
_INSIDE, _AROUND = 600, 1000
"""Most patches that are compared: of the hole, and of its surroundings."""

_SEEN = 0.1
"""A distance between two patches of 5x5 pixels in Lab / 100 that hardly anybody sees."""


@dataclass(frozen=True)
class Features:
    """What was measured, each a logarithm.

    Attributes:
        pattern: how badly the worst small patches (5x5 pixels at half the view's size) fit their
            surroundings, and how much worse than what was there before.
        shape: the same where patches of twice that size, at the same place, fit as badly.
        texture: how far the strength of the texture is from any around and before.
        colour: how far the softened colours are from any around and before.
        enclosed: the part of the hole that is new and differs from every path to the outside: what
            continues from there does not.
        change: the change since before at the size of an object, against what varies around.
        grain: the gradients of the hole's calmest quarter against those of the surroundings; at
            most slightly more. Its weight is negative: where all of the hole got sharper, the
            others are high for no object.
    """

    pattern: float
    shape: float
    texture: float
    colour: float
    enclosed: float
    change: float
    grain: float

    @property
    def values(self) -> tuple[float, ...]:
        return (
            self.pattern,
            self.shape,
            self.texture,
            self.colour,
            self.enclosed,
            self.change,
            self.grain,
        )

    def weighed(self, weights: Features) -> float:
        """The sum of the features, each times its weight."""
        return sum(w * x for w, x in zip(weights.values, self.values, strict=True))


def _high(values: Array, quantile: float = 0.97) -> float:
    return float(np.quantile(values, quantile)) if values.size else 0.0


def measure(seen: View) -> tuple[Features, Box | None]:
    """The features of a hole, and a box around what is newest in it, if anything is."""
    after, before = blur(seen.after, 0.8), blur(seen.before, 0.8)
    fine = _patches(seen, after, before, 2, dc=0.6, nearness=0.1)
    coarse = _patches(seen, after, before, 4, dc=0.7, nearness=0.3)
    enclosed = _enclosed(seen)
    features = Features(
        pattern=log(_clustered(fine, fine.alone, seen.extent) + 0.1),
        shape=log(_clustered(fine, _both(fine, coarse), seen.extent) + 0.1),
        texture=log(_texture(seen, after, before) + 0.03),
        colour=log(_colour(seen) + 0.004),
        enclosed=log(float((enclosed[seen.hole] > _ENCLOSED).mean()) + 0.02),
        change=_change(seen),
        grain=_grain(seen),
    )
    return features, _newest(seen, fine, _largest(enclosed))


@dataclass(frozen=True, eq=False)
class _Found:
    """How badly patches fit, each alone, and where: rows and columns of the view."""

    alone: Array
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]

    @property
    def places(self) -> Array:
        return np.stack((self.rows, self.columns), axis=1).astype(np.float32)


def _clustered(found: _Found, values: Array, extent: float) -> float:
    """The highest mean over neighbours of what was found at some places."""
    return _high(clustered(values, torch.from_numpy(found.places), extent / 8))


def _both(fine: _Found, coarse: _Found) -> Array:
    """How badly small patches fit, at most as badly as the large ones beside them."""
    beside = nearest(fine.places, coarse.places, 4)[1]
    both: Array = np.minimum(fine.alone, coarse.alone[beside].mean(axis=1))
    return both


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
    stretch = width / size[0], height / size[1]
    rows = (inside[0] * stretch[1] + stretch[1] / 2).astype(np.int64)
    columns = (inside[1] * stretch[0] + stretch[0] / 2).astype(np.int64)
    alone = np.sqrt((new.now - 0.5).clip(0) * new.worse.clip(0)).astype(np.float32)
    return _Found(alone, rows, columns)


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


def _change(seen: View) -> float:
    """Feature `change`: what a band of a Laplacian pyramid holds."""
    sigma = max(seen.extent / 10, 0.3)

    def band(image: Array) -> Array:
        return blur(image, sigma) - blur(image, 3 * sigma)

    old = band(seen.before)
    changed = _strength(band(seen.after) - old)
    return log((_high(changed[seen.hole]) + 0.005) / (_high(_strength(old)[~seen.hole]) + 0.01))


def _strength(values: Array) -> Array:
    root: Array = np.sqrt((values**2).sum(axis=2))
    return root


def _grain(seen: View) -> float:
    """Feature `grain`."""
    soft = blur(seen.after, seen.extent / 60 + 0.6)
    along_x, along_y = (cv2.Scharr(soft, cv2.CV_32F, *d, scale=1 / 32) for d in ((1, 0), (0, 1)))
    slope = np.hypot(_strength(along_x), _strength(along_y))
    calm_in, calm_out = (_high(slope[where], 0.25) for where in (seen.hole, ~seen.hole))
    # a hole that is busy all over is no sharper for being busier still
    return min(log((calm_in + 0.002) / (calm_out + 0.002)), 0.2)


_LIGHT = 0.5
"""What a difference in lightness counts beside one in colour: light varies more."""


def _colour(seen: View) -> float:
    """How far the colours in the hole are from any around and before."""
    sigma = max(seen.extent / 24, 0.8)
    weights = np.array((_LIGHT, 1, 1), np.float32)
    now, then = weights * blur(seen.after, sigma), weights * blur(seen.before, sigma)
    inside, around = _pick(seen.hole, 500), _pick(~seen.hole, _AROUND)
    found = Samples(*inside, now[inside])
    away = nearest(found.values, np.concatenate((now[around], then[inside])), 1)[0]
    return _high(clustered(away, found.places, seen.extent / 10))


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
        softer = blur(image, sigma)
        square = ((last - softer) ** 2).sum(axis=2)
        bands.append(np.log(np.sqrt(blur(square, window)) + 0.012))
        last = softer
    return np.dstack(bands).astype(np.float32)


_ENCLOSED = 0.06
"""What an enclosed region differs by, in Lab / 100."""


def _enclosed(seen: View) -> Array:
    """By how much each pixel ``[h, w]`` is newly enclosed; 0 outside the hole.

    A pixel is enclosed by as much as it is brighter (or darker, or of another hue) than the best
    path to the surroundings: grey-scale reconstruction (Vincent, 1993).
    """
    soft = seen.extent / 40 + 0.6
    after, before = blur(seen.after, soft), blur(seen.before, soft)
    new: Array = np.minimum(_stands_out(after, seen.hole), 1.5 * _strength(after - before))
    return new


def _largest(new: Array) -> Flags:
    """The largest enclosed region."""
    marked = (new > _ENCLOSED / 2).astype(np.uint8)
    count, labels = cv2.connectedComponents(marked, connectivity=4)
    if count < 2:
        return np.zeros_like(marked, np.bool_)
    largest = int(np.bincount(labels.ravel(), (new * marked).ravel()).argmax())
    region: Flags = (labels == largest) & (new > _ENCLOSED)
    return region


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
