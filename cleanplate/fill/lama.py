"""Fill holes with a masked-image network (LaMa, Suvorov et al., WACV 2022)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from spandrel import MaskedImageModelDescriptor
from torch import Tensor

from ..checks import size_of
from ..geometry import Size

BATCH_PIXELS = 2**20
"""Of crops that LaMa fills together on a GPU: as many as fit into what one of 1024x1024 takes."""

_SEED = 0


class LamaFill:
    """A `Fill` that runs a network read by spandrel, in float32.

    The network sees the crop continued by reflection to the multiple it wants, never a black edge.
    It is switched to evaluation here because spandrel hands networks out in training mode, where
    batch normalisation uses the crop's own statistics and the result is wrong. It is kept in
    float32, whatever autocast surrounds the call: the Fourier transform of LaMa knows no bfloat16
    on any device, and half precision only for powers of two on some. MAT drops parts of its style
    at random: it does so from the same seed each time, and PyTorch's own state stays as it was.

    Args:
        model: spandrel's descriptor, on `device` already. LaMa takes several crops at once, though
            on a CPU that is no faster and takes more memory; other networks take one.
        device: where the network is.
    """

    def __init__(
        self, model: MaskedImageModelDescriptor[Any], device: torch.device | str = "cpu"
    ) -> None:
        self._model = model.float().eval()
        self._device = torch.device(device)
        self.batch_pixels = batch_pixels_of(model, self._device)

    @torch.no_grad()
    def __call__(self, image: Tensor, hole: Tensor) -> Tensor:
        planes = image.movedim(-1, 1).to(self._device, torch.float32)
        holes = hole.unsqueeze(1).to(planes)
        wanted = padded_size(self._model, size_of(image))
        random = nullcontext() if _is_lama(self._model) else _seeded(self._device)
        with torch.autocast(self._device.type, enabled=False), random:
            filled = self._model.model(pad(planes, wanted), pad(holes, wanted))
        return filled[..., : image.shape[1], : image.shape[2]].clamp(0, 1).movedim(1, -1).to(image)


@contextmanager
def _seeded(device: torch.device) -> Iterator[None]:
    """Random numbers from one seed, inside only."""
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(cuda):
        torch.default_generator.manual_seed(_SEED)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(_SEED)
        yield


def batch_pixels_of(model: MaskedImageModelDescriptor[Any], device: torch.device) -> int:
    """How many pixels of crops to give a network there at once; 0 for one crop of any size."""
    return BATCH_PIXELS if _is_lama(model) and device.type != "cpu" else 0


def _is_lama(model: MaskedImageModelDescriptor[Any]) -> bool:
    return model.architecture.id == "LaMa"


def fixed_side(model: MaskedImageModelDescriptor[Any]) -> int | None:
    """The side of the only square that a network takes (MAT: 512), or None."""
    needs = model.size_requirements
    return needs.minimum if needs.square and needs.minimum == needs.multiple_of else None


def padded_size(model: MaskedImageModelDescriptor[Any], size: Size) -> Size:
    """The size at which a network computes a crop of that size."""
    width, height = model.size_requirements.get_padding(size.width, size.height)
    return Size(size.width + width, size.height + height)


def pad(planes: Tensor, size: Size) -> Tensor:
    """Continue ``[N, C, H, W]`` to the right and below by reflection, as far as that reaches.

    What reflection cannot reach (it has one pixel less than the crop) repeats the last pixel.
    """
    for mode in ("reflect", "replicate"):
        height, width = planes.shape[-2:]
        right, below = size.width - width, size.height - height
        if mode == "reflect":
            right, below = min(right, width - 1), min(below, height - 1)
        if right or below:
            planes = F.pad(planes, (0, right, 0, below), mode)
    return planes
