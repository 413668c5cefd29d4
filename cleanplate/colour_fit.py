"""What shift in colour do differences between two pictures show, and what is only noise?"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import pi

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .colour_regress import Array, Found, at_least, regress

# Half waves of the field along the longer side, and how fast its prior falls with their number.
_WAVES = 5
_SMOOTHNESS = 1.5

# Below two standard errors a value is chance (the square of that), and so is what lies below twice
# these: they stand for what is wrong with the model, which the scatter of the cells does not show.
_CHANCE = 4.0
_GAIN_FLOOR = 0.006
# The gain's is lower where detail shows the same gain and little else: this, and this part of it.
_LEAST_GAIN_FLOOR = 0.0005
_OTHER = 0.1
_OFFSET_FLOOR = 0.15 / 255
_FIELD_FLOOR = 0.4 / 255

# Chosen on benchmarks/seam_colour.py: how far detail's gain leaks into means of 16 pixels, what
# clipped noise does to a mean, pixels lent to each cell's variance.
_LEAK = 0.25
_CUT = 3.0
_SHARED = 64.0
# Of several explanations the simplest that leaves little more than the best one.
_AS_GOOD = 1.05
_UNSEEN = 0.05 / 255
# Up to how many half waves, down and across, a gain varies over the crop.
_GAIN_WAVES = 2
# Such a gain is left out where more than this part of it, or more than the floor, is in doubt, or
# where it would take more than this from a tone.
_DOUBTFUL = 1 / 3
_LEAST_GAIN = -0.5
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
        gain_field: as `field`, what is added to the gain where that varies over the crop, too.
        gain_bounds: as `bounds`.
    """

    gain: Tensor
    offset: Tensor
    centre: Tensor
    tones: Tensor
    field: Tensor
    bounds: Tensor
    gain_field: Tensor
    gain_bounds: Tensor

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
    maximising the evidence (MacKay, 1992). A gain or an offset is multiplied by
    ``1 - (k / t**2)**2``, where t is its ratio to its standard error: the nonnegative garrote
    (Breiman, 1995), made steeper, so that it takes little of what is sure. Of no shift, an offset,
    a gain, a field, or all of them, each channel gets the simplest that explains the ring about as
    well as the best. Where that is a field, the gain may vary over the crop as well, if that
    explains more and is not in doubt: light that falls off darkens by a factor.

    Computed by NumPy: the matrices are tiny, and torch would wake its threads for each of them.

    Args:
        cells: at least one.
        field: give the field, too; else none.

    Returns:
        None where no channel has shifted.
    """
    counted, shift = cells.weight, cells.shift
    used = counted > 0
    total = at_least(counted.sum(axis=1, keepdims=True))
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
    noise = (power + _SHARED * shared) / (counted + _SHARED) / at_least(counted) + cut**2

    basis, stiffness, orders = _basis(cells.place, cells.size)
    # The field is always in the fit: left out, it would be taken for a gain.
    found = regress(tone, basis, (stiffness,), shift, noise, used)
    total = at_least(found.weight.sum(axis=1))
    bias = ((found.weight * cut).sum(axis=1) / total) ** 2
    tone = tone - found.middle[:, :1]
    contrast = (found.weight * tone**2).sum(axis=1) / total
    seen = found.mean[:, 1]
    texture = np.maximum((cells.texture * counted).sum(axis=1), 1e-9)
    detail = (cells.covariance * counted).sum(axis=1) / texture
    # Where detail has the same gain, and no other change, nothing is wrong with the model.
    other = (detail - seen) ** 2 + np.maximum(power.sum(axis=1) / texture - detail**2, 0)
    floor = np.minimum(_LEAST_GAIN_FLOOR + _OTHER * np.sqrt(other), _GAIN_FLOOR)
    variance = found.covariance[:, 1, 1] + floor**2 + bias / at_least(contrast)
    # Means of a few pixels differ by their detail, too: its share of how much they differ leaks.
    lent = (cells.texture * found.weight / at_least(counted)).sum(axis=1) / total
    share = np.minimum(lent / np.maximum(contrast, 1e-12), 1)

    def leaked(gain: Array) -> Array:
        # Sharpening and blur are a gain of fine detail, some of which leaks into the cells' means.
        # It must not be taken for a field either.
        leak = _LEAK * np.maximum(detail * np.sign(gain) - np.abs(gain), 0)
        own = share * (np.abs(detail - gain) + share * np.abs(detail))
        return np.asarray(leak**2 + own**2)

    gain = _garrote(seen, variance + leaked(seen))
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

    def misfit(left: Array) -> Array:
        # Not by the weights of the fit, which trusts what agrees with it.
        return np.asarray((counted * np.abs(left)).sum(axis=-1) / at_least(counted.sum(axis=1)))

    errors = misfit(left)
    chosen = (errors <= errors.min(axis=0) * _AS_GOOD + _UNSEEN).argmax(axis=0)
    every = np.arange(3)
    gain, offset, waves, bend = (np.stack(part)[chosen, every] for part in zip(*parts, strict=True))
    if not (gain.any() or offset.any() or waves.any()):
        return None

    level = (found.middle[:, 1:] * waves).sum(axis=1)
    model = _Model(gain, offset, waves, level, bend, straight, none, flat)
    curved = waves.any(axis=1)
    if curved.any():
        slow = orders[0] + orders[1] <= _GAIN_WAVES
        both = np.concatenate(
            [basis + 0 * tone[..., None], tone[..., None] * basis[:, slow]], axis=2
        )
        held, left = used & curved[:, None], left[chosen, every]
        again = regress(tone, both, (stiffness, stiffness[slow]), shift, noise, held, left)
        varied = _Model.of(again, basis, slow, held)
        better = misfit(shift - varied.at(tone)) * _AS_GOOD < errors[chosen, every]
        kept = _garrote(varied.gain, variance + leaked(varied.gain))
        sure = np.abs(varied.gain - kept) < np.maximum(_GAIN_FLOOR, _DOUBTFUL * np.abs(varied.gain))
        believed = varied.holds & sure
        model = model.where(curved & better & believed, varied)

    ends = np.stack((tone.min(axis=1), tone.max(axis=1)))

    def planes(waves: Array, level: Array) -> Tensor:
        weights = np.zeros((3, *_orders(cells.size)))
        weights[:, orders[0], orders[1]] = waves
        weights[:, 0, 0] = -level
        return torch.from_numpy(weights)

    def bounds(values: Array) -> Tensor:
        return torch.from_numpy(np.stack((values.min(axis=1), values.max(axis=1))))

    return Shift(
        gain=torch.from_numpy(model.gain),
        offset=torch.from_numpy(model.offset),
        centre=torch.from_numpy((centre + found.middle[:, :1])[:, 0]),
        tones=torch.from_numpy(ends + np.array([[-_REACH], [_REACH]]) * (ends[1] - ends[0])),
        field=planes(model.waves, model.level),
        bounds=bounds(model.bend),
        gain_field=planes(model.leans, model.rise),
        gain_bounds=bounds(model.tilt),
    )


@dataclass(frozen=True, eq=False)
class _Model:
    """What explains the shift of each channel.

    `bend` is the field at the cells ``[3, N]``: the sum of `waves` ``[3, K]`` without their mean
    `level`; `tilt` is the same of what is added to the gain: `leans` without `rise`.
    """

    gain: Array
    offset: Array
    waves: Array
    level: Array
    bend: Array
    leans: Array
    rise: Array
    tilt: Array

    @classmethod
    def of(
        cls, found: Found, basis: Array, slow: NDArray[np.bool_], used: NDArray[np.bool_]
    ) -> _Model:
        """A regression on a tone, waves, and the `slow` of them times the tone."""
        number = basis.shape[1]
        total = at_least(found.weight.sum(axis=1))
        mean = found.mean
        waves, leans = mean[:, 2 : 2 + number], np.zeros((3, number))
        leans[:, slow] = mean[:, 2 + number :]
        (level, bend), (rise, tilt) = (
            (level, np.where(used, values - level[:, None], 0))
            for values in (waves @ basis.T, leans @ basis.T)
            for level in ((found.weight * values).sum(axis=1) / total,)
        )
        offset = mean[:, 0] - (found.middle * mean[:, 1:]).sum(axis=1) + level
        return cls(mean[:, 1] + rise, offset, waves, level, bend, leans, rise, tilt)

    @property
    def holds(self) -> NDArray[np.bool_]:
        """Whether no tone becomes so flat that it could not be restored."""
        return np.asarray(self.gain + self.tilt.min(axis=1) > _LEAST_GAIN)

    def at(self, tone: Array) -> Array:
        """The shift of cells."""
        return self.offset[:, None] + (self.gain[:, None] + self.tilt) * tone + self.bend

    def where(self, better: NDArray[np.bool_], other: _Model) -> _Model:
        """`other` for the channels where that is better."""
        values = (
            np.where(better.reshape(-1, *[1] * (mine.ndim - 1)), theirs, mine)
            for mine, theirs in (
                (getattr(self, f.name), getattr(other, f.name)) for f in fields(self)
            )
        )
        return _Model(*values)


def _garrote(value: Array, variance: Array) -> Array:
    return value * np.maximum(1 - (_CHANCE * variance / np.maximum(value**2, 1e-20)) ** 2, 0)


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
