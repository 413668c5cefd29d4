"""Cut the surroundings of a mask out of an image, at a size a model can use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from . import masks
from .bounds import bounding_boxes
from .canvas import Outside, cut
from .checks import check_finite, check_image, check_mask, in_range, size_of
from .crop_plan import CropPlan, Marked, OnePer, plan_crops
from .framing import Frame
from .geometry import Box, Size
from .memory import copy_of, empty, zeros
from .stitch import Stitch
from .upscale.resize import LastFilters, resize, resize_mask
from .weights import grow_and_feather


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
            the mask and reaches beyond the image.
        grow: pixels to add around the mask.
        feather: width of the blend around the grown mask, outwards.
        outside: what a crop shows beyond the image.
        width, height: resize the crops to this; the box gets the same aspect, beyond the image
            only where nothing else fits. 0 follows from the other, both 0: not resized.
        threshold: mask values from this on count; lower ones are noise.
        fill_holes: also change what the mask encloses.
        invert: change everything but the mask.
        one_per: see `OnePer`.
        extend: pixels to add to the image at its left, top, right and bottom side, all of them
            masked; stitching gives the larger image.
    """

    context_factor: float = 1.5
    context_pixels: int = 32
    minimum_size: int = 256
    multiple: int = 8
    keep_inside: bool = True
    grow: int = 0
    feather: int = 16
    outside: Outside = "edge"
    width: int = 0
    height: int = 0
    threshold: float = masks.THRESHOLD
    fill_holes: bool = False
    invert: bool = False
    one_per: OnePer = "image"
    extend: tuple[int, int, int, int] = (0, 0, 0, 0)

    def __post_init__(self) -> None:
        if self.one_per not in get_args(OnePer):
            raise ValueError(
                f"one_per is {self.one_per!r}: choose one of {', '.join(get_args(OnePer))}."
            )
        if self.outside not in get_args(Outside):
            raise ValueError(
                f"outside is {self.outside!r}: choose one of {', '.join(get_args(Outside))}."
            )

    def frame(self, image: Size) -> Frame:
        """These settings for an image of that size."""
        left, top, right, bottom = self.extend
        return Frame(
            bounds=Box.from_edges(-left, -top, image.width + right, image.height + bottom),
            # One pixel more than the feather reaches, so that the weight is 0 on the crop's sides.
            reach=self.grow + self.feather + 1,
            factor=self.context_factor,
            pixels=self.context_pixels,
            grow=self.grow,
            minimum=self.minimum_size,
            multiple=self.multiple,
            keep_inside=self.keep_inside,
            width=self.width,
            height=self.height,
        )


@dataclass(frozen=True, eq=False)
class Crop:
    """One crop of each image, or of one image where each object has its own.

    Attributes:
        stitch: for `stitch_back`.
        image: the crops ``[n, h, w, 3]`` (a fourth channel stays with the stitch).
        mask: the grown masks on the crops ``[n, h, w]`` float32, soft where the given mask is soft.
        painted: the given masks on the crops, neither grown, filled nor inverted.
        blend: the weights of the stitch at the crops' size.
        plan: where the crops come from.
    """

    stitch: Stitch
    image: Tensor
    mask: Tensor
    painted: Tensor
    blend: Tensor
    plan: CropPlan


def crop_around_mask(
    image: Tensor,
    mask: Tensor,
    settings: CropSettings | None = None,
    context_mask: Tensor | None = None,
) -> tuple[Stitch, Tensor, Tensor]:
    """Crop each image around its mask: `crops_around_mask` for what is not one for each object.

    Returns:
        the stitch, the crops and the grown masks on them, see `Crop`.
    """
    settings = settings or CropSettings()
    if settings.one_per == "object":
        raise ValueError("one crop for each object is a list: call crops_around_mask.")
    (crop,) = crops_around_mask(image, mask, settings, context_mask)
    return crop.stitch, crop.image, crop.mask


