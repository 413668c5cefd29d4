"""What shift in colour do differences between two pictures show, and what is only noise?"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

_WAVES = 7
_ROUNDS = 24
_CHANCE = 4.0
_GAIN_FLOOR = 0.004
_OFFSET_FLOOR = 0.05 / 255
_CORRELATED = 16.0
_TUKEY = 4.685
_HUBER = 1.345
_LEAST_SPREAD = 1e-8


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
    """

    size: tuple[int, int]
    place: Tensor
    weight: Tensor
    original: Tensor
    shift: Tensor
    variance: Tensor


@dataclass(frozen=True, eq=False)
class Shift:
    """``changed = original + offset + gain (original - centre) + field``, float64 on the CPU.

    Attributes:
        gain, offset, centre: ``[3]``.
        tones: least and greatest ``original - centre`` for which the gain is believed, ``[3]``.
        field: ``[I, J, 3]``, weights of products of cosines, see `waves`.
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
            _cosines(torch.arange(height) + 0.5, height, self.field.shape[0]),
            _cosines(torch.arange(width) + 0.5, width, self.field.shape[1]),
        )


def _cosines(at: Tensor, length: int, count: int) -> Tensor:
    # Half waves over twice the crop, so that the slope at its border is free.
    phase = (at.double() / length + 0.5) / 2
    return torch.cos(pi * phase[:, None] * torch.arange(count))


def fit(cells: Cells, *, field: bool) -> Shift:
    """Find the shift of each channel; what chance explains is taken as none.

    Robust (Tukey's biweight), with a membrane's prior on the field whose stiffness is found by
    maximising the evidence (MacKay, 1992), and the nonnegative garrote (Breiman, 1995) on the
    result: a value is multiplied by ``1 - k / t**2`` where t is its ratio to its standard error.

    Args:
        cells: at least one.
        field: fit a field besides gain and offset.
    """
    parts = [_fit_channel(cells, c, field) for c in range(3)]
    gain, offset, centre, dark, bright, weights, low, high = (
        torch.stack(p, dim=-1) for p in zip(*parts, strict=True)
    )
    return Shift(gain, offset, centre, (dark, bright), weights, (low, high))


def _fit_channel(cells: Cells, c: int, with_field: bool) -> tuple[Tensor, ...]:
    weight, original, shift = cells.weight[:, c], cells.original[:, c], cells.shift[:, c]
    zero = shift.new_zeros(())
    rows, columns = _orders(cells.size)
    nothing = shift.new_zeros(rows, columns)
    used = weight > 0
    if not used.any():
        return zero, zero, zero, zero, zero, nothing, zero, zero
    weight, original, shift = weight[used], original[used], shift[used]
    place, variance = cells.place[used], cells.variance[used, c]

    height, width = cells.size
    basis, stiffness, index = _basis(place, height, width)
    if not with_field:
        basis, stiffness = basis[:, :0], stiffness[:0]
    noise = _CORRELATED * variance / weight + 1e-9
    centre = (original * weight).sum() / weight.sum()
    tone = (original - centre)[:, None]
    found = _regress(torch.cat((tone, basis), dim=1), stiffness, 1, shift, noise)
    gain = _garrote(found.mean[1], found.covariance[1, 1] + _GAIN_FLOOR**2)
    rest = shift - gain * tone[:, 0]
    found = _regress(basis, stiffness, 0, rest, noise)
    offset = _garrote(found.mean[0], found.covariance[0, 0] + _OFFSET_FLOOR**2)

    tones = tone.min() * 1.5 - tone.max() * 0.5, tone.max() * 1.5 - tone.min() * 0.5
    if not with_field:
        return gain, offset, centre, *tones, nothing, zero, zero
    bent = basis - found.middle
    values = bent @ found.mean[1:]
    scatter = ((bent @ found.covariance[1:, 1:]) * bent).sum(dim=1)
    share = found.weight / found.weight.sum()
    sure = (1 - _CHANCE * (share @ scatter) / (share @ values.square()).clamp(min=1e-12)).clamp(0)
    coefficients = nothing.clone()
    coefficients[index[:, 0], index[:, 1]] = sure * found.mean[1:]
    coefficients[0, 0] = -sure * (found.middle @ found.mean[1:])
    values = sure * values
    return gain, offset, centre, *tones, coefficients, values.min(), values.max()


def _garrote(value: Tensor, variance: Tensor) -> Tensor:
    return value * (1 - _CHANCE * variance / value.square().clamp(min=1e-20)).clamp(min=0)


def _orders(size: tuple[int, int]) -> tuple[int, int]:
    """How many cosines down and across, of about equal wavelength in pixels."""
    height, width = size
    longest = max(size)
    rows = max(2, round(_WAVES * height / longest)) + 1
    return rows, max(2, round(_WAVES * width / longest)) + 1


def _basis(place: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Products of cosines without the constant ``[N, K]``, their stiffness and orders."""
    rows, columns = _orders((height, width))
    i, j = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    longest = max(height, width)
    frequency = (i * longest / height).square() + (j * longest / width).square()
    kept = (frequency > 0) & (frequency.sqrt() <= max(_WAVES, longest / min(height, width) * 2))
    down = _cosines(place[:, 0], height, rows)
    right = _cosines(place[:, 1], width, columns)
    products = (down[:, :, None] * right[:, None, :])[:, kept]
    return products, frequency[kept].double() ** 1.5, torch.stack((i[kept], j[kept]), dim=1)


@dataclass(frozen=True, eq=False)
class _Found:
    mean: Tensor
    covariance: Tensor
    weight: Tensor
    middle: Tensor


def _regress(basis: Tensor, stiffness: Tensor, free: int, target: Tensor, noise: Tensor) -> _Found:
    """Robust ridge regression of `target` on a constant and `basis` ``[N, K]``.

    The first `free` columns are not penalised; the others by `stiffness`, times a factor which is
    estimated. The columns are centred on their weighted mean, `middle`.
    """
    count, columns = basis.shape
    amplitude = target.new_tensor(1e-3)
    spread = target.new_tensor(_LEAST_SPREAD)
    residual = target - target.median()
    mean, covariance = target.new_zeros(columns + 1), torch.eye(columns + 1).to(target)
    weight, middle = torch.ones_like(target), target.new_zeros(columns)
    penalty = target.new_zeros(columns + 1)
    # A weak prior keeps a flat ring solvable.
    penalty[1 : 1 + free] = 1.0
    for turn in range(_ROUNDS):
        scale = noise + spread
        ratio = residual.abs() / scale.sqrt()
        ratio = ratio / (1.4826 * ratio.median()).clamp(min=1.0)
        if turn < _ROUNDS // 3:
            trust = _HUBER / ratio.clamp(min=_HUBER)
        else:
            trust = (1 - (ratio / _TUKEY).square()).clamp(min=1e-4).square()
        weight = trust / scale
        middle = (weight[:, None] * basis).sum(dim=0) / weight.sum()
        design = torch.cat((torch.ones(count, 1).to(basis), basis - middle), dim=1)
        penalty[1 + free :] = stiffness / amplitude
        information = design.T @ (weight[:, None] * design)
        covariance = torch.linalg.inv(information + penalty.diag())
        mean = covariance @ (design.T @ (weight * target))
        residual = target - design @ mean
        if columns > free:
            size = (mean.square() + covariance.diagonal())[1 + free :]
            amplitude = (size * stiffness).mean().clamp(min=1e-14)
        freedom = (trust.sum() - (covariance * information).sum()).clamp(min=1)
        excess = (trust * (residual.square() - noise)).sum() / freedom
        spread = excess.clamp(min=_LEAST_SPREAD)
    return _Found(mean, covariance, weight, middle)
