"""Resize in floating point, with an antialiased Lanczos filter in both directions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import size_of
from ..geometry import Box, Size
from ..memory import empty

_LOBES = 3
_BLOCK = 32
_LARGE_BLOCK = 256
"""Pixels of a result that are filtered at once. The filter's matrix is a narrow band: more rows of
it hold more zeros, fewer make more products, for each of which torch wakes its threads. On a GPU
larger ones are quicker."""

_STRIP = 1 << 16
_LARGE_STRIP = 1 << 23
"""Pixels that `resize_strips` gives at a time: few enough to stay in the processor's cache. A GPU
would rather have many."""
_LEAST_ROWS = 256
"""Rows in which columns are filtered: with fewer, the products are too small to be quick."""


class LastFilters:
    """The filters made last, for pictures that are resized alike one after the other."""

    def __init__(self) -> None:
        self._filters: Filters | None = None
        self._made_for: tuple[object, ...] = ()

    def of(self, image: Tensor, size: Size, part: Box) -> Filters:
        """Those for a part of images ``[B, H, W, C]`` at another size, made only if they differ."""
        wanted = (size_of(image), image.shape[3], image.device, size, part)
        if self._filters is None or wanted != self._made_for:
            self._filters = _filters(image, size, _span(part.rows), _span(part.columns))
            self._made_for = wanted
        return self._filters


def resize(
    image: Tensor, size: Size, part: Box | None = None, filters: LastFilters | None = None
) -> Tensor:
    """Resize images with the Lanczos-3 filter, widened when shrinking so that nothing aliases.

    The filter and the position of samples are those of Pillow's ``Image.resize`` with ``LANCZOS``
    on float data: pixel centres at half integers, weights cut at the image's border and normalised.

    Args:
        image: ``[B, H, W, C]`` of any float type; computed in float32.
        size: the new size.
        part: compute only these pixels of the result; all if not given.
        filters: of a call before, taken again where they fit.

    Returns:
        ``[B, size.height, size.width, C]``, or `part` of it, same dtype, contiguous; the same
        tensor when the size does not change and no part is asked for. Overshoot beyond the input's
        range is kept.
    """
    old, part = size_of(image), part or Box.of(size)
    if old == size:
        whole = part.size == size
        return image if whole else image[:, part.rows, part.columns].contiguous()
    made = (filters or LastFilters()).of(image, size, part)
    shape = (len(image), part.height, part.width, image.shape[3])
    out = empty(shape, image.dtype, image.device)
    for source, target in zip(image, out, strict=True):
        for _ in made.strips(source, target):
            pass
    return out


def resize_strips(
    image: Tensor,
    size: Size,
    part: Box,
    dtype: torch.dtype = torch.float32,
    filters: LastFilters | None = None,
) -> Iterator[tuple[slice, Tensor]]:
    """`resize` one image, a few rows of the result at a time.

    Fresh memory costs more than to filter, so the rows are all given in the same.

    Args:
        image: ``[H, W, C]`` of any float type.
        size: see `resize`.
        part: see `resize`.
        dtype: of the result where the size does not change; else it is float32.
        filters: see `resize`.

    Yields:
        which rows of the part, and their pixels ``[n, part.width, C]``, which may be written to
        and last until the next are asked for.
    """
    if size_of(image[None]) != size:
        yield from (filters or LastFilters()).of(image[None], size, part).strips(image)
        return
    seen = image[part.rows, part.columns]
    height = min(part.height, _strip_height(part.width, image.device))
    held = torch.empty((height, *seen.shape[1:]), dtype=dtype, device=image.device)
    for top in range(0, part.height, height):
        rows = slice(top, min(top + height, part.height))
        yield rows, held[: rows.stop - top].copy_(seen[rows])


def resize_samples(image: Tensor, size: Size, rows: Tensor, columns: Tensor) -> Tensor:
    """Some pixels of what `resize` makes of one image.

    Args:
        image: ``[H, W, C]`` of any float type.
        size: see `resize`.
        rows: which of the result, ``[h]``, int64 on the CPU, growing.
        columns: the same, ``[w]``.

    Returns:
        ``[h, w, C]`` float32.
    """
    old = size_of(image[None])
    if old.height == size.height:
        image, rows = image.index_select(0, rows.to(image.device)), torch.arange(len(rows))
    if old.width == size.width:
        image, columns = image.index_select(1, columns.to(image.device)), torch.arange(len(columns))
    now = Size(
        image.shape[1] if old.width == size.width else size.width,
        image.shape[0] if old.height == size.height else size.height,
    )
    if size_of(image[None]) == now:
        return image.to(torch.float32)
    out = empty((len(rows), len(columns), image.shape[2]), torch.float32, image.device)
    for _ in _filters(image[None], now, rows, columns).strips(image, out):
        pass
    return out


def _span(part: slice) -> Tensor:
    return torch.arange(part.start, part.stop)


def _filters(image: Tensor, size: Size, rows: Tensor, columns: Tensor) -> Filters:
    return Filters.of(size_of(image), size, image.shape[3], image.device, rows, columns)


def resize_mask(mask: Tensor, size: Size) -> Tensor:
    """Resize masks ``[B, H, W]`` by averaging (shrinking) or linearly (enlarging).

    Returns:
        float32 ``[B, size.height, size.width]``, within the mask's own range.
    """
    old = size_of(mask)
    if old == size:
        return mask
    planes = mask.to(torch.float32).unsqueeze(1)
    # Enlarging, both give the same, and one is quicker.
    shrinks = size.width < old.width or size.height < old.height
    target = (size.height, size.width)
    return F.interpolate(planes, target, mode="bilinear", antialias=shrinks).squeeze(1)


@dataclass(frozen=True, eq=False)
class Bands:
    """The filter for one axis. Its matrix is a narrow band, so it is cut into blocks.

    Attributes:
        first, last: range of the pixels that have a share in the result.
        count: pixels of the result.
        starts: where the pixels of each block begin, from `first` on.
        blocks: ``[N, pixels of the result, pixels that have a share]``; empty for a copy.
    """

    first: int
    last: int
    count: int
    starts: tuple[int, ...]
    blocks: Tensor

    @classmethod
    def of(cls, old: int, new: int, wanted: Tensor, device: torch.device) -> Bands:
        """For pixels `wanted` of the result; all from the first to the last where it is a copy."""
        if old == new:
            nothing = torch.empty(0, device=device)
            return cls(int(wanted[0]), int(wanted[-1]) + 1, len(wanted), (), nothing)
        scale = old / new
        stretch = max(scale, 1.0)
        centres = (wanted.to(torch.float64) + 0.5) * scale
        radius = _LOBES * stretch
        begin = (centres - radius).floor().long()
        taps = begin[:, None] + torch.arange(ceil(2 * radius) + 1)
        weights = _lanczos((taps + 0.5 - centres[:, None]) / stretch)
        weights = torch.where((taps >= 0) & (taps < old), weights, 0.0)
        weights = (weights / weights.sum(dim=1, keepdim=True)).to(torch.float32)

        size = _BLOCK if device.type == "cpu" else _LARGE_BLOCK
        count = len(centres)
        number = torch.arange(count) // size
        starts = begin[::size].clamp(min=0)
        ends = (taps[:, -1] + 1).clamp(max=old)
        span = int((ends - starts[number]).max())
        starts = starts.clamp(max=max(0, old - span))
        blocks = torch.zeros(len(starts), size, span + 1)
        # Taps beyond the image weigh nothing; they land in a column that is cut off.
        place = taps - starts[number][:, None]
        place = torch.where((taps >= 0) & (taps < old), place, span)
        blocks.view(-1, span + 1)[:count].scatter_(1, place, weights)
        first, last = int(starts[0]), min(old, int(starts[-1]) + span)
        relative = tuple((starts - first).tolist())
        return cls(first, last, count, relative, blocks[..., :span].contiguous().to(device))

    @property
    def is_copy(self) -> bool:
        return not self.starts

    def strips(self, height: int) -> Iterator[tuple[slice, slice, slice]]:
        """Rows of the result, about `height` at a time, the rows they come from, their blocks."""
        if self.is_copy:
            for top in range(0, self.count, height):
                rows = slice(top, min(top + height, self.count))
                yield rows, rows, slice(0, 0)
            return
        size, span = self.blocks.shape[1:]
        many = max(1, height // size)
        for i in range(0, len(self.starts), many):
            last = min(i + many, len(self.starts))
            rows = slice(i * size, min(last * size, self.count))
            yield rows, slice(self.starts[i], self.starts[last - 1] + span), slice(i, last)

    def spread(self, channels: int) -> Tensor:
        """The blocks transposed, each weight once for each of the channels that lie side by side.

        The zeros in them cost less than sorting the channels apart and together again.
        """
        number, size, span = self.blocks.shape
        wide = self.blocks.new_zeros(number, span, channels, size, channels)
        for channel in range(channels):
            wide[:, :, channel, :, channel] = self.blocks.transpose(1, 2)
        return wide.view(number, span * channels, size * channels)


@dataclass(frozen=True, eq=False)
class Filters:
    """Both directions of one resize.

    Attributes:
        down: for the rows.
        across: for the columns.
        spread: of `across`, see there.
    """

    down: Bands
    across: Bands
    spread: Tensor

    @classmethod
    def of(
        cls,
        old: Size,
        new: Size,
        channels: int,
        device: torch.device,
        rows: Tensor,
        columns: Tensor,
    ) -> Filters:
        """For these rows and columns of the new size."""
        down = Bands.of(old.height, new.height, rows, device)
        across = Bands.of(old.width, new.width, columns, device)
        spread = across.blocks if across.is_copy else across.spread(channels)
        return cls(down, across, spread)

    def strips(self, image: Tensor, target: Tensor | None = None) -> Iterator[tuple[slice, Tensor]]:
        """Filter an image ``[H, W, C]``, some rows of the result at a time.

        Args:
            image: of any float type.
            target: what to write to, ``[h, w, C]`` of any float type; if not given, all rows are
                given in the same memory.

        Yields:
            which rows, and their pixels.
        """
        down, across = self.down, self.across
        channels = image.shape[2]
        seen = image[down.first : down.last, across.first : across.last]
        lines = seen.to(torch.float32).flatten(1)
        # First what leaves less to do for the columns, which take longer.
        rows_first = down.count < down.last - down.first
        height = _strip_height(across.count, image.device)
        strips = list(down.strips(max(height, _LEAST_ROWS) if rows_first else height))
        most = max(result.stop - result.start for result, _, _ in strips)

        def room(rows: int, width: int) -> Tensor:
            return empty((rows, width * channels), torch.float32, image.device)

        if rows_first:
            between = room(most, seen.shape[1])
        elif across.is_copy:
            between = lines
        else:
            between = room(len(lines), across.count)
            self.filter_columns(lines, channels, between)
        straight = target is not None and target.dtype == torch.float32
        held = room(0 if straight else most, across.count)
        for rows, source, blocks in strips:
            count = rows.stop - rows.start
            place = None if target is None else target[rows]
            out = place.view(count, -1) if place is not None and straight else held[:count]
            if rows_first:
                self.filter_rows(lines[source], rows.start, blocks, between[:count])
                self.filter_columns(between[:count], channels, out)
            else:
                self.filter_rows(between[source], rows.start, blocks, out)
            pixels = out.view(count, across.count, channels)
            yield rows, pixels if place is None or straight else place.copy_(pixels)

    def filter_rows(self, lines: Tensor, top: int, blocks: slice, out: Tensor) -> None:
        """Filter rows ``[n, w C]`` of the image to those of the result from `top` on."""
        down = self.down
        if down.is_copy:
            out.copy_(lines)
            return
        size, span = down.blocks.shape[1:]
        for i in range(blocks.start, blocks.stop):
            into = out[i * size - top : (i + 1) * size - top]
            start = down.starts[i] - down.starts[blocks.start]
            torch.mm(down.blocks[i, : len(into)], lines[start : start + span], out=into)

    def filter_columns(self, lines: Tensor, channels: int, out: Tensor) -> None:
        """Filter rows ``[n, W C]`` of the image to the width of the result, ``[n, w C]``."""
        across = self.across
        if across.is_copy:
            out.copy_(lines)
            return
        size, span = (n * channels for n in across.blocks.shape[1:])
        for i, start in enumerate(across.starts):
            into = out[:, i * size : (i + 1) * size]
            seen = lines[:, start * channels : start * channels + span]
            torch.mm(seen, self.spread[i, :, : into.shape[1]], out=into)


def _strip_height(width: int, device: torch.device) -> int:
    """How many rows to filter at once."""
    block, pixels = (_BLOCK, _STRIP) if device.type == "cpu" else (_LARGE_BLOCK, _LARGE_STRIP)
    return block * max(1, pixels // (block * max(1, width)))


def _lanczos(x: Tensor) -> Tensor:
    return torch.where(x.abs() < _LOBES, torch.sinc(x) * torch.sinc(x / _LOBES), 0.0)
