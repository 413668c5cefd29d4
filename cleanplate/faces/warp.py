"""Resample a picture along an affine map, in float and without aliasing."""

from __future__ import annotations

from math import ceil, floor, hypot, sqrt

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..geometry import Box

Matrix = np.ndarray
"""An affine map, ``[2, 3]`` float64, between positions; pixel centres lie at half integers."""

_LEAST_LEFT = 3
"""Shrinking by more than twice that is done in whole blocks of pixels first."""

_FINE = 2


def inverted(matrix: Matrix) -> Matrix:
    """The map back."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.hstack((linear, -linear @ matrix[:, 2:]))


def mapped(matrix: Matrix, points: np.ndarray) -> np.ndarray:
    """Where points ``[n, 2]`` go."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def bounds(matrix: Matrix, box: Box) -> Box:
    """The smallest box around what a box becomes."""
    corners = [(x, y) for x in (box.x, box.right) for y in (box.y, box.bottom)]
    moved = mapped(matrix, np.array(corners, np.float64))
    left, top = np.floor(moved.min(0)).astype(int)
    right, bottom = np.ceil(moved.max(0)).astype(int)
    return Box.from_edges(int(left), int(top), int(right), int(bottom))


def positions(matrix: Matrix, box: Box) -> Tensor:
    """Where the centres of the pixels of a box go: float32 ``[2, h, w]``, x and y."""
    across = np.arange(box.x, box.right) + 0.5
    down = np.arange(box.y, box.bottom) + 0.5
    found = torch.empty(2, box.height, box.width)
    for axis, (a, b, start) in enumerate(matrix):
        rows, columns = (
            torch.from_numpy(v.astype(np.float32)) for v in (b * down + start, a * across)
        )
        torch.add(rows[:, None], columns, out=found[axis])
    return found


class Sampler:
    """A picture seen through an affine map.

    Where the map shrinks, pixels are averaged in whole blocks until a factor below 6 is left, and
    then blurred with a Gaussian of ``0.5 sqrt(factor² - 1)`` pixels, along each axis by itself.
    Values in between are bicubic at exact positions; where the map enlarges twice or more, bicubic
    at half pixels and linear between them, which takes a third of the time. Beyond its border a
    picture goes on as its last pixels do. All of it is linear in the picture.

    Args:
        picture: ``[h, w, c]``, any floating type; it is not changed.
        source: the map from positions in the result to positions in the picture.
    """

    def __init__(self, picture: Tensor, source: Matrix) -> None:
        reach = [hypot(*row) for row in source[:, :2]]
        blocks = [max(1, floor(r / _LEAST_LEFT)) for r in reach]
        small = _averaged(picture.to("cpu", torch.float32).contiguous().numpy(), *blocks)
        sigmas = [
            0.5 * sqrt(max(0.0, (r / k) ** 2 - 1)) for r, k in zip(reach, blocks, strict=True)
        ]
        if any(sigmas):
            taps = [2 * ceil(3 * sigma) + 1 for sigma in sigmas]
            at_least = [max(sigma, 1e-6) for sigma in sigmas]
            small = cv2.GaussianBlur(
                small, taps, at_least[0], sigmaY=at_least[1], borderType=cv2.BORDER_REPLICATE
            )
        small = small.reshape(*small.shape[:2], -1)
        per_pixel = np.array([[1 / blocks[0]], [1 / blocks[1]]])
        self._fine = max(reach) <= 1 / _FINE
        if self._fine:
            size = (small.shape[1] * _FINE, small.shape[0] * _FINE)
            small = cv2.resize(small, size, interpolation=cv2.INTER_CUBIC)
            per_pixel *= _FINE
        self._picture = small
        self._source = source * per_pixel

    def at(self, box: Box) -> Tensor:
        """A part of the result, float32 ``[box.height, box.width, c]``; a view."""
        if self._fine:
            # OpenCV counts from the centres of the first pixels.
            begin = np.array([box.x + 0.5, box.y + 0.5, 1])
            linear = self._source[:, :2]
            source = np.hstack((linear, (self._source @ begin - 0.5)[:, None]))
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            size = (box.width, box.height)
            warped = cv2.warpAffine(
                self._picture, source, size, flags=flags, borderMode=cv2.BORDER_REPLICATE
            )
            return torch.from_numpy(warped.reshape(box.height, box.width, -1))
        # grid_sample counts positions from -1 to 1.
        height, width = self._picture.shape[:2]
        to_grid = self._source * np.array([[2 / width], [2 / height]])
        grid = positions(to_grid - np.array([[0, 0, 1], [0, 0, 1]]), box).movedim(0, -1)[None]
        sampled = F.grid_sample(
            torch.from_numpy(self._picture).movedim(-1, 0)[None],
            grid,
            mode="bicubic",
            padding_mode="border",
            align_corners=False,
        )
        return sampled[0].movedim(0, -1)


def _averaged(picture: np.ndarray, across: int, down: int) -> np.ndarray:
    """Means over blocks; the last ones are filled up with the last pixels."""
    if across == down == 1:
        return picture
    height, width = picture.shape[:2]
    more = (-height % down, -width % across)
    if any(more):
        picture = cv2.copyMakeBorder(picture, 0, more[0], 0, more[1], cv2.BORDER_REPLICATE)
    size = (picture.shape[1] // across, picture.shape[0] // down)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