def crops_around_mask(
    image: Tensor,
    mask: Tensor,
    settings: CropSettings | None = None,
    context_mask: Tensor | None = None,
) -> list[Crop]:
    """Crop images around their masks.

    All crops of a batch get one size, that of the largest. An image whose mask is empty (no value
    reaches the threshold) is cropped with blend weight 0, so that stitching returns it untouched;
    when all masks are empty the whole images are the crops.

    With one crop for each object, objects (8-connected) whose crops would overlap share one, so
    that no crop shows what another changes.

    The time and the memory follow the crops and a single look at the masks, not the images.

    Args:
        image: ``[B, H, W, 3 or 4]``; not changed, and kept by reference in the stitch. Only what
            the crops show is looked at: NaN elsewhere comes back as it is.
        mask: ``[1 or B, H, W]``, 1 = the part to change. Masks that are all alike cost as much
            as one.
        settings: see `CropSettings`.
        context_mask: ``[1 or B, H, W]``, further pixels the crop has to show; its pixels are not
            changed.

    Returns:
        one crop for all images, or one for each object of each image, from top to bottom.

    Raises:
        ValueError: an image or mask that `check_image` or `check_mask` refuses.
    """
    settings = settings or CropSettings()
    job = _Job.of(image, mask, settings)
    plans = plan_crops(job.marked(context_mask), job.frame, settings.one_per)
    return [job.crop(plan, number) for number, plan in enumerate(plans)]


def find_marked(
    image: Tensor, mask: Tensor, settings: CropSettings, context_mask: Tensor | None = None
) -> Marked:
    """What `crops_around_mask` would crop around; the pixels of the image are not looked at."""
    return _Job.of(image, mask, settings).marked(context_mask)


