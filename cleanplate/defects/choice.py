"""One defect out of many, and its mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import masks
from ..geometry import Size
from .catalogue import kind
from .defect import Defect
from .report import union_mask


@dataclass(frozen=True)
class Choice:
    """One of the defects that were asked for.

    Attributes:
        defect: None where there are not so many.
        count: how many there are.
    """

    defect: Defect | None
    count: int


def choose(defects: Sequence[Defect], index: int, *, name: str = "", placed: bool = True) -> Choice:
    """One defect by its number.

    Args:
        defects: of one image, the most severe first.
        index: 0 is the most severe of those that are asked for.
        name: only those of this kind; empty for all.
        placed: only those with a place, not those of the image as a whole.

    Raises:
        ValueError: an index below 0.
    """
    if index < 0:
        raise ValueError(f"index is {index}: give 0 for the most severe defect, 1 for the next.")
    asked = [
        defect
        for defect in defects
        if (defect.box is not None or not placed) and (not name or defect.kind == name)
    ]
    return Choice(asked[index] if index < len(asked) else None, len(asked))


def mask_of(defect: Defect | None, size: Size, *, grow: bool = True) -> Tensor:
    """Where a defect is, ``[H, W]`` float32 in 0..1; nothing for one of the image as a whole.

    Args:
        defect: None for nothing.
        size: of the image.
        grow: by as much as the catalogue says for its kind, so that no rim of it stays.
    """
    if defect is None or defect.box is None:
        return torch.zeros(size.height, size.width)
    mask = union_mask([defect], size)
    pixels = kind(defect.kind).growth(defect.box) if grow else 0
    if not pixels:
        return mask
    core = masks.core(mask)
    return torch.maximum(mask, masks.grow(core, pixels).float()) if core.any() else mask
