"""How much a network must see around what is kept of its result."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import lcm
from typing import Any
from weakref import WeakKeyDictionary

import torch
from spandrel import ImageModelDescriptor, ModelTiling
from torch import Tensor, nn

from .statistics import has_statistics

Network = Callable[[Tensor], Tensor]

_VISIBLE = 0.5 / 255
_LEAST_HALO, _MOST_HALO = 16, 64
_BLEND = 16
_MOST_ALIGN = 128
_FEW_BLOCKS = 8

_WINDOWS = ("window_size", "split_size", "win_size")
"""What attention networks call the side of their windows in spandrel's architectures."""

_DEFAULT_BYTES = 13_000
_BYTES = {"Compact": 520, "ESRGAN": 9_000, "DAT": 13_000}
"""Working memory for an input pixel in float32, as measured: RRDB 8,000 to 8,900, DAT 12,000 to
13,000. Unknown networks are taken for the largest."""


@dataclass(frozen=True)
class Context:
    """What a network needs to give in windows what it gives untiled, in input pixels.

    Attributes:
        halo: seen around what is kept.
        align: windows start at multiples of it.
        blend: either side of a cut over which two windows mix; 0 where they agree there.
        pixel_bytes: working memory for an input pixel.
        whole: it cannot be tiled at all.
        reluctant: tiles should be as large as can be.
        gathers: part of what it sees is the whole image, see `statistics`.
    """

    halo: int
    align: int = 1
    blend: int = 0
    pixel_bytes: int = _DEFAULT_BYTES
    whole: bool = False
    reluctant: bool = False
    gathers: bool = False


_probed: WeakKeyDictionary[Any, Context] = WeakKeyDictionary()


def context_of(
    model: ImageModelDescriptor[Any], network: Network, device: torch.device | str
) -> Context:
    """The context of a network that spandrel read.

    Compact networks: their exact radius, a pixel for each 3x3 convolution, so that nothing differs.
    RRDB networks: what leaves less than half a level of 255, measured with trained weights of 6 and
    23 blocks. Attention networks: windows on their own grid, a halo of 32 and a linear blend, for
    part of what they see is the whole image; for DAT it is known which part. Any other network is
    probed once, see `probe`; the result is kept with the model.

    Args:
        model: read for its hints: `tiling`, `size_requirements`, `architecture`.
        network: calls it, ``[1, 3, h, w]`` in 0..1 to ``[1, 3, h * scale, w * scale]``.
        device: where it computes.
    """
    if model.tiling == ModelTiling.INTERNAL:
        return Context(0, whole=True)
    name = model.architecture.id
    size = _BYTES.get(name, _DEFAULT_BYTES)
    align = min(lcm(model.size_requirements.multiple_of, *_windows(model.model)), _MOST_ALIGN)
    if model.tiling == ModelTiling.DISCOURAGED:
        return Context(32, align, _BLEND, size, reluctant=True)
    if name == "Compact":
        return Context(_convolutions(model.model), align, 0, size)
    if name == "ESRGAN":
        blocks = sum(type(part).__name__ == "RRDB" for part in model.model.modules())
        # Shuffled networks see the image at half or a quarter of its size.
        shuffle = getattr(model.model, "shuffle_factor", None) or 1
        halo = (48 if blocks <= _FEW_BLOCKS else 64) * shuffle
        return Context(halo, align, 0, size)
    if name == "DAT":
        return Context(32, align, _BLEND, size, gathers=has_statistics(model.model))
    if model not in _probed:
        attends = any(True for _ in _windows(model.model))
        halo, agrees = probe(network, model.scale, align, device)
        _probed[model] = Context(halo, align, 0 if agrees and not attends else _BLEND, size)
    return _probed[model]


def probe(
    network: Network, scale: int, align: int = 1, device: torch.device | str = "cpu"
) -> tuple[int, bool]:
    """Measure how far from a cut a network's result still changes.

    It runs on a picture of noise and edges, 96x192 pixels where `align` allows, and on both halves.

    Args:
        network: ``[1, 3, h, w]`` in 0..1 to ``[1, 3, h * scale, w * scale]``.
        scale: of the network.
        align: the cut lies at a multiple of it.
        device: where it computes.

    Returns:
        The distance in input pixels from which on no value changes by half a level of 255, at least
        16 and at most 64; and whether there is one within 64.
    """
    half = -(-96 // align) * align
    picture = _pattern(half, 2 * half).to(device)
    whole = network(picture).float()
    left = (network(picture[..., :half]).float() - whole[..., : half * scale]).abs()
    right = (network(picture[..., half:]).float() - whole[..., half * scale :]).abs()
    # By distance from the cut, one value for each input pixel.
    worst = torch.maximum(left.amax((0, 1, 2)).flip(0), right.amax((0, 1, 2)))
    worst = worst.view(half, scale).amax(1)
    beyond = worst.flip(0).cummax(0).values.flip(0)
    seen = int((beyond >= _VISIBLE).sum())
    return min(max(seen, _LEAST_HALO), _MOST_HALO), seen <= _MOST_HALO


def _windows(module: nn.Module) -> Iterable[int]:
    """Sides of the attention windows within a network."""
    for part in module.modules():
        for name in _WINDOWS:
            value = getattr(part, name, None)
            for side in value if isinstance(value, (tuple, list)) else (value,):
                if isinstance(side, int) and side > 1:
                    yield side


def _convolutions(module: nn.Module) -> int:
    return sum(isinstance(p, nn.Conv2d) and max(p.kernel_size) > 1 for p in module.modules())


def _pattern(height: int, width: int) -> Tensor:
    """A picture with detail of every size and hard edges, ``[1, 3, height, width]`` in 0..1."""
    generator = torch.Generator().manual_seed(0)
    result = torch.full((1, 3, height, width), 0.5)
    for octave in range(6):
        cell = 2**octave
        coarse = torch.rand(
            1, 3, -(-height // cell) + 1, -(-width // cell) + 1, generator=generator
        )
        fine = coarse.repeat_interleave(cell, 2).repeat_interleave(cell, 3)
        result += (fine[..., :height, :width] - 0.5) * 0.25
    return result.clamp(0, 1)
