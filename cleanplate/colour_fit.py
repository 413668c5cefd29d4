"""What shift in colour do differences between two pictures show, and what is only noise?"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.floating[Any]]

_ROUNDS = 12
_HUBER_ROUNDS = 4
# As a part of its standard error: what moves no coefficient farther ends the rounds.
_SETTLED = 0.02
# The usual constants of robust statistics: 95 % efficient on normal noise.
_HUBER = 1.345
_TUKEY = 4.685
_MAD = 1.4826

# Half waves of the field along the longer side, and how fast its prior falls with their number.
_WAVES = 5
_SMOOTHNESS = 1.5

# Below two standard errors a value is chance (the square of that), and so is what lies below twice
# these: they stand for what is wrong with the model, which the scatter of the cells does not show.
_CHANCE = 4.0
_GAIN_FLOOR = 0.006
_OFFSET_FLOOR = 0.15 / 255
_FIELD_FLOOR = 0.4 / 255

# Chosen on benchmarks/seam_colour.py: how far detail's gain leaks into means of 16 pixels, what
# clipped noise does to a mean, pixels lent to each cell's variance.
_LEAK = 0.2
_CUT = 3.0
_SHARED = 64.0
_LEAST_SPREAD = 1e-8
# Of several explanations the simplest that leaves little more than the best one.
_AS_GOOD = 1.05
_UNSEEN = 0.05 / 255
# A gain is believed for tones so many times the ring's range beyond it.
_REACH = 2.0


@dataclass(frozen=True, eq=False)
class Cells:
    """Means over cells of the ring.

    Attributes:
        size: height and width of the crop in pixels.
        place: ``[N, 2]``, mean position (y, x) of the cell's pixels.
        weight: ``[3, N]``, how many pixels were counted.
        original: ``[3, N]``, mean of the original.
        shift: ``[3, N]``, mean of changed - original.
        variance: ``[3, N]`` of changed - original within the cell.
        texture: ``[3, N]``, variance of the original within the cell.
        covariance: ``[3, N]`` of the original and changed - original within the cell.
        clipped: ``[3, N]``, share of the pixels that were left out as black or white.
    """

    size: tuple[int, int]
    place: Array
    weight: Array
    original: Array
    shift: Array
    variance: Array
    texture: Array
    covariance: Array
    clipped: Array


@dataclass(frozen=True, eq=False)
class Shift:
    """``changed = original + offset + gain (original - centre) + field``, float64 on the CPU.

    Attributes:
        gain, offset, centre: ``[3]``.
        tones: least and greatest ``original - centre`` for which the gain is believed, ``[2, 3]``.
        field: ``[3, I, J]``, weights of products of cosines, see `waves`.
        bounds: least and greatest value of the field on the ring, ``[2, 3]``.
    """

    gain: Tensor
    offset: Tensor
    centre: Tensor
    tones: Tensor
    field: Tensor
    bounds: Tensor

    def waves(self, rows: slice, columns: slice, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Cosines at pixel centres of a part of a crop, ``[h, I]`` and ``[w, J]``."""
        down, across = (
            _cosines(np.arange(part.start, part.stop) + 0.5, side, count)
            for part, side, count in zip((rows, columns), size, self.field.shape[1:], strict=True)
        )
        return torch.from_numpy(down), torch.from_numpy(across)


