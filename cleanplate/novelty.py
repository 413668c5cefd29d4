"""How well the surroundings explain what lies in a hole: nearest neighbours among descriptors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float32]

_NEIGHBOURS = 3
_FAR = 1e3
_UNKNOWN = 0.3
"""The distance to expect of neighbours where there are too few surroundings to measure it."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Descriptors at places of a picture.

    Attributes:
        rows: ``[N]``, in pixels.
        columns: ``[N]``.
        values: ``[N, D]``.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: Array

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def places(self) -> Tensor:
        return torch.from_numpy(np.stack((self.rows, self.columns), axis=1).astype(np.float32))


@dataclass(frozen=True, eq=False)
class Novelty:
    """How badly the surroundings explain each sample of a hole, now and before a change.

    Distances are divided by what is usual among the neighbours that explain it best: about 1 is as
    good as the surroundings explain each other.

    Attributes:
        now: ``[N]``, after the change; what is near to something from before counts as explained.
        then: ``[N]``, before it.
        worse: ``[N]``: how much farther from the surroundings the change has brought it, at most
            how much it changed it beyond what it did to every pixel; may be negative.
    """

    now: Array
    then: Array
    worse: Array


def novelty(
    inside: Samples,
    before: Array,
    around: Samples,
    known: Array,
    *,
    mirrored: list[Array],
    apart: float,
    nearness: float,
    slack: float,
) -> Novelty:
    """Compare the samples of a hole with those around it and with what was there before.

    The distance to the nearest neighbours is measured against the distances that these neighbours
    have to their own, as in the local outlier factor (Breunig et al., 2000): in a meadow two
    patches of grass differ much, on a wall two patches of plaster hardly.

    Args:
        inside: of the hole, after the change.
        before: ``[N, D]``: the same places before it.
        around: of the surroundings, after the change.
        known: ``[M, D]``: the same places before it. How far the two differ shows what the change
            does to every pixel, such as noise or blur.
        mirrored: more descriptors ``[M, D]`` of the surroundings, of their patches mirrored.
        apart: pixels between a place and those that may explain it, when the surroundings are
            compared with themselves: inside the hole the nearest are as far.
        nearness: what a pixel between two places adds to the distance of their descriptors, so
            that what lies near explains more.
        slack: a distance that nobody sees.
    """
    noise = _typical(np.linalg.norm(around.values - known, axis=1), 0.75)
    inner, outer = (np.float32(nearness) * x.places.numpy() for x in (inside, around))
    now, then = _placed(inside.values, inner), _placed(before, inner)
    to_before = nearest(now, then, 1)[0]
    moved = np.linalg.norm(inside.values - before, axis=1) - noise
    count = len(around)
    if count <= _NEIGHBOURS:
        # nothing around to compare with: what was there before is all that explains
        away = to_before / (noise + slack)
        return Novelty(away, np.zeros_like(away), moved / (_UNKNOWN + slack))
    keys = np.concatenate([_placed(x, outer) for x in (around.values, *mirrored)])
    near = torch.cdist(around.places, around.places) < apart
    own = nearest(keys[:count], keys, _NEIGHBOURS, near.repeat(1, len(keys) // count))[0]
    found = own < _FAR / 2
    own = np.where(found, own, _typical(own[found], 0.5))

    def explained(wanted: Array) -> tuple[Array, Array]:
        away, which = nearest(wanted, keys, _NEIGHBOURS)
        return away, own[which % count].mean(axis=1) + slack

    away_now, usual_now = explained(now)
    away_then, usual_then = explained(then)
    return Novelty(
        np.minimum(away_now / usual_now, to_before / (noise + slack)),
        away_then / usual_then,
        np.minimum(away_now - away_then, moved) / usual_now,
    )


def _placed(values: Array, places: Array) -> Array:
    return np.concatenate((values, places), axis=1)


def clustered(values: Array, places: Tensor, radius: float) -> Array:
    """The mean of each value and of those within `radius` pixels: scattered outliers vanish."""
    near = (torch.cdist(places, places) <= radius).to(torch.float32)
    mean: Array = ((near @ torch.from_numpy(values)) / near.sum(dim=1)).numpy()
    return mean


def nearest(
    wanted: Array, keys: Array, count: int, barred: Tensor | None = None
) -> tuple[Array, NDArray[np.int64]]:
    """Mean distance to the nearest `count` descriptors, and which these are.

    Args:
        wanted: ``[N, D]``.
        keys: ``[M, D]``.
        count: how many of the keys.
        barred: bool ``[N, M]``: keys that must not be taken.

    Returns:
        ``[N]`` and ``[N, count]``.
    """
    distance = torch.cdist(torch.from_numpy(wanted), torch.from_numpy(keys))
    if barred is not None:
        distance += _FAR * barred
    found, which = distance.topk(min(count, len(keys)), dim=1, largest=False)
    return found.mean(dim=1).numpy(), which.numpy()


def _typical(values: Array, quantile: float) -> float:
    return float(np.quantile(values, quantile)) if len(values) else _UNKNOWN
