"""Find faces with a YuNet file that the user brings.

Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023; published as
face_detection_yunet_*.onnx in OpenCV's model zoo (MIT) and run by OpenCV itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..checks import check_image, size_of
from ..geometry import Size
from ..upscale.resize import resize
from .detect import LEAST_FACE, MAX_SIDE
from .face import Face
from .searching import Progress, Step, check_settings, face_of, quarters, turned_back
from .suppress import suppress

CONFIDENCE = 0.8
_OVERLAP = 0.3
_MOST = 5000


class YuNet:
    """A YuNet file, read once.

    Args:
        path: an ``.onnx`` file.

    Raises:
        ValueError: it is missing, or is not a network that OpenCV reads.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        try:
            # Not the path: OpenCV cannot open one with letters beyond ASCII on Windows.
            model = np.frombuffer(path.read_bytes(), np.uint8)
        except OSError as error:
            raise ValueError(f"{path.name} cannot be read: {error.strerror} ({path}).") from error
        try:
            nothing = np.empty(0, np.uint8)
            self._network = cv2.FaceDetectorYN.create("onnx", model, nothing, (320, 320))
        except cv2.error as error:
            raise ValueError(self._refusal()) from error

    def find(self, pixels: NDArray[np.uint8], confidence: float) -> Tensor:
        """Faces in an image ``[H, W, 3]``, BGR.

        Returns:
            ``[N, 15]`` float32: left, top, width, height, five landmarks, score.

        Raises:
            ValueError: the network is not YuNet.
        """
        try:
            self._network.setInputSize((pixels.shape[1], pixels.shape[0]))
            self._network.setScoreThreshold(confidence)
            self._network.setNMSThreshold(_OVERLAP)
            self._network.setTopK(_MOST)
            _, faces = self._network.detect(pixels)
        except cv2.error as error:
            raise ValueError(self._refusal()) from error
        return torch.empty((0, 15)) if faces is None else torch.from_numpy(faces)

    def _refusal(self) -> str:
        return (
            f"{self.name} is not a YuNet face detector that OpenCV {cv2.__version__} can run: use "
            "face_detection_yunet_2023mar.onnx from OpenCV's model zoo."
        )


def detect_with_yunet(
    image: Tensor,
    network: YuNet,
    *,
    confidence: float = CONFIDENCE,
    least_face: float = LEAST_FACE,
    max_side: int = MAX_SIDE,
    most: int | None = None,
    rotations: Sequence[int] = (0,),
    step: Step | None = None,
) -> list[tuple[Face, ...]]:
    """Find the faces of each image; arguments, result and errors as in `detect_faces`."""
    check_image(image)
    check_settings(confidence, least_face, max_side, most)
    turns = quarters(rotations)
    progress = Progress(step, len(image) * len(turns))
    size = size_of(image)
    scale = min(1.0, max_side / max(size.width, size.height))
    small = Size(max(1, round(size.width * scale)), max(1, round(size.height * scale)))
    back = torch.tensor((size.width / small.width, size.height / small.height))
    found = []
    for pixels in image:
        seen = resize(pixels[None, ..., :3], small)[0]
        rows, points = [], []
        for turn in turns:
            faces = network.find(_bgr(torch.rot90(seen, turn)), confidence)
            corners = torch.stack((faces[:, :2], faces[:, :2] + faces[:, 2:4]), dim=1)
            places = torch.cat((corners, faces[:, 4:14].view(-1, 5, 2)), dim=1)
            points.append(turned_back(places, turn, small) * back)
            rows.append(faces[:, 14])
            progress()
        found.append(_faces(torch.cat(points), torch.cat(rows), least_face)[:most])
    return found


def _bgr(pixels: Tensor) -> NDArray[np.uint8]:
    tones = pixels.flip(2).to(torch.float32).clamp(0, 1).mul(255).round()
    return np.ascontiguousarray(tones.to("cpu", torch.uint8).numpy())


def _faces(places: Tensor, scores: Tensor, least_face: float) -> tuple[Face, ...]:
    """Faces from corners and landmarks ``[N, 7, 2]``, each once, best first."""
    boxes = torch.cat((places[:, :2].amin(dim=1), places[:, :2].amax(dim=1)), dim=1)
    kept = suppress(boxes, scores, _OVERLAP)
    kept = kept[(boxes[kept, 2:] - boxes[kept, :2]).amax(dim=1) >= least_face]
    return tuple(
        face_of(boxes[i].tolist(), float(scores[i]), places[i, 2:].tolist()) for i in kept.tolist()
    )
