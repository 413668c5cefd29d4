"""Settle the landmarks of a face: the same whichever way it is tilted and however large it is.

MTCNN learnt on upright faces and pulls the landmarks of a tilted one towards those of a mean face:
by up to a tenth of the distance between the eyes at 30 degrees. So the face is turned upright by
the landmarks found so far, looked at again, and so on until they stay. What they settle on depends
on the face and no longer on its pose in the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor

from ..geometry import Size
from .mtcnn import Output
from .mtcnn_pyramid import shrink, tones
from .suppress import suppress

_TEMPLATE = ((0.293, 0.362), (0.707, 0.362), (0.5, 0.569), (0.328, 0.776), (0.672, 0.776))
"""Where the landmarks lie in an upright crop: about where O-Net finds them, mirrored to be even."""

_MIRRORED = (1, 0, 2, 4, 3)

_CHIP, _ROOM = 128, 4.0
"""Side of a chip in pixels; its half in mean distances of the landmarks from their centre."""

_FINE = 2
"""Samples of a crop's pixel in each direction, so that it does not matter where they fall; for the
first look, which most of what is no face does not outlast, one has to do."""

_PROMISING, _LIKELY = 0.7, 0.85
"""Shares of the score that is wanted in the end, from which on a face is worth looking at from all
sides, and until its landmarks stay."""

_SAME = 0.4
"""Two boxes that overlap by more of their union are the same face."""

_AT_ONCE = 4
"""Faces looked at in one go: few enough to stay in the processor's cache."""

_Views = list[tuple[complex, complex]]


@dataclass(frozen=True, eq=False)
class Settled:
    """Faces, on the CPU, in pixels of the image.

    Attributes:
        boxes: ``[N, 4]`` left, top, right, bottom, around what is upright in the face's own frame.
        scores: ``[N]``, the mean of all crops of the last round.
        landmarks: ``[N, 5, 2]``.
    """

    boxes: Tensor
    scores: Tensor
    landmarks: Tensor


def settle(network: Output, image: Tensor, landmarks: Tensor, least: float = 0.0) -> Settled:
    """Look at faces again, upright.

    Args:
        network: O-Net; on its device the work is done.
        image: the original, ``[H, W, 3 or 4]`` in 0..1; only the pixels around faces are read.
        landmarks: ``[N, 5, 2]`` found so far, in its pixels, on the CPU.
        least: faces of a lower score may be left out.

    Returns:
        each face once, best first: several finds of the same settle in the same place.
    """
    views = _views()
    stages = ((views[:1], 2, 1, _PROMISING), (views, 1, _FINE, _LIKELY), (views, 2, _FINE, 0.0))
    for looks, rounds, samples, share in stages:
        found = _distinct(_settled(network, image, landmarks, [looks] * rounds, samples))
        landmarks = found.landmarks[found.scores >= share * least]
    return found


def _distinct(found: Settled) -> Settled:
    kept = suppress(found.boxes, found.scores, _SAME)
    return Settled(found.boxes[kept], found.scores[kept], found.landmarks[kept])


def _settled(
    network: Output, image: Tensor, landmarks: Tensor, rounds: list[_Views], samples: int
) -> Settled:
    parts = [Settled(torch.empty((0, 4)), torch.empty(0), torch.empty((0, 5, 2)))]
    for start in range(0, len(landmarks), _AT_ONCE):
        some = landmarks[start : start + _AT_ONCE]
        seen = [_chip(image, points, samples, network.face.weight.device) for points in some]
        chips = torch.cat([chip for chip, _, _ in seen])
        corner = torch.tensor([corner for _, corner, _ in seen], dtype=torch.float32)
        scale = torch.tensor([scale for _, _, scale in seen])
        inside = (some - corner[:, None]) * scale[:, None, None]
        points = torch.view_as_complex(inside.contiguous())
        for views in rounds:
            look = _look(network, chips, points, views)
            points = look.points
        parts.append(
            Settled(
                look.boxes / scale[:, None] + corner.repeat(1, 2),
                look.scores,
                torch.view_as_real(points) / scale[:, None, None] + corner[:, None],
            )
        )
    return Settled(
        torch.cat([part.boxes for part in parts]),
        torch.cat([part.scores for part in parts]),
        torch.cat([part.landmarks for part in parts]),
    )


def _chip(
    image: Tensor, landmarks: Tensor, samples: int, device: torch.device
) -> tuple[Tensor, tuple[int, int], float]:
    """The surroundings of a face, mid-grey beyond the image.

    Returns:
        ``[1, 3, _CHIP, _CHIP]`` in -1..1, its left top corner in the image, and the size of a pixel
        of the image in it.
    """
    centre = landmarks.mean(dim=0)
    spread = float((landmarks - centre).norm(dim=1).mean())
    height, width = image.shape[:2]
    side = max(2, round(2 * _ROOM * spread))
    left, top = round(float(centre[0]) - side / 2), round(float(centre[1]) - side / 2)
    x, y = max(0, min(left, width - 1)), max(0, min(top, height - 1))
    right, bottom = max(x + 1, min(left + side, width)), max(y + 1, min(top + side, height))
    part = tones(image[y:bottom, x:right].to(device))[None]
    fine = _CHIP * samples
    shrunk = min(1.0, fine / side)
    size = Size(max(1, round((right - x) * shrunk)), max(1, round((bottom - y) * shrunk)))
    part = shrink(part, size)
    steps = (torch.arange(fine, device=device) + 0.5) * (side / fine)
    across = (steps + (left - x)) * (2 / (right - x)) - 1
    down = (steps + (top - y)) * (2 / (bottom - y)) - 1
    grid = torch.stack((across.expand(fine, fine), down[:, None].expand(fine, fine)), dim=2)
    seen = F.grid_sample(part, grid[None], mode="bicubic", align_corners=False)
    return F.avg_pool2d(seen, samples), (left, top), _CHIP / side


