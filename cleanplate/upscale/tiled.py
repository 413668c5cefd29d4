"""Run an upscale model over an image in windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import isqrt
from typing import Any

import torch
from spandrel import ImageModelDescriptor
from torch import Tensor

from ..checks import size_of
from ..geometry import Box, Size
from ..memory import KEPT, empty, keep_freed
from .compose import Share, place
from .context import context_of
from .rows import Rows, Whole
from .statistics import Statistics, held, measured, samples
from .windows import Window, least_tile, plan_windows

DEFAULT_MEMORY = 4 << 30
"""Bytes for the network's work, where nothing else is said."""

_SMALL_TILE, _LARGE_TILE, _LARGEST_TILE = 512, 1024, 2048
_LEAST_TILE = 64
_HALOS_IN_A_TILE = 28
_HALOS_IN_A_KEPT_TILE = 16

Step = Callable[[int, int], None]
Seen = Callable[[Tensor, Box, Size], None]


def ran_out(error: RuntimeError) -> bool:
    """Whether an error says that there was not enough memory."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def check_upscaler(model: Any) -> None:
    """Refuse what does not take and give colour images.

    Raises:
        ValueError: it says what the model is and where it belongs.
    """
    name = getattr(getattr(model, "architecture", None), "name", type(model).__name__)
    if not isinstance(model, ImageModelDescriptor):
        raise ValueError(
            f"upscale_model is {name}, which fills masks: connect a model of Load Upscale Model, "
            "and this one to LamaRemove."
        )
    if model.purpose == "FaceSR":
        raise ValueError(
            f"upscale_model is {name}, which restores single faces: connect it to FaceRestore, "
            "and here an upscale model such as ESRGAN."
        )
    if (model.input_channels, model.output_channels) != (3, 3):
        raise ValueError(
            f"upscale_model is {name} for {model.input_channels} channels, of which it makes "
            f"{model.output_channels}: connect one for colour images (3 and 3)."
        )


@dataclass(frozen=True)
class Surroundings:
    """What a run is told of the machine and of who watches.

    Attributes:
        device: where the network is.
        dtype: what it computes in.
        memory: bytes for its work, from which the tile follows.
        tile: the most pixels of a side it sees at once; 0 chooses by the network and the memory.
        step: called with (done, total) tiles before each one and at the end; may raise to cancel.
        seen: called with each finished tile ``[h, w, 3]``, where it lies, and the result's size.
        ran_out: whether an error means that memory ran out; then tiles are halved.
    """

    device: torch.device | str = "cpu"
    dtype: torch.dtype = torch.float32
    memory: int = DEFAULT_MEMORY
    tile: int = 0
    step: Step | None = None
    seen: Seen | None = None
    ran_out: Callable[[RuntimeError], bool] = ran_out


@dataclass
class _Tally:
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class _Region:
    """A part that is still to be made; it reaches to the right end of the image."""

    top: int
    bottom: int
    left: int
    tile: int


@dataclass(eq=False)
class TiledNetwork:
    """An upscale network that sees no more of an image at once than there is memory for.

    Images that fit are one call. Larger ones are cut into equal windows (see `plan_windows`) with
    as much around them as the network needs (see `context_of`), each written where it belongs as it
    comes. What a network gathers from all that it sees is the same for all of them: it is measured
    first, on samples from the whole image that are as large as one tile (see `statistics`). When
    memory runs out the tile is halved, and what is finished stays. When half precision fails or
    gives no numbers, the rest is computed in float32.

    Args:
        model: spandrel's descriptor, float32, on the device already.
        around: the machine, and who watches.
    """

    model: ImageModelDescriptor[Any]
    around: Surroundings = field(default_factory=Surroundings)

    def __post_init__(self) -> None:
        # With weights and pixels both in this order, a convolution gives the same bits in a window
        # of any size, and takes less time on most processors.
        self.model.eval().model.to(memory_format=torch.channels_last)
        self._dtype = self.around.dtype
        self._tally = _Tally()
        self._smaller: int | None = None
        self.context = context_of(self.model, self._call, self.around.device)

    @property
    def scale(self) -> int:
        return self.model.scale

    def tile(self, size: Size) -> int:
        """The most pixels of a side that it sees at once of an image.

        Where none was chosen, of a square: a window that is less high may be wider.

        Raises:
            ValueError: a tile was chosen that is too small for the network.
        """
        context = self.context
        if context.whole:
            return max(size.width, size.height)
        least = self._least_tile()
        if self.around.tile:
            if self.around.tile < least:
                raise ValueError(
                    f"tile is {self.around.tile} but {self.model.architecture.id} needs at least "
                    f"{least}: enlarge it, or choose 0 for automatic."
                )
            chosen = self.around.tile
        else:
            # Large enough that the halo costs little, small enough for the processor's cache.
            wanted = _HALOS_IN_A_TILE * context.halo
            chosen = min(max(wanted, _SMALL_TILE), _LARGE_TILE)
            # More halo costs less than memory that comes anew for each layer.
            kept = isqrt(KEPT // context.pixel_bytes)
            if self._on_cpu and kept >= _HALOS_IN_A_KEPT_TILE * context.halo:
                chosen = min(chosen, kept)
            if context.reluctant:
                chosen = _LARGEST_TILE
            chosen = max(min(chosen, isqrt(self.around.memory // context.pixel_bytes)), least)
        return min(chosen, self._smaller or chosen)

    def count(self, size: Size) -> int:
        """How many tiles an image of this size takes; samples of it count as one."""
        planned = self._planned(size, self._whole(size))
        return planned + (planned > 1 and self.context.gathers)

    def expect(self, tiles: int) -> None:
        """Say how many tiles all runs will take together, for `step`."""
        self._tally = _Tally(0, tiles)

    def run(self, image: Tensor, rows: Rows) -> None:
        """Enlarge one image.

        Args:
            image: ``[H, W, 3]`` of any float type, in 0..1.
            rows: takes the result, ``[H * scale, W * scale, 3]`` in 0..1.

        Raises:
            ValueError: the network gives NaN or infinite values.
        """
        size = size_of(image[None])
        if self._tally.done >= self._tally.total:
            self.expect(self.count(size))
        if self._on_cpu:
            keep_freed()
        with held(self._measured(image, size)):
            self._run_all(image, size, rows)
        if self.around.step and self._tally.done >= self._tally.total:
            self.around.step(self._tally.done, self._tally.total)

    def _measured(self, image: Tensor, size: Size) -> Statistics:
        """What the network gathers from an image; nothing where one window sees all of it."""
        planned = self.count(size)
        if planned == 1 or not self.context.gathers:
            return {}
        if self.around.step:
            self.around.step(self._tally.done, self._tally.total)
        while True:
            tile = self.tile(size)
            with measured(self.model.model) as found:
                if self._tried(samples(image, tile**2, self.context.align), tile) is not None:
                    break
            self._smaller = self._halved(tile)
        self._tally.done += 1
        self._tally.total += self.count(size) - planned
        return found

    def _run_all(self, image: Tensor, size: Size, rows: Rows) -> None:
        opened = 0
        regions = [self._whole(size)]
        while regions:
            region = regions.pop(0)
            opened, failed = self._run(image, region, rows, opened)
            if failed is None:
                continue
            y, x, undone = failed
            before = undone + sum(self._planned(size, r) for r in regions)
            self._smaller = tile = self._halved(region.tile)
            regions = [
                _Region(y.keep_start, y.keep_stop, x.keep_start, tile),
                _Region(y.keep_stop, region.bottom, region.left, tile),
                *(replace(r, tile=tile) for r in regions),
            ]
            regions = [r for r in regions if r.top < r.bottom]
            self._tally.total += sum(self._planned(size, r) for r in regions) - before

    def _whole(self, size: Size) -> _Region:
        return _Region(0, size.height, 0, self.tile(size))

    def _planned(self, size: Size, region: _Region) -> int:
        down, across = self._plan(size, region)
        return len(down) * len(across)

    def _plan(self, size: Size, region: _Region) -> tuple[list[Window], list[Window]]:
        tile, halo, align = region.tile, self._halo(region.tile), self.context.align
        down = plan_windows(size.height, tile, halo, align, (region.top, region.bottom))
        if not self.around.tile:
            # Memory bounds the area: what the height leaves of it saves halos along the width.
            tile = max(tile, tile**2 // down[0].length)
        return down, plan_windows(size.width, tile, halo, align, (region.left, size.width))

    def _run(
        self, image: Tensor, region: _Region, rows: Rows, opened: int
    ) -> tuple[int, tuple[Window, Window, int] | None]:
        """Make one region; ends early with the windows at which memory ran out."""
        scale, blend, around = self.scale, self.context.blend, self.around
        height, width = image.shape[:2]
        down, across = self._plan(Size(width, height), region)
        total = len(down) * len(across)
        shares = [Share.of(x, width, blend, scale) for x in across]
        done = 0
        for y in down:
            share = Share.of(y, height, blend, scale)
            band = rows.open(share.pixels)
            if blend:
                band[max(0, opened - share.start) :].zero_()
            opened = max(opened, share.stop)
            for x, columns in zip(across, shares, strict=True):
                if around.step:
                    around.step(self._tally.done, self._tally.total)
                large = self._enlarge(image[y.start : y.stop, x.start : x.stop], region.tile)
                if large is None:
                    return opened, (y, x, total - done)
                place(large, share, columns, band, share.start)
                done += 1
                self._tally.done += 1
                if around.seen:
                    whole = Size(width * scale, height * scale)
                    box = Box.from_edges(columns.start, share.start, columns.stop, share.stop)
                    around.seen(large[share.seen, columns.seen], box, whole)
            mixed = blend * scale if y.keep_stop < height else 0
            rows.close(y.keep_stop * scale - mixed)
        return opened, None

    def _enlarge(self, part: Tensor, tile: int) -> Tensor | None:
        """A window's result ``[h, w, 3]``; None where memory ran out and less may do."""
        large = self._tried(part.movedim(-1, 0)[None], min(tile, max(part.shape[:2])))
        return None if large is None else large[0].movedim(0, -1)

    def _tried(self, planes: Tensor, side: int) -> Tensor | None:
        try:
            return self._call(planes)
        except RuntimeError as error:
            if not self.around.ran_out(error) or not self._can_halve(side):
                raise
            return None

    def _call(self, planes: Tensor) -> Tensor:
        planes = planes.to(self.around.device, torch.float32)
        planes = planes.contiguous(memory_format=torch.channels_last)
        if self._dtype != torch.float32:
            result = self._call_half(planes)
            if result is not None:
                return result
            self._dtype = torch.float32
        result = self.model(planes)
        if not bool(result.sum().isfinite()):
            raise ValueError(
                f"the upscale model ({self.model.architecture.id}) gives NaN or infinite values: "
                "its file is damaged, load another."
            )
        return result

    def _call_half(self, planes: Tensor) -> Tensor | None:
        try:
            # The model belongs to ComfyUI, whose other nodes need its weights in float32.
            with torch.autocast(planes.device.type, self._dtype):
                result = self.model(planes)
        except RuntimeError as error:
            if self.around.ran_out(error):
                raise
            return None
        return result if bool(result.sum().isfinite()) else None

    @property
    def _on_cpu(self) -> bool:
        return torch.device(self.around.device).type == "cpu"

    def _least_tile(self) -> int:
        context = self.context
        return max(_LEAST_TILE, least_tile(context.blend, context.align))

    def _halo(self, tile: int) -> int:
        """As much as the network needs, or as much as leaves something of a small tile."""
        context = self.context
        halo = context.halo
        while halo > context.blend and least_tile(halo, context.align) > tile:
            halo = max(context.blend, halo // 2)
        return halo

    def _can_halve(self, side: int) -> bool:
        return not self.context.whole and side > self._least_tile()

    def _halved(self, tile: int) -> int:
        align = self.context.align
        return max(tile // 2 // align * align, self._least_tile())


class ModelUpscaler:
    """An `Upscaler` made of a network."""

    def __init__(self, network: TiledNetwork) -> None:
        self._network = network

    @property
    def scale(self) -> int:
        return self._network.scale

    def __call__(self, image: Tensor) -> Tensor:
        network, scale = self._network, self.scale
        size = size_of(image)
        network.expect(len(image) * network.count(size))
        shape = (len(image), size.height * scale, size.width * scale, 3)
        result = empty(shape, torch.float32, image.device)
        for source, target in zip(image, result, strict=True):
            network.run(source, Whole(target))
        return result
