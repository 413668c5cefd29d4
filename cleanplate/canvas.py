"""Pixels of a box that may reach beyond its image."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from .checks import size_of
from .geometry import Box

Outside = Literal["edge", "mirror", "grey", "zero"]
"""What lies beyond an image: its edge repeated, the image mirrored, middle grey, or 0."""

_FLAT = {"grey": 0.5, "zero": 0.0}


def cut(image: Tensor, box: Box, outside: Outside = "edge") -> Tensor:
    """The pixels of a box: ``[B, H, W, C]`` -> ``[B, h, w, C]``, a view where the box is inside.

    Raises:
        ValueError: the box has no pixel in common with the image.
    """
    whole = Box.of(size_of(image))
    inside = box.intersect(whole)
    if inside is None:
        raise ValueError(f"the box {box} lies outside the image of {whole.size}")
    if inside == box:
        return image[:, box.rows, box.columns]
    if outside in _FLAT:
        shape = (image.shape[0], box.height, box.width, image.shape[3])
        result = image.new_full(shape, _FLAT[outside])
        place = inside.relative_to(box)
        result[:, place.rows, place.columns] = image[:, inside.rows, inside.columns]
        return result
    find = _mirrored if outside == "mirror" else _repeated
    rows = find(box.y, box.height, whole.height, image.device)
    columns = find(box.x, box.width, whole.width, image.device)
    return image.index_select(1, rows).index_select(2, columns)


def _repeated(start: int, length: int, limit: int, device: torch.device) -> Tensor:
    return torch.arange(start, start + length, device=device).clamp_(0, limit - 1)


def _mirrored(start: int, length: int, limit: int, device: torch.device) -> Tensor:
    """Indices that go to and fro over the image; the edge itself is not repeated."""
    period = max(1, 2 * (limit - 1))
    places = torch.arange(start, start + length, device=device).remainder(period)
    return torch.minimum(places, (period - places).abs())
