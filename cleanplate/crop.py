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
    if context_mask is not None:
        context_mask = check_mask(context_mask, image, "context_mask")
    whole = Box.of(size_of(image))

    found = [masks.bounding_box(masks.core(m)) for m in mask]
    needed: list[Box] = []
    wanted: list[Size] = []
    for i, box in enumerate(found):
        if box is None:
            continue
        # One pixel more than the feather reaches, so that the weight is 0 on the crop's sides.
        held = box.pad(settings.grow + settings.feather + 1).intersect(whole) or box
        around = margin(box.size, settings.context_factor, settings.context_pixels)
        view = box.pad(settings.grow + around)
        if context_mask is not None:
            context = masks.bounding_box(masks.core(context_mask[i]))
            held = held.union(context) if context else held
            view = view.union(held)
        needed.append(held)
        wanted.append(
            Size(
                max(view.width, held.width, settings.minimum_size),
                max(view.height, held.height, settings.minimum_size),
            )
        )
    if not needed:
        boxes = tuple(whole for _ in found)
        alpha = mask.new_zeros(mask.shape)
        return Stitch(image, boxes, alpha), image[..., :3].contiguous(), alpha

    # One size for the batch: what the greediest mask wants, and every mask's needs held.
    size = Size(max(s.width for s in wanted), max(s.height for s in wanted))
    size = Size(
        max([size.width] + [n.width for n in needed]),
        max([size.height] + [n.height for n in needed]),
    )
    probe = Box(0, 0, max(n.width for n in needed), max(n.height for n in needed))
    size = context_box(
        probe, whole.size, size=size, multiple=settings.multiple, keep_inside=settings.keep_inside
    ).size

    crops, shown, alphas, boxes_of = [], [], [], []
    centre = Box(whole.width // 2, whole.height // 2, 1, 1)
    remaining = iter(needed)
    for i, box in enumerate(found):
        held = next(remaining) if box else centre
        place = context_box(held, whole.size, size=size, keep_inside=settings.keep_inside)
        here = cut(mask[i][None, ..., None], place, fill_zero=True)[0, ..., 0]
        grown = masks.grow(masks.core(here), settings.grow)
        crops.append(cut(image[i : i + 1, ..., :3], place))
        shown.append(torch.maximum(here, grown.to(here.dtype)))
        alphas.append(masks.feather(grown, settings.feather))
        boxes_of.append(place)
    stitch = Stitch(image, tuple(boxes_of), torch.stack(alphas))
    return stitch, torch.cat(crops), torch.stack(shown)


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
