"""Where masks are."""

from __future__ import annotations

from torch import Tensor

from .geometry import Box


def bounding_boxes(mask: Tensor, threshold: float, name: str = "mask") -> list[Box | None]:
    """The smallest box of each mask ``[B, H, W]`` that holds all values from a threshold on.

    Reads each mask once, and the rows it found a second time; None for a mask without any.

    Raises:
        ValueError: NaN or infinite values.
    """
    highest = mask.amax(dim=2)
    if not bool(highest.isfinite().all()):
        raise ValueError(f"{name} holds NaN or infinite values: look at the node it comes from.")
    boxes: list[Box | None] = []
    for plane, rows in zip(mask, highest >= threshold, strict=True):
        hit = rows.nonzero()
        if not len(hit):
            boxes.append(None)
            continue
        top, bottom = int(hit[0]), int(hit[-1]) + 1
        columns = (plane[top:bottom].amax(dim=0) >= threshold).nonzero()
        boxes.append(Box.from_edges(int(columns[0]), top, int(columns[-1]) + 1, bottom))
    return boxes
