"""Put what a network made of windows together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .windows import Window


@dataclass(frozen=True)
class Share:
    """What a window gives to the whole along one axis, in pixels of the result.

    Attributes:
        start, stop: the pixels it has a share in.
        offset: the first of them, counted from the window's own start.
        weights: ``[stop - start]`` float32, or None where all are 1.
    """

    start: int
    stop: int
    offset: int
    weights: Tensor | None

    @classmethod
    def of(cls, window: Window, length: int, blend: int = 0, scale: int = 1) -> Share:
        """The part a window keeps, or more of it with a ramp over each cut.

        The ramps of both sides of a cut add up to 1. The window must reach `blend` beyond its cuts,
        which must lie twice as far apart.

        Args:
            window: as planned.
            length: pixels of the whole axis before the network; its ends are no cuts.
            blend: pixels on either side of a cut over which two windows mix.
            scale: of the network.
        """
        start, stop = window.keep_start * scale, window.keep_stop * scale
        reach = blend * scale
        before = reach if window.keep_start > 0 else 0
        after = reach if window.keep_stop < length else 0
        weights = None
        if before or after:
            at = torch.arange(start - before, stop + after) + 0.5
            weights = torch.ones(len(at))
            if before:
                weights = ((at - (start - reach)) / (2 * reach)).clamp(0, 1)
            if after:
                # Exactly what the next window's ramp leaves.
                weights = weights * (1 - ((at - (stop - reach)) / (2 * reach)).clamp(0, 1))
        start, stop = start - before, stop + after
        return cls(start, stop, start - window.start * scale, weights)

    @property
    def pixels(self) -> slice:
        """Where they are in the whole."""
        return slice(self.start, self.stop)

    @property
    def seen(self) -> slice:
        """Where they are in the window."""
        return slice(self.offset, self.offset + self.stop - self.start)


def place(tile: Tensor, rows: Share, columns: Share, target: Tensor, top: int = 0) -> None:
    """Add a window's result to the whole, or write it where it is the only one.

    Args:
        tile: ``[h, w, C]`` of any memory layout, the result for the window.
        rows: its share along the height.
        columns: its share along the width.
        target: ``[H, W, C]``, written in place; zeros where windows mix and none was placed yet.
        top: which row of the whole is the target's first.
    """
    place_at = target[rows.start - top : rows.stop - top, columns.pixels]
    part = tile[rows.seen, columns.seen]
    if rows.weights is None and columns.weights is None:
        place_at.copy_(part)
        return
    for axis, weights in ((0, rows.weights), (1, columns.weights)):
        if weights is not None:
            shape = (-1, 1, 1) if axis == 0 else (1, -1, 1)
            part = part * weights.to(part).view(shape)
    place_at.add_(part)
