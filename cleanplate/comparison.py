"""Two batches side by side: which picture goes with which, and where they differ."""

from __future__ import annotations

import torch
from torch import Tensor

from .checks import size_of


def pairs(before: int, after: int) -> list[tuple[int, int]]:
    """Which pictures of two batches to show together.

    The shorter batch starts over: one picture goes with all, and of whole batches one after the
    other, as refinements with several seeds make them, each goes with its own.

    Args:
        before: how many pictures the first batch holds.
        after: how many the second one holds.
    """
    return [(i % before, i % after) for i in range(max(before, after))]


def change_where(before: Tensor, after: Tensor, where: Tensor) -> int | None:
    """How much two pictures differ in a region, in the levels of an 8-bit file.

    Args:
        before: one picture ``[1, H, W, C]`` in 0..1.
        after: the other; alpha counts where both have it.
        where: bool ``[H, W]`` of the size of `before`.

    Returns:
        the largest difference, 0..255; None if the sizes differ or the region is empty.
    """
    if size_of(before) != size_of(after) or not bool(where.any()):
        return None
    channels = min(before.shape[3], after.shape[3])
    first, second = (_levels(image[0, ..., :channels]) for image in (before, after))
    difference = (first - second.to(first.device)).abs().amax(dim=2)
    return int(difference[where.to(first.device)].max())


def _levels(image: Tensor) -> Tensor:
    return (image.float() * 255).clamp(0, 255).to(torch.int16)
