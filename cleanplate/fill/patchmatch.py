"""Fill holes with patches of their surroundings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .. import masks
from ..geometry import Box, Size
from .grid import Grid
from .matching import Matcher
from .patches import complete
from .pyramid import Scale, scales, smooth_fill
from .seams import hide_seams
from .shiftmap import shift_map
from .texture import Texture
from .voting import copied, elect, vote

_PATCHES = (7, 5, 3)
_COARSE_AREA = 1000
_FEWEST_SOURCES = 50
_LABELS = 60
_MOST_SCALES = 12
_REACH = 16
_SCREEN = 0.0005


@dataclass(frozen=True)
class PatchMatch:
    """A `Fill` that copies, so that texture and straight edges go on through the hole.

    From coarse to fine: a shift map tells which parts of the surroundings belong where (see
    `shift_map`), then at each scale every patch of the hole looks for a known one like it
    (PatchMatch, see `Matcher`) and all vote for the pixels (see `vote`), in turns (Wexler et al.,
    PAMI 2007); at the last scale only the likeliest one is heard, since a mean looks for blurred
    patches. A patch that is smoother than the surroundings counts as less alike (see `Texture`).
    From scale to scale go the offsets, not the pixels, so nothing is ever enlarged. At last each
    pixel is copied from where the likeliest of its patches says, and the seams between copies from
    different places are hidden (see `hide_seams`).

    Every comparison is relative to the spread of the known pixels, so values may have any range.
    The same seed gives the same bits on the same device; no global random state is used.

    Where too little is known for whole patches of 7 pixels, patches of 5, then 3 are compared;
    where there are none of these either, the hole is filled smoothly (see `smooth_fill`).

    Args:
        seed: of the search.
        on_scale: ``on_scale(done, total)``, progress within one call of the fill, before each round
            of matching and once at the end; may raise to cancel.
        rounds: of matching and voting at each scale but the last.
        final_rounds: at the last scale, which takes most of the time.

    Raises:
        ValueError: a hole beside which nothing may be copied.
    """

    seed: int = 0
    on_scale: Callable[[int, int], None] | None = None
    rounds: int = 6
    final_rounds: int = 3

    context: ClassVar[tuple[float, int]] = (2.5, 96)
    """With less around a hole, straight edges find too few parts of themselves to copy."""

    def __call__(self, image: Tensor, hole: Tensor, source: Tensor | None = None) -> Tensor:
        """Fill the holes; see `Fill`."""
        holes = hole > 0.5
        free = ~holes if source is None else (source > 0.5) & ~holes
        todo = [i for i in range(len(image)) if bool(holes[i].any())]
        for i in todo:
            if not free[i].any():
                raise ValueError(
                    "source_mask and mask leave nothing to copy from: paint more of the "
                    "surroundings white in source_mask, or disconnect it and make mask smaller."
                )
        result = image.clone()
        for done, i in enumerate(todo):
            progress = _Progress(self.on_scale, done, len(todo))
            result[i] = self._fill(image[i], holes[i], free[i], progress)
        return result

    def _fill(self, image: Tensor, hole: Tensor, free: Tensor, progress: _Progress) -> Tensor:
        patch = next((p for p in _PATCHES if bool(complete(free, p).any())), None)
        if patch is None:
            return smooth_fill(image, hole)
        generator = torch.Generator().manual_seed(self.seed)
        levels = _useful(scales(_normalised(image, hole), hole, free, _MOST_SCALES), patch)
        textures = [Texture.of(levels[0].pixels, levels[0].hole)]
        for _ in levels[1:]:
            textures.append(textures[-1].halved())
        rounds = [self.final_rounds] + [self.rounds] * (len(levels) - 1)
        progress.plan([count * 4 ** (len(levels) - 1 - i) for i, count in enumerate(rounds)])
        field = shift_map(levels[-1], patch, _LABELS, generator)
        for i, level in reversed(list(enumerate(levels))):
            if i < len(levels) - 1:
                field = _enlarged(field, level.hole)
            box = _search_region(level.hole, field)
            part = level.cut(box)
            texture = textures[i].cut(box)
            turn = _Turn(part, texture, field[box.rows, box.columns], patch, generator, i > 0)
            if i == len(levels) - 1:
                turn.trust(field[box.rows, box.columns])
            for _ in range(rounds[i]):
                progress.step(4 ** (len(levels) - 1 - i))
                turn.run()
            field = torch.zeros_like(field)
            field[box.rows, box.columns] = turn.field()
        progress.finish()
        offsets = _flat(field[hole], Grid.of(hole))
        return hide_seams(copied(image, hole, offsets), hole, offsets, _SCREEN)


class _Turn:
    """Matching and voting by turns at one scale."""

    def __init__(
        self,
        scale: Scale,
        texture: Texture,
        field: Tensor,
        patch: int,
        generator: torch.Generator,
        blend: bool,
    ) -> None:
        self._blend = blend
        self._scale = scale
        self._matcher = Matcher(scale, texture, patch, generator)
        grid = self._matcher.grid
        self._matcher.start_from(_flat(grid.spread(field)[self._matcher.targets], grid))
        self._pixels = self._elected()
        self._rounds = 0

    def trust(self, field: Tensor) -> None:
        """Begin with the pixels that offsets ``[H, W, 2]`` lead to.

        Some lead so near to a hole or a border that no whole patch is there. Patches that look like
        what these show must be searched for: of those around, some know nothing of it.
        """
        offsets = _flat(field, self._matcher.grid)[self._scale.hole]
        shown = copied(self._scale.pixels, self._scale.hole, offsets)
        told = (field != 0).any(-1, keepdim=True)
        self._pixels = torch.where(told, shown, self._pixels)
        self._matcher.look_at(self._pixels)
        self._matcher.search_everywhere()

    def run(self) -> None:
        if self._rounds:
            self._pixels = self._voted() if self._blend else self._elected()
        self._matcher.look_at(self._pixels)
        self._matcher.propagate((4, 2, 1) if self._rounds else (8, 4, 2, 1))
        if not self._rounds:
            self._matcher.search_beside()
        self._matcher.search_randomly(_REACH)
        self._matcher.propagate((1,))
        self._rounds += 1

    def _elected(self) -> Tensor:
        chosen = elect(self._matcher, self._scale.hole)
        return copied(self._scale.pixels, self._scale.hole, chosen)

    def _voted(self) -> Tensor:
        return vote(self._matcher, self._scale.pixels, self._scale.hole)

    def field(self) -> Tensor:
        """The offsets ``[H, W, 2]`` of the pixels in the hole and of the patches around it."""
        matcher, hole = self._matcher, self._scale.hole
        flat = matcher.plane_of(matcher.offsets)
        flat[matcher.grid.indices(hole)] = elect(matcher, hole)
        plane = flat.reshape(matcher.grid.height, -1)[:, : matcher.grid.width]
        return torch.stack(matcher.grid.split(plane), -1)


class _Progress:
    def __init__(self, tell: Callable[[int, int], None] | None, image: int, images: int) -> None:
        self._tell, self._image, self._images = tell, image, images
        self._done, self._total = 0, 1

    def plan(self, work: list[int]) -> None:
        self._total = sum(work)

    def step(self, work: int) -> None:
        if self._tell:
            self._tell(self._image * self._total + self._done, self._images * self._total)
        self._done += work

    def finish(self) -> None:
        self._done = self._total
        if self._image == self._images - 1:
            self.step(0)


def _normalised(image: Tensor, hole: Tensor) -> Tensor:
    """The picture with mean 0 in each channel and spread 1 over all, counted where it is known."""
    known = image[~hole]
    centred = image - known.mean(0)
    spread = (known - known.mean(0)).square().mean().sqrt()
    return centred / spread if spread > 0 else torch.zeros_like(centred)


def _useful(levels: list[Scale], patch: int) -> list[Scale]:
    """The scales down to the one at which the hole is small and enough is left to copy from."""
    kept = levels[:1]
    for level in levels[1:]:
        if int(kept[-1].hole.sum()) <= _COARSE_AREA or not level.hole.any():
            break
        if int(complete(level.free, patch).sum()) < _FEWEST_SOURCES:
            break
        kept.append(level)
    return kept


def _enlarged(field: Tensor, hole: Tensor) -> Tensor:
    """The offsets for the next finer scale."""
    twice = 2 * field.repeat_interleave(2, 0).repeat_interleave(2, 1)
    return twice[: hole.shape[0], : hole.shape[1]]


def _search_region(hole: Tensor, field: Tensor) -> Box:
    """The box of all that takes part at a scale: the hole, and where its offsets lead."""
    whole = Box.of(Size(hole.shape[1], hole.shape[0]))
    used = hole.clone()
    y, x = (field != 0).any(-1).nonzero(as_tuple=True)
    ys, xs = y + field[y, x, 0], x + field[y, x, 1]
    used[ys.clamp(0, whole.height - 1), xs.clamp(0, whole.width - 1)] = True
    box = masks.bounding_box(used)
    assert box is not None
    return box.pad(2 * _REACH).intersect(whole) or whole


def _flat(field: Tensor, grid: Grid) -> Tensor:
    return field[..., 0] * grid.stride + field[..., 1]
