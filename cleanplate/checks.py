"""Checks of what a user connects: one sentence that says what came, and what to do."""

from __future__ import annotations

from math import isfinite

import torch
from torch import Tensor

from .geometry import Size

_PLACEHOLDER = Size(64, 64)


def size_of(image: Tensor) -> Size:
    """Size of an IMAGE ``[B, H, W, C]`` or a MASK ``[B, H, W]``."""
    return Size(image.shape[2], image.shape[1])


def check_image(image: Tensor, name: str = "image", *, values: bool = True) -> None:
    """Refuse what is not an IMAGE: float ``[B, H, W, 3 or 4]`` of finite values.

    Args:
        image: what came.
        name: what the input is called in messages.
        values: read them all; without it the caller does so with those that matter, see
            `check_finite`.

    Raises:
        ValueError: another shape or type, no pixels, or NaN or infinite values.
    """
    if image.ndim != 4 or image.shape[3] not in (3, 4):
        raise ValueError(
            f"{name} has shape {list(image.shape)}: expected [batch, height, width, 3 or 4], "
            "connect an RGB or RGBA IMAGE."
        )
    if 0 in image.shape:
        raise ValueError(f"{name} is empty (shape {list(image.shape)}): connect an IMAGE.")
    if not image.is_floating_point():
        raise ValueError(f"{name} has dtype {image.dtype}: expected floating point values in 0..1.")
    if values:
        check_finite(image, name)


def check_finite(image: Tensor, name: str = "image") -> None:
    """Refuse NaN or infinite values in an image, or in a part of it that is about to be used.

    Raises:
        ValueError: there are some.
    """
    if not bool(torch.stack(torch.aminmax(image)).isfinite().all()):
        bad = int((~image.isfinite()).sum())
        raise ValueError(
            f"{name} holds {bad} NaN or infinite values: look at the node it comes from "
            "(often a VAE decoding in half precision: run ComfyUI with --fp32-vae)."
        )


def check_mask(mask: Tensor, image: Tensor, name: str = "mask", *, values: bool = True) -> Tensor:
    """Bring a mask into the form ``[B, H, W]`` that goes with an image.

    Args:
        mask: ``[H, W]``, ``[1 or B, H, W]`` or ``[1 or B, 1, H, W]``; bool and integer masks are
            taken as 0 or not 0.
        image: a checked ``[B, H, W, C]``.
        name: what the input is called in messages.
        values: bring them into 0..1 and refuse NaN; without it the caller does so with those that
            matter.

    Returns:
        The mask as float32 ``[B, H, W]`` on the image's device; one mask for several images is
        expanded, not copied.

    Raises:
        ValueError: another number of axes, size or count than the image's, or NaN in it. The 64x64
            empty mask which LoadImage gives for pictures without transparency has its own message.
    """
    if mask.ndim == 2:
        mask = mask.unsqueeze(0)
    if mask.ndim == 4 and mask.shape[1] == 1:
        mask = mask.squeeze(1)
    if mask.ndim != 3:
        raise ValueError(
            f"{name} has shape {list(mask.shape)}: expected [batch, height, width], "
            "connect a MASK (an image becomes one with Convert Image to Mask)."
        )
    wanted, got = size_of(image), size_of(mask)
    if got != wanted:
        if got == _PLACEHOLDER and not mask.any():
            raise ValueError(
                f"{name} is the empty 64x64 mask that Load Image gives for a picture without "
                "transparency: right-click the image, open the mask editor and paint over what "
                "shall go."
            )
        raise ValueError(
            f"{name} is {got} but image is {wanted}: make both the same size (resize the mask "
            "together with its image)."
        )
    count, images = mask.shape[0], image.shape[0]
    if count not in (1, images):
        raise ValueError(
            f"{name} holds {count} masks for {images} images: give one mask for all, or one for "
            "each image."
        )
    if not mask.is_floating_point():
        mask = mask != 0
    mask = mask.to(image.device, torch.float32)
    if values:
        mask = in_range(mask, name)
    return mask.expand(images, -1, -1)


def in_range(mask: Tensor, name: str = "mask") -> Tensor:
    """A mask, or a part of one, with values in 0..1; the same tensor if they are.

    Raises:
        ValueError: NaN or infinite values.
    """
    low, high = (float(value) for value in torch.aminmax(mask))
    if not isfinite(low + high):
        raise ValueError(f"{name} holds NaN or infinite values: look at the node it comes from.")
    return mask.clamp(0, 1) if low < 0 or high > 1 else mask
