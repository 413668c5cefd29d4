"""Put a changed crop back so that only the masked part of the image changes."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import torch
from torch import Tensor

from .checks import check_image, size_of
from .geometry import Box, Size
from .upscale.resize import resize

_UNSEEN_STRETCH = 1.03
_MOST_MULTIPLE = 64


@dataclass(frozen=True, eq=False)
class Stitch:
    """Where crops came from, and how they are blended back.

    Attributes:
        image: the original ``[B, H, W, 3 or 4]``, by reference.
        boxes: one box for each image, all of one size; may reach beyond the image.
        alpha: blend weights on the crops ``[B, h, w]``, float32: 1 replaces, 0 keeps the original.
    """

    image: Tensor
    boxes: tuple[Box, ...]
    alpha: Tensor

    @property
    def is_empty(self) -> bool:
        """Whether no pixel is to change."""
        return not bool(self.alpha.any())

    def mask(self) -> Tensor:
        """The blend weights at the image's size: float32 ``[B, H, W]``."""
        full = self.alpha.new_zeros(self.image.shape[:3])
        whole = Box.of(size_of(self.image))
        for i, box in enumerate(self.boxes):
            if place := box.intersect(whole):
                source = place.relative_to(box)
                full[i, place.rows, place.columns] = self.alpha[i, source.rows, source.columns]
        return full


def stitch_back(stitch: Stitch, image: Tensor) -> Tensor:
    """Blend changed crops into their originals.

    Args:
        stitch: from `crop_around_mask`.
        image: the crops after the change, ``[N, h', w', 3 or 4]`` of any size, resized to the box;
            a fourth channel is ignored. N is the stitch's count, or any number when the stitch
            holds one image: then each crop gives one result.

    Returns:
        A new tensor like the original, ``[N, H, W, C]``, same dtype and device. Where the weight is
        0 it is bit-identical to the original; a fourth channel is the original's.

    Raises:
        ValueError: counts that do not go together, an aspect that is off by more than 3 % and
            more than rounding to a model's multiples explains (the picture would be distorted), or
            an image that `check_image` refuses.
    """
    check_image(image)
    crops, originals = image.shape[0], stitch.image.shape[0]
    if originals not in (1, crops):
        raise ValueError(
            f"stitch holds {originals} images but image holds {crops}: connect the stitch of the "
            "CropAroundMask that made these crops."
        )
    size, got = stitch.boxes[0].size, size_of(image)
    if not stitch.is_empty and not _same_shape(got, size):
        raise ValueError(
            f"image is {got} but was cropped at {size}, another aspect: connect the changed crop "
            "of this stitch, resized without cropping or padding."
        )

    result = stitch.image.expand(crops, -1, -1, -1).clone(memory_format=torch.contiguous_format)
    whole = Box.of(size_of(result))
    for i in range(crops):
        source = min(i, originals - 1)
        box, alpha = stitch.boxes[source], stitch.alpha[source]
        place = box.intersect(whole)
        if place is None or not alpha.any():
            continue
        window = place.relative_to(box)
        changed = resize(image[i : i + 1, ..., :3].to(result.device, torch.float32), box.size)
        blend(
            result[i, place.rows, place.columns],
            changed[0, window.rows, window.columns],
            alpha[window.rows, window.columns].to(result.device),
        )
    return result


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


def blend(target: Tensor, source: Tensor, alpha: Tensor) -> None:
    """Mix `source` into `target` in place, writing only where the weight is not 0.

    Args:
        target: a view ``[h, w, 3 or 4]`` of the result; a fourth channel is left alone.
        source: float ``[h, w, 3]``; values outside 0..1 saturate.
        alpha: ``[h, w]`` in 0..1; where it is 1 the source replaces the target exactly.
    """
    old = target[..., :3].to(torch.float32)
    weight = alpha.unsqueeze(-1)
    mixed = torch.lerp(old, source.clamp(0, 1), weight)
    # An unchanged crop must come back bit for bit, which rounding in the mix would not keep.
    changed = (weight > 0) & (source != old)
    target[..., :3] = torch.where(changed, mixed.clamp(0, 1).to(target.dtype), target[..., :3])
