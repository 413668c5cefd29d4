"""One image in several sizes: where the cascade slides its window and takes its crops from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import size_of
from ..geometry import Size
from .mtcnn import Proposal

_STEP = 0.709
"""Ratio of one level to the one before, about the square root of one half (Zhang et al.)."""

_CHUNK = 1 << 16
"""Pixels of crops looked at in one go: bounds the memory that thousands of proposals take; R-Net
and O-Net need some 250 bytes for each."""


@dataclass(frozen=True, eq=False)
class Level:
    """One size of the image.

    Attributes:
        image: ``[1, 3, h, w]`` float32, tones in -1..1.
        across, down: this level's width and height over those of the original.
        searched: whether the window slides over it; else it only serves crops.
    """

    image: Tensor
    across: float
    down: float
    searched: bool


def tones(image: Tensor) -> Tensor:
    """Pixels ``[..., H, W, 3 or 4]`` in 0..1 as the networks know them, ``[..., 3, H, W]``."""
    planes = image[..., :3].movedim(-1, -3).to(torch.float32).contiguous()
    return planes.clamp_(0, 1).mul_(255 / 128).sub_(127.5 / 128)


def shrink(planes: Tensor, size: Size) -> Tensor:
    """Resize ``[N, 3, H, W]`` so that nothing aliases."""
    if tuple(planes.shape[2:]) == (size.height, size.width):
        return planes
    target = (size.height, size.width)
    return F.interpolate(planes, target, mode="bilinear", antialias=True)


def pyramid(image: Tensor, least_face: float, max_side: int, device: torch.device) -> list[Level]:
    """The sizes of one image ``[H, W, 3 or 4]``, largest first.

    Args:
        image: the original.
        least_face: side of the smallest face to find, in pixels of the original.
        max_side: no level is larger.
        device: where the levels shall be.
    """
    size = size_of(image[None])
    searched = search_scales(size, least_face, max_side)
    # R-Net and O-Net look at crops of more pixels than P-Net: some levels serve only them.
    scale = searched[0] if searched else 1.0
    largest = min(1.0, max_side / max(size.width, size.height))
    above: list[float] = []
    while scale < largest:
        scale = min(largest, scale / _STEP)
        above.insert(0, scale)
    planes = tones(image.to(device))[None]
    levels = []
    for number, scale in enumerate(above + searched):
        now = Size(max(1, round(size.width * scale)), max(1, round(size.height * scale)))
        planes = shrink(planes, now)
        across, down = now.width / size.width, now.height / size.height
        levels.append(Level(planes, across, down, searched=number >= len(above)))
    return levels


def search_scales(size: Size, least_face: float, max_side: int) -> list[float]:
    """How much to shrink an image for each search; none where it is smaller than a face.

    See `pyramid` for the arguments.
    """
    short = min(size.width, size.height)
    scale = min(1.0, max_side / max(size.width, size.height), Proposal.window / least_face)
    scales = []
    while round(short * scale) >= Proposal.window:
        scales.append(scale)
        scale *= _STEP
    return scales


def crops(levels: list[Level], boxes: Tensor, side: int) -> Iterator[tuple[slice, Tensor]]:
    """Square crops of the original, some at a time.

    Each is read, bilinearly, from the smallest level that has at least as many pixels as the crop,
    so it neither aliases nor costs more for a larger face. What lies outside is mid-grey.

    Args:
        levels: of one image, largest first.
        boxes: ``[N, 4]`` left, top, right, bottom in pixels of the original, on the CPU.
        side: pixels of a crop.

    Yields:
        which boxes, and their crops ``[n, 3, side, side]``.
    """
    many = max(1, _CHUNK // side**2)
    for start in range(0, len(boxes), many):
        part = slice(start, min(start + many, len(boxes)))
        yield part, _crops(levels, boxes[part], side)


def _crops(levels: list[Level], boxes: Tensor, side: int) -> Tensor:
    device = levels[0].image.device
    width = boxes[:, 2] - boxes[:, 0]
    fine = torch.tensor([level.across for level in levels], dtype=boxes.dtype)
    enough = width[:, None] * fine[None] >= side
    which = (enough.sum(dim=1) - 1).clamp(min=0)
    out = torch.empty((len(boxes), 3, side, side), device=device)
    steps = (torch.arange(side, dtype=torch.float32, device=device) + 0.5) / side
    for number in sorted(set(which.tolist())):
        level, chosen = levels[number], (which == number).nonzero().squeeze(1)
        height, wide = level.image.shape[2:]
        box = boxes[chosen].to(torch.float32).to(device)
        x = box[:, :1] + (box[:, 2:3] - box[:, :1]) * steps
        y = box[:, 1:2] + (box[:, 3:4] - box[:, 1:2]) * steps
        x = x * (2 * level.across / wide) - 1
        y = y * (2 * level.down / height) - 1
        grid = torch.stack(
            (x[:, None, :].expand(-1, side, -1), y[:, :, None].expand(-1, -1, side)), dim=3
        )
        # One tall image: the crops of all boxes side by side, without copies of the level.
        seen = F.grid_sample(level.image, grid.reshape(1, -1, side, 2), align_corners=False)
        out[chosen.to(device)] = seen.view(3, -1, side, side).transpose(0, 1)
    return out


def bands(image: Tensor, pixels: int) -> Iterator[tuple[int, Tensor]]:
    """Cut a level into bands of rows that `Proposal` sees as it sees the whole.

    Yields:
        number of the first row of windows, and the band.
    """
    height, width = image.shape[2:]
    step, window = Proposal.step, Proposal.window
    windows = ceil((height - window) / step) + 1
    many = max(1, pixels // (step * width))
    for first in range(0, windows, many):
        last = min(first + many, windows)
        top, bottom = first * step, min((last - 1) * step + window, height)
        yield first, image[:, :, top:bottom]
