"""Bring faces to where restoration networks expect them: the frame of 512x512 pixels of FFHQ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from torch import Tensor

from ..checks import size_of
from ..geometry import Box, Size
from .face import Point
from .warp import Matrix, Sampler, bounds, inverted, positions

SIDE = 512

TEMPLATE = np.array(
    [
        (192.98138, 239.94708),
        (318.90277, 240.1936),
        (256.63416, 314.01935),
        (201.26117, 371.41043),
        (313.08905, 371.15118),
    ]
)
"""Where FFHQ has the landmarks, counted from the centre of the first pixel (facexlib, MIT)."""

_LEAST_FIT = 0.5
_MOST_ENLARGED = 64.0
_FRAME = Box(0, 0, SIDE, SIDE)


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where a face lies.

    Attributes:
        matrix: maps positions in the image to positions in the frame.
        whole: the image is nothing but the face.
    """

    matrix: Matrix
    whole: bool = False

    @property
    def scale(self) -> float:
        """Pixels of the frame for one pixel of the image."""
        return sqrt(abs(float(np.linalg.det(self.matrix[:, :2]))))

    def place(self, size: Size, rim: int = 0) -> Box | None:
        """The part of an image of that size in which the frame lies; None if outside.

        Without a `rim` of so many pixels of the frame.
        """
        return bounds(inverted(self.matrix), _FRAME.pad(-rim)).intersect(Box.of(size))

    def crop(self, image: Tensor) -> Tensor:
        """The face in its frame.

        Beyond the image its last pixels go on: a constant colour would be an edge and a
        reflection another half of a face.

        Args:
            image: ``[h, w, 3 or 4]``, any floating type; only the part around the face is read.

        Returns:
            float32 ``[512, 512, 3]``, clamped to 0..1: bicubic values may overshoot.
        """
        back = inverted(self.matrix)
        reach = 4 + int(4 * np.abs(back[:, :2]).sum(1).max())
        whole = Box.of(size_of(image[None]))
        seen = bounds(back, _FRAME).pad(reach).intersect(whole) or whole
        part = image[seen.rows, seen.columns, :3]
        back = back - np.array([[0, 0, seen.x], [0, 0, seen.y]])
        return Sampler(part, back).at(_FRAME).clamp(0, 1).contiguous()


def align(landmarks: Sequence[Point]) -> Alignment | str:
    """The similarity that brings five landmarks nearest to FFHQ's: no shear, no reflection.

    Least squares after Umeyama, "Least-squares estimation of transformation parameters between two
    point patterns", 1991.

    Args:
        landmarks: five points in the order of `Face.landmarks`.

    Returns:
        the alignment; or in words why there is none: the points coincide, are no face (the
        similarity explains less than half of their spread), or need more than 64x enlargement.
    """
    found = np.array(landmarks, np.float64)
    wanted = TEMPLATE + 0.5
    if found.shape != wanted.shape or not np.isfinite(found).all():
        return "its landmarks are no five finite points"
    middle, target = found.mean(0), wanted.mean(0)
    seen, ideal = found - middle, wanted - target
    spread = float((seen**2).sum())
    if spread < 1e-6:
        return "its landmarks all lie in one point"
    # In the plane, the best rotation without reflection is the angle of this complex number.
    along = float((seen * ideal).sum())
    across = float((seen[:, 0] * ideal[:, 1] - seen[:, 1] * ideal[:, 0]).sum())
    fit = (along**2 + across**2) / (spread * float((ideal**2).sum()))
    if fit < _LEAST_FIT:
        return f"its landmarks do not lie as those of a face do (fit {fit:.2f} of 1)"
    a, b = along / spread, across / spread
    if np.hypot(a, b) > _MOST_ENLARGED:
        return f"it would have to be enlarged {np.hypot(a, b):.0f} times"
    linear = np.array([[a, -b], [b, a]])
    return Alignment(np.hstack((linear, (target - linear @ middle)[:, None])))


def already_aligned(size: Size) -> Alignment:
    """The alignment of an image that is nothing but an aligned face: its edges are the frame's."""
    return Alignment(
        np.array([[SIDE / size.width, 0.0, 0.0], [0.0, SIDE / size.height, 0.0]]), whole=True
    )


def depth(alignment: Alignment, box: Box) -> Tensor:
    """How far inside the frame the pixels of a box of the image lie.

    Returns:
        float32 ``[2, h, w]``: distance to the nearest vertical and horizontal edge of the frame,
        in pixels of the frame; negative outside.
    """
    middle = np.array([[0, 0, SIDE / 2], [0, 0, SIDE / 2]])
    return positions(alignment.matrix - middle, box).abs_().neg_().add_(SIDE / 2)
