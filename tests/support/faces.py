"""Faces whose place is known, and networks whose result is."""

from __future__ import annotations

import importlib
from math import cos, radians, sin
from typing import Any

import torch
from torch import Tensor

EYES = (319.40277 - 193.48138) / 512
"""Distance of the eyes in the frame, whose side is 1."""


def texture(height: int, width: int, seed: int = 0) -> Tensor:
    """A picture with shades, edges and grain, ``[h, w, 3]`` in 0..1."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.linspace(0, 9, height)[:, None, None]
    x = torch.linspace(0, 9, width)[None, :, None]
    shades = 0.5 + 0.2 * torch.sin(x + torch.tensor([0.0, 1.0, 2.0])) * torch.cos(y)
    edges = 0.1 * torch.sign(torch.sin(3 * x) * torch.sin(4 * y))
    grain = 0.05 * torch.randn(height, width, 3, generator=generator)
    return (shades + edges + grain).clamp(0, 1)


def face_at(x: float, y: float, side: float, degrees: float = 0.0, score: float = 1.0) -> Any:
    """A face whose frame is a square of that side, turned, with that middle."""
    align = importlib.import_module("cleanplate.faces.align")
    face = importlib.import_module("cleanplate.faces.face")
    turn, k = radians(degrees), side / 512
    points = []
    for a, b in align.TEMPLATE + 0.5 - 256:
        right, down = k * (a * cos(turn) - b * sin(turn)), k * (a * sin(turn) + b * cos(turn))
        points.append((float(x + right), float(y + down)))
    half = side / 4
    return face.Face((x - half, y - half, x + half, y + half), score, tuple(points))


def identity(crops: Tensor, fidelity: float) -> Tensor:
    return torch.zeros_like(crops)


def negative(crops: Tensor, fidelity: float) -> Tensor:
    return 1 - 2 * crops
