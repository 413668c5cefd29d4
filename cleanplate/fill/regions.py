"""Fill the masked objects of whole images, each on a crop of its surroundings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial, reduce

import torch
from torch import Tensor

from .. import masks
from ..blend import blend
from ..checks import check_image, check_mask, size_of
from ..geometry import Box, Size, context_box, margin
from ..memory import empty, zeros
from . import Fill, batch_pixels, context

Step = Callable[[int, int], None]
"""``step(done, total)`` in crops, called before each call of the fill and once at the end; may
raise to cancel."""

_Job = tuple[int, Box]

_LEAST_KNOWN = 64
"""Pixels that a fill sees beyond what is filled, however little context is asked for."""


def fill_regions(
    image: Tensor,
    mask: Tensor,
    fill: Fill,
    *,
    grow: int = 8,
    feather: int = 4,
    context_factor: float | None = None,
    context_pixels: int | None = None,
    shared_crops: bool = False,
    source: Tensor | None = None,
    step: Step | None = None,
) -> tuple[Tensor, Tensor]:
    """Fill what the masks mark and leave every other pixel as it is.

    Each object of a mask is filled on a crop around it; objects whose crops overlap share one. So
    the cost follows the objects, not the image. Beyond the image and the results, the memory is
    that of a few crops, however many images there are.

    Args:
        image: ``[B, H, W, 3 or 4]``; not changed.
        mask: ``[1 or B, H, W]``, 1 = remove; counted from 0.5. An empty mask leaves its image.
        fill: what fills the crops.
        grow: pixels added around the mask, so that no rim of the object stays.
        feather: pixels around the grown mask over which the fill fades into the image.
        context_factor: how much longer a crop is than the object in it, see `geometry.margin`; what
            the fill wants if not given.
        context_pixels: least surroundings on each side, counted from the mask as it came. A fill
            always sees 64 pixels beyond what it fills, where the image has them. Big-LaMa with
            random weights (trained ones were not at hand) takes from its nearer surroundings what
            lies within 64 pixels of a hole; beyond, its fill depends on the crop as a whole, by
            its Fourier layers, and no more on how near (`benchmarks/removal_cost.py`).
        shared_crops: crop all images at the same places, those of their masks' union. For frames
            of a video: crops that jump from frame to frame make the fill flicker.
        source: ``[1 or B, H, W]``, 1 = may be copied from; counted from 0.5. Crops are extended to
            hold all of it, and it is handed to the fill; see `Fill`.
        step: progress and cancel.

    Returns:
        the images, a new tensor of the same dtype and device, bit-identical outside the returned
        mask, a fourth channel untouched; the blend weights ``[B, H, W]`` float32, 1 on the grown
        mask, 0 farther than `feather` from it.

    Raises:
        ValueError: what `check_image` and `check_mask` refuse; a mask that covers a whole image; a
            source that marks nothing outside the hole.
    """
    check_image(image)
    mask = check_mask(mask, image)
    if source is not None:
        source = check_mask(source, image, "source_mask")
    weights_of = partial(_weights, grow=grow, feather=feather)
    factor, pixels = context(fill)
    crops_of = partial(
        _crops,
        size=size_of(image),
        reach=grow + feather,
        factor=factor if context_factor is None else context_factor,
        pixels=pixels if context_pixels is None else context_pixels,
    )
    jobs = list(_plan(mask, source, crops_of, shared_crops))
    if source is not None:
        for i, box in jobs:
            if not _free(source[i], weights_of(mask[i], box), box).any():
                raise ValueError(
                    "source_mask marks nothing outside what is to be filled, so there is nothing "
                    "to copy: paint it over surroundings of the object, or disconnect it."
                )

    result = empty(image.shape, image.dtype, image.device).copy_(image)
    weights = zeros(image.shape[:3], image.device)
    done = 0
    for group in _groups(jobs, batch_pixels(fill)):
        if step:
            step(done, len(jobs))
        places = [(i, box.rows, box.columns) for i, box in group]
        alphas = torch.stack([weights_of(mask[i], box) for i, box in group])
        crops = torch.stack([result[place][..., :3] for place in places]).to(torch.float32)
        seen = [crops, (alphas > 0).to(torch.float32)]
        if source is not None:
            free = [
                _free(source[i], alpha, box) for (i, box), alpha in zip(group, alphas, strict=True)
            ]
            seen.append(torch.stack(free).to(torch.float32))
        for place, filled, alpha in zip(places, fill(*seen), alphas, strict=True):
            blend(result[place], filled, alpha)
            weights[place] = alpha
        done += len(group)
    if step:
        step(len(jobs), len(jobs))
    return result, weights


def _plan(
    mask: Tensor, source: Tensor | None, crops_of: Callable[..., list[Box]], shared: bool
) -> Iterator[_Job]:
    """What to fill: image by image, the crops that hold something of its mask."""
    held = _held(mask)
    for i, (one, box) in enumerate(zip(mask, held, strict=True)):
        if box and box.size.area == one.numel() and masks.core(one).all():
            where = f" of image {i}" if len(mask) > 1 else ""
            raise ValueError(
                f"mask covers the whole image{where}, so nothing is left to fill from: paint only "
                "over what shall go (or invert the mask)."
            )
    free = [None] * len(mask) if source is None else _held(source)
    same_masks = mask.stride(0) == 0 and (source is None or source.stride(0) == 0)
    boxes: list[Box] | None = crops_of(mask, _around(held), _around(free)) if shared else None
    for i, box in enumerate(held):
        if box is None:
            continue
        if boxes is None or not (shared or same_masks):
            boxes = crops_of(mask[i : i + 1], box, free[i])
        for crop in boxes:
            if not shared or masks.core(mask[i, crop.rows, crop.columns]).any():
                yield i, crop


def _crops(
    frames: Tensor,
    around: Box | None,
    source: Box | None,
    *,
    size: Size,
    reach: int,
    factor: float,
    pixels: int,
) -> list[Box]:
    """Boxes that do not touch each other around the objects of masks, all of them `around`."""
    whole = Box.of(size)
    views = []
    for box in _objects(frames, around) if around else ():
        context = max(margin(box.size, factor, pixels), reach + _LEAST_KNOWN)
        held = box.pad(reach + 1).intersect(whole) or box
        view = context_box(held, size, size=box.pad(context).size)
        views.append(view.union(source) if source else view)
    return masks.merge_boxes(views)


def _objects(frames: Tensor, around: Box) -> list[Box]:
    # One frame's marks at a time: those of all frames would grow with the batch.
    parts = (masks.core(one[around.rows, around.columns]) for one in frames)
    union = reduce(torch.logical_or, parts)
    return [box.shift(around.x, around.y) for box in masks.object_boxes(union)]


def _held(mask: Tensor) -> list[Box | None]:
    """The box around what each mask marks; one mask for all images is looked at once."""
    if mask.stride(0) == 0:
        return [masks.marked_box(mask[0])] * len(mask)
    return [masks.marked_box(one) for one in mask]


def _around(boxes: Sequence[Box | None]) -> Box | None:
    found = [box for box in boxes if box]
    return reduce(Box.union, found) if found else None


def _groups(jobs: list[_Job], pixels: int) -> Iterator[list[_Job]]:
    """Crops of one size together, as many as hold at most `pixels`, at least one."""
    equal: dict[Size, list[_Job]] = {}
    for job in jobs:
        equal.setdefault(job[1].size, []).append(job)
    for size, alike in equal.items():
        count = max(1, pixels // size.area)
        for start in range(0, len(alike), count):
            yield alike[start : start + count]


def _weights(mask: Tensor, box: Box, *, grow: int, feather: int) -> Tensor:
    """How much of the fill each pixel of a crop takes: ``[h, w]`` float32."""
    marked = masks.core(mask[box.rows, box.columns])
    alpha = masks.feather(masks.grow(marked, grow), feather)
    # Growing may take the last known pixel of a small image.
    return marked.to(alpha.dtype) if alpha.all() else alpha


def _free(source: Tensor, alpha: Tensor, box: Box) -> Tensor:
    """What of a crop may be copied: bool ``[h, w]``."""
    return masks.core(source[box.rows, box.columns]) & (alpha == 0)
