"""Faces that are small, blurred, or cut off by the border of the image."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..faces.face import Face
from ..geometry import Box, Size
from .boxes import clipped
from .catalogue import kind
from .defect import Defect
from .luma import luma
from .sharpness import SharpnessSettings, reblur_ratios

SOURCE = "faces"
SMALL, BLURRED, CROPPED = "small_face", "blurred_face", "cropped_subject"

LEAST_HEIGHT = 64.0
"""Pixels of a face, from the forehead to the chin."""

LEAST_SHARPNESS = 1.2
"""Re-blur ratio. Of 13 sharp faces of 46 to 372 pixels the lowest had 1.31, of the same blurred by
two pixels the highest 1.14."""

_BEYOND = 0.03
"""Of a face's width: reaching so far beyond the border, its box is no slip of the detector."""

_SUREST = 0.2
"""Likewise, where there is no doubt."""

_ON_BORDER = 0.5
"""Pixels: a box that ends there was cut to the image, by whoever gave it."""

_LEAST_SIDE = 16
_EDGES = SharpnessSettings(strongest=0.1, least_gradient=4.0)


def face_defects(
    image: Tensor,
    faces: Sequence[Face],
    *,
    least_height: float = LEAST_HEIGHT,
    least_sharpness: float = LEAST_SHARPNESS,
    cropped: bool = True,
) -> list[Defect]:
    """What is wrong with the faces of an image.

    A face that is both small and blurred is reported once, as small: the same node repairs both.

    Args:
        image: ``[H, W, 3 or 4]`` float in 0..1.
        faces: those that were found in it.
        least_height: pixels; a lower face is small. 0 to leave that out.
        least_sharpness: re-blur ratio, see `face_sharpness`; below it a face is blurred. 0 to
            leave that out.
        cropped: also report faces that run into the border.

    Returns:
        in the order of the faces.

    Raises:
        ValueError: a limit is negative.
    """
    if least_height < 0 or least_sharpness < 0:
        raise ValueError(
            f"least_height is {least_height} and least_sharpness {least_sharpness}: give numbers "
            "from 0 on."
        )
    size = Size(image.shape[1], image.shape[0])
    defects = []
    for face in faces:
        box = clipped(face.box, size)
        if box is None:
            continue
        height = face.box[3] - face.box[1]
        sharp = face_sharpness(image, box)
        blurred = sharp is not None and sharp < least_sharpness
        if height < least_height:
            reason = f"the face is {height:.0f} pixels high, fewer than {least_height:.0f}"
            reason += f", and not sharp (re-blur ratio {sharp:.2f})" if blurred else ""
            defects.append(_defect(SMALL, face, height, reason, box))
        elif sharp is not None and blurred:
            reason = f"the re-blur ratio of the face is {sharp:.2f}, below {least_sharpness:.2f}"
            defects.append(_defect(BLURRED, face, sharp, reason, box))
        sides = cut_sides(face, size) if cropped else {}
        if sides:
            score = min(face.score, 0.5 + 0.5 * max(sides.values()) / _SUREST)
            reason = f"the face runs into the {' and '.join(sides)} border of the image"
            severity = kind(CROPPED).severity(score)
            defects.append(Defect(CROPPED, score, severity, SOURCE, reason, box))
    return defects


def cut_sides(face: Face, size: Size) -> dict[str, float]:
    """The borders of the image that cut a face, and how much of its width lies beyond each.

    Detectors guess where a face goes on; boxes that end on the border itself count as cut, too.
    """
    left, top, right, bottom = face.box
    beyond = {
        "left": -left,
        "top": -top,
        "right": right - size.width,
        "bottom": bottom - size.height,
    }
    width = max(right - left, 1.0)
    return {
        side: max(0.0, reach / width)
        for side, reach in beyond.items()
        if reach >= _BEYOND * width or abs(reach) < _ON_BORDER
    }


def face_sharpness(image: Tensor, box: Box) -> float | None:
    """The re-blur ratio of the tenth of a face with the strongest edges, see `reblur_ratios`.

    Returns:
        1 where nothing is left to lose; None for fewer than 16 pixels in width or height, or where
        no edges are to be seen.
    """
    if min(box.width, box.height) < _LEAST_SIDE:
        return None
    ratios = reblur_ratios(luma(image[box.rows, box.columns]), _EDGES)
    return ratios[0] if ratios else None


def _defect(name: str, face: Face, measure: float, reason: str, box: Box) -> Defect:
    return Defect(name, face.score, kind(name).severity(measure), SOURCE, reason, box)
