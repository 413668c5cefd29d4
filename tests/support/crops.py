"""Pictures, masks and stitching for the tests of crop and stitch."""

from __future__ import annotations

import torch

from cleanplate.geometry import Box
from cleanplate.stitch import Stitch, stitch_back


def picture(height=91, width=127, channels=3, batch=1, dtype=torch.float32):
    generator = torch.Generator().manual_seed(height * width)
    return torch.rand(batch, height, width, channels, generator=generator).to(dtype)


def mask_of(*boxes: Box, height=91, width=127):
    mask = torch.zeros(1, height, width)
    for box in boxes:
        mask[:, box.rows, box.columns] = 1
    return mask


def paste(stitch: Stitch, image: torch.Tensor) -> torch.Tensor:
    """Stitch without correcting colours, which takes a crop of one colour for a shift."""
    return stitch_back(stitch, image, colour="none")
