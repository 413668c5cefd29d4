"""How far a restored face is from the one it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import hypot

import cv2
import numpy as np
import torch
from torch import Tensor

from .align import SIDE
from .face import Point
from .paste import frame_weight

FindLandmarks = Callable[[Tensor], Sequence[Point] | None]
"""Finds the five landmarks of the face in an aligned crop ``[512, 512, 3]``."""

MOST_LANDMARK_SHIFT = 0.1
"""Mean way of the landmarks, in distances of the eyes, that a restored face may have moved."""

MOST_DRIFT = 0.08
"""Root mean square of what changes when everything finer than `_COARSE` is left out, in 0..1."""

_COARSE = SIDE / 32
_TRIES = 4


@dataclass(frozen=True)
class Drift:
    """How far a restored face is from the one it was.

    Attributes:
        landmarks: mean way of the five landmarks, in distances of the eyes; None if nobody looked
            or the face was not found before.
        lost: a face was found before and is not any more.
        low_pass: root mean square of the change, blurred with a Gaussian of 16 pixels, in 0..1.
        colour: mean change of red, green and blue, in -1..1.
    """

    landmarks: float | None
    lost: bool
    low_pass: float
    colour: tuple[float, float, float]

    @property
    def is_too_far(self) -> bool:
        far = self.landmarks is not None and self.landmarks > MOST_LANDMARK_SHIFT
        return far or self.lost or self.low_pass > MOST_DRIFT

    def __str__(self) -> str:
        parts = []
        if self.lost:
            parts.append("no face is found in it any more")
        elif self.landmarks is not None:
            parts.append(f"landmarks moved {self.landmarks:.1%} of the eye distance")
        parts.append(f"coarse change {255 * self.low_pass:.1f} levels")
        colour = ", ".join(f"{255 * value:+.1f}" for value in self.colour)
        return ", ".join([*parts, f"colour {colour}"])


class Guard:
    """Measures the drift of one face, at any strength.

    Args:
        crop: ``[512, 512, 3]`` float32 in 0..1, before.
        change: ``[512, 512, 3]`` float32, what is to be added.
        find: looks for landmarks; without it they are not compared.
    """

    def __init__(self, crop: Tensor, change: Tensor, find: FindLandmarks | None = None) -> None:
        self._crop, self._change, self._find = crop, change, find
        counts = frame_weight()
        inside = counts >= 1
        # Blurring what a quarter of the pixels show costs a quarter and gives the same.
        small = cv2.resize(
            change.contiguous().numpy(), None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA
        )
        blurred = torch.from_numpy(cv2.GaussianBlur(small, (0, 0), _COARSE / 4))
        within = blurred[inside[2::4, 2::4]]
        self._low_pass = float(within.square().mean().sqrt())
        red, green, blue = (float(value) for value in change[inside].mean(0))
        self._colour = (red, green, blue)
        self._before = find(crop) if find else None

    def at(self, strength: float) -> Drift:
        """The drift if the change counts that much."""
        shift, lost = None, False
        if self._find and self._before is not None:
            after = self._find((self._crop + strength * self._change).clamp(0, 1))
            lost = after is None
            shift = landmark_shift(self._before, after) if after is not None else None
        red, green, blue = (strength * value for value in self._colour)
        return Drift(shift, lost, strength * self._low_pass, (red, green, blue))

    def allowed(self, strength: float) -> tuple[float, Drift]:
        """The most of a strength that stays within the limits, found in a few tries.

        Returns:
            the strength, 0 if none was found; and the drift there, or at the full strength if it
            is 0.
        """
        first = drift = self.at(strength)
        for _ in range(_TRIES):
            if not drift.is_too_far:
                return strength, drift
            ratios = [MOST_DRIFT / drift.low_pass] if drift.low_pass > MOST_DRIFT else []
            if drift.landmarks is not None and drift.landmarks > MOST_LANDMARK_SHIFT:
                ratios.append(MOST_LANDMARK_SHIFT / drift.landmarks)
            if drift.lost:
                ratios.append(0.5)
            strength *= 0.98 * min(ratios)
            drift = self.at(strength)
        return (strength, drift) if not drift.is_too_far else (0.0, first)


def landmark_shift(before: Sequence[Point], after: Sequence[Point]) -> float:
    """Mean way between landmarks, in distances of the eyes before."""
    eyes = hypot(before[1][0] - before[0][0], before[1][1] - before[0][1])
    away = np.array(before, np.float64) - np.array(after, np.float64)
    return float(np.hypot(*away.T).mean() / max(eyes, 1e-6))
