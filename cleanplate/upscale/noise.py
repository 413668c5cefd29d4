"""Noise for an image that is refined in tiles: one field, of which each tile sees its part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..geometry import Box

_BLOCK = 64


@dataclass(frozen=True)
class NoiseField:
    """Standard normal noise over an endless plane, any part of which can be had by itself.

    Two parts that overlap agree where they do, and a part costs the same wherever it lies: the
    plane is made of blocks, each drawn from a generator of its own that is seeded with the block's
    place.

    Attributes:
        seed: 0 or more.
        channels: of the latents.
        image: number of the image in its batch; each has another field.
    """

    seed: int
    channels: int
    image: int = 0

    def part(self, box: Box) -> Tensor:
        """The noise of a rectangle.

        Args:
            box: in latent cells, at 0 or more.

        Returns:
            ``[1, channels, box.height, box.width]`` float32 on the CPU.
        """
        rows = range(box.y // _BLOCK, -(-box.bottom // _BLOCK))
        columns = range(box.x // _BLOCK, -(-box.right // _BLOCK))
        blocks = np.block([[self._block(row, column) for column in columns] for row in rows])
        top, left = box.y - rows.start * _BLOCK, box.x - columns.start * _BLOCK
        part = blocks[None, :, top : top + box.height, left : left + box.width]
        return torch.from_numpy(np.ascontiguousarray(part))

    def _block(self, row: int, column: int) -> np.ndarray:
        # NumPy's generators, unlike torch's on the CPU, use all bits of a seed: no two blocks are
        # alike.
        bits = np.random.PCG64([self.seed, self.image, row, column])
        shape = (self.channels, _BLOCK, _BLOCK)
        return np.random.Generator(bits).standard_normal(shape, np.float32)
