"""Mix a changed picture into its original."""

from __future__ import annotations

import torch
from torch import Tensor

from .memory import rows_at_once


def blend(target: Tensor, source: Tensor, alpha: Tensor | None) -> None:
    """Mix `source` into `target` in place, writing only where the weight is not 0.

    Args:
        target: a view ``[h, w, 3 or 4]`` of the result; a fourth channel is left alone.
        source: float ``[h, w, 3]``; values outside 0..1 saturate.
        alpha: ``[h, w]`` in 0..1; where it is 1 the source replaces the target exactly. Without it
            that is so everywhere.
    """
    Blend()(target, source, alpha)


class Blend:
    """`blend` for one part after the other, in memory that is used again."""

    def __init__(self) -> None:
        self._room: Tensor | None = None

    def __call__(self, target: Tensor, source: Tensor, alpha: Tensor | None) -> None:
        """See `blend`; all parts have one width and device."""
        rows = rows_at_once(target.shape[1], target.device)
        if self._room is None:
            shape = (2, min(rows, target.shape[0]), target.shape[1], 3)
            self._room = torch.empty(shape, dtype=torch.float32, device=target.device)
        rows = self._room.shape[1]
        for top in range(0, target.shape[0], rows):
            part = slice(top, top + rows)
            weight = None if alpha is None else alpha[part]
            _mix(target[part, :, :3], source[part], weight, self._room)


def _mix(target: Tensor, source: Tensor, alpha: Tensor | None, room: Tensor) -> None:
    weight, shown = room[:, : len(target)]
    if alpha is None:
        weight.fill_(1)
    else:
        # Three equal weights side by side are faster than one that serves three channels.
        weight.copy_(alpha.unsqueeze(-1).expand(target.shape))
    low, high = torch.aminmax(target)
    if target.dtype == source.dtype == torch.float32 and bool((low >= 0) & (high <= 1)):
        # Exact at both ends, and where source and target are equal.
        target.lerp_(torch.clamp(source, 0, 1, out=shown), weight)
        return
    mixed = torch.lerp(target.to(torch.float32), source.to(torch.float32).clamp(0, 1), weight)
    # An unchanged crop must come back bit for bit, which rounding in the mix would not keep.
    changed = (weight > 0) & (source != target)
    target.copy_(torch.where(changed, mixed.clamp(0, 1).to(target.dtype), target))