def fit(cells: Cells, *, field: bool) -> Shift | None:
    """Find the shift of each channel; what chance explains is taken as none.

    Robust (Tukey's biweight), with a membrane's prior on the field whose stiffness is found by
    maximising the evidence (MacKay, 1992), and the nonnegative garrote (Breiman, 1995) on the
    result: a value is multiplied by ``1 - k / t**2`` where t is its ratio to its standard error.
    Of no shift, an offset, a gain, a field, or all of them, each channel gets the simplest that
    explains the ring about as well as the best.

    Computed by NumPy: the matrices are tiny, and torch would wake its threads for each of them.

    Args:
        cells: at least one.
        field: give the field, too; else none.

    Returns:
        None where no channel has shifted.
    """
    counted, shift = cells.weight, cells.shift
    used = counted > 0
    total = _at_least(counted.sum(axis=1, keepdims=True))
    if ((counted * np.abs(shift)).sum(axis=1, keepdims=True) <= _UNSEEN * total).all():
        return None
    centre = (cells.original * counted).sum(axis=1, keepdims=True) / total
    tone = np.where(used, cells.original - centre, 0)
    shift = np.where(used, shift, 0)
    # Noise that is cut off at black or white looks like a shift, in all cells alike.
    cut = _CUT * cells.clipped * np.sqrt(cells.variance)
    # Few pixels scatter little by chance, so part of a cell's variance is that of all.
    power = counted * cells.variance
    shared = power.sum(axis=1, keepdims=True) / total
    noise = (power + _SHARED * shared) / (counted + _SHARED) / _at_least(counted) + cut**2

    basis, stiffness, orders = _basis(cells.place, cells.size)
    # The field is always in the fit: left out, it would be taken for a gain.
    found = _regress(tone, basis, stiffness, shift, noise, used)
    total = _at_least(found.weight.sum(axis=1))
    bias = ((found.weight * cut).sum(axis=1) / total) ** 2
    tone = tone - found.middle[:, :1]
    contrast = (found.weight * tone**2).sum(axis=1) / total
    doubt = _GAIN_FLOOR**2 + bias / _at_least(contrast)
    seen, variance = found.mean[:, 1], found.covariance[:, 1, 1] + doubt
    # Sharpening and blur are a gain of fine detail, some of which leaks into the cells' means. It
    # must not be taken for a field either.
    texture = (cells.texture * counted).sum(axis=1)
    detail = (cells.covariance * counted).sum(axis=1) / np.maximum(texture, 1e-9)
    leak = _LEAK * np.maximum(detail * np.sign(seen) - np.abs(seen), 0)
    # Means of a few pixels differ by their detail, too: its share of how much they differ leaks.
    lent = (cells.texture * found.weight / _at_least(counted)).sum(axis=1) / total
    share = np.minimum(lent / np.maximum(contrast, 1e-12), 1)
    own = share * (np.abs(detail - seen) + share * np.abs(detail))
    gain = _garrote(seen, variance + leak**2 + own**2)
    rest = found.without_gain()

    def explain(held: Array) -> tuple[Array, Array, Array]:
        mean = rest.mean(held)
        offset = _garrote(mean[:, 0], rest.covariance[:, 0, 0] + _OFFSET_FLOOR**2 + bias)
        power, chance = rest.power(mean)
        chance = chance + (_FIELD_FLOOR**2 + bias) * total
        sure = np.maximum(1 - _CHANCE * chance / np.maximum(power, 1e-20), 0)
        waves = mean[:, 1:] * sure[:, None]
        values = waves @ basis.T - (found.middle[:, 1:] * waves).sum(axis=1)[:, None]
        return offset, waves, np.where(used, values, 0)

    none, straight, flat = (np.zeros(shape) for shape in (3, (3, len(stiffness)), tone.shape))
    alone, waves, bend = explain(none)
    offset, gained_waves, gained_bend = explain(_garrote(seen, variance))
    parts: list[tuple[Array, Array, Array, Array]]
    parts = [(none, none, straight, flat), (none, alone, straight, flat)]
    parts += [(gain, offset, straight, flat)]
    if field:
        parts += [(none, alone, waves, bend), (gain, offset, gained_waves, gained_bend)]
    # A gain and a field that cancel each other on the ring explain nothing when one of them is
    # held back or left out, and would show inside the mask.
    left = np.stack([shift - o[:, None] - g[:, None] * tone - v for g, o, _, v in parts])
    # Not by the weights of the fit, which trusts what agrees with it.
    error = (counted * np.abs(left)).sum(axis=2) / _at_least(counted.sum(axis=1))
    chosen = (error <= error.min(axis=0) * _AS_GOOD + _UNSEEN).argmax(axis=0)
    gain, offset, waves, bend = (
        np.stack(part)[chosen, np.arange(3)] for part in zip(*parts, strict=True)
    )
    if not (gain.any() or offset.any() or waves.any()):
        return None

    ends = np.stack((tone.min(axis=1), tone.max(axis=1)))
    weights = np.zeros((3, *_orders(cells.size)))
    weights[:, orders[0], orders[1]] = waves
    weights[:, 0, 0] = -(found.middle[:, 1:] * waves).sum(axis=1)
    return Shift(
        gain=torch.from_numpy(gain),
        offset=torch.from_numpy(offset),
        centre=torch.from_numpy((centre + found.middle[:, :1])[:, 0]),
        tones=torch.from_numpy(ends + np.array([[-_REACH], [_REACH]]) * (ends[1] - ends[0])),
        field=torch.from_numpy(weights),
        bounds=torch.from_numpy(np.stack((bend.min(axis=1), bend.max(axis=1)))),
    )


