"""Fill holes with a masked-image network (LaMa, Suvorov et al., WACV 2022)."""

from __future__ import annotations

from typing import Any

import torch
from spandrel import MaskedImageModelDescriptor
from torch import Tensor


class LamaFill:
    """A `Fill` that runs a network read by spandrel, in float32.

    The descriptor pads to the network's multiple by reflection and takes the padding off again. It
    is switched to evaluation here because spandrel hands networks out in training mode, where
    batch normalisation uses the crop's own statistics and the result is wrong.

    Args:
        model: spandrel's descriptor, on `device` already.
        device: where the network is.
    """

    def __init__(
        self, model: MaskedImageModelDescriptor[Any], device: torch.device | str = "cpu"
    ) -> None:
        self._model = model.eval()
        self._device = device

    def __call__(self, image: Tensor, hole: Tensor) -> Tensor:
        planes = image.movedim(-1, 1).to(self._device, torch.float32)
        filled = self._model(planes, hole.unsqueeze(1).to(planes))
        return filled.movedim(1, -1).to(image)
