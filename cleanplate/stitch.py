"""Put a changed crop back so that only the masked part of the image changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import gcd
from typing import Literal, get_args

import torch
from torch import Tensor

from .blend import Blend, blend
from .bounds import bounding_boxes
from .canvas import Outside, cut
from .checks import check_image, size_of
from .colour import DEFAULT_MODE, Correction, Samples, check_colour, measure
from .colour_fit import Shift
from .geometry import Box, Size
from .memory import empty, rows_at_once, zeros
from .multiband import blend_bands
from .upscale.resize import LastFilters, resize, resize_samples, resize_strips

__all__ = ["Seam", "Stitch", "blend", "full_mask", "same_pictures", "stitch_all", "stitch_back"]

_UNSEEN_STRETCH = 1.03
_MOST_MULTIPLE = 64
_LEAST_WEIGHT = 1e-30
_LEAST_RING = 64
_RING_SHARE = 12
"""How wide a ring the colours are measured on, in pixels and as a part of what changes."""
_SMALL = 512
"""Pixels along a side up to which it costs little to resize more than what changes."""

Seam = Literal["feather", "multi-band", "whole crop"]
"""How a crop meets its surroundings: faded by the blend weights; faded band by band, see
`blend_bands`; not at all, the whole crop is pasted."""


@dataclass(frozen=True, eq=False)
class Stitch:
    """Where crops came from, and how they are blended back.

    Attributes:
        image: the original ``[B, H, W, 3 or 4]``, by reference.
        boxes: one box for each image from `first` on, all of one size; may reach beyond the image.
        alpha: blend weights on the boxes ``[n, h, w]``, float32: 1 replaces, 0 keeps the original.
        crop_size: at which the crops were handed out; that of the boxes if not given.
        canvas: what stitching gives, in pixels of the image; the image itself if not given.
        outside: what lies beyond the image on a larger canvas.
        first: the image that the first box belongs to.
        number: counts the crops of one call that gave several, see `crops_around_mask`.
    """

    image: Tensor
    boxes: tuple[Box, ...]
    alpha: Tensor
    crop_size: Size | None = None
    canvas: Box | None = None
    outside: Outside = "edge"
    first: int = 0
    number: int = 0

    @property
    def bounds(self) -> Box:
        """The canvas, or else the whole image."""
        return self.canvas or Box.of(size_of(self.image))

    @property
    def is_empty(self) -> bool:
        """Whether no pixel is to change."""
        return not float(self.alpha.amax()) > 0

    def mask(self) -> Tensor:
        """The blend weights on the whole result: float32 ``[B, H, W]``."""
        return full_mask((self,))


def full_mask(stitches: Sequence[Stitch]) -> Tensor:
    """The blend weights of crops of the same images on their result: float32 ``[B, H, W]``."""
    bounds, image = stitches[0].bounds, stitches[0].image
    full = zeros((len(image), bounds.height, bounds.width), image.device)
    for stitch in stitches:
        for i, (box, alpha) in enumerate(zip(stitch.boxes, stitch.alpha, strict=True)):
            if place := box.intersect(bounds):
                source, target = place.relative_to(box), place.relative_to(bounds)
                view = full[stitch.first + i, target.rows, target.columns]
                torch.maximum(view, alpha[source.rows, source.columns].to(view.device), out=view)
    return full


def stitch_back(
    stitch: Stitch,
    image: Tensor,
    *,
    colour: str = DEFAULT_MODE,
    strength: float = 1.0,
    seam: Seam = "feather",
) -> Tensor:
    """Blend changed crops into their originals.

    Args:
        stitch: from `crop_around_mask`.
        image: the crops after the change, ``[N, h', w', 3 or 4]`` of any size, resized to the box;
            a fourth channel is ignored. N is the stitch's count, or any number when the stitch
            holds one image: then each crop gives one result.
        colour: undo a shift in colour that the crop shows where it ought to be unchanged, see
            `match_colour`.
        strength: how much of it, 0..1.
        seam: see `Seam`.

    Returns:
        A new tensor like the original, ``[N, H, W, C]``, same dtype and device. Where the weight is
        0 it is bit-identical to the original; a fourth channel is the original's.

    Raises:
        ValueError: counts that do not go together, an aspect that is off by more than 3 % and
            more than rounding to a model's multiples explains (the picture would be distorted), or
            an image that `check_image` refuses.
    """
    return stitch_all((stitch,), (image,), colour=colour, strength=strength, seam=seam)


def stitch_all(
    stitches: Sequence[Stitch],
    images: Sequence[Tensor],
    *,
    colour: str = DEFAULT_MODE,
    strength: float = 1.0,
    seam: Seam = "feather",
) -> Tensor:
    """Blend the changed crops of several objects into their image, one after the other.

    Args:
        stitches: from one call of `crops_around_mask`.
        images: what became of each crop; see `stitch_back`, also for all the rest.
        colour: see `stitch_back`.
        strength: see `stitch_back`.
        seam: see `stitch_back`.
    """
    if seam not in get_args(Seam):
        raise ValueError(f"seam is {seam!r}: choose one of {', '.join(get_args(Seam))}.")
    check_colour(colour, strength)
    if len(stitches) != len(images):
        raise ValueError(
            f"there are {len(stitches)} stitches for {len(images)} images: connect what became of "
            "every crop, in the same order."
        )
    counts = [_results(stitch, image) for stitch, image in zip(stitches, images, strict=True)]
    if len(set(counts)) > 1:
        raise ValueError(
            f"the crops of one picture come in {min(counts)} to {max(counts)} variants: give as "
            "many of each."
        )
    result, filters = _canvas(stitches[0], counts[0]), LastFilters()
    for stitch, image in zip(stitches, images, strict=True):
        for k in range(len(image)):
            index = min(k, len(stitch.boxes) - 1)
            target = result[stitch.first + k]
            crop = image[k : k + 1, ..., :3]
            _put(target, stitch, index, crop, (colour, strength), seam, filters)
    return result


def same_pictures(stitches: Sequence[Stitch]) -> Iterator[list[Stitch]]:
    """Stitches in a row that belong to the same images, together."""
    group: list[Stitch] = []
    for stitch in stitches:
        if group and (stitch.image is not group[0].image or stitch.number <= group[-1].number):
            yield group
            group = []
        group.append(stitch)
    if group:
        yield group


def _results(stitch: Stitch, image: Tensor) -> int:
    """How many images the result holds; refuses crops that do not belong to the stitch."""
    check_image(image)
    crops, held, originals = len(image), len(stitch.boxes), len(stitch.image)
    if crops != held and originals > 1:
        raise ValueError(
            f"stitch holds {held} images but image holds {crops}: connect the stitch of the "
            "CropAroundMask that made these crops."
        )
    size, got = stitch.crop_size or stitch.boxes[0].size, size_of(image)
    if not _same_shape(got, size) and not stitch.is_empty:
        raise ValueError(
            f"image is {got} but was cropped at {size}, another aspect: connect the changed crop "
            "of this stitch, resized without cropping or padding."
        )
    return crops if originals == 1 else originals


def _same_shape(got: Size, cropped: Size) -> bool:
    """Whether `got` is what the crop becomes when it is resized to a model's size.

    A side of it may have been rounded by up to the multiple that both sides share, which is a
    power of two for all models.
    """
    aspect = cropped.aspect
    stretch = max(got.aspect / aspect, aspect / got.aspect)
    common = gcd(got.width, got.height)
    multiple = min(common & -common, _MOST_MULTIPLE)
    rounding = multiple * max(1, aspect)
    return stretch <= _UNSEEN_STRETCH or abs(got.width - got.height * aspect) <= rounding


def _canvas(stitch: Stitch, count: int) -> Tensor:
    """A copy of the originals, on the larger canvas if there is one."""
    image = stitch.image
    shown = image if stitch.canvas is None else cut(image, stitch.canvas, stitch.outside)
    result = empty((count, *shown.shape[1:]), image.dtype, image.device)
    result.copy_(shown)
    if stitch.canvas and image.shape[3] == 4:
        opaque = torch.ones(shown.shape[1:3], dtype=torch.bool, device=image.device)
        inside = Box.of(size_of(image)).relative_to(stitch.canvas)
        opaque[inside.rows, inside.columns] = False
        result[..., 3].masked_fill_(opaque, 1.0)
    return result


def _put(
    result: Tensor,
    stitch: Stitch,
    index: int,
    crop: Tensor,
    colour: tuple[str, float],
    seam: Seam,
    filters: LastFilters,
) -> None:
    """Blend one changed crop ``[1, h', w', 3]`` into one result ``[H, W, C]``."""
    box, alpha = stitch.boxes[index], stitch.alpha[index]
    (changing,) = bounding_boxes(alpha[None], _LEAST_WEIGHT)
    visible = box.intersect(stitch.bounds)
    if changing is None or visible is None:
        return
    visible = visible.relative_to(box)
    window = visible if seam == "whole crop" else changing.intersect(visible)
    if window is None:
        return
    ring = max(_LEAST_RING, max(window.width, window.height) // _RING_SHARE)
    around = window.pad(ring).intersect(visible) or window
    pixels = crop[0].to(result.device, _precision(result))
    shift = seen = None
    if colour[0] != "none" and colour[1] > 0:
        if size_of(crop) != box.size and max(around.width, around.height) <= _SMALL:
            # What is measured and what is put back is then best computed once.
            seen = resize(pixels[None], box.size, around, filters)[0]
        shift = _measure(pixels, seen, stitch, index, around, colour[0])
    if seam == "multi-band":
        window = around
    correction = None
    place = window.relative_to(around)
    if shift is not None:
        extent = around.height, around.width
        correction = Correction.of(shift, extent, place.rows, place.columns, colour[1], pixels)
    weight = alpha[window.rows, window.columns].to(result.device)
    target = window.shift(box.x, box.y).relative_to(stitch.bounds)
    view = result[target.rows, target.columns]
    whole = empty((*view.shape[:2], 3), pixels.dtype, view.device) if seam == "multi-band" else None
    mix = Blend()
    strips: Iterable[tuple[slice, Tensor]]
    if seen is None:
        strips = resize_strips(pixels, box.size, window, pixels.dtype, filters)
    else:
        strips = [(slice(0, window.height), seen[place.rows, place.columns])]
    for rows, part in _blocks(strips):
        if correction is not None:
            correction.undo(part, rows.start)
        if whole is not None:
            whole[rows] = part
        else:
            mix(view[rows], part, None if seam == "whole crop" else weight[rows])
    if whole is None or torch.equal(view[..., :3].to(whole.dtype), whole):
        return
    single = torch.float32
    bands = blend_bands(view[..., :3].to(single), whole.to(single).clamp(0, 1), weight)
    blend(view, bands, (weight > 0).to(weight.dtype))


def _blocks(strips: Iterable[tuple[slice, Tensor]]) -> Iterator[tuple[slice, Tensor]]:
    """Rows and their pixels ``[n, w, 3]``, a few at a time."""
    for rows, pixels in strips:
        step = rows_at_once(pixels.shape[1], pixels.device)
        for top in range(rows.start, rows.stop, step):
            part = slice(top, min(top + step, rows.stop))
            yield part, pixels[part.start - rows.start : part.stop - rows.start]


def _precision(image: Tensor) -> torch.dtype:
    return torch.promote_types(image.dtype, torch.float32)


def _measure(
    crop: Tensor, seen: Tensor | None, stitch: Stitch, index: int, around: Box, mode: str
) -> Shift | None:
    """The shift in colour of a crop ``[h', w', 3]``, from a part of it where its weight is 0.

    `seen` is that part at the size of the box, if it is there already.
    """
    box, image = stitch.boxes[index], stitch.image[stitch.first + index, ..., :3]
    place = around.shift(box.x, box.y)
    inside = place.intersect(Box.of(size_of(stitch.image)))
    if inside is None:
        return None
    crop_size, extent = size_of(crop[None]), (around.height, around.width)
    part = inside.relative_to(place)
    if seen is None and crop_size == box.size:
        seen = crop[around.rows, around.columns]
    if seen is not None:
        here = inside.relative_to(box)
        known = stitch.alpha[index, here.rows, here.columns].to(crop.device) == 0
        before = image[inside.rows, inside.columns].to(crop.device, torch.float32)
        after = seen[part.rows, part.columns].to(torch.float32)
        return measure(after, before, known, mode, extent, part.y, part.x)
    samples = Samples.of(extent, part.rows, part.columns)
    if not len(samples.rows) or not len(samples.columns):
        return None
    known = samples.pick(stitch.alpha[index], around.y, around.x).to(crop.device) == 0
    if not known.any():
        return None
    before = samples.pick(image, place.y, place.x).to(crop.device, torch.float32)
    after = resize_samples(crop, box.size, samples.rows + around.y, samples.columns + around.x)
    return samples.measure(after.clamp_(0, 1), before.clamp(0, 1), known, mode)
