"""Removal networks under ComfyUI's memory management."""

from __future__ import annotations

from typing import Any

import comfy.model_management
import torch
from spandrel import MaskedImageModelDescriptor
from torch import Tensor

from ..cleanplate.checks import size_of
from ..cleanplate.fill.capped import CappedFill
from ..cleanplate.fill.lama import LamaFill, batch_pixels_of, fixed_side, padded_size
from ..cleanplate.fill.refine import MAX_SIDE as REFINED_SIDE
from ..cleanplate.fill.refine import RefinedFill, check_refinable, cost
from .shared import bring_in, patcher_of, say, stop_if_interrupted

_BYTES_PER_PIXEL = {"LaMa": 1050, "MAT": 4100}
"""Measured at their true size in float32: LaMa between 256x256 and 2048x2048, MAT at 512x512."""

_LEAST_SIDE = 64


class ManagedFill:
    """A `Fill` whose network ComfyUI makes room for, and which does with less if there is none.

    When memory runs out, several crops are tried one by one, and a single one once more at half its
    size, as are all that come after it.

    Args:
        model: from Load Removal Model or another pack's loader.
        max_side: see `CappedFill`; what the network allows at most.
        refine: steps of `RefinedFill`; 0 is off.

    Raises:
        ValueError: a network that cannot be refined and shall be.
    """

    def __init__(self, model: MaskedImageModelDescriptor[Any], max_side: int, refine: int) -> None:
        self._model = model
        self._refine = refine
        self._max_side = min(max_side, fixed_side(model) or max_side)
        self._together = True
        self.batch_pixels = batch_pixels_of(model, patcher_of(model).load_device)
        if refine:
            check_refinable(model)
            self._max_side = min(self._max_side, REFINED_SIDE)
            self.batch_pixels = 0

    def __call__(self, image: Tensor, hole: Tensor) -> Tensor:
        if len(image) > 1 and not self._together:
            alone = (self(image[i : i + 1], hole[i : i + 1]) for i in range(len(image)))
            return torch.cat(list(alone))
        management = comfy.model_management
        try:
            return self._attempt(image, hole)
        except (management.OOM_EXCEPTION, management.ACCELERATOR_ERROR) as error:
            management.raise_non_oom(error)
        # From here on nothing holds the failed attempt's tensors.
        management.unload_all_models()
        management.soft_empty_cache()
        if len(image) > 1:
            self._together = False
            return self(image, hole)
        longest = min(self._max_side, max(image.shape[1:3]))
        if not fixed_side(self._model):
            self._max_side = max(longest // 2, min(longest, _LEAST_SIDE))
        say(
            f"Memory ran out with a crop of {longest} pixels: all other models were unloaded, and "
            f"crops are capped at {self._max_side} pixels from here on."
        )
        return self._attempt(image, hole)

    def _attempt(self, image: Tensor, hole: Tensor) -> Tensor:
        return CappedFill(self._run, self._max_side)(image, hole)

    def _run(self, image: Tensor, hole: Tensor) -> Tensor:
        stop_if_interrupted()
        size = padded_size(self._model, size_of(image))
        if self._refine:
            needed = cost(size, self._refine)
            if needed.scales == 1:
                say(f"A crop of {size} is of a size that LaMa knows: it is not refined.")
            else:
                say(
                    f"Refining a crop of {size}: {needed.steps} steps, which compute as much as "
                    f"{needed.forwards:.0f} plain fills and take about "
                    f"{needed.memory / 1e9:.1f} GB."
                )
                patcher = bring_in(self._model, needed.memory)
                run = RefinedFill(
                    self._model,
                    patcher.load_device,
                    self._refine,
                    lambda *_: stop_if_interrupted(),
                )
                return run(image, hole)
        each = _BYTES_PER_PIXEL.get(self._model.architecture.id, max(_BYTES_PER_PIXEL.values()))
        patcher = bring_in(self._model, len(image) * size.area * each)
        return LamaFill(self._model, patcher.load_device)(image, hole)
