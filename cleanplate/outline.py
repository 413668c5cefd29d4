"""The outline of a mask, to be drawn over a picture at any magnification."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .geometry import Size
from .masks import bounding_box

MOST_POINTS = 4000
"""Beyond so many corners an outline is simplified: it is to be looked at."""

Polygon = NDArray[np.int32]
"""Corners ``[n, 2]`` as x, y, between pixels: (0, 0) is the top left corner of the first pixel."""


def outline(core: Tensor) -> list[Polygon]:
    """The lines between the pixels of a mask and the others.

    Filled by the even-odd rule they give the mask back, exactly unless they would have more than
    `MOST_POINTS` corners.

    Args:
        core: bool ``[H, W]``.

    Returns:
        a polygon for each object and for each hole.
    """
    box = bounding_box(core)
    if box is None:
        return []
    part = core[box.rows, box.columns].cpu().numpy().astype(np.uint8)
    # The contours of OpenCV run through the middle of pixels. On a mask of twice the size that is
    # a quarter of a pixel from the edge, on the inner side: halves round to the edge itself.
    doubled = part.repeat(2, axis=0).repeat(2, axis=1)
    contours, _ = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    edges = [((contour + 1) // 2).astype(np.int32) for contour in contours]
    tolerance = 0.0
    lines = _simplified(edges, tolerance)
    while sum(map(len, lines)) > MOST_POINTS and tolerance < max(core.shape):
        tolerance = 2 * tolerance or 0.5
        lines = _simplified(edges, tolerance)
    return [line + np.array([box.x, box.y], np.int32) for line in lines]


def _simplified(edges: list[NDArray[np.int32]], tolerance: float) -> list[Polygon]:
    lines = [cv2.approxPolyDP(edge, tolerance, closed=True)[:, 0] for edge in edges]
    return [line.astype(np.int32) for line in lines if len(line) > 2]


def svg_path(polygons: list[Polygon], size: Size) -> str:
    """Polygons as the path of an SVG, in parts of the width and the height of a picture."""
    scale = np.array([size.width, size.height])
    return "".join(
        "M" + "L".join(f"{x:.5g} {y:.5g}" for x, y in polygon / scale) + "Z" for polygon in polygons
    )
