"""Run an upscale model over an image in windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from spandrel import ImageModelDescriptor
from torch import Tensor

from .windows import plan_windows

_TILE = 512
_LEAST_TILE = 128
_HALO = 32


class ModelUpscaler:
    """An `Upscaler` made of a network that spandrel read.

    Images up to 512x512 are one call; larger ones are cut into equal windows, of which the part is
    kept that lies 32 pixels or more from a cut. When memory runs out, windows are halved down to
    128 pixels.

    Args:
        model: spandrel's descriptor, float32, on `device` already.
        device: where the network is.
        step: called with (done, total) before each window and at the end; may raise to cancel.
    """

    def __init__(
        self,
        model: ImageModelDescriptor[Any],
        device: torch.device | str = "cpu",
        step: Callable[[int, int], None] | None = None,
    ) -> None:
        self._model = model.eval()
        self._device = device
        self._step = step

    @property
    def scale(self) -> int:
        return self._model.scale

    def __call__(self, image: Tensor) -> Tensor:
        tile = _TILE
        while True:
            try:
                return self._run(image, tile)
            except torch.OutOfMemoryError:
                tile //= 2
                if tile < _LEAST_TILE:
                    raise

    def _run(self, image: Tensor, tile: int) -> Tensor:
        batch, height, width, _ = image.shape
        rows, columns = plan_windows(height, tile, _HALO), plan_windows(width, tile, _HALO)
        total = batch * len(rows) * len(columns)
        s = self.scale
        result = image.new_empty(batch, height * s, width * s, 3)
        done = 0
        for i in range(batch):
            for y in rows:
                for x in columns:
                    if self._step:
                        self._step(done, total)
                    part = image[i : i + 1, y.start : y.stop, x.start : x.stop]
                    large = self._model(part.movedim(-1, 1).to(self._device, torch.float32))
                    result[
                        i, y.keep_start * s : y.keep_stop * s, x.keep_start * s : x.keep_stop * s
                    ] = large[
                        0,
                        :,
                        (y.keep_start - y.start) * s : (y.keep_stop - y.start) * s,
                        (x.keep_start - x.start) * s : (x.keep_stop - x.start) * s,
                    ].movedim(0, -1)
                    done += 1
        if self._step:
            self._step(total, total)
        return result
