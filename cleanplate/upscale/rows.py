"""Where a large result goes: into one tensor, or row by row to whoever takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from ..geometry import Box, Size
from ..memory import empty
from .resize import Filters, resize_strips

_CHANNELS = 3
_STRIP = 16
_HANDED = 64

Take = Callable[[Tensor], None]
"""Takes the next finished rows ``[n, width, C]`` float32, which it may write to but not keep."""


class Rows(Protocol):
    """Memory for the rows of a result, which are written from top to bottom."""

    def open(self, rows: slice) -> Tensor:
        """Memory of these rows ``[n, width, C]``; what was written there is still there."""
        ...

    def close(self, before: int) -> None:
        """All rows above `before` are final."""
        ...


class Whole:
    """Rows of a tensor ``[H, W, C]``."""

    def __init__(self, target: Tensor) -> None:
        self._target = target

    def open(self, rows: slice) -> Tensor:
        return self._target[rows]

    def close(self, before: int) -> None:
        pass


class Stream:
    """Hands finished rows on, and holds only those that are not.

    Args:
        width: pixels of a row.
        take: gets the finished rows.
        device: where they are held.
    """

    def __init__(self, width: int, take: Take, device: torch.device) -> None:
        self._take = take
        self._held = torch.empty(0, width, _CHANNELS, device=device)
        self._first = 0
        self._opened = 0

    def open(self, rows: slice) -> Tensor:
        height = rows.stop - self._first
        if height > len(self._held):
            held = empty((height, *self._held.shape[1:]), torch.float32, self._held.device)
            kept = self._opened - self._first
            held[:kept] = self._held[:kept]
            self._held = held
        self._opened = max(self._opened, rows.stop)
        return self._held[rows.start - self._first : height]

    def close(self, before: int) -> None:
        done = before - self._first
        if done <= 0:
            return
        # A few at a time: whoever takes them needs memory for what is made of them.
        for rows in torch.split(self._held[:done], _HANDED):
            self._take(rows)
        kept = self._opened - before
        for start in range(0, kept, done):
            part = slice(start, min(start + done, kept))
            self._held[part] = self._held[done + part.start : done + part.stop]
        self._first = before


class Resizer:
    """Resizes an image that comes row by row, as `resize` does the whole.

    Args:
        old: size of what comes.
        new: size that it is brought to.
        part: what of that goes out.
        take: gets the rows of the result, in 0..1.
        device: where both are.
    """

    def __init__(self, old: Size, new: Size, part: Box, take: Take, device: torch.device) -> None:
        self._take = take
        rows, columns = (torch.arange(p.start, p.stop) for p in (part.rows, part.columns))
        self._filters = Filters.of(old, new, _CHANNELS, device, rows, columns)
        self._strips = self._filters.down.strips(_STRIP)
        self._next = next(self._strips, None)
        self._held = torch.empty(0, part.width * _CHANNELS, device=device)
        # Rows of the image before those that have a share are not held.
        self._skipped = 0
        self._first = 0
        self._count = 0

    def __call__(self, rows: Tensor) -> None:
        """Take the next rows ``[n, old.width, 3]``."""
        if self._next is None:
            return
        down, across = self._filters.down, self._filters.across
        skip = min(len(rows), down.first - self._skipped)
        self._skipped += skip
        rows = rows[skip:, across.first : across.last]
        held, width = self._count - self._first, self._held.shape[1]
        if held + len(rows) > len(self._held):
            room = empty((held + len(rows), width), torch.float32, rows.device)
            room[:held] = self._held[:held]
            self._held = room
        place = self._held[held : held + len(rows)]
        self._filters.filter_columns(rows.reshape(len(rows), -1), _CHANNELS, place)
        self._count += len(rows)
        while self._next is not None and self._next[1].stop <= self._count:
            wanted, source, blocks = self._next
            out = place.new_empty(wanted.stop - wanted.start, width)
            seen = self._held[source.start - self._first : source.stop - self._first]
            self._filters.filter_rows(seen, wanted.start, blocks, out)
            self._take(out.clamp_(0, 1).view(len(out), -1, _CHANNELS))
            self._next = next(self._strips, None)
        self._forget(self._count if self._next is None else self._next[1].start)

    def _forget(self, before: int) -> None:
        """Move what is still needed to the beginning."""
        gone = min(before, self._count) - self._first
        kept = self._count - self._first - gone
        for start in range(0, kept if gone else 0, gone or 1):
            part = slice(start, min(start + gone, kept))
            self._held[part] = self._held[gone + part.start : gone + part.stop]
        self._first += gone


class Plain:
    """An image resized by Lanczos, as many rows at a time as are asked for.

    Args:
        image: ``[H, W, C]`` float32.
        size: that it is brought to.
        part: what of that is wanted.
    """

    def __init__(self, image: Tensor, size: Size, part: Box) -> None:
        self._strips: Iterator[tuple[slice, Tensor]] = resize_strips(image, size, part)
        self._rest = image[:0, :0]

    def take(self, count: int) -> Iterator[tuple[slice, Tensor]]:
        """Yield the next `count` rows: which of them, and their pixels ``[n, width, C]``."""
        done = 0
        while done < count:
            if not len(self._rest):
                _, self._rest = next(self._strips)
            part = self._rest[: count - done]
            self._rest = self._rest[len(part) :]
            yield slice(done, done + len(part)), part
            done += len(part)
