"""Resize in floating point, with an antialiased Lanczos filter in both directions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import size_of
from ..geometry import Box, Size
from ..memory import empty

_LOBES = 3
_BLOCK = 16
"""Pixels of a result that are filtered at once. The filter's matrix is a narrow band: more rows of
it hold more zeros, fewer make the products too small to be quick."""


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
    down = _Bands.of(old.height, size.height, part.rows)
    across = _Bands.of(old.width, size.width, part.columns)
    # First what leaves less to do for the columns, which take longer.
    rows_first = down.count < down.last - down.first
    out = empty((len(image), part.height, part.width, image.shape[3]), image.dtype, image.device)
    for source, target in zip(image, out, strict=True):
        seen = source[down.first : down.last, across.first : across.last].to(torch.float32)
        if rows_first:
            _filter_columns(_filter_rows(seen, down), across, target)
        else:
            _filter_rows(_filter_columns(seen, across), down, target)
    return out


def resize_mask(mask: Tensor, size: Size) -> Tensor:
    """Resize masks ``[B, H, W]`` by averaging (shrinking) or linearly (enlarging).

    Returns:
        float32 ``[B, size.height, size.width]``, within the mask's own range.
    """
    if size_of(mask) == size:
        return mask
    planes = mask.to(torch.float32).unsqueeze(1)
    target = (size.height, size.width)
    return F.interpolate(planes, target, mode="bilinear", antialias=True).squeeze(1)


@dataclass(frozen=True)
class _Bands:
    """The filter for one axis, cut into blocks.

    Attributes:
        old: pixels before.
        new: pixels after.
        wanted: those of the result that are to be computed.
        first, last: range of the pixels that have a share in them.
    """

    old: int
    new: int
    wanted: slice
    first: int
    last: int

    @classmethod
    def of(cls, old: int, new: int, wanted: slice) -> _Bands:
        if old == new:
            return cls(old, new, wanted, wanted.start, wanted.stop)
        bands = cls(old, new, wanted, 0, old)
        first, _ = bands._reach(wanted.start, wanted.start + 1)
        _, last = bands._reach(wanted.stop - 1, wanted.stop)
        return cls(old, new, wanted, first, last)

    def blocks(self) -> Iterator[tuple[slice, slice, Tensor]]:
        """Pixels of the result, the pixels they come from (from `first` on), and the weights."""
        scale, stretch = self._scale, self._stretch
        for start in range(self.wanted.start, self.wanted.stop, _BLOCK):
            stop = min(start + _BLOCK, self.wanted.stop)
            first, last = self._reach(start, stop)
            centres = (torch.arange(start, stop, dtype=torch.float64) + 0.5) * scale
            taps = torch.arange(first, last, dtype=torch.float64) + 0.5
            weights = _lanczos((taps - centres[:, None]) / stretch)
            weights = (weights / weights.sum(dim=1, keepdim=True)).to(torch.float32)
            result = slice(start - self.wanted.start, stop - self.wanted.start)
            yield result, slice(first - self.first, last - self.first), weights

    def _reach(self, start: int, stop: int) -> tuple[int, int]:
        radius = _LOBES * self._stretch
        first = floor((start + 0.5) * self._scale - radius)
        last = ceil((stop - 0.5) * self._scale + radius)
        return max(0, first), min(self.old, last)

    @property
    def _scale(self) -> float:
        return self.old / self.new

    @property
    def _stretch(self) -> float:
        return max(self._scale, 1.0)

    @property
    def count(self) -> int:
        return self.wanted.stop - self.wanted.start


def _filter_rows(image: Tensor, bands: _Bands, target: Tensor | None = None) -> Tensor:
    """``[h, w, C]``, of which `bands` has the rows, to ``[bands.count, w, C]``."""
    if bands.old == bands.new:
        return image if target is None else target.copy_(image)
    lines = image.flatten(1)
    out = _target((bands.count, *image.shape[1:]), image, target)
    into = out.view(bands.count, -1)
    for result, source, weights in bands.blocks():
        torch.mm(weights.to(lines.device), lines[source], out=into[result])
    return out if target is None or out is target else target.copy_(out)


def _filter_columns(image: Tensor, bands: _Bands, target: Tensor | None = None) -> Tensor:
    """``[h, w, C]`` to ``[h, bands.count, C]``.

    Each weight is applied to all channels of a pixel by one matrix that holds it once for each.
    The zeros in it cost less than sorting the channels apart and together again.
    """
    if bands.old == bands.new:
        return image if target is None else target.copy_(image)
    height, _, channels = image.shape
    lines = image.flatten(1)
    out = _target((height, bands.count, channels), image, target)
    into = out.view(height, -1)
    each = torch.eye(channels)
    for result, source, weights in bands.blocks():
        spread = torch.einsum("ok,cd->kcod", weights, each).flatten(2).flatten(0, 1)
        into[:, result.start * channels : result.stop * channels] = lines[
            :, source.start * channels : source.stop * channels
        ] @ spread.to(lines.device)
    return out if target is None or out is target else target.copy_(out)


def _target(shape: Sequence[int], image: Tensor, target: Tensor | None) -> Tensor:
    """Where to compute: in the target itself if it has the precision."""
    if target is not None and target.dtype == torch.float32:
        return target
    return empty(shape, torch.float32, image.device)


def _lanczos(x: Tensor) -> Tensor:
    return torch.where(x.abs() < _LOBES, torch.sinc(x) * torch.sinc(x / _LOBES), 0.0)
