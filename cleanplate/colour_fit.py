"""What shift in colour do differences between two pictures show, and what is only noise?"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

_ROUNDS = 12
_HUBER_ROUNDS = 4
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
    """Means over cells of the ring, float64 on the CPU.

    Attributes:
        size: height and width of the crop in pixels.
        place: ``[N, 2]``, mean position (y, x) of the cell's pixels.
        weight: ``[N, 3]``, how many pixels were counted.
        original: ``[N, 3]``, mean of the original.
        shift: ``[N, 3]``, mean of changed - original.
        variance: ``[N, 3]`` of changed - original within the cell.
        texture: ``[N, 3]``, variance of the original within the cell.
        covariance: ``[N, 3]`` of the original and changed - original within the cell.
        clipped: ``[N, 3]``, share of the pixels that were left out as black or white.
    """

    size: tuple[int, int]
    place: Tensor
    weight: Tensor
    original: Tensor
    shift: Tensor
    variance: Tensor
    texture: Tensor
    covariance: Tensor
    clipped: Tensor


@dataclass(frozen=True, eq=False)
class Shift:
    """``changed = original + offset + gain (original - centre) + field``, float64 on the CPU.

    Attributes:
        gain, offset, centre: ``[3]``.
        tones: least and greatest ``original - centre`` for which the gain is believed, ``[3]``.
        field: ``[3, I, J]``, weights of products of cosines, see `waves`.
        bounds: least and greatest value of the field on the ring, ``[3]``.
    """

    gain: Tensor
    offset: Tensor
    centre: Tensor
    tones: tuple[Tensor, Tensor]
    field: Tensor
    bounds: tuple[Tensor, Tensor]

    @property
    def is_seen(self) -> bool:
        """Whether there is anything to undo."""
        return bool(self.gain.any() or self.offset.any() or self.field.any())

    def waves(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Cosines at pixel centres, ``[height, I]`` and ``[width, J]``."""
        return (
            _cosines(torch.arange(height) + 0.5, height, self.field.shape[1]),
            _cosines(torch.arange(width) + 0.5, width, self.field.shape[2]),
        )


