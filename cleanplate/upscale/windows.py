"""Plan overlapping windows of one size along an axis, for a network that cannot see all at once."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import ceil


@dataclass(frozen=True)
class Window:
    """What a network sees, and which part of its result is kept; in pixels along one axis."""

    start: int
    stop: int
    keep_start: int
    keep_stop: int


def plan_windows(length: int, tile: int, halo: int) -> list[Window]:
    """Cover `length` pixels by windows of equal size that share at least ``2 * halo`` pixels.

    The kept parts partition the axis; each kept pixel lies `halo` or more from its window's ends
    unless that end is the image's own. No window is longer than `tile`, none is a sliver.

    Raises:
        ValueError: `tile` is not longer than two halos.
    """
    if length <= tile:
        return [Window(0, length, 0, length)]
    if tile <= 2 * halo:
        raise ValueError(f"tile is {tile} but two halos of {halo} need more: choose a larger tile.")
    count = ceil((length - 2 * halo) / (tile - 2 * halo))
    size = ceil((length + 2 * halo * (count - 1)) / count)
    starts = [round(i * (length - size) / (count - 1)) for i in range(count)]
    cuts = [0]
    cuts += [(a + size + b) // 2 for a, b in pairwise(starts)]
    cuts.append(length)
    return [Window(s, s + size, cuts[i], cuts[i + 1]) for i, s in enumerate(starts)]
