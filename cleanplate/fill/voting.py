"""Turn overlapping patches into pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from .grid import Grid
from .matching import Matcher


def vote(matcher: Matcher, pixels: Tensor, hole: Tensor) -> Tensor:
    """The mean of what all patches that cover a pixel say, the likelier ones counting more.

    The voting of Wexler et al. (Space-Time Completion of Video, PAMI 2007), with the 75th
    percentile of the patches' costs as the variance.

    Args:
        matcher: with an offset for every patch.
        pixels: ``[H, W, C]`` of its scale.
        hole: ``[H, W]`` bool.

    Returns:
        ``[H, W, C]``, the pixels outside the hole unchanged.
    """
    grid = matcher.grid
    # the kth value rather than quantile(), which takes no more than 16 million values
    rank = max(1, (3 * len(matcher.costs)) // 4)
    spread = matcher.costs.kthvalue(rank).values.clamp(min=1e-30)
    weights = matcher.plane_of(torch.exp(-matcher.costs / (2 * spread)))
    offsets = matcher.plane_of(matcher.offsets)
    wanted = grid.indices(hole)
    flat = grid.spread(pixels)
    total = pixels.new_zeros(len(wanted), pixels.shape[-1])
    weight = pixels.new_zeros(len(wanted))
    for shift in _shifts(matcher):
        centre = grid.clamp(wanted + shift)
        share = weights[centre]
        total += flat[grid.clamp(wanted + offsets[centre])] * share.unsqueeze(-1)
        weight += share
    result = pixels.clone()
    result[hole] = total / weight.clamp(min=1e-30).unsqueeze(-1)
    return result


def elect(matcher: Matcher, hole: Tensor) -> Tensor:
    """The offset that the likeliest of the patches that cover a pixel has: ``[pixels in hole]``."""
    grid = matcher.grid
    costs = matcher.plane_of(matcher.costs, torch.inf)
    offsets = matcher.plane_of(matcher.offsets)
    wanted = grid.indices(hole)
    least = torch.full(wanted.shape, torch.inf, device=wanted.device)
    chosen = torch.zeros_like(wanted)
    for shift in _shifts(matcher):
        centre = grid.clamp(wanted + shift)
        cost = costs[centre]
        better = cost < least
        least = torch.where(better, cost, least)
        chosen = torch.where(better, offsets[centre], chosen)
    return chosen


def copied(pixels: Tensor, hole: Tensor, offsets: Tensor) -> Tensor:
    """The picture ``[H, W, C]`` with the hole's pixels copied from where `offsets` lead."""
    grid = Grid.of(hole)
    result = pixels.clone()
    result[hole] = grid.spread(pixels)[grid.indices(hole) + offsets]
    return result


def _shifts(matcher: Matcher) -> list[int]:
    """From a pixel to the centres of all patches that cover it, its own first."""
    reach = matcher.patch // 2
    steps = sorted(range(-reach, reach + 1), key=abs)
    return [down * matcher.grid.stride + aside for down in steps for aside in steps]
