"""Fills that need no weights: OpenCV's diffusion methods, in float."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from . import Fill

_RADIUS = 3
_SCALE = 65536.0


def telea(image: Tensor, hole: Tensor) -> Tensor:
    """Fast marching from the rim inwards (Telea, 2004; OpenCV ``INPAINT_TELEA``). See `Fill`."""
    return _inpaint(image, hole, cv2.INPAINT_TELEA)


def navier_stokes(image: Tensor, hole: Tensor) -> Tensor:
    """Continue isophotes as a fluid flows (Bertalmio et al., 2001; OpenCV ``INPAINT_NS``).

    See `Fill`.
    """
    return _inpaint(image, hole, cv2.INPAINT_NS)


METHODS: dict[str, Fill] = {"telea": telea, "navier_stokes": navier_stokes}


def _inpaint(image: Tensor, hole: Tensor, method: int) -> Tensor:
    # OpenCV takes three channels as bytes only; one channel at a time keeps the floats.
    marked = hole[0].to("cpu", torch.uint8).numpy()
    # Telea's step adds a unit gradient, meant for bytes: beside values this large it is nothing.
    planes = (image[0].to("cpu", torch.float32) * _SCALE).numpy()
    filled = [
        cv2.inpaint(np.ascontiguousarray(planes[..., c]), marked, _RADIUS, method)
        for c in range(planes.shape[-1])
    ]
    return (torch.from_numpy(np.stack(filled, axis=-1)) / _SCALE).unsqueeze(0).to(image)