def fit(cells: Cells, *, field: bool) -> Shift:
    """Find the shift of each channel; what chance explains is taken as none.

    Robust (Tukey's biweight), with a membrane's prior on the field whose stiffness is found by
    maximising the evidence (MacKay, 1992), and the nonnegative garrote (Breiman, 1995) on the
    result: a value is multiplied by ``1 - k / t**2`` where t is its ratio to its standard error.
    Of no shift, an offset, a gain, a field, or all of them, each channel gets the simplest that
    explains the ring about as well as the best.

    Args:
        cells: at least one.
        field: give the field, too; else none.
    """
    used = (cells.weight > 0).T
    counted = cells.weight.T
    total = counted.sum(dim=1, keepdim=True).clamp(min=1e-6)
    centre = (cells.original.T * counted).sum(dim=1, keepdim=True) / total
    tone = torch.where(used, cells.original.T - centre, 0)
    shift = torch.where(used, cells.shift.T, 0)
    # Noise that is cut off at black or white looks like a shift, in all cells alike.
    cut = _CUT * cells.clipped.T * cells.variance.T.sqrt()
    # Few pixels scatter little by chance, so part of a cell's variance is that of all.
    power = counted * cells.variance.T
    shared = power.sum(dim=1, keepdim=True) / total
    variance = (power + _SHARED * shared) / (counted + _SHARED)
    noise = variance / counted.clamp(min=1e-6) + cut.square()

    basis, stiffness, orders = _basis(cells.place, cells.size)
    # The field is always in the fit: left out, it would be taken for a gain.
    columns = torch.cat((tone[..., None], basis.expand(3, -1, -1)), dim=2)
    found = _regress(columns, stiffness, shift, noise, used)
    total = found.weight.sum(dim=1).clamp(min=1e-6)
    bias = ((found.weight * cut).sum(dim=1) / total).square()
    middle = found.middle[:, :1]
    contrast = (found.weight * (tone - middle).square()).sum(dim=1) / total
    doubt = _GAIN_FLOOR**2 + bias / contrast.clamp(min=1e-6)
    seen, variance = found.mean[:, 1], found.covariance[:, 1, 1] + doubt
    # Sharpening and blur are a gain of fine detail, some of which leaks into the cells' means. It
    # must not be taken for a field either.
    detail = (cells.covariance * cells.weight).sum(dim=0) / (
        (cells.texture * cells.weight).sum(dim=0).clamp(min=1e-9)
    )
    leak = _LEAK * (detail * seen.sign() - seen.abs()).clamp(min=0)
    gain = _garrote(seen, variance + leak.square())
    bent = (basis - found.middle[:, None, 1:]) * used[..., None]

    def explain(held: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, covariance = found.hold(held)
        offset = _garrote(mean[:, 0], covariance[:, 0, 0] + _OFFSET_FLOOR**2 + bias)
        mean, covariance = mean[:, 1:], covariance[:, 1:, 1:]
        values = (bent @ mean[..., None])[..., 0]
        scatter = ((bent @ covariance) * bent).sum(dim=2)
        power, chance = ((found.weight * v).sum(dim=1) for v in (values.square(), scatter))
        chance = chance + (_FIELD_FLOOR**2 + bias) * total
        sure = (1 - _CHANCE * chance / power.clamp(min=1e-20)).clamp(min=0)[:, None]
        return offset, mean * sure, values * sure

    alone, waves, bend = explain(torch.zeros_like(gain))
    offset, gained_waves, gained_bend = explain(_garrote(seen, variance))
    none, straight, flat = (torch.zeros_like(v) for v in (gain, waves, bend))
    parts = [(none, none, straight, flat), (none, alone, straight, flat)]
    parts += [(gain, offset, straight, flat)]
    if field:
        parts += [(none, alone, waves, bend), (gain, offset, gained_waves, gained_bend)]
    # A gain and a field that cancel each other on the ring explain nothing when one of them is
    # held back or left out, and would show inside the mask.
    tone = tone - middle
    left = torch.stack([shift - o[:, None] - g[:, None] * tone - v for g, o, _, v in parts])
    # Not by the weights of the fit, which trusts what agrees with it.
    error = (counted * left.abs()).sum(dim=2) / counted.sum(dim=1).clamp(min=1e-6)
    enough = error <= error.amin(dim=0) * _AS_GOOD + _UNSEEN
    chosen = enough.to(torch.uint8).argmax(dim=0)
    channel = torch.arange(3)
    gain, offset, waves, bend = (
        torch.stack(part)[chosen, channel] for part in zip(*parts, strict=True)
    )

    dark, bright = (v(dim=1).values for v in (tone.min, tone.max))
    reach = (bright - dark) * _REACH
    weights = shift.new_zeros(3, *_orders(cells.size))
    weights[:, orders[0], orders[1]] = waves
    weights[:, 0, 0] = -(found.middle[:, 1:] * waves).sum(dim=1)
    return Shift(
        gain=gain,
        offset=offset,
        centre=(centre + middle)[:, 0],
        tones=(dark - reach, bright + reach),
        field=weights,
        bounds=(bend.amin(dim=1), bend.amax(dim=1)),
    )


def _garrote(value: Tensor, variance: Tensor) -> Tensor:
    return value * (1 - _CHANCE * variance / value.square().clamp(min=1e-20)).clamp(min=0)


def _orders(size: tuple[int, int]) -> tuple[int, int]:
    """How many cosines down and across, of about equal wavelength in pixels."""
    height, width = (max(2, round(_WAVES * side / max(size))) + 1 for side in size)
    return height, width


def _basis(place: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
    """Products of cosines without the constant ``[N, K]``, their stiffness ``[K]`` and orders."""
    rows, columns = _orders(size)
    i, j = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    kept = (i / (rows - 1)).square() + (j / (columns - 1)).square() <= 1
    kept[0, 0] = False
    down, right = (
        _cosines(place[:, k], side, n) for k, side, n in ((0, size[0], rows), (1, size[1], columns))
    )
    products = (down[:, :, None] * right[:, None, :])[:, kept]
    longest = max(size)
    frequency = (i * longest / size[0]).square() + (j * longest / size[1]).square()
    return products, frequency[kept].to(place) ** _SMOOTHNESS, (i[kept], j[kept])


def _cosines(at: Tensor, length: int, count: int) -> Tensor:
    # Half waves over twice the crop, so that the slope at its border is free.
    phase = (at.to(torch.float64) / length + 0.5) / 2
    return torch.cos(pi * phase[:, None] * torch.arange(count))


@dataclass(frozen=True, eq=False)
class _Found:
    """Coefficients of a constant and of columns, per channel ``[3, 2 + K]``.

    The columns are counted from their weighted mean `middle`, ``[3, 1 + K]``.
    """

    mean: Tensor
    precision: Tensor
    weight: Tensor
    middle: Tensor

    @property
    def covariance(self) -> Tensor:
        return torch.linalg.inv(self.precision)

    def hold(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and covariance of the others when the first column's coefficient is `value`."""
        others = [0, *range(2, self.mean.shape[1])]
        covariance = torch.linalg.inv(self.precision[:, others][:, :, others])
        freed = self.precision[:, others, 1] * (self.mean[:, 1] - value)[:, None]
        return self.mean[:, others] + (covariance @ freed[..., None])[..., 0], covariance


def _regress(
    columns: Tensor, stiffness: Tensor, target: Tensor, noise: Tensor, used: Tensor
) -> _Found:
    """Robust regression per channel of `target` ``[3, N]`` on a constant and ``[3, N, 1 + K]``.

    The first column is free; the others are held by `stiffness` times a factor that is estimated
    with the noise, of which `noise` ``[3, N]`` is the part that is known.
    """
    amplitude, spread = target.new_full((3, 1), 1e-3), target.new_full((3, 1), _LEAST_SPREAD)
    unused = torch.where(used, 0.0, torch.nan)
    residual = target - (target + unused).nanmedian(dim=1, keepdim=True).values.nan_to_num()
    penalty = target.new_zeros(3, columns.shape[2] + 1)
    # A weak prior keeps a flat ring solvable, and a channel without any cell.
    penalty[:, 0] = 1e-6
    penalty[:, 1] = 1.0
    for turn in range(_ROUNDS):
        variance = noise + spread
        ratio = residual.abs() / variance.sqrt()
        middle_ratio = (ratio + unused).nanmedian(dim=1, keepdim=True).values.nan_to_num()
        ratio = ratio / (_MAD * middle_ratio).clamp(min=1)
        if turn < _HUBER_ROUNDS:
            trust = _HUBER / ratio.clamp(min=_HUBER)
        else:
            trust = (1 - (ratio / _TUKEY).square()).clamp(min=1e-4).square()
        trust = trust * used
        weight = trust / variance
        total = weight.sum(dim=1, keepdim=True).clamp(min=1e-6)
        middle = (weight[:, None] @ columns)[:, 0] / total
        design = torch.cat((torch.ones_like(columns[..., :1]), columns - middle[:, None]), dim=2)
        weighted = design * weight[..., None]
        information = weighted.mT @ design
        penalty[:, 2:] = stiffness / amplitude
        precision = information + torch.diag_embed(penalty)
        covariance = torch.linalg.inv(precision)
        mean = (covariance @ (weighted.mT @ target[..., None]))[..., 0]
        residual = target - (design @ mean[..., None])[..., 0]
        size = mean.square() + covariance.diagonal(dim1=1, dim2=2)
        amplitude = (size[:, 2:] * stiffness).mean(dim=1, keepdim=True).clamp(min=1e-14)
        taken = (covariance * information).sum(dim=(1, 2))
        freedom = (trust.sum(dim=1) - taken).clamp(min=1)
        excess = (trust * (residual.square() - noise)).sum(dim=1) / freedom
        spread = excess.clamp(min=_LEAST_SPREAD)[:, None]
    return _Found(mean, precision, weight, middle)
