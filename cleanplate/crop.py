"""Cut the surroundings of a mask out of an image, at a size a model can use."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from . import masks
from .checks import check_image, check_mask, size_of
from .geometry import Box, Size, context_box, margin
from .stitch import Stitch


@dataclass(frozen=True)
class CropSettings:
    """How much around the mask to take. Lengths are in pixels of the image.

    Attributes:
        context_factor: how much longer the crop is than the mask's box; 1.5 adds a quarter of the
            box's longer side on each of the four sides.
        context_pixels: least surroundings on each side.
        minimum_size: least width and height of the crop.
        multiple: width and height become a multiple of it where the image is large enough.
        keep_inside: shift the crop until it lies inside the image; otherwise it stays centred on
            the mask and repeats the image's edge where it reaches beyond.
        grow: pixels to add around the mask.
        feather: width of the blend around the grown mask, outwards.
    """

    context_factor: float = 1.5
    context_pixels: int = 32
    minimum_size: int = 256
    multiple: int = 8
    keep_inside: bool = True
    grow: int = 0
    feather: int = 16


def crop_around_mask(
    image: Tensor,
    mask: Tensor,
    settings: CropSettings | None = None,
    context_mask: Tensor | None = None,
) -> tuple[Stitch, Tensor, Tensor]:
    """Crop each image around its mask.

    All crops of a batch get one size, that of the largest. An image whose mask is empty (no value
    reaches 0.5) is cropped with blend weight 0, so that stitching returns it untouched; when all
    masks are empty the whole images are the crops.

    Args:
        image: ``[B, H, W, 3 or 4]``; not changed, and kept by reference in the stitch.
        mask: ``[1 or B, H, W]``, 1 = the part to change.
        settings: see `CropSettings`.
        context_mask: ``[1 or B, H, W]``, further pixels the crop has to show; its pixels are not
            changed.

    Returns:
        the stitch; the crops ``[B, h, w, 3]`` (a fourth channel stays with the stitch); the grown
        masks on the crops ``[B, h, w]``, float32, soft where the given mask is soft.

    Raises:
        ValueError: an image or mask that `check_image` or `check_mask` refuses.
    """
    settings = settings or CropSettings()
    check_image(image)
    mask = check_mask(mask, image)
    if context_mask is not None and not context_mask.any():
        context_mask = None
    if context_mask is not None:
        context_mask = check_mask(context_mask, image, "context_mask")
    whole = Box.of(size_of(image))

    views = [
        _view(m, None if context_mask is None else context_mask[i], whole, settings)
        for i, m in enumerate(mask)
    ]
    masked = [view for view in views if view is not None]
    if not masked:
        alpha = mask.new_zeros(mask.shape)
        return Stitch(image, (whole,) * len(views), alpha), image[..., :3].contiguous(), alpha

    # One size for the batch: what the greediest mask wants, and every mask's needs held.
    held = Size(max(v.held.width for v in masked), max(v.held.height for v in masked))
    wide = Size(max(v.shown.width for v in masked), max(v.shown.height for v in masked))
    size = context_box(
        Box.of(held),
        whole.size,
        size=Size(max(wide.width, settings.minimum_size), max(wide.height, settings.minimum_size)),
        multiple=settings.multiple,
        keep_inside=settings.keep_inside,
    ).size

    middle = Box(whole.width // 2, whole.height // 2, 1, 1)
    crops, crop_masks, alphas, boxes_of = [], [], [], []
    for i, view in enumerate(views):
        view = view or _View(middle, middle)
        place = context_box(
            view.held,
            whole.size,
            size=size,
            keep_inside=settings.keep_inside,
            centre=view.shown,
        )
        here = cut(mask[i][None, ..., None], place, fill_zero=True)[0, ..., 0]
        grown = masks.grow(masks.core(here), settings.grow)
        crops.append(cut(image[i : i + 1, ..., :3], place))
        crop_masks.append(torch.maximum(here, grown.to(here.dtype)))
        alphas.append(masks.feather(grown, settings.feather))
        boxes_of.append(place)
    stitch = Stitch(image, tuple(boxes_of), torch.stack(alphas))
    return stitch, torch.cat(crops), torch.stack(crop_masks)


@dataclass(frozen=True)
class _View:
    """What a crop must hold (inside the image), and what it should show (perhaps beyond it)."""

    held: Box
    shown: Box


def _view(
    mask: Tensor, context_mask: Tensor | None, whole: Box, settings: CropSettings
) -> _View | None:
    box = masks.bounding_box(masks.core(mask))
    if box is None:
        return None
    # One pixel more than the feather reaches, so that the weight is 0 on the crop's sides.
    held = box.pad(settings.grow + settings.feather + 1).intersect(whole) or box
    around = margin(box.size, settings.context_factor, settings.context_pixels)
    shown = box.pad(settings.grow + around)
    context = None if context_mask is None else masks.bounding_box(masks.core(context_mask))
    if context:
        held, shown = held.union(context), shown.union(context)
    return _View(held, shown)


def cut(image: Tensor, box: Box, fill_zero: bool = False) -> Tensor:
    """The pixels of a box: ``[B, H, W, C]`` -> ``[B, h, w, C]``, a copy.

    Outside the image the nearest edge pixel is repeated, or 0 written with `fill_zero`.
    """
    inside = box.intersect(Box.of(size_of(image)))
    if inside is None:
        raise ValueError(f"the box {box} lies outside the image of {size_of(image)}")
    part = image[:, inside.rows, inside.columns]
    if inside == box:
        return part.clone()
    pad = (
        inside.x - box.x,
        box.right - inside.right,
        inside.y - box.y,
        box.bottom - inside.bottom,
    )
    planes = part.movedim(-1, 1)
    padded = F.pad(planes, pad) if fill_zero else F.pad(planes, pad, mode="replicate")
    return padded.movedim(1, -1).contiguous()
