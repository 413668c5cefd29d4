"""Keep the likeliest of boxes that overlap."""

from __future__ import annotations

import numpy as np
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
    # Thousands of steps on few numbers: NumPy has less to say to each than torch.
    left, top, right, bottom = boxes[order].numpy().T
    area = (right - left) * (bottom - top)
    waiting = np.arange(len(order))
    kept = []
    while len(waiting):
        i, rest = waiting[0], waiting[1:]
        kept.append(i)
        wide = np.minimum(right[i], right[rest]) - np.maximum(left[i], left[rest])
        high = np.minimum(bottom[i], bottom[rest]) - np.maximum(top[i], top[rest])
        common = wide.clip(0) * high.clip(0)
        smaller = np.minimum(area[i], area[rest])
        whole = smaller if of_smaller else area[i] + area[rest] - common
        waiting = rest[common <= most_overlap * whole]
    return order[torch.tensor(kept, dtype=torch.long)]
