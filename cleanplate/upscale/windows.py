"""Plan overlapping windows of one size along an axis, for a network that cannot see all at once."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Window:
    """What a network sees, and which part of its result is kept; in pixels along one axis."""

    start: int
    stop: int
    keep_start: int
    keep_stop: int

    @property
    def length(self) -> int:
        return self.stop - self.start


def plan_windows(
    length: int, tile: int, halo: int, align: int = 1, keep: tuple[int, int] | None = None
) -> list[Window]:
    """Cover an axis by as few windows of one equal size as there can be, evenly spread.

    The kept parts partition what is to be kept; each cut lies in the middle of an overlap, `halo`
    pixels or more from the ends of both windows. No window is longer than `tile`, none is a sliver,
    all start at a multiple of `align` and the last ends where the axis ends: a network that works
    in blocks of `align` pixels sees the blocks it would see untiled.

    Args:
        length: pixels along the axis.
        tile: the most a window may have.
        halo: pixels a network needs around what is kept.
        align: window starts are multiples of it.
        keep: first and last + 1 of the pixels to be kept; all if not given.

    Returns:
        The windows in order. One window of all pixels where `length` is at most `tile`.

    Raises:
        ValueError: `tile` leaves nothing between two halos.
    """
    first, last = keep or (0, length)
    begin = max(0, first - halo) // align * align
    end = min(length, -(-(last + halo) // align) * align)
    if end - begin <= tile:
        return [Window(begin, end, first, last)]
    # In blocks: each window is `rest` pixels longer, so that the last ends with the axis.
    blocks, rest = divmod(end - begin, align)
    shared = max(0, -(-(2 * halo - rest) // align))
    most = (tile - rest) // align
    if most <= shared:
        raise ValueError(
            f"tile is {tile} but two halos of {halo} in steps of {align} leave nothing of it: "
            f"choose at least {(shared + 1) * align + rest}."
        )
    count = -(-(blocks - shared) // (most - shared))
    size = -(-(blocks + shared * (count - 1)) // count)
    starts = [begin + i * (blocks - size) // (count - 1) * align for i in range(count)]
    long = size * align + rest
    cuts = [first, *((a + long + b) // 2 for a, b in pairwise(starts)), last]
    return [Window(s, s + long, cuts[i], cuts[i + 1]) for i, s in enumerate(starts)]


def least_tile(halo: int, align: int = 1) -> int:
    """The shortest tile with which `plan_windows` can plan every length."""
    return (-(-2 * halo // align) + 2) * align
