"""Where the faces of a picture are: what is connected, or what a detector finds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import folder_paths
from comfy_api.latest import io
from torch import Tensor

from ..cleanplate.faces.detect import MAX_SIDE, detect_faces
from ..cleanplate.faces.face import Face
from ..cleanplate.faces.guard import FindLandmarks
from ..cleanplate.faces.mtcnn import Mtcnn, load_mtcnn
from ..cleanplate.faces.relook import Relook
from .shared import progress_steps

BUILT_IN = "MTCNN (built in)"
DEFAULT_SIDE = MAX_SIDE

FaceLandmarks = io.Custom("FACE_LANDMARKS")

_FOLDER = "facedetection"
_SUFFIX = ".onnx"

folder_paths.add_model_folder_path(_FOLDER, os.path.join(folder_paths.models_dir, _FOLDER))


def detectors() -> list[str]:
    """The detectors in models/facedetection."""
    names = folder_paths.get_filename_list(_FOLDER)
    return [name for name in names if name.lower().endswith(_SUFFIX)]


def missing(name: str) -> bool:
    """Whether models/facedetection has no such file."""
    return folder_paths.get_full_path(_FOLDER, name) is None


class FaceFinder:
    """Finds the faces of pictures.

    Args:
        detector: `BUILT_IN`, or a file in models/facedetection.
        confidence: least score, 0..1.
        max_side: search larger pictures reduced to this.
        rotated: where nothing is found, search the picture turned by quarters too.
    """

    def __init__(self, detector: str, confidence: float, max_side: int, rotated: bool) -> None:
        self._detector, self._confidence = detector, confidence
        self._max_side, self._rotated = max_side, rotated
        self._networks: Mtcnn | None = None

    @property
    def how(self) -> str:
        """How faces were looked for, as the end of a sentence."""
        return f" at a confidence of {self._confidence:.2f} or more"

    def faces(self, image: Tensor, landmarks: Any, boxes: Any) -> list[Sequence[Face]]:
        """For each picture its faces, from the first of the sources that is connected."""
        found: list[Sequence[Face]] = []
        for picture in image.split(1):
            faces = self._search(picture, (0,))
            if not faces and self._rotated:
                faces = self._search(picture, (90, 180, 270))
            found.append(faces)
        return found

    def relook(self) -> FindLandmarks | None:
        """Looks for landmarks in an aligned face; None if nothing can."""
        try:
            return Relook(self._mtcnn())
        except ValueError:
            # Faces that were given can be restored without a detector.
            return None

    def _search(self, picture: Tensor, rotations: Sequence[int]) -> Sequence[Face]:
        return detect_faces(
            picture,
            self._mtcnn(),
            confidence=self._confidence,
            max_side=self._max_side,
            rotations=rotations,
            step=progress_steps(),
        )[0]

    def _mtcnn(self) -> Mtcnn:
        if self._networks is None:
            self._networks = load_mtcnn()
        return self._networks
