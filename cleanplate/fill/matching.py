"""Find for every patch of the hole the offset to a known patch that looks alike (PatchMatch)."""

from __future__ import annotations

import torch
from torch import Tensor

from .grid import Grid
from .patches import complete, principal_axes, project, touched
from .pyramid import Scale
from .texture import Texture

_DIMENSIONS = 24
_GAP = 12
_COMPARED = 1 << 22


class Matcher:
    """The offsets of the patches that touch a hole, at one scale.

    The search is PatchMatch (Barnes et al., SIGGRAPH 2009) for all patches at once: neighbours hand
    their offsets on over 8, 4, 2 and 1 pixels, then random places around the best one are tried.
    Only patches that get another candidate than they have are compared.

    Attributes:
        grid: of the scale.
        targets: ``[N]`` indices of the centres of all patches that touch the hole.
        offsets: ``[N]`` to the centre of the patch each is to look like; 0 while it has none.
        costs: ``[N]`` squared difference to it; all 0 before the first look at a picture.
    """

    def __init__(
        self, scale: Scale, texture: Texture, patch: int, generator: torch.Generator
    ) -> None:
        self.grid = Grid.of(scale.hole)
        self.patch = patch
        self._generator = generator
        reach = patch // 2
        whole = complete(scale.free, patch)
        hit = touched(scale.hole, patch)
        self._axes = principal_axes(scale.pixels, whole, patch, _DIMENSIONS, generator)
        bank = project(scale.pixels, self._axes)
        inner = whole[reach : whole.shape[0] - reach, reach : whole.shape[1] - reach]
        self._bank = bank[inner]
        self._strength = texture.strength[whole]
        self._strength_wanted = texture.wanted[hit]
        self._strength_weight = patch * patch * texture.weight[hit]
        self.sources = self.grid.indices(whole)
        self._row = torch.full((self.grid.length,), -1, device=whole.device)
        self._row[self.sources] = torch.arange(len(self.sources), device=whole.device)
        self.targets = self.grid.indices(hit)
        y, x = hit.nonzero(as_tuple=True)
        self._top, self._left = int(y.min()), int(x.min())
        self._bottom, self._right = int(y.max()) + 1, int(x.max()) + 1
        self._y, self._x = y - self._top, x - self._left
        self.offsets = torch.zeros_like(self.targets)
        self.costs = torch.full(self.targets.shape, torch.inf, device=whole.device)
        self._wanted = self._bank.new_zeros(len(self.targets), self._bank.shape[1])
        self._place = torch.full((self.grid.length,), -1, device=whole.device)
        self._place[self.targets] = torch.arange(len(self.targets), device=whole.device)

    def look_at(self, pixels: Tensor) -> None:
        """Take the hole's patches from this picture ``[H, W, C]`` and cost the offsets anew."""
        reach = self.patch // 2
        around = pixels[
            self._top - reach : self._bottom + reach, self._left - reach : self._right + reach
        ]
        self._wanted = project(around, self._axes)[self._y, self._x]
        self.costs = torch.full_like(self.costs, torch.inf)
        held, self.offsets = self.offsets, torch.zeros_like(self.offsets)
        self.try_offsets(held)

    def try_offsets(self, candidates: Tensor) -> int:
        """Take each candidate ``[N]`` that leads to a likelier patch; says how many were taken."""
        row = self._row[self.grid.clamp(self.targets + candidates)]
        some = ((row >= 0) & (candidates != self.offsets)).nonzero()[:, 0]
        if not len(some):
            return 0
        difference = self._wanted[some] - self._bank[row[some]]
        cost = (difference * difference).sum(1)
        wanted = self._strength_wanted[some]
        # Too much counts at most as much as none at all: on smooth ground lines go on.
        lack = (wanted - self._strength[row[some]]).maximum(-wanted)
        cost += self._strength_weight[some] * lack * lack
        better = cost < self.costs[some]
        some = some[better]
        self.costs[some] = cost[better]
        self.offsets[some] = candidates[some]
        return len(some)

    def propagate(self, distances: tuple[int, ...]) -> None:
        """Try the offsets of the neighbours at these distances."""
        for distance in distances:
            for step in (1, -1, self.grid.stride, -self.grid.stride):
                place = self._place[self.grid.clamp(self.targets + step * distance)]
                self.try_offsets(torch.where(place >= 0, self.offsets[place], 0))

    def search_everywhere(self) -> None:
        """Try for every patch the one that is most like it; for coarse scales."""
        squares = self._bank.square().sum(1)
        at_once = max(1, _COMPARED // len(squares))
        found = [
            torch.addmm(
                squares, self._wanted[start : start + at_once], self._bank.T, alpha=-2
            ).argmin(1)
            for start in range(0, len(self._wanted), at_once)
        ]
        self.try_offsets(self.sources[torch.cat(found)] - self.targets)

    def search_beside(self) -> None:
        """Try the eight places next to the best ones: an enlarged offset may be off by one."""
        held = self.offsets
        for down in (-1, 0, 1):
            for aside in (-1, 0, 1):
                self.try_offsets(held + down * self.grid.stride + aside)

    def search_randomly(self, radius: int) -> None:
        """Try random places, farther and farther ones less often: radius, half of it, ... 1."""
        while radius >= 1:
            aside = self._draw(radius)
            down = self._draw(radius)
            self.try_offsets(self.offsets + down * self.grid.stride + aside)
            radius //= 2

    def start_from(self, candidates: Tensor) -> None:
        """Take the candidates ``[N]`` that lead to a known patch, elsewhere those around.

        What no candidate reaches gets a random one.
        """
        self.offsets = torch.where(self._is_source(candidates), candidates, 0)
        self.costs = torch.zeros_like(self.costs)
        steps = (1, -1, self.grid.stride, -self.grid.stride)
        for _ in range(_GAP):
            if bool((self.offsets != 0).all()):
                return
            for step in steps:
                place = self._place[self.grid.clamp(self.targets + step)]
                around = torch.where(place >= 0, self.offsets[place], 0)
                taken = (self.offsets == 0) & self._is_source(around)
                self.offsets = torch.where(taken, around, self.offsets)
        drawn = torch.randint(
            len(self.sources),
            self.targets.shape,
            generator=self._generator,
            device=self._generator.device,
        ).to(self.targets.device)
        anywhere = self.sources[drawn] - self.targets
        self.offsets = torch.where(self.offsets == 0, anywhere, self.offsets)

    def _is_source(self, offsets: Tensor) -> Tensor:
        return self._row[self.grid.clamp(self.targets + offsets)] >= 0

    def _draw(self, radius: int) -> Tensor:
        radius = min(radius, self.grid.width)
        drawn = torch.randint(
            -radius,
            radius + 1,
            self.targets.shape,
            generator=self._generator,
            device=self._generator.device,
        )
        return drawn.to(self.targets.device)

    def plane_of(self, values: Tensor, empty: float | int = 0) -> Tensor:
        """Values ``[N]`` of the targets as a list over the grid."""
        plane = values.new_full((self.grid.length,), empty)
        plane[self.targets] = values
        return plane