def _at_least(total: Array) -> Array:
    return np.maximum(total, 1e-6)


def _garrote(value: Array, variance: Array) -> Array:
    return value * np.maximum(1 - _CHANCE * variance / np.maximum(value**2, 1e-20), 0)


def _orders(size: tuple[int, int]) -> tuple[int, int]:
    """How many cosines down and across, of about equal wavelength in pixels."""
    height, width = (max(2, round(_WAVES * side / max(size))) + 1 for side in size)
    return height, width


def _basis(
    place: Array, size: tuple[int, int]
) -> tuple[Array, Array, tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Products of cosines without the constant ``[N, K]``, their stiffness ``[K]`` and orders."""
    rows, columns = _orders(size)
    i, j = np.indices((rows, columns))
    kept = (i / (rows - 1)) ** 2 + (j / (columns - 1)) ** 2 <= 1
    kept[0, 0] = False
    i, j = i[kept], j[kept]
    down, right = _cosines(place[:, 0], size[0], rows), _cosines(place[:, 1], size[1], columns)
    longest = max(size)
    frequency = (i * longest / size[0]) ** 2 + (j * longest / size[1]) ** 2
    return down[:, i] * right[:, j], frequency**_SMOOTHNESS, (i, j)


def _cosines(at: Array, length: int, count: int) -> Array:
    # Half waves over twice the crop, so that the slope at its border is free.
    phase = (at / length + 0.5) / 2
    return np.cos(pi * phase[:, None] * np.arange(count))


@dataclass(frozen=True, eq=False)
class _Found:
    """Coefficients per channel of a constant, a gain and waves, ``[3, 2 + K]``.

    All but the constant are counted from their weighted mean `middle`, ``[3, 1 + K]``.
    `information` is what the cells alone tell of them, `precision` holds the priors too.
    """

    mean: Array
    information: Array
    precision: Array
    covariance: Array
    weight: Array
    middle: Array

    def without_gain(self) -> _Rest:
        """The others, when the gain is given."""
        others = [0, *range(2, self.mean.shape[1])]
        precision = self.precision[:, others]
        covariance = np.linalg.inv(precision[:, :, others])
        freed = (covariance @ precision[:, :, 1:2])[..., 0]
        information = self.information[:, 2:, 2:]
        return _Rest(self.mean[:, others], self.mean[:, 1], freed, information, covariance)


@dataclass(frozen=True, eq=False)
class _Rest:
    """Coefficients ``[3, 1 + K]`` of a constant and waves, see `_Found`.

    `freed` is how much they grow for each part of the `gain` that is not given.
    """

    found: Array
    gain: Array
    freed: Array
    information: Array
    covariance: Array

    def mean(self, gain: Array) -> Array:
        """What they are when the gain is `gain`."""
        return self.found + self.freed * (self.gain - gain)[:, None]

    def power(self, mean: Array) -> tuple[Array, Array]:
        """Weighted sums over the cells of the field squared, and of what it is by chance."""
        waves = mean[:, 1:]
        power = ((self.information @ waves[..., None])[..., 0] * waves).sum(axis=1)
        return power, (self.information * self.covariance[:, 1:, 1:]).sum(axis=(1, 2))


def _regress(
    tone: Array,
    basis: Array,
    stiffness: Array,
    target: Array,
    noise: Array,
    used: NDArray[np.bool_],
) -> _Found:
    """Robust regression per channel of `target` ``[3, N]`` on 1, `tone` and `basis` ``[N, K]``.

    The first two are free; the others are held by `stiffness` times a factor that is estimated
    with the noise, of which `noise` ``[3, N]`` is the part that is known.
    """
    number = 2 + len(stiffness)
    design = np.empty((3, target.shape[1], number + 1))
    design[..., 0], design[..., 1], design[..., 2:number] = 1, tone, basis
    design[..., number] = target
    middles = np.maximum(used.sum(axis=1) - 1, 0) // 2

    def median(values: Array) -> Array:
        ordered = np.sort(np.where(used, values, np.inf), axis=1)
        found = ordered[np.arange(3), middles]
        return np.where(np.isfinite(found), found, 0)[:, None]

    amplitude, spread = np.full((3, 1), 1e-3), np.full((3, 1), _LEAST_SPREAD)
    residual = target - median(target)
    mean = covariance = np.zeros(())
    diagonal = np.arange(number)
    # A weak prior keeps a flat ring solvable, and a channel without any cell.
    penalty = np.ones((3, number))
    penalty[:, 0] = 1e-6
    for turn in range(_ROUNDS):
        variance = noise + spread
        ratio = np.abs(residual) / np.sqrt(variance)
        ratio /= np.maximum(_MAD * median(ratio), 1)
        if turn < _HUBER_ROUNDS:
            trust = _HUBER / np.maximum(ratio, _HUBER)
        else:
            trust = np.maximum(1 - (ratio / _TUKEY) ** 2, 1e-4) ** 2
        trust = trust * used
        weight = trust / variance
        sums = np.swapaxes(design * weight[..., None], 1, 2) @ design
        total = sums[:, 0, 0].copy()
        middle = sums[:, 0, 1:] / _at_least(total)[:, None]
        # The sums as they are when all columns, and the target, are counted from their means.
        sums[:, 1:, 1:] -= middle[:, :, None] * sums[:, 0, None, 1:]
        information = sums[:, :number, :number]
        information[:, 0, 1:] = information[:, 1:, 0] = 0
        penalty[:, 2:] = stiffness / amplitude
        precision = information.copy()
        precision[:, diagonal, diagonal] += penalty
        before = mean
        covariance = np.linalg.inv(precision)
        mean = (covariance @ sums[:, :number, number:])[..., 0]
        middle = middle[:, :-1]
        start = mean[:, 0] - (middle * mean[:, 1:]).sum(axis=1)
        coefficients = np.concatenate((start[:, None], mean[:, 1:]), axis=1)
        residual = target - np.einsum("cnk,ck->cn", design[..., :number], coefficients)
        power = mean**2 + covariance[:, diagonal, diagonal]
        amplitude = (power[:, 2:] * stiffness).mean(axis=1, keepdims=True).clip(1e-14)
        taken = (covariance * information).sum(axis=(1, 2))
        freedom = np.maximum(trust.sum(axis=1) - taken, 1)
        excess = (trust * (residual**2 - noise)).sum(axis=1) / freedom
        spread = np.maximum(excess, _LEAST_SPREAD)[:, None]
        if turn > _HUBER_ROUNDS:
            moved = (mean - before) ** 2
            if (moved <= _SETTLED**2 * covariance[:, diagonal, diagonal]).all():
                break
    return _Found(mean, information, precision, covariance, weight, middle)
