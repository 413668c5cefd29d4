"""Resize in floating point, with an antialiased Lanczos filter in both directions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import size_of
from ..geometry import Box, Size
from ..memory import empty

_LOBES = 3
_BLOCK = 16
_LARGE_BLOCK = 256
"""Pixels of a result that are filtered at once. The filter's matrix is a narrow band: more rows of
it hold more zeros, fewer make the products too small to be quick. On a GPU larger ones are."""


def resize(image: Tensor, size: Size, part: Box | None = None) -> Tensor:
    """Resize images with the Lanczos-3 filter, widened when shrinking so that nothing aliases.

    The filter and the position of samples are those of Pillow's ``Image.resize`` with ``LANCZOS``
    on float data: pixel centres at half integers, weights cut at the image's border and normalised.

    Args:
        image: ``[B, H, W, C]`` of any float type; computed in float32.
        size: the new size.
        part: compute only these pixels of the result; all if not given.

    Returns:
        ``[B, size.height, size.width, C]``, or `part` of it, same dtype, contiguous; the same
        tensor when the size does not change and no part is asked for. Overshoot beyond the input's
        range is kept.
    """
    old, part = size_of(image), part or Box.of(size)
    if old == size:
        whole = part.size == size
        return image if whole else image[:, part.rows, part.columns].contiguous()
    down = _Bands.of(old.height, size.height, part.rows, image.device)
    across = _Bands.of(old.width, size.width, part.columns, image.device)
    channels = image.shape[3]
    spread = across.blocks if across.is_copy else across.spread(channels)
    # First what leaves less to do for the columns, which take longer.
    rows_first = down.count < down.last - down.first
    out = empty((len(image), part.height, part.width, channels), image.dtype, image.device)
    for source, target in zip(image, out, strict=True):
        seen = source[down.first : down.last, across.first : across.last].to(torch.float32)
        if rows_first:
            _filter_columns(_filter_rows(seen, down), across, spread, target)
        else:
            _filter_rows(_filter_columns(seen, across, spread), down, target)
    return out


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
class _Bands:
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
    def of(cls, old: int, new: int, wanted: slice, device: torch.device) -> _Bands:
        if old == new:
            nothing = torch.empty(0, device=device)
            return cls(wanted.start, wanted.stop, wanted.stop - wanted.start, (), nothing)
        scale = old / new
        stretch = max(scale, 1.0)
        centres = (torch.arange(wanted.start, wanted.stop, dtype=torch.float64) + 0.5) * scale
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

    def parts(self, blocks: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
        """Pixels of the result, pixels they come from, and what leads from these to those."""
        size, span = self.blocks.shape[1:]
        for i, (start, block) in enumerate(zip(self.starts, blocks, strict=True)):
            result = slice(i * size, min((i + 1) * size, self.count))
            yield result, slice(start, start + span), block

    def spread(self, channels: int) -> Tensor:
        """The blocks transposed, each weight once for each of the channels that lie side by side.

        The zeros in them cost less than sorting the channels apart and together again.
        """
        number, size, span = self.blocks.shape
        wide = self.blocks.new_zeros(number, span, channels, size, channels)
        for channel in range(channels):
            wide[:, :, channel, :, channel] = self.blocks.transpose(1, 2)
        return wide.view(number, span * channels, size * channels)


def _filter_rows(image: Tensor, bands: _Bands, target: Tensor | None = None) -> Tensor:
    """``[h, w, C]``, of which `bands` has the rows, to ``[bands.count, w, C]``."""
    if bands.is_copy:
        return image if target is None else target.copy_(image)
    lines = image.flatten(1)
    out = _target((bands.count, *image.shape[1:]), image, target)
    into = out.view(bands.count, -1)
    for result, source, weights in bands.parts(bands.blocks):
        rows = into[result]
        torch.mm(weights[: len(rows)], lines[source], out=rows)
    return out if target is None or out is target else target.copy_(out)


def _filter_columns(
    image: Tensor, bands: _Bands, spread: Tensor, target: Tensor | None = None
) -> Tensor:
    """``[h, w, C]`` to ``[h, bands.count, C]``."""
    if bands.is_copy:
        return image if target is None else target.copy_(image)
    height, _, channels = image.shape
    lines = image.flatten(1)
    out = _target((height, bands.count, channels), image, target)
    into = out.view(height, -1)
    for result, source, weights in bands.parts(spread):
        columns = into[:, result.start * channels : result.stop * channels]
        seen = lines[:, source.start * channels : source.stop * channels]
        torch.mm(seen, weights[:, : columns.shape[1]], out=columns)
    return out if target is None or out is target else target.copy_(out)


def _target(shape: Sequence[int], image: Tensor, target: Tensor | None) -> Tensor:
    """Where to compute: in the target itself if it has the precision."""
    if target is not None and target.dtype == torch.float32:
        return target
    return empty(shape, torch.float32, image.device)


def _lanczos(x: Tensor) -> Tensor:
    return torch.where(x.abs() < _LOBES, torch.sinc(x) * torch.sinc(x / _LOBES), 0.0)
