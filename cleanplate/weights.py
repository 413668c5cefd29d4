"""How much of a changed crop each pixel takes."""

from __future__ import annotations

from math import pi

import torch
from torch import Tensor

from . import masks


def grow_and_feather(core: Tensor, grow: int, feather: int) -> tuple[Tensor, Tensor]:
    """Grow a bool mask ``[H, W]`` and fade out around it, with one distance transform.

    Args:
        core: what shall change.
        grow: pixels to add around it.
        feather: pixels beyond these over which the weight falls to 0.

    Returns:
        the grown mask, bool ``[H, W]``: what lies at most `grow` away; the weights, float32:
        exactly 1 on the grown mask, exactly 0 farther than ``grow + feather`` from `core`, half a
        cosine wave between.
    """
    if grow <= 0 and feather <= 0:
        return core, core.to(torch.float32)
    away = masks.distance(core)
    grown = away <= grow if grow > 0 else core
    weights = grown.to(torch.float32)
    # The fade is a thin band: most pixels need no cosine.
    fade = ((away <= grow + feather) & ~grown).flatten().nonzero().squeeze(1)
    beyond = away.flatten()[fade] - grow
    weights.view(-1)[fade] = 0.5 + 0.5 * torch.cos(beyond * (pi / (feather + 1)))
    return grown, weights
