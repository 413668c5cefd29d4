"""Upscale networks with a known answer, as spandrel describes real ones."""

from __future__ import annotations

import torch
from spandrel import MAIN_REGISTRY, ImageModelDescriptor, ModelTiling, SizeRequirements
from torch import Tensor, nn


class Repeat(nn.Module):
    """Enlarges by repeating pixels; notes what it saw, and can run out of memory.

    Args:
        scale: repetitions.
        most: the longest side for which there is memory.
        fails_at: number of the call, from 1, that runs out of memory whatever its size.
    """

    def __init__(self, scale: int = 2, most: int = 10**9, fails_at: int = 0) -> None:
        super().__init__()
        self.scale, self.most, self.fails_at = scale, most, fails_at
        self.seen: list[tuple[int, int]] = []

    def forward(self, planes: Tensor) -> Tensor:
        self.seen.append((planes.shape[2], planes.shape[3]))
        if max(self.seen[-1]) > self.most or len(self.seen) == self.fails_at:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return planes.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)


class Blur(Repeat):
    """Averages so many pixels to each side before it repeats: what it needs is its radius."""

    def __init__(self, scale: int = 2, radius: int = 3, **limits: int) -> None:
        super().__init__(scale, **limits)
        self.radius = radius

    def forward(self, planes: Tensor) -> Tensor:
        side = 2 * self.radius + 1
        smooth = nn.functional.avg_pool2d(
            planes, side, stride=1, padding=self.radius, count_include_pad=False
        )
        return super().forward(smooth)


def described(
    network: nn.Module,
    *,
    architecture: str = "ESRGAN",
    purpose: str = "SR",
    tiling: ModelTiling = ModelTiling.SUPPORTED,
    multiple_of: int = 1,
    input_channels: int = 3,
) -> ImageModelDescriptor:
    """Describe a network as spandrel's loader does."""
    return ImageModelDescriptor(
        network,
        network.state_dict(),
        MAIN_REGISTRY.get(architecture).architecture,
        purpose,
        [],
        supports_half=True,
        supports_bfloat16=True,
        scale=network.scale,
        input_channels=input_channels,
        output_channels=3,
        size_requirements=SizeRequirements(multiple_of=multiple_of),
        tiling=tiling,
    )
