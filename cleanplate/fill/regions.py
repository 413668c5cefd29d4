"""Fill the masked objects of whole images, each on a crop of its surroundings."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .. import masks
from ..checks import check_image, check_mask, size_of
from ..geometry import Box, context_box, margin
from ..stitch import blend
from . import Fill

Step = Callable[[int, int], None]
"""``step(done, total)``, called before each crop and once at the end; may raise to cancel."""


def fill_regions(
    image: Tensor,
    mask: Tensor,
    fill: Fill,
    *,
    grow: int = 8,
    feather: int = 4,
    context_factor: float = 2.0,
    context_pixels: int = 64,
    source: Tensor | None = None,
    step: Step | None = None,
) -> tuple[Tensor, Tensor]:
    """Fill what the masks mark and leave every other pixel as it is.

    Each object of a mask is filled on a crop around it; objects whose crops overlap share one. So
    the cost follows the objects, not the image.

    Args:
        image: ``[B, H, W, 3 or 4]``; not changed.
        mask: ``[1 or B, H, W]``, 1 = remove; counted from 0.5. An empty mask leaves its image.
        fill: what fills one crop.
        grow: pixels added around the mask, so that no rim of the object stays.
        feather: pixels around the grown mask over which the fill fades into the image.
        context_factor: see `geometry.margin`.
        context_pixels: least surroundings that a fill sees on each side.
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
        source = masks.core(check_mask(source, image, "source_mask"))
    cores = [masks.core(m) for m in mask]
    for i, marked in enumerate(cores):
        if marked.all():
            where = f" of image {i}" if len(cores) > 1 else ""
            raise ValueError(
                f"mask covers the whole image{where}, so nothing is left to fill from: paint only "
                "over what shall go (or invert the mask)."
            )

    reach = grow + feather
    whole = Box.of(size_of(image))
    jobs: list[tuple[int, Box]] = []
    for i, marked in enumerate(cores):
        views = []
        for box in masks.object_boxes(marked):
            around = reach + margin(box.size, context_factor, context_pixels)
            held = box.pad(reach + 1).intersect(whole) or box
            view = context_box(held, whole.size, size=box.pad(around).size)
            views.append(_with_source(view, source[i]) if source is not None else view)
        jobs += [(i, box) for box in masks.merge_boxes(views, whole.size)]
    if source is not None:
        for i, box in jobs:
            hole = _weights(cores[i], box, grow, feather) > 0
            if not (source[i][box.rows, box.columns] & ~hole).any():
                raise ValueError(
                    "source_mask marks nothing outside what is to be filled, so there is nothing "
                    "to copy: paint it over surroundings of the object, or disconnect it."
                )

    result = image.clone(memory_format=torch.contiguous_format)
    weights = torch.zeros(image.shape[:3], device=image.device)
    for done, (i, box) in enumerate(jobs):
        if step:
            step(done, len(jobs))
        alpha = _weights(cores[i], box, grow, feather)
        target = result[i, box.rows, box.columns]
        seen = [target[None, ..., :3].to(torch.float32), (alpha > 0).to(torch.float32)[None]]
        if source is not None:
            seen.append((source[i][box.rows, box.columns] & (alpha == 0)).to(torch.float32)[None])
        blend(target, fill(*seen)[0], alpha)
        weights[i, box.rows, box.columns] = alpha
    if step:
        step(len(jobs), len(jobs))
    return result, weights


def _with_source(view: Box, source: Tensor) -> Box:
    held = masks.bounding_box(source)
    return view.union(held) if held else view


def _weights(core: Tensor, box: Box, grow: int, feather: int) -> Tensor:
    """How much of the fill each pixel of a crop takes: ``[h, w]`` float32."""
    marked = core[box.rows, box.columns]
    alpha = masks.feather(masks.grow(marked, grow), feather)
    # Growing may take the last known pixel of a small image.
    return marked.to(alpha.dtype) if alpha.all() else alpha
