"""Filling holes. Every fill is a `Fill`: it sees crops and knows nothing of the whole image."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Fill = Callable[..., Tensor]
"""``fill(image [N, h, w, 3] float32 in 0..1, hole [N, h, w] float32, 0 or 1) -> [N, h, w, 3]``.

Part of each crop is always known. What is returned outside the hole is not used. N is 1, unless
the fill has an attribute ``batch_pixels``: then it is given crops of one size together, as long as
they hold no more pixels than that.

It is shown crops as wide as its attribute ``context`` says, `CONTEXT` if it has none.

Where the user says what may be copied, a third argument comes: ``source [N, h, w]`` float32, 0 or
1, never 1 inside the hole, and 1 somewhere.
"""


CONTEXT = (1.4, 128)
"""How much longer a crop is than the object in it, and the least surroundings on each side in
pixels: what LaMa wants. ``benchmarks/removal.py cost --part context`` shows what it rests on."""


def context(fill: Fill) -> tuple[float, int]:
    """The surroundings that a fill wants to see, as in `CONTEXT`."""
    return getattr(fill, "context", CONTEXT)


def batch_pixels(fill: Fill) -> int:
    """How many pixels of crops a fill takes at once; 0 where it takes one crop of any size."""
    return getattr(fill, "batch_pixels", 0)
