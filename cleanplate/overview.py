"""Small pictures that show what a mask marks."""

from __future__ import annotations

import torch
from torch import Tensor

from . import masks

SIDE = 768
"""Most pixels of a side: twice what a node is wide."""

_TINT = (1.0, 0.25, 0.2)


def overview(
    picture: Tensor,
    mask: Tensor,
    *,
    threshold: float = masks.THRESHOLD,
    invert: bool = False,
    side: int = SIDE,
) -> Tensor:
    """A picture made small, with what shall change half red.

    Every n-th pixel is taken and no other is read: a picture to look at costs next to nothing.

    Args:
        picture: ``[H, W, 3 or more]`` in 0..1.
        mask: ``[H, W]``.
        threshold: mask values from this on count.
        invert: what the mask does not mark changes.
        side: most pixels of a side of the result.

    Returns:
        uint8 ``[h, w, 3]`` in main memory.
    """
    step = -(-max(picture.shape[:2]) // side)
    small = picture[::step, ::step, :3].to("cpu", torch.float32, copy=True)
    values = mask[::step, ::step].to("cpu", torch.float32)
    marked = (1 - values if invert else values) >= threshold
    small[marked] = small[marked].lerp(torch.tensor(_TINT), 0.5)
    return small.nan_to_num_().clamp_(0, 1).mul_(255).round_().byte()
