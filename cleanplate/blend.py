"""Mix a changed picture into its original."""

from __future__ import annotations

import torch
from torch import Tensor

_BLOCK = 1 << 17
"""Pixels that are mixed at once: few enough to stay in the processor's cache."""


def blend(target: Tensor, source: Tensor, alpha: Tensor) -> None:
    """Mix `source` into `target` in place, writing only where the weight is not 0.

    Args:
        target: a view ``[h, w, 3 or 4]`` of the result; a fourth channel is left alone.
        source: float ``[h, w, 3]``; values outside 0..1 saturate.
        alpha: ``[h, w]`` in 0..1; where it is 1 the source replaces the target exactly.
    """
    rows = max(1, _BLOCK // max(1, target.shape[1]))
    for top in range(0, target.shape[0], rows):
        part = slice(top, top + rows)
        _mix(target[part, :, :3], source[part], alpha[part])


def _mix(target: Tensor, source: Tensor, alpha: Tensor) -> None:
    # Three equal weights side by side are faster than one that serves three channels.
    weight = alpha.unsqueeze(-1).expand(target.shape).contiguous()
    low, high = torch.aminmax(target)
    if target.dtype == source.dtype == torch.float32 and bool((low >= 0) & (high <= 1)):
        # Exact at both ends, and where source and target are equal.
        target.lerp_(source.clamp(0, 1), weight)
        return
    mixed = torch.lerp(target.to(torch.float32), source.to(torch.float32).clamp(0, 1), weight)
    # An unchanged crop must come back bit for bit, which rounding in the mix would not keep.
    changed = (weight > 0) & (source != target)
    target.copy_(torch.where(changed, mixed.clamp(0, 1).to(target.dtype), target))
