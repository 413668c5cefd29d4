"""Square patches of a picture as short rows of numbers that can be compared."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_SAMPLE = 4000


def complete(marked: Tensor, patch: int) -> Tensor:
    """The centres ``[H, W]`` bool whose whole patch lies in the picture and is marked."""
    reach = patch // 2
    missing = F.pad((~marked).to(torch.float32)[None, None], (reach,) * 4, value=1.0)
    return F.max_pool2d(missing, patch, 1)[0, 0] == 0


def touched(marked: Tensor, patch: int) -> Tensor:
    """The centres ``[H, W]`` bool whose patch lies in the picture and holds a marked pixel."""
    reach = patch // 2
    near = F.max_pool2d(marked.to(torch.float32)[None, None], patch, 1, reach)[0, 0] > 0
    return near & complete(torch.ones_like(marked), patch)


def principal_axes(
    pixels: Tensor, centres: Tensor, patch: int, count: int, generator: torch.Generator
) -> Tensor:
    """The directions in which patches of a picture differ most (PCA).

    Args:
        pixels: ``[H, W, C]``.
        centres: ``[H, W]`` bool, at least one, see `complete`.
        patch: side of a patch in pixels, odd.
        count: how many directions.
        generator: draws the patches that are looked at.

    Returns:
        ``[count or fewer, C, patch, patch]``, orthonormal, for `project`.
    """
    y, x = centres.nonzero(as_tuple=True)
    some = torch.randperm(len(y), generator=generator, device=generator.device)[:_SAMPLE]
    y, x = y[some.to(y.device)], x[some.to(y.device)]
    steps = torch.arange(patch, device=pixels.device) - patch // 2
    rows = y[:, None, None] + steps[None, :, None]
    columns = x[:, None, None] + steps[None, None, :]
    # On the CPU and in double precision, so that every device finds the same axes.
    sample = pixels[rows, columns].movedim(-1, 1).flatten(1).to("cpu", torch.float64)
    sample = sample - sample.mean(0)
    _, axes = torch.linalg.eigh(sample.T @ sample)
    kept = axes.flip(1)[:, :count].T
    return kept.reshape(-1, pixels.shape[-1], patch, patch).to(pixels)


def project(pixels: Tensor, axes: Tensor) -> Tensor:
    """Every whole patch of a picture in the directions of `axes`.

    Args:
        pixels: ``[H, W, C]``.
        axes: ``[D, C, p, p]``.

    Returns:
        ``[H - p + 1, W - p + 1, D]``, contiguous.
    """
    planes = pixels.movedim(-1, 0).unsqueeze(0)
    # TF32 would lose what tells two patches apart, and other algorithms may differ between runs.
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        found = F.conv2d(planes, axes)
    return found[0].movedim(0, -1).contiguous()
