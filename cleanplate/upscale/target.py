"""Which size a crop should have for a model, and how to get there."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log, sqrt
from typing import Protocol

import torch
from torch import Tensor

from ..checks import check_image, check_mask, size_of
from ..geometry import Size
from .resize import resize, resize_mask

AREA_TOLERANCE = 0.03
"""How far the area may be from the family's, to keep the aspect."""

_PLAIN_ENLARGEMENT = 1.05
_STRETCH_AFTER_MODEL = 1.5


@dataclass(frozen=True)
class ModelFamily:
    """What a kind of diffusion model was trained on.

    Attributes:
        area: pixels of an image.
        multiple: width and height are multiples of it.
    """

    area: int
    multiple: int

    def __post_init__(self) -> None:
        if self.area < 1 or self.multiple < 1:
            raise ValueError(f"area and multiple are {self.area} and {self.multiple}: at least 1.")


FLUX = ModelFamily(1024 * 1024, 16)
SDXL = ModelFamily(1024 * 1024, 8)
SD15 = ModelFamily(512 * 512, 8)

FAMILIES = {"Flux": FLUX, "SDXL": SDXL, "SD 1.5": SD15}


class Upscaler(Protocol):
    """Enlarges ``[B, h, w, 3]`` float32 to ``[B, h * scale, w * scale, 3]``."""

    @property
    def scale(self) -> int: ...

    def __call__(self, image: Tensor) -> Tensor: ...


def target_size(size: Size, family: ModelFamily) -> Size:
    """The size nearest in aspect among those the family allows.

    Width and height are multiples of ``family.multiple``, the area is within 3 % of
    ``family.area``, except for shapes so long that no such size exists. For aspects
    from 1:3 to 3:1 and multiples of 16 the aspect changes by 1.6 % at most.
    """
    step = family.multiple
    ideal = sqrt(family.area * size.aspect)
    first = max(1, int(ideal * 0.9) // step)
    best = None
    for columns in range(first, ceil(ideal * 1.1 / step) + 1):
        width = columns * step
        for rows in {max(1, int(width / size.aspect) // step), ceil(width / size.aspect / step)}:
            height = rows * step
            stretch = abs(log(width / height / size.aspect))
            off = abs(width * height / family.area - 1)
            rank = (max(off - AREA_TOLERANCE, 0), stretch, off)
            if best is None or rank < best[0]:
                best = (rank, Size(width, height))
    assert best is not None
    return best[1]


def passes(factor: float, scale: int) -> int:
    """How often to run a model of that scale before a plain resize, to enlarge by `factor`.

    None when shrinking or enlarging by no more than 5 %; otherwise as few as leave at most a factor
    of 1.5 to the resize, since a further pass costs much and gains nothing measurable there.
    """
    if factor <= _PLAIN_ENLARGEMENT or scale < 2:
        return 0
    count, reached = 1, scale
    while reached < factor / _STRETCH_AFTER_MODEL:
        count, reached = count + 1, reached * scale
    return count


def fit_to_model(
    image: Tensor, mask: Tensor, family: ModelFamily, upscaler: Upscaler | None = None
) -> tuple[Tensor, Tensor]:
    """Bring crops and their masks to a size that a model of the family works best at.

    The upscaler runs only when it helps (see `passes`); the rest is a float Lanczos resize, also
    when shrinking. Nothing is cropped.

    Args:
        image: ``[B, h, w, 3 or 4]``; a fourth channel is resized without the upscaler.
        mask: ``[1 or B, h, w]``.
        family: the size to reach.
        upscaler: enlarges; None resizes only.

    Returns:
        the images ``[B, H, W, same channels]`` in the same dtype, in 0..1; the masks ``[B, H, W]``
        float32 in 0..1.

    Raises:
        ValueError: what `check_image` and `check_mask` refuse.
    """
    check_image(image)
    mask = check_mask(mask, image)
    old = size_of(image)
    new = target_size(old, family)
    colour, rest = image[..., :3], image[..., 3:]
    if upscaler is not None:
        for _ in range(passes(sqrt(new.area / old.area), upscaler.scale)):
            colour = upscaler(colour.float()).to(image)
    resized = resize(colour, new)
    if rest.shape[-1]:
        resized = torch.cat((resized, resize(rest, new)), dim=-1)
    return resized.clamp(0, 1), resize_mask(mask, new).clamp(0, 1)
