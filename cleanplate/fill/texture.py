"""How strong the finest texture is at each place, and how strong it is to be in the hole."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..geometry import Box
from .pyramid import halve, smooth_fill

_NEAR = 9
_WIDE = 33
_AROUND = 49
_KNOWN_ENOUGH = 0.1
_WIDE_ENOUGH = 0.02
_WEIGHT = 16.0
_EVEN = 0.45
_STEEP = 8


@dataclass(frozen=True, eq=False)
class Texture:
    """The strength of the finest texture of a picture: the mean size of what blurring takes away.

    The least squared difference prefers patches that are smoother than what they are to go on: of
    two that are equally unlike it, the smoother one is nearer to it. Comparing the strengths too
    takes this preference away (Newson et al., Video Inpainting of Complex Scenes, SIAM J. Imaging
    Sci. 2014, compare mean slopes for the same end).

    Attributes:
        strength: ``[H, W]`` of each place that may be copied, in units of the pixels.
        wanted: ``[H, W]`` the same where it is known, elsewhere what follows from around.
        weight: ``[H, W]`` of a squared difference of the two, next to one of pixels. Small where
            the surroundings are not alike: lines on flat ground are no texture.
    """

    strength: Tensor
    wanted: Tensor
    weight: Tensor

    @classmethod
    def of(cls, pixels: Tensor, hole: Tensor) -> Texture:
        """The texture of a picture ``[H, W, C]`` whose hole is ``[H, W]`` bool."""
        known = (~hole).to(pixels.dtype)
        whole = -F.max_pool2d(-F.pad(known, (1, 1, 1, 1), value=1.0)[None], 3, 1)[0]
        planes = torch.where(hole, 0, pixels.movedim(-1, 0))
        around = F.avg_pool2d(F.pad(planes[None], (1, 1, 1, 1), mode="replicate")[0], 3, 1)
        strength, share = _mean((planes - around).square().sum(0).sqrt(), whole, _NEAR)
        found = (share > _KNOWN_ENOUGH).to(share)
        first, share = _mean(strength, found, _WIDE)
        second, _ = _mean(strength.square(), found, _WIDE)
        far = share < _WIDE_ENOUGH
        if bool(far.all()):
            return cls(*torch.zeros(3, *hole.shape).to(pixels))
        spread = (second / first.square().clamp(min=1e-12) - 1).clamp(min=0).sqrt()
        # the worst around, since between lines the ground is even
        spread = _most(torch.where(far, 0, spread), _AROUND)
        uneven = smooth_fill(spread.unsqueeze(-1), far)[..., 0]
        wanted = smooth_fill(strength.unsqueeze(-1), found == 0)[..., 0]
        return cls(strength, wanted, _WEIGHT / (1 + (uneven / _EVEN) ** _STEEP))

    def halved(self) -> Texture:
        """The same at half the size."""
        return Texture(halve(self.strength), halve(self.wanted), halve(self.weight))

    def cut(self, box: Box) -> Texture:
        """The part inside a box."""
        where = (box.rows, box.columns)
        return Texture(self.strength[where], self.wanted[where], self.weight[where])


def _mean(plane: Tensor, share: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Means over square windows of what counts, and how much of each window does."""
    reach = window // 2

    def pooled(values: Tensor) -> Tensor:
        rows = F.avg_pool2d(F.pad(values[None], (reach, reach, 0, 0)), (1, window), 1)
        return F.avg_pool2d(F.pad(rows, (0, 0, reach, reach)), (window, 1), 1)[0]

    counted = pooled(share)
    return pooled(plane * share) / counted.clamp(min=1e-6), counted


def _most(plane: Tensor, window: int) -> Tensor:
    """The greatest value in square windows."""
    reach = window // 2
    rows = F.max_pool2d(plane[None], (1, window), 1, (0, reach))
    return F.max_pool2d(rows, (window, 1), 1, (reach, 0))[0]
