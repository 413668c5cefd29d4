"""Resize in floating point, with an antialiased Lanczos filter in both directions."""

from __future__ import annotations

from math import ceil, floor

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import size_of
from ..geometry import Size

_LOBES = 3
_BLOCK = 64


def resize(image: Tensor, size: Size) -> Tensor:
    """Resize images with the Lanczos-3 filter, widened when shrinking so that nothing aliases.

    The filter and the position of samples are those of Pillow's ``Image.resize`` with ``LANCZOS``
    on float data: pixel centres at half integers, weights cut at the image's border and normalised.

    Args:
        image: ``[B, H, W, C]`` of any float type; computed in float32.
        size: the new size.

    Returns:
        ``[B, size.height, size.width, C]``, same dtype, contiguous; the same tensor when the size
        does not change. Overshoot beyond the input's range is kept.
    """
    old = size_of(image)
    if old == size:
        return image
    out = image.to(torch.float32)
    if old.height != size.height:
        out = _resample(out, 1, size.height)
    if old.width != size.width:
        out = _resample(out, 2, size.width)
    return out.to(image.dtype).contiguous()


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


def _resample(image: Tensor, axis: int, length: int) -> Tensor:
    """Filter one axis. The filter's matrix is a narrow band, so it is applied block by block."""
    old = image.shape[axis]
    scale = old / length
    stretch = max(scale, 1.0)
    radius = _LOBES * stretch
    parts = []
    for start in range(0, length, _BLOCK):
        stop = min(start + _BLOCK, length)
        centres = (torch.arange(start, stop, dtype=torch.float64) + 0.5) * scale
        first = max(0, floor(float(centres[0]) - radius))
        last = min(old, ceil(float(centres[-1]) + radius))
        taps = torch.arange(first, last, dtype=torch.float64) + 0.5
        weights = _lanczos((taps - centres[:, None]) / stretch)
        weights = (weights / weights.sum(dim=1, keepdim=True)).to(image)
        parts.append(
            torch.tensordot(weights, image.narrow(axis, first, last - first), ([1], [axis]))
        )
    # tensordot puts the filtered axis first.
    return torch.cat(parts).movedim(0, axis)


def _lanczos(x: Tensor) -> Tensor:
    return torch.where(x.abs() < _LOBES, torch.sinc(x) * torch.sinc(x / _LOBES), 0.0)
