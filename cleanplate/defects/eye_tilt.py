"""Eyes that sit at different heights, from ComfyUI's FACE_LANDMARKS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..checks import size_of
from ..faces.sources import faces_from_landmarks
from ..geometry import Size
from .boxes import Found, clipped
from .catalogue import kind
from .defect import Defect

SOURCE = "eye_tilt"
KIND = "asymmetric_eyes"

MOST_TILT = kind(KIND).severity.mild
"""Cosine of the angle between the line of the eyes and the axis of the face; 0 is upright."""

MOST_TURN = 0.12
"""How far the tip of the nose may be off the middle, in distances of the eyes. A head that is
turned and nodding shows its eyes at different heights, too."""

_IRISES = (468, 473)
_NOSE = 4
_AXIS = (10, 152)
"""The top of the forehead and the chin."""

_EYES = (33, 133, 159, 145, 263, 362, 386, 374, 468, 473)
"""Corners, lids and irises of both eyes."""

_POINTS = 478
_ROOM = 0.25

Points = NDArray[np.float64]


def uneven_eyes(
    landmarks: Any, image: Tensor, *, most_tilt: float = MOST_TILT, most_turn: float = MOST_TURN
) -> list[Found]:
    """Faces whose eyes sit at different heights.

    Args:
        landmarks: ComfyUI's FACE_LANDMARKS, see `faces_from_landmarks`.
        image: ``[B, H, W, C]``; one frame serves all images.
        most_tilt: see `eye_tilt`; larger ones are reported.
        most_turn: see `MOST_TURN`; a face turned farther is not judged.

    Returns:
        per image its defects, and a note for each face that was not judged.

    Raises:
        ValueError: another structure, or landmarks of other images.
    """
    # Raises for what is no FACE_LANDMARKS of this image.
    faces_from_landmarks(landmarks, image)
    frames: Sequence[Sequence[Any]] = landmarks["frames"]
    found = [_of_image(frame, size_of(image), most_tilt, most_turn) for frame in frames]
    return found * len(image) if len(found) == 1 else found


def eye_tilt(points: Points) -> float:
    """|cosine| of the angle between the line through the irises and that from forehead to chin.

    Args:
        points: MediaPipe's 478 landmarks, x and y.
    """
    eyes, axis = points[_IRISES[1]] - points[_IRISES[0]], points[_AXIS[1]] - points[_AXIS[0]]
    lengths = float(np.linalg.norm(eyes) * np.linalg.norm(axis))
    return abs(float(eyes @ axis)) / lengths if lengths > 0 else 0.0


def head_turn(points: Points) -> float:
    """How far the tip of the nose is off the middle along the eyes, in distances of the eyes."""
    one, other = points[_IRISES[0]], points[_IRISES[1]]
    eyes = other - one
    length = float(eyes @ eyes)
    # Along the face's axis, lest eyes at different heights shift the middle.
    axis = points[_AXIS[1]] - points[_AXIS[0]]
    across = np.array((-axis[1], axis[0])) / max(float(np.linalg.norm(axis)), 1e-9)
    away = float((points[_NOSE] - (one + other) / 2) @ across)
    return abs(away) / length**0.5 if length > 0 else float("inf")


def _of_image(frame: Sequence[Any], size: Size, most_tilt: float, most_turn: float) -> Found:
    defects, notes = [], []
    for number, face in enumerate(frame, 1):
        points = _points(face)
        if points is None:
            notes.append(f"face {number} has not the {_POINTS} landmarks with irises")
            continue
        turn, tilt = head_turn(points), eye_tilt(points)
        if turn > most_turn:
            notes.append(
                f"face {number} is turned too far to judge its eyes (nose {turn:.2f} eye distances "
                f"off the middle, at most {most_turn:.2f})"
            )
        elif tilt > most_tilt:
            eyes = points[list(_EYES)]
            room = _ROOM * float(np.linalg.norm(points[_IRISES[1]] - points[_IRISES[0]]))
            box = clipped((*(eyes.min(0) - room), *(eyes.max(0) + room)), size)
            if box is None:
                continue
            rule = kind(KIND).severity
            reason = f"the line of the eyes is tilted by {tilt:.3f}, more than {most_tilt:.3f}"
            defects.append(Defect(KIND, _score(face), rule(tilt), SOURCE, reason, box))
    return Found(tuple(defects), tuple(notes))


def _points(face: Any) -> Points | None:
    try:
        points = np.asarray(face["landmarks_xy"], dtype=np.float64)[:, :2]
    except (TypeError, KeyError, ValueError, IndexError):
        return None
    return points if len(points) >= _POINTS and np.isfinite(points).all() else None


def _score(face: Mapping[str, Any]) -> float:
    try:
        score = float(face.get("score", 1.0))
    except (TypeError, ValueError):
        return 1.0
    return min(max(score, 0.0), 1.0) if np.isfinite(score) else 1.0
