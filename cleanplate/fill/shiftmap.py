"""A first fill at a coarse scale: shift parts of the surroundings into the hole, with few seams."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .patches import complete, touched
from .pyramid import Scale

_SOURCES = 8000
_QUERIES = 1200
_NEIGHBOURS = 2
_PEAKS = 400
_DOUBLED = 7
_RIM_VOTES = 4.0
_LEAST_WORTH = 0.01
_CELLS = 2.5e6
_SWEEPS = 6
_FORBIDDEN = 1e4
_STEPS = ((0, 1), (0, -1), (1, 0), (-1, 0))


def shift_map(scale: Scale, patch: int, labels: int, generator: torch.Generator) -> Tensor:
    """Choose for every pixel of a hole the offset it is copied from.

    The dominant offsets between similar patches of the surroundings (He and Sun, Statistics of
    Patch Offsets, ECCV 2012) tell how a pattern repeats and along which direction an edge runs. A
    Markov random field then picks one of them for each pixel so that neighbours with different
    offsets agree on what lies around both (Pritch et al., Shift-Map Image Editing, ICCV 2009), by
    min-sum belief propagation instead of their graph cuts. It sweeps over the hole row by row, then
    column by column (Tappen and Freeman, ICCV 2003): messages that all pixels send at once travel
    one pixel a round, and the two ends of a line across a large hole never learn of each other.

    Args:
        scale: a coarse scale; the time grows with its hole's area and the square of `labels`.
        patch: side of the patches that are compared, odd.
        labels: most offsets to choose from; fewer for a large hole.
        generator: draws the patches whose repetitions are counted.

    Returns:
        ``[H, W, 2]`` rows and columns to go, integers; 0 outside the hole and where no offset
        leads to a pixel that may be copied.
    """
    y, x = scale.hole.nonzero(as_tuple=True)
    labels = max(8, min(labels, int((_CELLS / len(y)) ** 0.5)))
    chosen = _dominant_offsets(scale, patch, labels, generator)
    result = torch.zeros(*scale.hole.shape, 2, dtype=torch.int64, device=y.device)
    if not len(chosen):
        return result
    chosen = _doubled(scale, chosen, labels)
    choice, valid = _propagate_beliefs(scale, chosen)
    result[y, x] = torch.where(valid[:, None], chosen[choice], 0)
    return result


def _dominant_offsets(scale: Scale, patch: int, count: int, generator: torch.Generator) -> Tensor:
    """The offsets ``[count or fewer, 2]`` that occur most and together reach the whole hole."""
    votes = _count_offsets(scale, patch, generator)
    height, width = scale.hole.shape
    kernel = torch.tensor((0.25, 0.5, 0.25), device=votes.device)
    smooth = F.conv2d(votes[None, None], torch.outer(kernel, kernel)[None, None], padding=1)[0, 0]
    smooth = smooth + 0.5 * votes
    peak = (F.max_pool2d(smooth[None, None], 3, 1, 1)[0, 0] == smooth) & (smooth > 0)
    score = torch.where(peak, smooth, 0).flatten()
    best = score.argsort(descending=True, stable=True)[:_PEAKS]
    best = best[score[best] > 0]
    offsets = torch.stack((best // (2 * width) - height, best % (2 * width) - width), 1)
    y, x = scale.hole.nonzero(as_tuple=True)
    reached = _leads(scale.free, y, x, offsets)[0].T.to(votes)  # [P, N]
    score = score[best]
    served = torch.zeros(len(y), device=y.device)
    chosen: list[Tensor] = []
    for _ in range(min(count, len(offsets))):
        # What already has offsets to choose from needs another one less.
        gain = score * (reached @ (1 / (1 + served)))
        pick = gain.argmax()
        chosen.append(pick)
        served = served + reached[pick]
        score = score.index_fill(0, pick, 0.0)
    return offsets[torch.stack(chosen)] if chosen else offsets[:0]


def _doubled(scale: Scale, offsets: Tensor, most: int) -> Tensor:
    """The offsets, the last of them replaced by the first ones at twice their length.

    In the middle of a hole the one along an edge may lead to no known pixel, from neither side.
    What shifts an edge onto itself does so twice as well, but is seldom counted: the farther apart
    two patches are, the fewer such pairs there are.
    """
    y, x = scale.hole.nonzero(as_tuple=True)
    twice = 2 * offsets[: most // _DOUBLED]
    useful = _leads(scale.free, y, x, twice)[0].any(0)
    useful &= ~(twice[:, None] == offsets).all(2).any(1)
    twice = twice[useful]
    return torch.cat((offsets[: most - len(twice)], twice))


def _count_offsets(scale: Scale, patch: int, generator: torch.Generator) -> Tensor:
    """How many patches look like another one so far away: ``[2 H, 2 W]``, no offset at (H, W)."""
    height, width = scale.hole.shape
    reach = patch // 2
    whole = complete(scale.free, patch)
    y, x = whole.nonzero(as_tuple=True)
    some = torch.randperm(len(y), generator=generator, device=generator.device)[:_SOURCES]
    some = some.sort().values.to(y.device)
    y, x = y[some], x[some]
    # Differences of large sums follow: in float32 the colours' range would decide what is nearest.
    planes = scale.pixels.movedim(-1, 0).double()
    rows = _windows(planes, patch)[:, y - reach, x - reach].T  # [M, C p p]
    squares = (rows * rows).sum(1)
    # Flat patches are like each other everywhere: what they say counts little.
    detail = _LEAST_WORTH + rows.reshape(len(rows), planes.shape[0], -1).var(2).sum(1).sqrt()
    votes = torch.zeros(4 * height * width, device=y.device)

    some = torch.randperm(len(y), generator=generator, device=generator.device)[:_QUERIES]
    some = some.to(y.device)
    distance = torch.addmm(squares, rows[some], rows.T, alpha=-2)
    down, aside = y - y[some, None], x - x[some, None]
    away = torch.maximum(down.abs(), aside.abs())
    depth = int(_depth(scale.hole))
    for least in sorted({max(2, depth // 2), max(2, depth), max(2, 2 * depth)}):
        far = torch.where(away >= least, distance, torch.inf)
        near = far.topk(min(_NEIGHBOURS, len(y)), largest=False)
        found = near.indices[near.values.isfinite()]
        picked = torch.arange(len(some), device=y.device)[:, None].expand_as(near.indices)
        picked = picked[near.values.isfinite()]
        worth = detail[some][picked]
        for sign in (1, -1):
            votes += _histogram(
                sign * down[picked, found], sign * aside[picked, found], worth, height, width
            )

    known = (~scale.hole).to(planes)
    rim = touched(scale.hole, patch) & touched(~scale.hole, patch)
    ty, tx = rim.nonzero(as_tuple=True)
    seen = _windows(known[None], patch)[:, ty - reach, tx - reach].T.repeat(1, planes.shape[0])
    wanted = _windows(planes * known, patch)[:, ty - reach, tx - reach].T
    distance = seen @ (rows * rows).T - 2 * (seen * wanted) @ rows.T
    found = distance.topk(min(_NEIGHBOURS, len(y)), largest=False).indices
    down, aside = (y[found] - ty[:, None]).flatten(), (x[found] - tx[:, None]).flatten()
    votes += _RIM_VOTES * _histogram(down, aside, detail[found].flatten(), height, width)
    return votes.reshape(2 * height, 2 * width)


def _propagate_beliefs(scale: Scale, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """The label ``[N]`` of each pixel in the hole, and whether any of them leads anywhere."""
    y, x = scale.hole.nonzero(as_tuple=True)
    allowed, ys, xs = _leads(scale.free, y, x, offsets)
    looks = _surroundings(scale)
    there = looks[ys, xs]  # [N, K, D]
    data = _rim_cost(scale, looks, y, x, offsets)
    data = torch.where(allowed, data, _FORBIDDEN * data.max().clamp(min=1e-12))
    known = _leads(~scale.hole, y, x, offsets)[0]
    unknown = _unknown_cost(scale)
    differ = torch.cdist(
        there, there, compute_mode="donot_use_mm_for_euclid_dist"
    ).square()  # [N, K, K]
    differ = torch.where(known[:, :, None] & known[:, None, :], differ, unknown)

    # message [N, K] from the neighbour on the right, on the left, below and above
    messages = [torch.zeros_like(data) for _ in _STEPS]
    sweeps = _lines(scale.hole)
    seams = [differ[to] + differ[sender] for _, to, sender in sweeps]
    for _ in range(_SWEEPS):
        for (direction, to, sender), seam in zip(sweeps, seams, strict=True):
            # what the sender believes without what it heard from here
            others = (m[sender] for i, m in enumerate(messages) if i != direction ^ 1)
            cost = (sum(others, data[sender]).unsqueeze(1) + seam).amin(2)
            messages[direction][to] = cost - cost.amin(1, keepdim=True)
    return sum(messages, data).argmin(1), allowed.any(1)


def _lines(hole: Tensor) -> list[tuple[int, Tensor, Tensor]]:
    """Who tells whom, one row or column of the hole after the other: down, up, right and left.

    Each is an index into `_STEPS`, the pixels that are told, and beside each the one that tells it.
    """
    y, x = hole.nonzero(as_tuple=True)
    place = torch.full(hole.shape, -1, device=y.device)
    place[y, x] = torch.arange(len(y), device=y.device)
    place = F.pad(place, (1, 1, 1, 1), value=-1)
    found = []
    for direction in (3, 2, 1, 0):
        dy, dx = _STEPS[direction]
        sender = place[y + 1 + dy, x + 1 + dx]
        line = (y if dy else x).masked_fill(sender < 0, -1)
        for at in sorted(set(line.tolist()), reverse=dy + dx > 0):
            if at >= 0:
                to = (line == at).nonzero()[:, 0]
                found.append((direction, to, sender[to]))
    return found


def _rim_cost(scale: Scale, looks: Tensor, y: Tensor, x: Tensor, offsets: Tensor) -> Tensor:
    """How badly what lies around the source goes with the known pixels around: ``[N, K]``."""
    height, width = scale.hole.shape
    known = ~scale.hole
    total = torch.zeros(len(y), len(offsets), device=y.device)
    colour = scale.pixels
    unknown = _unknown_cost(scale)
    for dy in (-2, -1, 0, 1, 2):
        for dx in (-2, -1, 0, 1, 2):
            ny, nx = y + dy, x + dx
            inside = (ny >= 0) & (ny < height) & (nx >= 0) & (nx < width)
            ny, nx = ny.clamp(0, height - 1), nx.clamp(0, width - 1)
            counts = inside & known[ny, nx]
            if not counts.any():
                continue
            leads, sy, sx = _leads(known, ny, nx, offsets)
            away = (colour[sy, sx] - colour[ny, nx][:, None]).square().sum(-1)
            weight = 1.0 if abs(dy) + abs(dx) == 1 else 0.4
            away = torch.where(leads, away, unknown)
            total += torch.where(counts[:, None], weight * away, 0)
    return 2 * total


def _unknown_cost(scale: Scale) -> Tensor:
    """What a comparison with an unknown pixel costs: as much as with a random one."""
    return scale.pixels[~scale.hole].var(0, unbiased=False).sum() * 2


def _surroundings(scale: Scale) -> Tensor:
    """What lies around each pixel, for comparing at seams: ``[H, W, 9 C]``."""
    planes = scale.pixels.movedim(-1, 0)
    around = F.pad(planes[None], (1, 1, 1, 1), mode="replicate")[0]
    return _windows(around, 3).movedim(0, -1) / 3


def _leads(marked: Tensor, y: Tensor, x: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Whether offsets ``[K, 2]`` lead from pixels ``[N]`` to a marked one; where: ``[N, K]``."""
    height, width = marked.shape
    ys, xs = y[:, None] + offsets[:, 0], x[:, None] + offsets[:, 1]
    inside = (ys >= 0) & (ys < height) & (xs >= 0) & (xs < width)
    ys, xs = ys.clamp(0, height - 1), xs.clamp(0, width - 1)
    return inside & marked[ys, xs], ys, xs


def _windows(planes: Tensor, side: int) -> Tensor:
    """All windows of ``[C, H, W]``: ``[C side side, H - side + 1, W - side + 1]``."""
    return planes.unfold(1, side, 1).unfold(2, side, 1).movedim((3, 4), (1, 2)).flatten(0, 2)


def _histogram(down: Tensor, aside: Tensor, worth: Tensor, height: int, width: int) -> Tensor:
    cell = (down + height) * (2 * width) + aside + width
    return torch.bincount(cell.cpu(), worth.cpu(), 4 * height * width).to(worth)


def _depth(hole: Tensor) -> int:
    """How many pixels the hole's rim must shrink before nothing is left."""
    depth, left = 0, hole
    while bool(left.any()):
        left = F.max_pool2d((~left).to(torch.float32)[None, None], 3, 1, 1)[0, 0] == 0
        depth += 1
    return depth
