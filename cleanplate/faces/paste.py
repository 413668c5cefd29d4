"""Put what a network changed in a face back into the image, at the image's own resolution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from math import ceil, floor

import cv2
import numpy as np
import torch
from torch import Tensor

from ..checks import size_of
from ..geometry import Box, Size
from .align import SIDE, Alignment, depth
from .warp import Sampler, inverted, mapped

_RIM = 0.04
_FADE = 0.08
_STRIP = 1 << 16
_QUIET = (0.03 / 255) ** 2
"""Nothing can be told from detail that is not a thirtieth of a level strong."""


def frame_weight() -> Tensor:
    """How much of a change counts where in the frame, float32 ``[512, 512]``.

    0 on a rim of 4 %, 1 from 12 % inwards, half a cosine wave between.
    """
    return _fade(depth(Alignment(np.eye(2, 3)), Box(0, 0, SIDE, SIDE)))


def _fade(inside: Tensor) -> Tensor:
    wave = ((inside - _RIM * SIDE) / (_FADE * SIDE)).clamp_(0, 1)
    across, down = wave.mul_(torch.pi).cos_().mul_(-0.5).add_(0.5)
    return across.mul_(down)


def weight(alignment: Alignment, box: Box, others: Sequence[Alignment] = ()) -> Tensor:
    """How much of a change counts at the pixels of a box of the image, float32 ``[h, w]``.

    Computed at each pixel's exact position, so it is exactly 0 outside the frame's rim and exactly
    1 in its middle; 1 everywhere where the image is nothing but the face. Where faces overlap, they
    share what one of them would have, the nearer centre more.
    """
    if alignment.whole:
        return torch.ones(box.height, box.width)
    inside = depth(alignment, box)
    if not others:
        return _fade(inside)
    own = _claim(inside)
    total = reduce(torch.add, (_claim(depth(other, box)) for other in others), own.clone())
    return _fade(inside).mul_(own.div_(total.clamp_(min=1e-12)))


def _claim(inside: Tensor) -> Tensor:
    """Which of two faces has more of a right to a pixel: 0 at the rim, 1 in the middle."""
    return (inside.amin(0) / (SIDE / 2)).clamp_(0, 1).pow_(4)


class Paste:
    """The change of one face, ready to be added to the image.

    A change is known up to the frame's resolution; the image may be finer. Adding it keeps all that
    the frame cannot show, also where the network wiped out the detail around it. So the change is
    split into what is a multiple of the crop (``gain``, per pixel, found by least squares on the
    finest detail the crop has, as in He, Sun and Tang, "Guided image filtering", 2010) and a rest,
    and the gain is applied to the image itself. No change gives no gain; detail that was removed
    or replaced goes at the image's resolution too; a negative is the negative of every pixel.
    Detail is never amplified.

    Args:
        alignment: where the face lies.
        crop: ``[512, 512, 3]`` float32 in 0..1, what the network saw.
        change: ``[512, 512, 3]`` float32, what it made of it minus the crop.
    """

    def __init__(self, alignment: Alignment, crop: Tensor, change: Tensor) -> None:
        self.alignment = alignment
        gain = detail_gain(crop, change, alignment.scale)
        rest = torch.cat((change - gain * crop, gain), dim=2)
        self._sampler = Sampler(rest, alignment.matrix)

    def onto(
        self,
        result: Tensor,
        mask: Tensor,
        image: Tensor,
        strength: float,
        allowed: Tensor | None = None,
        others: Sequence[Alignment] = (),
    ) -> None:
        """Add the change; only pixels inside the frame are touched.

        Args:
            result: ``[h, w, 3 or 4]``, changed in place; alpha is not.
            mask: ``[h, w]`` float32, gets the weights added in place.
            image: ``[h, w, 3 or 4]``, as `result` was before any face.
            strength: 0..1, how much of the change counts.
            allowed: ``[h, w]`` in 0..1, weights of the user.
            others: alignments of further faces of the image that are pasted too.
        """
        size = size_of(image[None])
        near = [(other, box) for other in others if (box := other.place(size)) is not None]
        for strip in _strips(self.alignment, size):
            beside = [other for other, box in near if box.intersect(strip)]
            counts = weight(self.alignment, strip, beside)
            if allowed is not None:
                counts *= allowed[strip.rows, strip.columns].to("cpu", torch.float32)
            at = (strip.rows, strip.columns)
            seen = image[at][..., :3].to("cpu", torch.float32)
            added = self._sampler.at(strip)
            change = torch.addcmul(added[..., :3], added[..., 3:], seen)
            change *= (strength * counts)[..., None]
            before = result[at][..., :3].to("cpu", torch.float32)
            after = change.add_(before)
            # An image beyond 0..1 stays so where nothing changes.
            low, high = (float(value) for value in torch.aminmax(before))
            if low >= 0 and high <= 1:
                after.clamp_(0, 1)
            else:
                after = after.maximum(before.clamp(max=0)).minimum(before.clamp(min=1))
            result[at][..., :3] = after.to(result.device, result.dtype)
            mask[at] += counts.to(mask.device)


def _strips(alignment: Alignment, size: Size) -> Iterator[Box]:
    """Parts of the image that together hold all of the frame that counts, and little more."""
    rim = 0 if alignment.whole else int(_RIM * SIDE)
    place = alignment.place(size, rim)
    if place is None:
        return
    near, far = rim, SIDE - rim
    frame = np.array([(near, near), (far, near), (far, far), (near, far)], np.float64)
    corners = mapped(inverted(alignment.matrix), frame)
    lines = max(1, _STRIP // place.width)
    for top in range(place.y, place.bottom, lines):
        bottom = min(top + lines, place.bottom)
        left, right = _extent(corners, top, bottom)
        strip = Box.from_edges(left, top, right, bottom).intersect(place)
        if strip is not None:
            yield strip


def _extent(corners: np.ndarray, top: int, bottom: int) -> tuple[int, int]:
    """From where to where a polygon reaches between two lines; nothing if they miss it."""
    found = [x for x, y in corners if top <= y <= bottom]
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        found += [
            x1 + (x2 - x1) * (line - y1) / (y2 - y1)
            for line in (top, bottom)
            if (y1 - line) * (y2 - line) < 0
        ]
    return (floor(min(found)), ceil(max(found))) if found else (0, 0)


def detail_gain(crop: Tensor, change: Tensor, scale: float) -> Tensor:
    """The multiple of the crop's finest detail that a change is, where it is one.

    Args:
        crop: ``[512, 512, 3]``.
        change: ``[512, 512, 3]``.
        scale: pixels of the frame for one pixel of the image: a crop that was enlarged has no
            detail finer than that.

    Returns:
        float32 ``[512, 512, 1]`` in -2..0: 0 the detail was kept or sharpened, -1 it is gone or has
        nothing to do with the old one, -2 it was inverted.
    """
    radius = max(2, min(SIDE // 8, round(2 * scale)))
    fine, altered = (_detail(v.contiguous().numpy(), radius) for v in (crop, change))
    size = (8 * radius + 1, 8 * radius + 1)
    common = _mean((fine * altered).sum(2), size)
    power = _mean((fine * fine).sum(2), size)
    return torch.from_numpy(np.clip(common / (power + _QUIET), -2, 0))[..., None]


def _detail(picture: np.ndarray, radius: int) -> np.ndarray:
    return picture - _mean(picture, (2 * radius + 1, 2 * radius + 1))


def _mean(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.blur(picture, size, borderType=cv2.BORDER_REFLECT_101)
