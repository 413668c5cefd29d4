"""Operations on one mask at a time, a tensor ``[H, W]``; distances are in pixels."""

from __future__ import annotations

from functools import reduce
from math import pi

import cv2
import numpy as np
import torch
from torch import Tensor

from .geometry import Box

THRESHOLD = 0.5
"""A mask value from which a pixel belongs to the object: a soft brush counts from its half."""


def core(mask: Tensor) -> Tensor:
    """The pixels that certainly belong to the object: bool, `mask` >= 0.5."""
    return mask >= THRESHOLD


def bounding_box(core: Tensor) -> Box | None:
    """The smallest box that holds all True pixels of a bool mask ``[H, W]``; None without any."""
    rows = core.any(dim=1).nonzero()
    if rows.numel() == 0:
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    columns = core[top:bottom].any(dim=0).nonzero()
    return Box.from_edges(int(columns[0]), top, int(columns[-1]) + 1, bottom)


def marked_box(mask: Tensor) -> Box | None:
    """`bounding_box` of the `core` of a mask ``[H, W]``, for large ones: reads them only once."""
    rows = core(mask.amax(dim=1)).nonzero()
    if rows.numel() == 0:
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    columns = core(mask[top:bottom].amax(dim=0)).nonzero()
    return Box.from_edges(int(columns[0]), top, int(columns[-1]) + 1, bottom)


def object_boxes(core: Tensor) -> list[Box]:
    """The bounding box of each 8-connected object in a bool mask ``[H, W]``."""
    around = bounding_box(core)
    if around is None:
        return []
    part = _as_bytes(core[around.rows, around.columns])
    _, _, stats, _ = cv2.connectedComponentsWithStats(part, connectivity=8)
    return [Box(*(int(v) for v in row[:4])).shift(around.x, around.y) for row in stats[1:]]


def largest_objects(
    core: Tensor, *, least: int, most: int
) -> tuple[np.ndarray, list[tuple[int, Box]]]:
    """The 8-connected objects of a bool mask ``[H, W]``, the largest first.

    Args:
        core: the mask.
        least: pixels that an object must have.
        most: how many to return at most.

    Returns:
        the number of its object for each pixel, ``[H, W]``, 0 where there is none; and number and
        bounding box of the objects.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(_as_bytes(core), connectivity=8)
    area = stats[:, cv2.CC_STAT_AREA]
    order = sorted(range(1, len(stats)), key=lambda label: -int(area[label]))[:most]
    boxes = [(i, Box(*(int(edge) for edge in stats[i][:4]))) for i in order if area[i] >= least]
    return labels, boxes


def merge_boxes(boxes: list[Box]) -> list[Box]:
    """Join boxes that overlap or touch until none do, so that each pixel lies in one at most.

    The time grows with the area around all boxes and hardly with their number.

    Returns:
        the joined boxes, from top to bottom, then from left to right.
    """
    if not boxes:
        return []
    around = reduce(Box.union, boxes)
    while True:
        covered = np.zeros((around.height, around.width), np.uint8)
        for box in (box.relative_to(around) for box in boxes):
            covered[box.rows, box.columns] = 1
        merged = object_boxes(torch.from_numpy(covered))
        done = len(merged) == len(boxes)
        boxes = [box.shift(around.x, around.y) for box in merged]
        if done:
            return sorted(boxes, key=lambda box: (box.y, box.x))


def distance(core: Tensor) -> Tensor:
    """Euclidean distance of each pixel to the nearest True pixel: float32 ``[H, W]``, 0 on it.

    A mask without a True pixel gives infinity. Exact (Felzenszwalb and Huttenlocher's transform in
    OpenCV's ``distanceTransform`` with ``DIST_MASK_PRECISE``).
    """
    if not core.any():
        return torch.full(core.shape, torch.inf, device=core.device)
    outside = np.ascontiguousarray(1 - _as_bytes(core))
    found = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return torch.from_numpy(found).to(core.device)


def grow(core: Tensor, pixels: int) -> Tensor:
    """Add all pixels that lie at most `pixels` away from a bool mask ``[H, W]``."""
    return distance(core) <= pixels if pixels > 0 else core


def fill_holes(core: Tensor) -> Tensor:
    """Add what a bool mask ``[H, W]`` encloses: the inside of a ring, and gaps between strokes.

    A part of the background is enclosed when no path of 4-neighbours leads from it to the border of
    the image. 4, because objects hang together by their corners too (`object_boxes`): a diagonal
    line of single pixels closes a ring.
    """
    background = 1 - _as_bytes(core)
    count, labels = cv2.connectedComponents(background, connectivity=4)
    if count == 1:
        return core
    rims = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    enclosed = np.ones(count, bool)
    enclosed[np.concatenate(rims)] = False
    enclosed[0] = True
    return torch.from_numpy(enclosed[labels]).to(core.device)


def feather(core: Tensor, pixels: int) -> Tensor:
    """Blend weights that fade out around a bool mask ``[H, W]``.

    Returns:
        float32 ``[H, W]``: exactly 1 on the mask, exactly 0 farther than `pixels` from it, half a
        cosine wave between. The fade lies outside, so no part of the object shines through.
    """
    if pixels <= 0:
        return core.to(torch.float32)
    away = distance(core)
    weight = 0.5 + 0.5 * torch.cos(away.clamp(max=pixels + 1) * (pi / (pixels + 1)))
    return torch.where(away <= pixels, weight, 0.0)


def _as_bytes(core: Tensor) -> np.ndarray:
    return core.to("cpu", torch.uint8).numpy()
