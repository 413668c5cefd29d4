"""What the user sees while an image is worked on in tiles."""

from __future__ import annotations

from typing import Any

import comfy.utils
from torch import Tensor

from ..cleanplate.upscale.refine import Tile
from .shared import PREVIEW_SIDE, preview_of, show_text, stop_if_interrupted


class TileProgress:
    """One bar over all steps of all tiles, "tile 7 of 24", and a picture of all that is done.

    Args:
        image: ``[B, H, W, 3 or 4]`` before.
        tiles: how many there are in all images.
        steps: of each.
    """

    def __init__(self, image: Tensor, tiles: int, steps: int) -> None:
        self._image = image
        self._tiles = tiles
        self._steps = steps
        self._bar = comfy.utils.ProgressBar(tiles * steps)
        self._done = 0
        self._shown = -1
        self._stride = -(-max(image.shape[1:3]) // PREVIEW_SIDE)
        self._small = image[0, :0, :0]

    def begin(self, tile: Tile) -> None:
        """A tile comes next. Raises ComfyUI's interrupt if the user has cancelled."""
        stop_if_interrupted()
        if tile.image != self._shown:
            self._shown = tile.image
            self._small = self._image[tile.image, :: self._stride, :: self._stride, :3].clone()
            self._show()
        show_text(f"tile {self._done + 1} of {self._tiles}")

    def step(self, step: int, denoised: Any, noisy: Any, steps: int) -> None:
        """A sampler's callback. Raises ComfyUI's interrupt if the user has cancelled."""
        stop_if_interrupted()
        if step + 1 < steps:
            # Some schedulers make more or fewer steps than asked.
            self._bar.update_absolute(
                self._done * self._steps + self._steps * (step + 1) // steps,
                self._tiles * self._steps,
            )

    def end(self, result: Tensor, tile: Tile) -> None:
        """A tile is done; the picture gets its part of what there is so far."""
        s = self._stride
        rows, columns = tile.share
        top, left = -(-rows.start // s), -(-columns.start // s)
        part = result[tile.image, top * s : rows.stop : s, left * s : columns.stop : s, :3]
        self._small[top : top + part.shape[0], left : left + part.shape[1]] = part
        self._done += 1
        self._show()

    def _show(self) -> None:
        done, total = self._done * self._steps, self._tiles * self._steps
        self._bar.update_absolute(done, total, preview_of(self._small))