@dataclass(frozen=True, eq=False)
class _Job:
    """Images with what shall change in them.

    Attributes:
        image: ``[B, H, W, 3 or 4]``.
        given: the masks ``[1 or B, H, W]``.
        selected: what shall change ``[1 or B, H', W']``, over all that the frame is bound by.
        frame: how crops are cut.
        settings: all the rest.
    """

    image: Tensor
    given: Tensor
    selected: Tensor
    frame: Frame
    settings: CropSettings

    @classmethod
    def of(cls, image: Tensor, mask: Tensor, settings: CropSettings) -> _Job:
        check_image(image, values=False)
        given = check_mask(mask, image, values=False)
        if given.stride(0) == 0 or all(torch.equal(given[0], other) for other in given[1:]):
            given = given[:1]
        selected = 1 - given if settings.invert else given
        if any(settings.extend):
            left, top, right, bottom = settings.extend
            selected = F.pad(selected, (left, right, top, bottom), value=1.0)
        return cls(image, given, selected, settings.frame(size_of(image)), settings)

    def marked(self, context_mask: Tensor | None) -> Marked:
        """What shall change in each image, and what its crop has to show besides."""
        bounds = self.frame.bounds
        found = bounding_boxes(self.selected, self.settings.threshold)
        boxes = [box and box.shift(bounds.x, bounds.y) for box in found]
        boxes *= len(self.image) // len(boxes)
        contexts = _contexts(context_mask, self.image)
        if self.settings.one_per != "object":
            return Marked(tuple(boxes), tuple(contexts))
        objects = tuple(tuple(self._objects(i, box)) for i, box in enumerate(boxes))
        return Marked(tuple(boxes), tuple(contexts), objects)

    def _objects(self, index: int, box: Box | None) -> list[Box]:
        """The boxes of the separate objects in the box of what shall change."""
        if box is None:
            return []
        place = box.relative_to(self.frame.bounds)
        plane = self.selected[min(index, len(self.selected) - 1)]
        core = plane[place.rows, place.columns] >= self.settings.threshold
        return [b.shift(box.x, box.y) for b in masks.object_boxes(core)]

    def crop(self, plan: CropPlan, number: int) -> Crop:
        """The crops of one plan."""
        first, views, boxes, crop_size = plan.first, plan.views, plan.boxes, plan.size
        size = boxes[0].size
        # With one mask and one place for all, one look serves all.
        same = len(self.selected) == 1 and len(set(boxes)) == 1
        looks = 1 if same else len(boxes)
        alpha = zeros((looks, size.height, size.width), self.image.device)
        shape = (looks, crop_size.height, crop_size.width)
        grown, painted = (empty(shape, torch.float32, self.image.device) for _ in range(2))
        for i in range(looks):
            before = self._painted(first + i, boxes[i])
            painted[i] = resize_mask(before[None], crop_size)[0]
            after = self._weigh(first + i, boxes[i], views[i].changing, before, alpha[i])
            grown[i] = painted[i] if after is before else resize_mask(after[None], crop_size)[0]
        stitch = Stitch(
            image=self.image,
            boxes=boxes,
            alpha=alpha.expand(len(boxes), -1, -1),
            crop_size=crop_size,
            canvas=self.frame.bounds if any(self.settings.extend) else None,
            outside=self.settings.outside,
            first=first,
            number=number,
        )
        pixels = self._pixels(first, boxes, crop_size)
        if any(view.changing for view in views) and _share_memory(pixels, self.image):
            pixels = copy_of(pixels)
        every = (len(boxes), -1, -1)
        return Crop(
            stitch,
            image=pixels if pixels.is_contiguous() else copy_of(pixels),
            mask=grown.expand(every),
            painted=painted.expand(every),
            blend=_resized(alpha, crop_size).expand(every),
            plan=plan,
        )

    def _painted(self, index: int, box: Box) -> Tensor:
        """The given mask on a crop; nothing is painted beyond the image."""
        plane = self.given[min(index, len(self.given) - 1)]
        return in_range(cut(plane[None, ..., None], box, "zero")[0, ..., 0])

    def _weigh(
        self, index: int, box: Box, changing: Box | None, painted: Tensor, alpha: Tensor
    ) -> Tensor:
        """Write the blend weights of a crop to `alpha`, and return its grown mask."""
        bounds, settings = self.frame.bounds, self.settings
        if self.selected is self.given:
            soft = painted
        else:
            plane = self.selected[min(index, len(self.selected) - 1)]
            soft = in_range(cut(plane[None, ..., None], box.relative_to(bounds), "zero")[0, ..., 0])
        place = changing and changing.intersect(box)
        if place is None:
            return soft
        place = place.relative_to(box)
        part = soft[place.rows, place.columns]
        core = part >= settings.threshold
        if settings.fill_holes:
            core = masks.fill_holes(core)
        core, weights = grow_and_feather(core, settings.grow, settings.feather)
        alpha[place.rows, place.columns] = weights
        larger = torch.maximum(part, core.to(part.dtype))
        if torch.equal(larger, part):
            return soft
        soft = soft.clone()
        soft[place.rows, place.columns] = larger
        return soft

    def _pixels(self, first: int, boxes: tuple[Box, ...], size: Size) -> Tensor:
        """What the crops show: not a copy where that is just the image."""
        image = self.image[first : first + len(boxes), ..., :3]
        if len(set(boxes)) == 1:
            found = self._shown(image, boxes[0], size)
        else:
            shape = (len(boxes), size.height, size.width, 3)
            found, filters = empty(shape, image.dtype, image.device), LastFilters()
            for i, box in enumerate(boxes):
                found[i] = self._shown(image[i : i + 1], box, size, filters)[0]
        return found

    def _shown(
        self, image: Tensor, box: Box, size: Size, filters: LastFilters | None = None
    ) -> Tensor:
        part = cut(image, box, self.settings.outside)
        shown = part if box.size == size else resize(part, size, filters=filters)
        # A resize spreads NaN, so the smaller of both tells as much.
        check_finite(min(part, shown, key=Tensor.numel))
        return part if shown is part else shown.clamp_(0, 1)


def _resized(planes: Tensor, size: Size) -> Tensor:
    """Masks ``[B, H, W]`` at another size; the same tensor when it does not change."""
    if size_of(planes) == size:
        return planes
    result = empty((len(planes), size.height, size.width), torch.float32, planes.device)
    # One at a time, so that what torch computes them in stays in the cache.
    for i in range(len(planes)):
        result[i] = resize_mask(planes[i : i + 1], size)[0]
    return result


def _share_memory(a: Tensor, b: Tensor) -> bool:
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


def _contexts(context_mask: Tensor | None, image: Tensor) -> list[Box | None]:
    """The box of what each image's crop has to show besides."""
    if context_mask is None or not context_mask.any():
        return [None] * len(image)
    checked = check_mask(context_mask, image, "context_mask", values=False)
    found = bounding_boxes(
        checked[:1] if checked.stride(0) == 0 else checked, masks.THRESHOLD, "context_mask"
    )
    return found * (len(image) // len(found))
