"""Hide the seams of a fill that was copied from several places."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .grid import Grid

_ROUNDS = 100
_ENOUGH = 3e-3
_MOST_JUMP = 1.0
_MOST_DRIFT = 2.0
_MOST_APART = 1.2
_LEAST_TRUST = 0.1
_NEAR = 5
_PASSES = 2


def hide_seams(pixels: Tensor, hole: Tensor, offsets: Tensor, screen: float) -> Tensor:
    """Keep the differences between neighbours as they were at the source, not the values.

    Poisson image editing (Pérez et al., SIGGRAPH 2003) for a copied fill, screened: a weak pull
    towards the copied values keeps a bad match from colouring all of the hole, and large jumps are
    left as they are: something ends there. A jump as large as what lies close by at the sources is
    an edge that two copies show in slightly different places, and hiding it would smear what is on
    one side of it over the other: more than the spread of the known colours is left. Where the
    sources are smooth it is a drift of the light, and up to twice the spread is hidden. Where one
    of the two sources has an edge and the other has none, the mean of what they say would flatten
    the copied edge: the one that the copy looks like counts more. Solved by conjugate gradients.

    Args:
        pixels: ``[H, W, C]``, in the hole copied from where the offsets lead.
        hole: ``[H, W]`` bool.
        offsets: ``[pixels in hole]``, in a `Grid` of the picture.
        screen: the pull; a mismatch fades over about ``screen ** -0.5`` pixels.

    Returns:
        ``[H, W, C]``, the same outside the hole; in it no channel leaves the range it has outside.
    """
    grid = Grid.of(hole)
    index = grid.indices(hole)
    flat = grid.spread(pixels)
    inside = grid.spread(hole, empty=False)
    picture = grid.spread(torch.ones_like(hole), empty=False)
    source = torch.zeros(grid.length, dtype=torch.int64, device=hole.device)
    source[index] = offsets
    place = torch.full((grid.length,), len(index), device=hole.device)
    place[index] = torch.arange(len(index), device=hole.device)
    outside = pixels[~hole]
    spread = outside.var(0, unbiased=False).sum().sqrt()
    contrast = grid.spread(_contrast(pixels))

    neighbours, jumps, most, inland = [], [], [], []
    for step in (1, -1, grid.stride, -grid.stride):
        beside = grid.clamp(index + step)
        there = picture[beside] & (beside == index + step)
        copied = flat[beside] - flat[index]
        # the same difference at the source of this pixel, and at that of its neighbour
        first, mine = _difference(flat, picture & ~inside, index + offsets, step)
        second, theirs = _difference(flat, picture & ~inside, index + source[beside], step)
        mine, theirs = mine & there, theirs & there & inside[beside]
        told, known = torch.stack((first, second)), torch.stack((mine, theirs)).unsqueeze(-1)
        trust = _biweight(copied - told, (_MOST_APART * spread).square())
        trust = trust.clamp(min=_LEAST_TRUST) * known
        meant = (trust * told).sum(0) / trust.sum(0).clamp(min=_LEAST_TRUST)
        jump = torch.where(known.any(0), copied - meant, 0)
        edge = contrast[grid.clamp(index + offsets)].maximum(
            contrast[grid.clamp(beside + source[beside])]
        )
        drift = (1 - edge / jump.norm(dim=1).clamp(min=1e-30)).clamp(min=0).unsqueeze(-1)
        jumps.append(jump)
        most.append((spread * (_MOST_JUMP + (_MOST_DRIFT - _MOST_JUMP) * drift)).square())
        inland.append(there.unsqueeze(-1))
        neighbours.append(torch.where(there, place[beside], len(index)))

    change = torch.zeros_like(flat[index])
    for _ in range(_PASSES):
        # What the last pass brought closer holds together more firmly in the next.
        padded = torch.cat((change, torch.zeros_like(change[:1])))
        bonds = [
            _biweight(jump + padded[beside] - change, limit) * there
            for jump, limit, beside, there in zip(jumps, most, neighbours, inland, strict=True)
        ]
        pull = torch.stack([bond * jump for bond, jump in zip(bonds, jumps, strict=True)]).sum(0)
        change = _solve(change, neighbours, bonds, screen, pull)
    result = pixels.clone()
    # where many copies meet, what the seams add up to can leave all that was ever seen
    result[hole] = (flat[index] + change).clamp(outside.amin(0), outside.amax(0))
    return result


def _difference(flat: Tensor, known: Tensor, start: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """What a step adds to pixels, and where both ends of it are known."""
    first, second = start.clamp(0, len(flat) - 1), (start + step).clamp(0, len(flat) - 1)
    valid = known[first] & known[second] & (second == first + step)
    return flat[second] - flat[first], valid


def _contrast(pixels: Tensor) -> Tensor:
    """How far apart the colours near each pixel are: ``[H, W]``."""
    planes = pixels.movedim(-1, 0)
    highest = torch.cat((planes, -planes))
    for window in ((1, _NEAR), (_NEAR, 1)):
        reach = (window[0] // 2, window[1] // 2)
        highest = F.max_pool2d(highest.unsqueeze(0), window, 1, reach)[0]
    high, less_low = highest.chunk(2)
    return (high + less_low).norm(dim=0)


def _biweight(jump: Tensor, most: Tensor) -> Tensor:
    """Tukey's weight: 1 for no jump, 0 from the square `most` on."""
    share = jump.square().sum(-1, keepdim=True) / most
    return (1 - share.nan_to_num(0)).clamp(min=0) ** 2


def _solve(
    start: Tensor, neighbours: list[Tensor], bonds: list[Tensor], screen: float, wanted: Tensor
) -> Tensor:
    """Solve ``(screen + sum of bonds) x - sum of bonds times x over neighbours = wanted``.

    Beyond the list x is 0.
    """
    diagonal = screen + torch.stack(bonds).sum(0)
    padded = wanted.new_zeros(len(wanted) + 1, wanted.shape[1])

    def apply(values: Tensor) -> Tensor:
        padded[:-1] = values
        applied = diagonal * values
        for beside, bond in zip(neighbours, bonds, strict=True):
            applied -= bond * padded[beside]
        return applied

    change = start.clone()
    rest = wanted - apply(change)
    scaled = rest / diagonal
    direction, strength = scaled, (rest * scaled).sum(0)
    enough = (wanted * wanted / diagonal).sum(0) * _ENOUGH**2
    for _ in range(_ROUNDS):
        if not bool((strength > enough).any()):
            break
        applied = apply(direction)
        curve = (direction * applied).sum(0)
        length = torch.where(curve > 0, strength / curve.clamp(min=1e-38), 0)
        change += length * direction
        rest -= length * applied
        scaled = rest / diagonal
        before, strength = strength, (rest * scaled).sum(0)
        turn = torch.where(before > 0, strength / before.clamp(min=1e-38), 0)
        direction = scaled + turn * direction
    return change