def _views() -> _Views:
    """Ways to look at a face: the upright crop, then eight around it, as ``scale * turn, shift``.

    Each is a little off to one side, larger or smaller, and turned, so that their mean leans
    nowhere.
    """
    views = [(1 + 0j, 0j)]
    for i in range(8):
        around = torch.polar(torch.tensor(0.06), torch.tensor(2 * pi * (i + 0.5) / 8))
        size, turn = (0.92, 1.08)[i % 2], (0.12, 0.12, -0.12, -0.12)[i % 4]
        view = torch.polar(torch.tensor(size), torch.tensor(turn))
        views.append((complex(view), complex(around)))
    return views


@dataclass(frozen=True, eq=False)
class _Look:
    """What O-Net says of upright crops; positions are complex numbers, x + iy, in a chip's pixels.

    Attributes:
        points: ``[N, 5]``.
        scores: ``[N]``.
        boxes: ``[N, 4]`` real.
    """

    points: Tensor
    scores: Tensor
    boxes: Tensor


def _look(network: Output, chips: Tensor, points: Tensor, views: _Views) -> _Look:
    """Turn faces upright by their landmarks so far, and look at them and at their mirror image.

    Args:
        network: O-Net.
        chips: ``[N, 3, _CHIP, _CHIP]`` on its device.
        points: ``[N, 5]`` complex, on the CPU.
        views: see `_views`.
    """
    count, many = len(chips), len(views)
    template = torch.view_as_complex(torch.tensor(_TEMPLATE)) - (0.5 + 0.5j)
    turn, shift = _similarity(template.expand(count, 5), points)
    turns = turn * torch.tensor([view for view, _ in views])
    shifts = turn * torch.tensor([around for _, around in views]) + shift
    crops = _upright(chips, turns, shifts)
    offsets, scores, found = (out.cpu() for out in network(torch.cat((crops, crops.flip(3)))))
    inside = _unmirrored(found.contiguous(), count * many).view(count, many, 5)
    placed = turns[..., None] * inside + shifts[..., None]
    offsets = offsets.view(2, count, many, 4)
    # Left and right of the mirror image are the other way round.
    straight, mirror = offsets[0], offsets[1][..., [2, 1, 0, 3]] * torch.tensor((-1, 1, -1, 1))
    boxes = _boxes((straight + mirror) / 2, turns, shifts)
    return _Look(placed.mean(dim=1), scores.view(2, count, many).mean(dim=(0, 2)), boxes)


def _similarity(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Least-squares ``target = turn * source + shift`` of complex points ``[N, 5]``.

    A complex factor turns and scales and cannot mirror (Umeyama 1991 in two dimensions).
    """
    middle, goal = source.mean(dim=1, keepdim=True), target.mean(dim=1, keepdim=True)
    arms = source - middle
    turn = (arms.conj() * (target - goal)).sum(dim=1, keepdim=True)
    turn = turn / arms.abs().square().sum(dim=1, keepdim=True)
    return turn, goal - turn * middle


def _upright(chips: Tensor, turns: Tensor, shifts: Tensor) -> Tensor:
    """Crops ``[N * views, 3, 48, 48]`` of chips, by the similarities ``[N, views]``."""
    count, many = turns.shape
    fine = Output.size * _FINE
    steps = (torch.arange(fine) + 0.5) / fine - 0.5
    grid = torch.complex(steps.expand(fine, fine), steps[:, None].expand(fine, fine)).flatten()
    places = turns[..., None] * grid + shifts[..., None]
    flat = (torch.view_as_real(places) * (2 / _CHIP) - 1).view(count, many * fine, fine, 2)
    seen = F.grid_sample(chips, flat.to(chips.device), align_corners=False)
    seen = seen.view(count, 3, many, fine, fine).transpose(1, 2).reshape(-1, 3, fine, fine)
    return F.avg_pool2d(seen, _FINE)


def _unmirrored(found: Tensor, count: int) -> Tensor:
    """The mean of the landmarks in crops and in their mirror images, from the crops' centres."""
    points = torch.view_as_complex(found) - (0.5 + 0.5j)
    mirrored = points[count:, list(_MIRRORED)]
    return (points[:count] - mirrored.conj()) / 2


def _boxes(offsets: Tensor, turns: Tensor, shifts: Tensor) -> Tensor:
    """Boxes ``[N, 4]`` around the ellipses that fill the boxes found in upright crops."""
    edges = offsets.mean(dim=1) + torch.tensor((-0.5, -0.5, 0.5, 0.5))
    # The views lie evenly around the first, the upright crop.
    turn, shift = turns.mean(dim=1), shifts.mean(dim=1)
    left, top, right, bottom = edges.unbind(dim=1)
    middle = turn * torch.complex((left + right) / 2, (top + bottom) / 2) + shift
    across, down = turn * ((right - left) / 2), turn * ((bottom - top) / 2)
    wide = (across.real.square() + down.imag.square()).sqrt()
    high = (across.imag.square() + down.real.square()).sqrt()
    return torch.stack(
        (middle.real - wide, middle.imag - high, middle.real + wide, middle.imag + high), dim=1
    )
