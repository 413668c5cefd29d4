"""Show a fill no more than it was made for: large crops are reduced, filled, and enlarged."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import size_of
from ..geometry import Size
from ..upscale.resize import resize
from . import Fill, batch_pixels

MAX_SIDE = 1024
"""LaMa was trained on 256 and holds up to about four times that; beyond, it repeats textures, and
its cost grows with the pixels."""


class CappedFill:
    """A `Fill` that shows another one crops whose longer side is at most `max_side`.

    Larger crops lose detail inside the hole only: what is known comes from the image.

    Args:
        fill: fills the reduced crop.
        max_side: in pixels.
    """

    def __init__(self, fill: Fill, max_side: int = MAX_SIDE) -> None:
        self._fill = fill
        self._max_side = max_side
        self.batch_pixels = batch_pixels(fill)

    def __call__(self, image: Tensor, hole: Tensor) -> Tensor:
        size = size_of(image)
        shown = capped(size, self._max_side)
        if shown == size:
            return self._fill(image, hole)
        return enlarge(self._fill(*reduce(image, hole, shown)), size)


def capped(size: Size, max_side: int) -> Size:
    """The same shape with sides of at most `max_side`; never larger than `size`."""
    longest = max(size.width, size.height)
    if longest <= max_side:
        return size
    return Size(
        max(1, round(size.width * max_side / longest)),
        max(1, round(size.height * max_side / longest)),
    )


def reduce(image: Tensor, hole: Tensor, size: Size) -> tuple[Tensor, Tensor]:
    """Shrink crops with holes in them so that nothing of the holes leaks into what is known.

    A new pixel is known only if it covers no pixel of the hole at all; its colour is the Lanczos
    average of the known pixels alone (normalised convolution; Knutsson and Westin, 1993).

    Args:
        image: ``[N, H, W, C]`` float32.
        hole: ``[N, H, W]``, 0 or 1; a part of each is 0.
        size: the new size, not larger.

    Returns:
        ``[N, h, w, C]`` within the range of the known pixels and 0 in the hole; ``[N, h, w]`` of 0
        and 1, with a 0 in each.
    """
    known = (1 - hole).unsqueeze(-1)
    share = resize(known, size)
    touched = F.adaptive_max_pool2d(hole.unsqueeze(1), (size.height, size.width))
    free = touched.squeeze(1).unsqueeze(-1) == 0
    # A mask like a sieve leaves no pixel untouched: then the best known ones serve.
    sieve = ~free.any(dim=(1, 2), keepdim=True)
    free = torch.where(sieve, share >= share.amax(dim=(1, 2), keepdim=True), free)
    low = image.masked_fill(known == 0, torch.inf).amin(dim=(1, 2), keepdim=True)
    high = image.masked_fill(known == 0, -torch.inf).amax(dim=(1, 2), keepdim=True)
    colours = (resize(image * known, size) / share).clamp(low, high)
    return torch.where(free, colours, 0.0), (~free).squeeze(-1).to(hole)


def enlarge(image: Tensor, size: Size) -> Tensor:
    """Enlarge ``[N, h, w, C]`` with the Lanczos filter, without overshoot beyond its own range."""
    low, high = (bound(image, dim=(1, 2), keepdim=True) for bound in (torch.amin, torch.amax))
    return resize(image, size).clamp(low, high)
