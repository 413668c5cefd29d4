"""Look for the landmarks of a face where it must be: in its frame."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .align import TEMPLATE
from .face import Point
from .mtcnn import Mtcnn
from .mtcnn_landmarks import settle

_LEAST_SCORE = 0.8
"""Faces reach 0.98, also small and blurred ones; a negative and a face upside down 0.53."""


class Relook:
    """Finds the landmarks of aligned faces, see `guard.FindLandmarks`.

    It starts at FFHQ's landmarks, so no search is needed: a twentieth of a CPU-second.

    Args:
        networks: see `load_mtcnn`.
    """

    def __init__(self, networks: Mtcnn) -> None:
        self._networks = networks

    def __call__(self, crop: Tensor) -> Sequence[Point] | None:
        """Landmarks in a crop ``[512, 512, 3]`` in 0..1; None if it shows no face."""
        start = torch.from_numpy(TEMPLATE + 0.5).float()[None]
        with torch.inference_mode():
            found = settle(self._networks.output, crop, start)
        if float(found.scores[0]) < _LEAST_SCORE:
            return None
        return [(x, y) for x, y in found.landmarks[0].tolist()]
