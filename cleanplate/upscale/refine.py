"""Let something repaint an image in overlapping tiles, and blend what it made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..geometry import Box, Size, round_up
from ..memory import empty
from .compose import Share, place
from .flat import is_flat
from .windows import Window, least_tile, plan_windows

ALIGN = 16
"""Pixels in whose steps tiles begin and end: 8 of the VAE times patches of 2."""


@dataclass(frozen=True, eq=False)
class Tile:
    """One tile of one image.

    Attributes:
        image: number of the image in its batch.
        number: of the tile in the image, row by row, from 0.
        box: pixels it is made of; may reach beyond the right and bottom edge by less than a step.
        rows, columns: the share that it gives to the image.
    """

    image: int
    number: int
    box: Box
    rows: Share
    columns: Share

    @property
    def share(self) -> tuple[slice, slice]:
        """The pixels of the image that it may change."""
        return self.rows.pixels, self.columns.pixels


@dataclass(frozen=True)
class Grid:
    """How an image is cut into tiles.

    Attributes:
        size: of the image.
        rows, columns: equal windows along the height and the width, see `plan_windows`.
        overlap: pixels over which neighbours blend.
    """

    size: Size
    rows: tuple[Window, ...]
    columns: tuple[Window, ...]
    overlap: int

    @classmethod
    def of(cls, size: Size, tile: int, overlap: int, align: int = ALIGN) -> Grid:
        """As few tiles as there can be, all of one size that is a multiple of `align`.

        Args:
            size: of the image.
            tile: the most pixels a tile may have along either side.
            overlap: pixels over which neighbours blend, less than half a tile.
            align: tiles begin and end at multiples of it. Where the image does not, the last ones
                reach beyond it.

        Raises:
            ValueError: a tile too small, or an overlap too large for it.
        """
        least = least_tile(0, align)
        if tile < least:
            raise ValueError(f"tile is {tile} pixels: choose {least} or more.")
        if not 0 <= overlap < tile / 2:
            raise ValueError(
                f"overlap is {overlap} and tile is {tile}: choose an overlap of 0 or more and less "
                f"than half a tile ({tile / 2:g})."
            )

        def plan(length: int) -> tuple[Window, ...]:
            whole = round_up(length, align)
            return tuple(plan_windows(whole, tile, overlap // 2, align, keep=(0, length)))

        return cls(size, plan(size.height), plan(size.width), overlap)

    def __str__(self) -> str:
        return f"{len(self.rows)} rows x {len(self.columns)} columns"

    @property
    def count(self) -> int:
        """Tiles of one image."""
        return len(self.rows) * len(self.columns)

    def tiles(self, image: int = 0) -> list[Tile]:
        """The tiles of one image, row by row."""
        down = _shares(self.rows, self.size.height, self.overlap)
        across = _shares(self.columns, self.size.width, self.overlap)
        return [
            Tile(
                image,
                i * len(self.columns) + j,
                Box.from_edges(x.start, y.start, x.stop, y.stop),
                rows,
                columns,
            )
            for i, (y, rows) in enumerate(zip(self.rows, down, strict=True))
            for j, (x, columns) in enumerate(zip(self.columns, across, strict=True))
        ]


def _shares(windows: tuple[Window, ...], length: int, overlap: int) -> list[Share]:
    # Ramps add up to 1 only where no three windows meet.
    narrowest = min((w.keep_stop - w.keep_start for w in windows[1:-1]), default=length)
    blend = min(overlap, narrowest) // 2
    shares = (Share.of(window, length, blend) for window in windows)
    # With weights a share is added, without it would be copied; here it is a change to be added.
    return [
        s if s.weights is not None else replace(s, weights=torch.ones(s.stop - s.start))
        for s in shares
    ]


def tiles_to_refine(
    image: Tensor, grid: Grid, mask: Tensor | None = None, skip_flat: float = 0
) -> list[Tile]:
    """The tiles in which something may change.

    Args:
        image: ``[B, H, W, C]``.
        grid: of images of that size.
        mask: ``[B, H, W]``; tiles where it is 0 are left out.
        skip_flat: tiles that are flat to that many levels of 255 are left out, see `is_flat`.

    Returns:
        those of the first image row by row, then those of the next.
    """
    tiles = (tile for i in range(len(image)) for tile in grid.tiles(i))
    return [
        tile
        for tile in tiles
        if (mask is None or bool(mask[tile.image][tile.share].any()))
        and not is_flat(image[tile.image][tile.share][..., :3], skip_flat)
    ]


def refine_tiles(
    image: Tensor,
    tiles: Iterable[Tile],
    refine: Callable[[Tensor, Tile], Tensor],
    mask: Tensor | None = None,
    done: Callable[[Tensor, Tile], None] | None = None,
) -> Tensor:
    """Repaint tiles of images and blend them with a linear ramp over each overlap.

    What a tile has changed is added to the image, weighted by its ramps and the mask. So where
    nothing changes, because of the mask or because no tile is there, not a bit does. A tile costs
    the same whatever the size of the image.

    Args:
        image: ``[B, H, W, 3 or 4]`` in 0..1; a fourth channel is kept.
        tiles: of a `Grid` for its size.
        refine: gives the new pixels ``[h, w, 3]`` in 0..1 for ``[h, w, 3]`` float32, which it must
            not write to. Beyond the image's edge it sees the image mirrored.
        mask: ``[B, H, W]`` in 0..1, how much of each change counts; all if not given.
        done: called after each tile with the result so far, which it must not write to.

    Returns:
        ``[B, H, W, 3 or 4]`` float32.

    Raises:
        ValueError: `refine` gave pixels of another size.
    """
    result = empty(image.shape, torch.float32, image.device)
    result.copy_(image)
    for tile in tiles:
        seen = window(image[tile.image, ..., :3], tile.box).to(torch.float32)
        made = refine(seen, tile)
        if made.shape != seen.shape:
            raise ValueError(
                f"a tile of {seen.shape[1]}x{seen.shape[0]} pixels came back as "
                f"{list(made.shape)}: the VAE must keep the size."
            )
        change = made.to(seen) - seen
        if mask is not None:
            change *= window(mask[tile.image], tile.box).unsqueeze(-1)
        target = result[tile.image, ..., :3]
        place(change, tile.rows, tile.columns, target)
        # Sums may miss 0 and 1 by a rounding; what lay outside before stays as it is.
        low, high = (float(v) for v in torch.aminmax(seen))
        target[tile.share].clamp_(min(low, 0.0), max(high, 1.0))
        if done is not None:
            done(result, tile)
    return result


def window(plane: Tensor, box: Box) -> Tensor:
    """Pixels of a plane ``[H, W, ...]``, which is mirrored beyond its right and bottom edge."""
    height, width = plane.shape[:2]
    if box.bottom <= height and box.right <= width:
        return plane[box.rows, box.columns]
    return pick(plane, 0, mirrored(box.rows, height), mirrored(box.columns, width))


def pick(plane: Tensor, axis: int, rows: Tensor, columns: Tensor) -> Tensor:
    """Some rows, counted along `axis`, and some columns, along the next; each index any times."""
    for at, wanted in ((axis, rows), (axis + 1, columns)):
        # First cut them out, so that what lies beside them costs nothing.
        first = int(wanted.min())
        plane = plane.narrow(at, first, int(wanted.max()) + 1 - first)
    for at, wanted in ((axis, rows), (axis + 1, columns)):
        if not bool((wanted.diff() == 1).all()):
            plane = plane.index_select(at, (wanted - wanted.min()).to(plane.device))
    return plane


def mirrored(pixels: slice, length: int) -> Tensor:
    """Which of `length` pixels are seen where `pixels` run over the end, which acts as a mirror."""
    at = torch.arange(pixels.start, pixels.stop)
    period = max(1, 2 * (length - 1))
    at = at % period
    return torch.where(at < length, at, period - at)
