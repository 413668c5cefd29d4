"""Pixels of a picture as a list in which an offset is one number."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Grid:
    """Pixels in rows of twice the picture's width.

    A step aside that leaves the picture lands in the empty half of a row, never in the next row. So
    one integer serves as offset, and one look-up tells whether its end is a place of use.
    """

    height: int
    width: int

    @classmethod
    def of(cls, plane: Tensor) -> Grid:
        """The grid of a picture ``[H, W, ...]``."""
        return cls(plane.shape[0], plane.shape[1])

    @property
    def stride(self) -> int:
        return 2 * self.width

    @property
    def length(self) -> int:
        return self.height * self.stride

    def spread(self, plane: Tensor, empty: float | int = 0) -> Tensor:
        """The values ``[H, W, ...]`` as a list ``[length, ...]``; `empty` between the rows."""
        wide = plane.new_full((self.height, self.stride, *plane.shape[2:]), empty)
        wide[:, : self.width] = plane
        return wide.flatten(0, 1)

    def indices(self, marked: Tensor) -> Tensor:
        """Where a bool plane ``[H, W]`` is True, as indices into the list, in reading order."""
        y, x = marked.nonzero(as_tuple=True)
        return y * self.stride + x

    def clamp(self, index: Tensor) -> Tensor:
        """Indices beyond the list brought to one of its ends, which are never places of use."""
        return index.clamp(0, self.length - 1)

    def split(self, offset: Tensor) -> tuple[Tensor, Tensor]:
        """The rows and columns of offsets of less than the width aside."""
        rows = torch.div(offset + self.width, self.stride, rounding_mode="floor")
        return rows, offset - rows * self.stride
