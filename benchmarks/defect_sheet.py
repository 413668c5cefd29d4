"""A sheet of pictures: what was put in, what was found."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
_CELL = 256


def cell(photo: Picture, mask: torch.Tensor, words: str) -> Picture:
    """A picture with the outline of what was found, and words below."""
    drawn = photo.copy()
    outlines, _ = cv2.findContours(
        (mask.numpy() > 0).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    cv2.drawContours(drawn, outlines, -1, (255, 0, 255), 1 + max(photo.shape[:2]) // 400)
    scale = _CELL / max(photo.shape[:2])
    small = cv2.resize(drawn, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    page = np.full((_CELL + 16, _CELL, 3), 255, np.uint8)
    page[: small.shape[0], : small.shape[1]] = small[:_CELL, :_CELL]
    cv2.putText(page, words[:42], (2, _CELL + 12), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 1)
    return page


def write(cells: list[Picture], path: Path, columns: int = 6) -> None:
    while len(cells) % columns:
        cells.append(np.full_like(cells[0], 255))
    rows = [np.hstack(cells[n : n + columns]) for n in range(0, len(cells), columns)]
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1])
