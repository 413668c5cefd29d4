"""Keep the likeliest of boxes that overlap."""

from __future__ import annotations

import torch
from torch import Tensor


def suppress(
    boxes: Tensor, scores: Tensor, most_overlap: float, *, of_smaller: bool = False
) -> Tensor:
    """Non-maximum suppression, on the CPU.

    Args:
        boxes: ``[N, 4]`` left, top, right, bottom.
        scores: ``[N]``; of equal ones the first wins.
        most_overlap: boxes overlap when their intersection is larger than this share
        of_smaller: of the smaller box; else of their union.

    Returns:
        indices of the boxes that stay, best first.
    """
    order = torch.argsort(scores, descending=True, stable=True)
    left, top, right, bottom = boxes[order].unbind(dim=1)
    area = (right - left) * (bottom - top)
    alive = torch.ones(len(order), dtype=torch.bool)
    kept = []
    for i in range(len(order)):
        if not alive[i]:
            continue
        kept.append(i)
        rest = slice(i + 1, None)
        wide = torch.minimum(right[i], right[rest]) - torch.maximum(left[i], left[rest])
        high = torch.minimum(bottom[i], bottom[rest]) - torch.maximum(top[i], top[rest])
        common = wide.clamp(min=0) * high.clamp(min=0)
        smaller = torch.minimum(area[i], area[rest])
        whole = smaller if of_smaller else area[i] + area[rest] - common
        alive[rest] &= common <= most_overlap * whole
    return order[torch.tensor(kept, dtype=torch.long)]
