"""Robust regression of shifts in colour on a gain and smooth waves, held by what they may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

_ROUNDS = 12
_HUBER_ROUNDS = 4
_MORE_ROUNDS = 3
# As a part of its standard error: what moves no coefficient farther ends the rounds.
_SETTLED = 0.02
# The usual constants of robust statistics: 95 % efficient on normal noise.
_HUBER = 1.345
_TUKEY = 4.685
_MAD = 1.4826
_LEAST_SPREAD = 1e-8


def at_least(total: Array) -> Array:
    """What can be divided by."""
    return np.maximum(total, 1e-6)


@dataclass(frozen=True, eq=False)
class Found:
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

    def without_gain(self) -> Rest:
        """The others, when the gain is given."""
        others = [0, *range(2, self.mean.shape[1])]
        precision = self.precision[:, others]
        covariance = np.linalg.inv(precision[:, :, others])
        freed = (covariance @ precision[:, :, 1:2])[..., 0]
        information = self.information[:, 2:, 2:]
        return Rest(self.mean[:, others], self.mean[:, 1], freed, information, covariance)


@dataclass(frozen=True, eq=False)
class Rest:
    """Coefficients ``[3, 1 + K]`` of a constant and waves, see `Found`.

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


def regress(
    tone: Array,
    waves: Array,
    groups: tuple[Array, ...],
    target: Array,
    noise: Array,
    used: NDArray[np.bool_],
    residual: Array | None = None,
) -> Found:
    """Robust regression per channel of a target on a constant, a tone and waves.

    The first two are free; the others are held by a prior whose strength is found with the
    noise, by maximising the evidence (MacKay, 1992).

    Args:
        tone: ``[3, N]``.
        waves: ``[N, K]``, or ``[3, N, K]``.
        groups: stiffness of the waves, K values in all; each group has its own strength.
        target: ``[3, N]``.
        noise: ``[3, N]``, the part of the target's variance that is known.
        used: bool ``[3, N]``.
        residual: ``[3, N]``, what a first model left; without it, outliers are first looked for.
    """
    stiffness = np.concatenate(groups)
    ends = np.cumsum([len(group) for group in groups])
    parts = [slice(end - len(group), end) for group, end in zip(groups, ends, strict=True)]
    number = 2 + len(stiffness)
    design = np.empty((3, target.shape[1], number + 1))
    design[..., 0], design[..., 1], design[..., 2:number] = 1, tone, waves
    design[..., number] = target
    middles = np.maximum(used.sum(axis=1) - 1, 0) // 2

    def median(values: Array) -> Array:
        ordered = np.sort(np.where(used, values, np.inf), axis=1)
        found = ordered[np.arange(3), middles]
        return np.where(np.isfinite(found), found, 0)[:, None]

    amplitude, spread = np.full((3, len(stiffness)), 1e-3), np.full((3, 1), _LEAST_SPREAD)
    turns = range(_HUBER_ROUNDS, _HUBER_ROUNDS + _MORE_ROUNDS)
    if residual is None:
        turns, residual = range(_ROUNDS), target - median(target)
    mean = covariance = np.zeros(())
    diagonal = np.arange(number)
    # A weak prior keeps a flat ring solvable, and a channel without any cell.
    penalty = np.ones((3, number))
    penalty[:, 0] = 1e-6
    for turn in turns:
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
        middle = sums[:, 0, 1:] / at_least(total)[:, None]
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
        residual = target - (design[..., :number] @ coefficients[..., None])[..., 0]
        power = mean**2 + covariance[:, diagonal, diagonal]
        stretched = power[:, 2:] * stiffness
        for part in parts:
            amplitude[:, part] = stretched[:, part].mean(axis=1, keepdims=True).clip(1e-14)
        taken = (covariance * information).sum(axis=(1, 2))
        freedom = np.maximum(trust.sum(axis=1) - taken, 1)
        excess = (trust * (residual**2 - noise)).sum(axis=1) / freedom
        spread = np.maximum(excess, _LEAST_SPREAD)[:, None]
        if turn > _HUBER_ROUNDS:
            moved = (mean - before) ** 2
            if (moved <= _SETTLED**2 * covariance[:, diagonal, diagonal]).all():
                break
    return Found(mean, information, precision, covariance, weight, middle)
