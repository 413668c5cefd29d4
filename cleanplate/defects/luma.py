"""Luma of an image, and how sure a number makes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Plane = NDArray[np.float32]

_WEIGHTS = (0.299, 0.587, 0.114)
"""Of red, green and blue, ITU-R BT.601."""


def luma(image: Tensor) -> Plane:
    """Luma 0..255 as float32 ``[H, W]`` of an image ``[H, W, 3 or more]`` of any float type.

    Values beyond 0..1 are clamped; channels after the third play no part.
    """
    plane = np.zeros(tuple(image.shape[:2]), np.float32)
    for channel, weight in enumerate(_WEIGHTS):
        values = image[..., channel].detach().to("cpu").float().clamp(0, 1).numpy()
        plane += np.float32(255 * weight) * values
    return plane


@dataclass(frozen=True)
class Level:
    """Where a number begins to count, and where it leaves no doubt.

    Attributes:
        threshold: scores 0.5.
        certain: scores 1; below `threshold` where less is worse.
    """

    threshold: float
    certain: float

    def score(self, value: float) -> float:
        """0..1, straight through both points."""
        share = (value - self.threshold) / (self.certain - self.threshold)
        return min(max(0.5 + 0.5 * share, 0.0), 1.0)
