"""Bring images to a size with an upscale network, without ever holding more than is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil, sqrt

import torch
from torch import Tensor

from ..geometry import Box, Size
from ..memory import empty
from .resize import resize_strips
from .rows import Plain, Resizer, Stream, Take, Whole
from .target import passes as runs
from .tiled import TiledNetwork

MOST_SIDE = 1 << 20
"""Pixels of a side that no picture has; more is a slip of the pen."""


@dataclass(frozen=True)
class Target:
    """Which size an image shall have.

    Attributes:
        source: what of the image is used.
        size: that is brought to it.
        part: what of that is kept.
        passes: how often the network runs; 0 is a plain resize.
    """

    source: Box
    size: Size
    part: Box
    passes: int

    @classmethod
    def own(cls, image: Size, scale: int) -> Target:
        """The network's own factor."""
        return cls._to(image, image.width * scale, image.height * scale, scale, passes=1)

    @classmethod
    def factor(cls, image: Size, factor: float, scale: int) -> Target:
        """So many times the image's sides, rounded."""
        return cls._to(image, image.width * factor, image.height * factor, scale)

    @classmethod
    def longest_side(cls, image: Size, side: int, scale: int) -> Target:
        """The longer side is exactly that, the other keeps the aspect."""
        return cls.factor(image, side / max(image.width, image.height), scale)

    @classmethod
    def pixels(cls, image: Size, area: float, scale: int) -> Target:
        """About so many pixels, with the image's aspect."""
        return cls.factor(image, sqrt(area / image.area), scale)

    @classmethod
    def fit(cls, image: Size, bounds: Size, scale: int) -> Target:
        """As large as fits into the bounds; one side is exactly theirs."""
        factor = min(bounds.width / image.width, bounds.height / image.height)
        return cls.factor(image, factor, scale)

    @classmethod
    def fill(cls, image: Size, bounds: Size, scale: int) -> Target:
        """Exactly the bounds; what is too much is cut off equally on both sides."""
        factor = max(bounds.width / image.width, bounds.height / image.height)
        # What is cut off would only cost time.
        width = min(image.width, ceil(bounds.width / factor))
        height = min(image.height, ceil(bounds.height / factor))
        source = Box((image.width - width) // 2, (image.height - height) // 2, width, height)
        large = cls.factor(source.size, factor, scale).size
        size = Size(max(large.width, bounds.width), max(large.height, bounds.height))
        left, top = (size.width - bounds.width) // 2, (size.height - bounds.height) // 2
        target = cls._to(source.size, size.width, size.height, scale)
        part = Box(left, top, bounds.width, bounds.height)
        return replace(target, source=source, part=part)

    @classmethod
    def _to(
        cls, image: Size, width: float, height: float, scale: int, passes: int | None = None
    ) -> Target:
        size = Size(max(1, round(width)), max(1, round(height)))
        if max(size.width, size.height) > MOST_SIDE:
            raise ValueError(
                f"the target is {size}, {size.area * 12 / 2**30:,.0f} GiB for each image: choose "
                f"less than {MOST_SIDE} pixels a side."
            )
        if passes is None:
            # A network that does not enlarge is wanted for what else it does.
            passes = 1 if scale == 1 else runs(sqrt(size.area / image.area), scale)
        return cls(Box.of(image), size, Box.of(size), passes)


def count_tiles(target: Target, network: TiledNetwork | None) -> int:
    """How many tiles an image takes on the way to its target."""
    if network is None:
        return 0
    return sum(network.count(size) for size in _ladder(target, network)[:-1])


def enlarge(
    image: Tensor,
    target: Target,
    network: TiledNetwork | None,
    out: Tensor,
    strength: float = 1.0,
) -> None:
    """Bring one image to its target, into memory that is there.

    Where the network's result has the size that is wanted it is written straight to where it
    belongs; else it is resized as it comes, a few rows at a time.

    Args:
        image: ``[H, W, 3 or 4]`` of any float type, in 0..1.
        target: as `Target` gives for its size.
        network: runs `target.passes` times; None where that is 0.
        out: ``[target.part.height, target.part.width, same channels]`` of any float type.
        strength: how much of the network's result is taken; the rest is the image, resized.
    """
    colour = image[target.source.rows, target.source.columns, :3]
    result = out[..., :3]
    if strength == 1 and network is not None and _is_direct(target, network):
        colour = _climb(colour, target, network)
        network.run(colour, Whole(result))
    else:
        done = 0

        def take(rows: Tensor) -> None:
            nonlocal done
            result[done : done + len(rows)] = rows
            done += len(rows)

        _enlarge_rows(colour, target, network, take, strength)
    if image.shape[2] == 4:
        rest = image[target.source.rows, target.source.columns, 3:].contiguous()
        for rows, strip in resize_strips(rest, target.size, target.part):
            out[rows, :, 3:] = strip.clamp_(0, 1)


def enlarge_rows(
    image: Tensor,
    target: Target,
    network: TiledNetwork | None,
    take: Take,
    strength: float = 1.0,
) -> None:
    """Bring one image to its target and hand the rows on as they are finished.

    Args:
        image: ``[H, W, 3]`` of any float type, in 0..1.
        target: as `Target` gives for its size.
        network: runs `target.passes` times; None where that is 0.
        take: gets the rows in 0..1, see `Take`.
        strength: see `enlarge`.
    """
    _enlarge_rows(image[target.source.rows, target.source.columns], target, network, take, strength)


def _enlarge_rows(
    image: Tensor, target: Target, network: TiledNetwork | None, take: Take, strength: float
) -> None:
    if network is None or target.passes == 0:
        for _, strip in resize_strips(image, target.size, target.part):
            take(strip.clamp_(0, 1))
        return
    if strength < 1:
        take = _Mix(image, target, strength, take)
    size = _ladder(target, network)[-1]
    if size != target.size or target.part != Box.of(size):
        take = Resizer(size, target.size, target.part, take, image.device)
    network.run(_climb(image, target, network), Stream(size.width, take, image.device))


def _ladder(target: Target, network: TiledNetwork) -> list[Size]:
    """The sizes an image has before and after each pass."""
    image = target.source
    grown = [network.scale**i for i in range(target.passes + 1)]
    return [Size(image.width * s, image.height * s) for s in grown]


def _is_direct(target: Target, network: TiledNetwork) -> bool:
    last = _ladder(target, network)[-1]
    return target.passes > 0 and last == target.size and target.part == Box.of(last)


def _climb(image: Tensor, target: Target, network: TiledNetwork) -> Tensor:
    """All passes but the last."""
    for _, size in pairwise(_ladder(target, network)[:-1]):
        large = empty((size.height, size.width, 3), torch.float32, image.device)
        network.run(image, Whole(large))
        image = large
    return image


class _Mix:
    """Mixes rows with those of the image, resized."""

    def __init__(self, image: Tensor, target: Target, strength: float, take: Take) -> None:
        self._plain = Plain(image, target.size, target.part)
        self._strength = strength
        self._take = take

    def __call__(self, rows: Tensor) -> None:
        for part, plain in self._plain.take(len(rows)):
            rows[part].lerp_(plain.clamp_(0, 1), 1 - self._strength)
        self._take(rows)


def memory_needed(targets: Iterable[Target], channels: int) -> int:
    """Bytes of float32 images of these targets."""
    return sum(target.part.size.area * channels * 4 for target in targets)
