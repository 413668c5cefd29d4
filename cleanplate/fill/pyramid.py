"""A picture with a hole at several scales, and the smooth fill that follows from it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..geometry import Box

_KNOWN_ENOUGH = 0.6


@dataclass(frozen=True, eq=False)
class Scale:
    """One scale of a picture.

    Attributes:
        pixels: ``[H, W, C]``, in the hole the mean of what is known there, 0 where nothing is.
        hole: ``[H, W]`` bool.
        free: ``[H, W]`` bool, what may be copied; never in the hole.
    """

    pixels: Tensor
    hole: Tensor
    free: Tensor

    def cut(self, box: Box) -> Scale:
        """The part inside a box."""
        where = (box.rows, box.columns)
        return Scale(self.pixels[where], self.hole[where], self.free[where])


def scales(image: Tensor, hole: Tensor, free: Tensor, count: int) -> list[Scale]:
    """Halve a picture repeatedly, as means over known pixels only.

    Args:
        image: ``[H, W, C]``.
        hole: ``[H, W]`` bool.
        free: ``[H, W]`` bool, see `Scale`.
        count: most scales to return, the first of which is the picture itself. Fewer come when
            another halving would leave less than 4 pixels on a side.
    """
    share = (~hole).to(image.dtype)
    total = torch.where(hole.unsqueeze(-1), 0, image)
    first = Scale(total, hole, free & ~hole)
    allowed = first.free.to(image.dtype)
    found = [first]
    while len(found) < count and min(share.shape) >= 8:
        total, share, allowed = halve(total), halve(share), halve(allowed)
        hollow = share < _KNOWN_ENOUGH
        pixels = total / share.clamp(min=1e-6).unsqueeze(-1)
        found.append(Scale(pixels, hollow, (allowed >= _KNOWN_ENOUGH) & ~hollow))
    return found


def smooth_fill(image: Tensor, hole: Tensor) -> Tensor:
    """Fill a hole without texture: means of known pixels, from the finest scale that has them.

    The pull-push interpolation of Gortler et al. (The Lumigraph, SIGGRAPH 1996).

    Args:
        image: ``[H, W, C]``.
        hole: ``[H, W]`` bool, not everywhere.

    Returns:
        ``[H, W, C]``: the image outside the hole, inside it values between the least and the
        greatest known one of each channel.
    """
    share = (~hole).to(image.dtype).unsqueeze(-1)
    level = torch.where(hole.unsqueeze(-1), 0, image)
    pulled = [(level, share)]
    while min(share.shape[:2]) > 1 or max(share.shape[:2]) > 1:
        level, share = halve(level), halve(share)
        full = share.clamp(min=1e-12)
        # However little of a pixel is known counts as half known, so that values travel far.
        level, share = level / full, (2 * share).clamp(max=1)
        level = level * share
        pulled.append((level, share))
    coarse = pulled[-1][0] / pulled[-1][1]
    for level, share in reversed(pulled[:-1]):
        coarse = level + (1 - share) * _double(coarse, level.shape[0], level.shape[1])
    known = image[~hole]
    inside = torch.maximum(torch.minimum(coarse, known.amax(0)), known.amin(0))
    return torch.where(hole.unsqueeze(-1), inside, image)


def halve(plane: Tensor) -> Tensor:
    """Means of 2x2 pixels of ``[H, W]`` or ``[H, W, C]``; an odd last row counts as half empty."""
    planes = plane.unsqueeze(-1) if plane.ndim == 2 else plane
    height, width = plane.shape[:2]
    stacked = F.pad(planes.movedim(-1, 0), (0, width % 2, 0, height % 2))
    halved = F.avg_pool2d(stacked.unsqueeze(0), 2)[0].movedim(0, -1)
    return halved[..., 0] if plane.ndim == 2 else halved


def _double(plane: Tensor, height: int, width: int) -> Tensor:
    up = F.interpolate(
        plane.movedim(-1, 0).unsqueeze(0), scale_factor=2, mode="bilinear", align_corners=False
    )
    return up[0, :, :height, :width].movedim(0, -1)
