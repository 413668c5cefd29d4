"""The object-removal graph as one function: fill, crop, enlarge, refine, stitch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .crop import CropSettings, crop_around_mask
from .fill import Fill
from .fill.regions import fill_regions
from .stitch import stitch_back
from .upscale.target import FLUX, ModelFamily, Upscaler, fit_to_model

Refiner = Callable[[Tensor, Tensor], Tensor]
"""``refine(image [1, H, W, 3], mask [1, H, W]) -> [1, H, W, 3]``, at a size a model can use."""

Progress = Callable[[str, int, int], None]
"""``progress(stage, done, total)``; stages are "fill" and "refine"."""


@dataclass(frozen=True)
class Removal:
    """Results of `remove_object`.

    Attributes:
        image: the images without the objects, like the input.
        removed: the images after the first fill.
        mask: ``[B, H, W]`` float32; where it is 0, `image` is bit-identical to the input.
    """

    image: Tensor
    removed: Tensor
    mask: Tensor


@torch.no_grad()
def remove_object(
    image: Tensor,
    mask: Tensor,
    *,
    fill: Fill,
    upscaler: Upscaler | None = None,
    refiner: Refiner | None = None,
    family: ModelFamily = FLUX,
    grow: int = 8,
    feather: int = 16,
    progress: Progress | None = None,
) -> Removal:
    """Remove what a mask marks, and refine the place with a model when one is given.

    Args:
        image: ``[B, H, W, 3 or 4]``; not changed.
        mask: ``[1 or B, H, W]``, 1 = remove. An image with an empty mask comes back as it is.
        fill: removes for certain; see `cleanplate.fill.Fill`.
        upscaler: sharpens the crop before it is refined; used with a refiner only.
        refiner: an inpainting model that corrects the fill; without one the fill is the result.
        family: what the refiner was trained on.
        grow: pixels added around the mask.
        feather: width of the last blend, in pixels of the image.
        progress: called before each step; may raise to cancel.

    Raises:
        ValueError: see `fill_regions` and `crop_around_mask`.
    """
    removed, filled = fill_regions(
        image,
        mask,
        fill,
        grow=grow,
        step=(lambda done, total: progress("fill", done, total)) if progress else None,
    )
    if refiner is None or not filled.any():
        return Removal(removed, removed, filled)

    refined = removed.clone()
    weights = torch.zeros_like(filled)
    for i in range(len(image)):
        if progress:
            progress("refine", i, len(image))
        stitch, crop, place = crop_around_mask(
            removed[i : i + 1], filled[i : i + 1], CropSettings(feather=feather)
        )
        if stitch.is_empty:
            continue
        large, large_mask = fit_to_model(crop, place, family, upscaler)
        refined[i : i + 1] = stitch_back(stitch, refiner(large, large_mask))
        weights[i : i + 1] = stitch.mask()
    if progress:
        progress("refine", len(image), len(image))
    return Removal(refined, removed, torch.maximum(weights, filled))
