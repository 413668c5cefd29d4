"""Where the faces of a picture are: what is connected, or what a detector finds."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import io
from torch import Tensor

from ..cleanplate.faces.detect import CONFIDENCE, MAX_SIDE, detect_faces
from ..cleanplate.faces.face import Face
from ..cleanplate.faces.guard import FindLandmarks
from ..cleanplate.faces.mtcnn import Mtcnn, load_mtcnn
from ..cleanplate.faces.relook import Relook
from ..cleanplate.faces.sources import Given, detect_in_boxes, faces_from_landmarks
from ..cleanplate.faces.yunet import YuNet, detect_with_yunet
from .shared import progress_steps

BUILT_IN = "MTCNN (built in)"
DEFAULT_CONFIDENCE = CONFIDENCE
DEFAULT_SIDE = MAX_SIDE

FaceLandmarks = io.Custom("FACE_LANDMARKS")

_FOLDER = "facedetection"
_SUFFIX = ".onnx"

_Search = Callable[[Tensor, Sequence[int]], Sequence[Face]]
"""Finds the faces of one picture turned by each of some degrees."""

folder_paths.add_model_folder_path(_FOLDER, os.path.join(folder_paths.models_dir, _FOLDER))


def detectors() -> list[str]:
    """The detectors in models/facedetection."""
    names = folder_paths.get_filename_list(_FOLDER)
    return [name for name in names if name.lower().endswith(_SUFFIX)]


def missing(name: str) -> bool:
    """Whether models/facedetection has no such file."""
    return folder_paths.get_full_path(_FOLDER, name) is None


@dataclass(frozen=True)
class Found:
    """The faces of a batch of pictures.

    Attributes:
        faces: for each picture.
        dropped: for each picture, sentences about what was given and could not be used.
        how: how faces were looked for, as the end of a sentence.
    """

    faces: list[Sequence[Face]]
    dropped: list[Sequence[str]]
    how: str

    @classmethod
    def given(cls, by_image: Sequence[Given], how: str) -> Found:
        return cls([some.faces for some in by_image], [some.dropped for some in by_image], how)


class FaceFinder:
    """Finds the faces of pictures.

    Args:
        detector: `BUILT_IN`, or a file in models/facedetection.
        confidence: least score, 0..1; what is connected counts whatever its score.
        max_side: search larger pictures reduced to this.
        rotated: where nothing is found, search the picture turned by quarters too.
    """

    def __init__(self, detector: str, confidence: float, max_side: int, rotated: bool) -> None:
        self._detector, self._confidence = detector, confidence
        self._max_side, self._rotated = max_side, rotated
        self._networks: Mtcnn | None = None

    def find(self, image: Tensor, landmarks: Any, boxes: Any) -> Found:
        """The faces, from the first source that there is: landmarks, boxes, the detector.

        Raises:
            ValueError: what is connected belongs to other pictures, or there is no detector.
        """
        if landmarks is not None:
            return Found.given(faces_from_landmarks(landmarks, image), " in face_landmarks")
        if boxes is not None:
            found = detect_in_boxes(image, boxes, self._mtcnn(), step=progress_steps())
            return Found.given(found, " in boxes")
        search = self._with_mtcnn() if self._detector == BUILT_IN else self._with_yunet()
        faces: list[Sequence[Face]] = []
        for picture in image.split(1):
            some = search(picture, (0,))
            if not some and self._rotated:
                some = search(picture, (90, 180, 270))
            faces.append(some)
        how = f" at a confidence of {self._confidence:.2f} or more"
        return Found(faces, [()] * len(image), how)

    def relook(self) -> FindLandmarks | None:
        """Looks for landmarks in an aligned face; None if nothing can."""
        try:
            return Relook(self._mtcnn())
        except ValueError:
            # Faces that were given can be restored without a detector.
            return None

    def _with_mtcnn(self) -> _Search:
        networks = self._mtcnn()
        return lambda picture, rotations: detect_faces(
            picture, networks, rotations=rotations, **self._settings()
        )[0]

    def _with_yunet(self) -> _Search:
        path = folder_paths.get_full_path(_FOLDER, self._detector)
        if path is None:
            raise ValueError(f"{self._detector!r} is not in models/facedetection any more.")
        network = YuNet(Path(path))
        return lambda picture, rotations: detect_with_yunet(
            picture, network, rotations=rotations, **self._settings()
        )[0]

    def _settings(self) -> dict[str, Any]:
        return {
            "confidence": self._confidence,
            "max_side": self._max_side,
            "step": progress_steps(),
        }

    def _mtcnn(self) -> Mtcnn:
        if self._networks is None:
            self._networks = load_mtcnn()
        return self._networks
