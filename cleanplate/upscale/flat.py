"""Parts of an image with nothing in them to refine."""

from __future__ import annotations

from torch import Tensor

_SHARE = 1e-4
"""Of the pixels. The outline of a bird of 40x40 pixels is more than that of 1024x1024."""


def is_flat(image: Tensor, levels: float) -> bool:
    """Whether hardly any pixel differs from its neighbours: sky, a wall, a smooth gradient.

    Grain counts as detail where it is stronger than `levels`.

    Args:
        image: ``[H, W, C]`` in 0..1.
        levels: how much neighbours may differ in any channel, in 1/255. One pixel in 10,000 may
            differ by more. 0 or less: nothing is flat.
    """
    if levels <= 0:
        return False
    limit = levels / 255
    allowed = _SHARE * image.shape[0] * image.shape[1]
    found = 0
    for axis in (0, 1):
        steps = image.diff(dim=axis).abs_().amax(dim=2)
        found = max(found, int((steps > limit).sum()))
    return found <= allowed
