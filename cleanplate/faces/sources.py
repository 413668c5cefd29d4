"""Faces that come from other nodes: landmarks, and boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from torch import Tensor

from ..checks import check_image, size_of
from ..geometry import Box, Size
from .detect import detect_faces
from .face import Face
from .mtcnn import Mtcnn
from .searching import SMALLEST_FACE, Progress, Step, face_of

_MESH = (468, 473, 4, 61, 291)
"""Of MediaPipe's 478 points: the iris on the viewer's left and on the right, the tip of the nose,
the corners of the mouth."""

_ROOM = 0.75
"""How far around a box to look, in its longer sides: a box may cut into its face, or be tight."""

_SIDE = 320
"""Pixels to which the surroundings of a box are shrunk: a face in it has some 130."""

_LEAST_SHARE = 0.3
"""Side of the smallest face to look for in a box, in its shorter sides."""

IN_BOX = 0.5
"""Confidence in a box, where someone said that there is a face."""


@dataclass(frozen=True)
class Given:
    """What was given for one image.

    Attributes:
        faces: in the order they came.
        dropped: a sentence for each that was not used.
    """

    faces: tuple[Face, ...] = ()
    dropped: tuple[str, ...] = ()


def faces_from_landmarks(landmarks: Any, image: Tensor) -> list[Given]:
    """Faces from ComfyUI's FACE_LANDMARKS.

    Args:
        landmarks: ``{"frames": per image a list of {"landmarks_xy": [478, 2], "bbox_xyxy": [4],
            "score": float, ...}, "image_size": (height, width), ...}`` as MediaPipeFaceLandmarker
            (comfy_extras/nodes_mediapipe.py) gives it: in pixels, from the image's left top edge.
        image: ``[B, H, W, C]``; one frame serves all images.

    Raises:
        ValueError: another structure, or other images than these.
    """
    check_image(image, values=False)
    size = size_of(image)
    try:
        frames, (height, width) = landmarks["frames"], landmarks["image_size"]
        seen, count = Size(int(width), int(height)), len(frames)
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(
            f"face landmarks are {_kind(landmarks)}: connect the FACE_LANDMARKS of ComfyUI's "
            "MediaPipe Face Landmarker."
        ) from error
    if seen != size:
        raise ValueError(
            f"face landmarks were found in images of {seen} but image is {size}: connect the "
            "landmarks of this image."
        )
    frames = _per_image(frames, count, len(image), "face landmarks")
    return [_landmarked(faces, size) for faces in frames]


def _landmarked(found: Sequence[Mapping[str, Any]], size: Size) -> Given:
    faces, dropped = [], []
    for number, entry in enumerate(found, 1):
        try:
            points = np.asarray(entry["landmarks_xy"], dtype=np.float64)[:, :2]
            box = [float(edge) for edge in entry["bbox_xyxy"]]
            score = float(entry.get("score", 1.0))
        except (TypeError, KeyError, ValueError, IndexError, AttributeError):
            dropped.append(f"face {number} has no landmarks_xy and bbox_xyxy")
            continue
        if len(points) <= max(_MESH) or len(box) != 4:
            dropped.append(
                f"face {number} has {len(points)} landmarks, {max(_MESH) + 1} or more are needed"
            )
            continue
        chosen = points[list(_MESH)]
        middle = chosen.mean(axis=0)
        if not (np.isfinite(chosen).all() and all(isfinite(edge) for edge in box)):
            dropped.append(f"face {number} has landmarks that are no numbers")
        elif not (0 <= middle[0] < size.width and 0 <= middle[1] < size.height):
            dropped.append(f"face {number} lies outside the image")
        else:
            faces.append(face_of(box, score if isfinite(score) else 1.0, chosen.tolist()))
    return Given(tuple(faces), tuple(dropped))


def detect_in_boxes(
    image: Tensor,
    boxes: Any,
    networks: Mtcnn,
    *,
    confidence: float = IN_BOX,
    step: Step | None = None,
) -> list[Given]:
    """Find the face of each box of a BOUNDING_BOX.

    Args:
        image: ``[B, H, W, 3 or 4]`` in 0..1.
        boxes: per image a list of ``{x, y, width, height, label, score}``; one list, or one box,
            serves all images.
        networks: see `load_mtcnn`.
        confidence: least score of a face.
        step: see `detect_faces`.

    Returns:
        per image its faces, one for each box that meets the image. Where the detector finds none in
        a box, the face is that box without landmarks.

    Raises:
        ValueError: another structure or count.
    """
    check_image(image, values=False)
    wanted = _per_image(*_listed(boxes), len(image), "boxes")
    progress = Progress(step, sum(len(some) for some in wanted))
    found = []
    for number, some in enumerate(wanted):
        faces, dropped = [], []
        for index, entry in enumerate(some, 1):
            face = _in_box(image[number : number + 1], entry, index, networks, confidence)
            if isinstance(face, str):
                dropped.append(face)
            else:
                faces.append(face)
            progress()
        found.append(Given(tuple(faces), tuple(dropped)))
    return found


def _in_box(
    image: Tensor, entry: Any, index: int, networks: Mtcnn, confidence: float
) -> Face | str:
    try:
        x, y, width, height = (float(entry[key]) for key in ("x", "y", "width", "height"))
        score = float(entry.get("score", 1.0))
    except (TypeError, KeyError, ValueError, AttributeError):
        return f"box {index} is {_kind(entry)}, not x, y, width and height"
    if not all(isfinite(value) for value in (x, y, width, height)):
        return f"box {index} holds values that are no numbers"
    if width < 1 or height < 1:
        return f"box {index} is {width:g}x{height:g} pixels, which is empty"
    size = size_of(image)
    given = (x, y, x + width, y + height)
    if not (given[0] < size.width and given[1] < size.height and given[2] > 0 and given[3] > 0):
        return (
            f"box {index} at ({x:g}, {y:g}), {width:g}x{height:g}, lies outside the image ({size})"
        )
    room = _ROOM * max(width, height)
    edges = (int(x - room), int(y - room), int(given[2] + room) + 1, int(given[3] + room) + 1)
    part = Box.from_edges(*edges).intersect(Box.of(size))
    assert part is not None  # the box meets the image
    seen = detect_faces(
        image[:, part.rows, part.columns],
        networks,
        confidence=confidence,
        least_face=max(SMALLEST_FACE, _LEAST_SHARE * min(width, height)),
        max_side=_SIDE,
    )[0]
    moved = [_moved(face, part.x, part.y) for face in seen]
    best = max(moved, key=lambda face: _overlap(face.box, given), default=None)
    if best is None or _overlap(best.box, given) <= 0:
        return Face(given, score if isfinite(score) else 1.0)
    return best


def _moved(face: Face, x: int, y: int) -> Face:
    left, top, right, bottom = face.box
    points = [(px + x, py + y) for px, py in face.landmarks or ()]
    return face_of((left + x, top + y, right + x, bottom + y), face.score, points)


def _overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    common = max(0.0, wide) * max(0.0, high)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return common / (sum(areas) - common)


def _listed(boxes: Any) -> tuple[list[Any], int]:
    """Boxes as a list for each image, and their count; core takes flat lists and single boxes."""
    if isinstance(boxes, Mapping):
        return [[boxes]], 1
    if not isinstance(boxes, (list, tuple)):
        raise ValueError(f"boxes are {_kind(boxes)}: connect a BOUNDING_BOX.")
    if not boxes or isinstance(boxes[0], Mapping):
        return [list(boxes)], 1
    if not all(isinstance(some, (list, tuple)) for some in boxes):
        raise ValueError(
            "boxes are neither a list for each image nor one list: connect a BOUNDING_BOX."
        )
    return list(boxes), len(boxes)


def _per_image(given: list[Any], count: int, images: int, name: str) -> list[Any]:
    if count not in (1, images):
        raise ValueError(
            f"{name} are for {count} images but image holds {images}: connect those of this image, "
            "or one list for all."
        )
    return list(given) * images if count == 1 else list(given)


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"of type {type(value).__name__}"
