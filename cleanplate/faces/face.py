"""A face that was found."""

from __future__ import annotations

from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True)
class Face:
    """One face of one image, in pixels of that image; pixel centres lie at half integers.

    Attributes:
        box: left, top, right, bottom; may reach beyond the image.
        score: how sure the detector is, 0..1.
        landmarks: ``(x, y)`` of the eye on the viewer's left, the eye on the viewer's right, the
            nose, and the left and right corner of the mouth; None where only the box is known.
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: tuple[Point, Point, Point, Point, Point] | None = None
