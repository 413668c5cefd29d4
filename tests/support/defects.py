"""Defects whose place and severity are known: patches of plain colours, and who finds them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

RED, GREEN, BLUE = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
Colour = tuple[float, float, float]


def scene(
    *patches: tuple[Colour, tuple[int, int, int, int]], height: int = 160, width: int = 200
) -> Tensor:
    """A grey gradient ``[1, H, W, 3]`` with patches: colour, and (y, x, height, width)."""
    shade = torch.linspace(0.35, 0.65, width)[None, :, None]
    image = shade.expand(height, width, 3).clone()
    for colour, (y, x, h, w) in patches:
        image[y : y + h, x : x + w] = torch.tensor(colour)
    return image[None]


def colour_detector(
    name: str, kinds: Mapping[Colour, tuple[str, float]], package: str = "cleanplate"
) -> Callable[[Tensor], list[Any]]:
    """Finds patches of 9 pixels or more of the colours, each as a kind with a severity."""
    make = importlib.import_module(f"{package}.defects.defect").Defect
    box_of = importlib.import_module(f"{package}.geometry").Box

    def find(image: Tensor) -> list[Any]:
        found = []
        for colour, (kind, severity) in kinds.items():
            marked = (image - torch.tensor(colour)).abs().amax(-1) < 0.2
            _, labels, stats, _ = cv2.connectedComponentsWithStats(
                marked.numpy().astype(np.uint8), connectivity=8
            )
            for label, (x, y, w, h, pixels) in enumerate(stats.tolist()):
                if label and pixels >= 9:
                    box = box_of(x, y, w, h)
                    mask = torch.from_numpy(labels[box.rows, box.columns] == label).float()
                    found.append(make(kind, 1.0, severity, name, "a patch", box, mask))
        return found

    return find


def detection(
    *detectors: tuple[str, Callable[[Tensor], Sequence[Any]]], package: str = "cleanplate"
) -> Any:
    """How to look with these detectors."""
    inspection = importlib.import_module(f"{package}.defects.inspection")
    return inspection.Detection(tuple(detectors))
