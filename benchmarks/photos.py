"""Real photos from scikit-image's package, and free-form masks on them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

PHOTOS = ("astronaut", "coffee", "chelsea", "rocket", "hubble_deep_field", "retina")
TEXTURES = ("brick", "grass", "gravel")


def photo(name: str) -> Tensor:
    """A picture of `skimage.data` as ``[1, H, W, 3]`` float32 in 0..1, grey in three channels."""
    import skimage.data

    pixels = np.asarray(getattr(skimage.data, name)())
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    return torch.from_numpy(np.ascontiguousarray(pixels[..., :3])).float()[None] / 255


def free_form(height: int, width: int, share: float, seed: int) -> Tensor:
    """A mask ``[1, H, W]`` of 0 and 1 that marks about `share` of the picture.

    By turns (of the seed) one wobbly blob, three of them, or brush strokes.
    """
    generator = np.random.default_rng(seed)
    draw = (_blobs(1), _blobs(3), _strokes)[seed % 3]
    return torch.from_numpy(draw(height, width, share, generator)).float()[None]


_Draw = Callable[[int, int, float, np.random.Generator], np.ndarray]


def _blobs(count: int) -> _Draw:
    def draw(height: int, width: int, share: float, generator: np.random.Generator) -> np.ndarray:
        y, x = np.mgrid[:height, :width]
        radius = math.sqrt(share * height * width / (math.pi * count))
        mask = np.zeros((height, width), bool)
        for k in range(count):
            # each blob in its own third, so that they seldom meet
            low, high = k / count, (k + 1) / count
            cx = width * generator.uniform(low + 0.35 / count, high - 0.35 / count)
            cy = height * generator.uniform(0.35, 0.65)
            angle = np.arctan2(y - cy, x - cx)
            wobble = sum(
                generator.uniform(0.0, 0.45 / n) * np.cos(n * angle + generator.uniform(0, 6.3))
                for n in (2, 3, 5, 7)
            )
            mask |= np.hypot(y - cy, x - cx) <= radius * (1 + wobble)
        return mask

    return draw


def _strokes(height: int, width: int, share: float, generator: np.random.Generator) -> np.ndarray:
    import cv2

    mask = np.zeros((height, width), np.uint8)
    thick = max(3, round(0.07 * min(height, width)))
    while mask.mean() < share:
        point = generator.uniform((0.1 * width, 0.1 * height), (0.9 * width, 0.9 * height))
        heading = generator.uniform(0, 2 * math.pi)
        for _ in range(generator.integers(3, 8)):
            heading += generator.normal(0, 0.6)
            length = generator.uniform(0.5, 1.5) * thick
            end = point + length * np.array((math.cos(heading), math.sin(heading)))
            cv2.line(mask, tuple(point.astype(int)), tuple(end.astype(int)), 1, thick)
            point = end
            if mask.mean() >= share:
                break
    return mask.astype(bool)
