"""Hide the seams of a fill that was copied from several places."""

from __future__ import annotations

import torch
from torch import Tensor

from .grid import Grid

_ROUNDS = 200
_ENOUGH = 1e-4


def hide_seams(pixels: Tensor, hole: Tensor, offsets: Tensor, screen: float) -> Tensor:
    """Keep the differences between neighbours as they were at the source, not the values.

    Poisson image editing (Pérez et al., SIGGRAPH 2003) for a copied fill, screened: a weak pull
    towards the copied values, and weaker bonds where the jump is larger than differences usually
    are in the picture, keep a bad match from colouring what is around it. Solved by conjugate
    gradients.

    Args:
        pixels: ``[H, W, C]``, in the hole copied from where the offsets lead.
        hole: ``[H, W]`` bool.
        offsets: ``[pixels in hole]``, in a `Grid` of the picture.
        screen: the pull; a mismatch fades over about ``screen ** -0.5`` pixels.

    Returns:
        ``[H, W, C]``, the same outside the hole.
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
    usual = _usual_difference(pixels, hole)

    neighbours, bonds = [], []
    pull = torch.zeros_like(flat[index])
    for step in (1, -1, grid.stride, -grid.stride):
        beside = grid.clamp(index + step)
        there = picture[beside] & (beside == index + step)
        copied = flat[beside] - flat[index]
        # the same difference at the source of this pixel, and at that of its neighbour
        first, mine = _difference(flat, picture & ~inside, index + offsets, step)
        second, theirs = _difference(flat, picture & ~inside, index + source[beside], step)
        mine, theirs = mine & there, theirs & there & inside[beside]
        sources = (mine.to(flat) + theirs.to(flat)).unsqueeze(-1)
        meant = first * mine.unsqueeze(-1) + second * theirs.unsqueeze(-1)
        jump = torch.where(sources > 0, copied - meant / sources.clamp(min=1), 0)
        bond = 1 / (1 + (jump.square().sum(-1, keepdim=True) / usual).nan_to_num(0).square())
        bond = torch.where(there.unsqueeze(-1), bond, 0)
        pull += bond * jump
        bonds.append(bond)
        neighbours.append(torch.where(there, place[beside], len(index)))

    change = _solve(neighbours, bonds, screen, pull)
    result = pixels.clone()
    result[hole] = flat[index] + change
    return result


def _difference(flat: Tensor, known: Tensor, start: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """What a step adds to pixels, and where both ends of it are known."""
    first, second = start.clamp(0, len(flat) - 1), (start + step).clamp(0, len(flat) - 1)
    valid = known[first] & known[second] & (second == first + step)
    return flat[second] - flat[first], valid


def _usual_difference(pixels: Tensor, hole: Tensor) -> Tensor:
    """The mean square of the difference between known neighbours, summed over channels."""
    squares = []
    for axis in (0, 1):
        length = hole.shape[axis]
        if length > 1:
            known = ~(hole.narrow(axis, 1, length - 1) | hole.narrow(axis, 0, length - 1))
            squares.append(pixels.diff(dim=axis)[known].square().sum(-1))
    return torch.cat(squares).mean() if squares else pixels.new_zeros(())


def _solve(neighbours: list[Tensor], bonds: list[Tensor], screen: float, wanted: Tensor) -> Tensor:
    """Solve ``(screen + sum of bonds) x - sum of bonds times x over neighbours = wanted``.

    Beyond the list x is 0.
    """
    diagonal = screen + torch.stack(bonds).sum(0)
    change = torch.zeros_like(wanted)
    padded = wanted.new_zeros(len(wanted) + 1, wanted.shape[1])
    rest = wanted.clone()
    scaled = rest / diagonal
    direction, strength = scaled, (rest * scaled).sum(0)
    enough = strength * _ENOUGH**2
    for _ in range(_ROUNDS):
        if not bool((strength > enough).any()):
            break
        padded[:-1] = direction
        applied = diagonal * direction
        for beside, bond in zip(neighbours, bonds, strict=True):
            applied -= bond * padded[beside]
        curve = (direction * applied).sum(0)
        length = torch.where(curve > 0, strength / curve.clamp(min=1e-38), 0)
        change += length * direction
        rest -= length * applied
        scaled = rest / diagonal
        before, strength = strength, (rest * scaled).sum(0)
        turn = torch.where(before > 0, strength / before.clamp(min=1e-38), 0)
        direction = scaled + turn * direction
    return change
