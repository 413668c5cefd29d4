"""Find faces in images with MTCNN."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..checks import check_image, size_of
from .face import Face
from .mtcnn import Mtcnn
from .mtcnn_cascade import search
from .mtcnn_landmarks import Settled, settle
from .mtcnn_pyramid import pyramid, search_scales
from .searching import Progress, Step, check_settings, face_of, quarters, turned_back

CONFIDENCE = 0.95
LEAST_FACE = 20.0
MAX_SIDE = 2048


def detect_faces(
    image: Tensor,
    networks: Mtcnn,
    *,
    confidence: float = CONFIDENCE,
    least_face: float = LEAST_FACE,
    max_side: int = MAX_SIDE,
    most: int | None = None,
    rotations: Sequence[int] = (0,),
    step: Step | None = None,
) -> list[tuple[Face, ...]]:
    """Find the faces of each image.

    MTCNN (Zhang et al. 2016), then each face is looked at again upright, see `settle`; its score is
    the mean of those looks, which tells faces from what resembles one better than the cascade.

    Args:
        image: ``[B, H, W, 3 or 4]`` in 0..1, any float type; alpha is not looked at.
        networks: see `load_mtcnn`; the work is done on their device.
        confidence: least score of a face, 0..1.
        least_face: side of the smallest face to look for, in pixels of the image, at least 12.
        max_side: a larger image is searched shrunk to this; landmarks are still placed in the
            original. Halving it makes the search four times as quick and the smallest face that
            can be found, 12 pixels of the shrunk image, twice as large.
        most: keep only so many faces of an image, those of the highest scores.
        rotations: search the image turned by each of these degrees, multiples of 90. Faces tilted
            by up to about 40 degrees are found without.
        step: called with what is done and what there is to do; may raise to cancel.

    Returns:
        per image its faces, highest score first.

    Raises:
        ValueError: not an IMAGE, NaN in it, or a setting out of range.
    """
    check_image(image)
    check_settings(confidence, least_face, max_side, most)
    turns = quarters(rotations)
    size = size_of(image)
    scales = search_scales(size, least_face, max_side)
    progress = Progress(step, len(image) * (len(turns) * (len(scales) + 2) + 1))
    return [
        _of_one(pixels, networks, confidence, least_face, max_side, turns, progress)[:most]
        for pixels in image
    ]


def _of_one(
    pixels: Tensor,
    networks: Mtcnn,
    confidence: float,
    least_face: float,
    max_side: int,
    turns: Sequence[int],
    progress: Progress,
) -> tuple[Face, ...]:
    """The faces of one image ``[H, W, 3 or 4]``."""
    found = []
    with torch.inference_mode():
        for turn in turns:
            turned = torch.rot90(pixels, turn) if turn else pixels
            # No name holds the levels: they are gone before the faces are settled.
            landmarks = search(
                networks, pyramid(turned, least_face, max_side, networks.device), progress
            ).landmarks
            found.append(turned_back(landmarks, turn, size_of(pixels[None])))
        settled = settle(networks.output, pixels, torch.cat(found), confidence)
        progress()
    return _faces(settled, confidence, least_face)


def _faces(settled: Settled, confidence: float, least_face: float) -> tuple[Face, ...]:
    """Those that are sure and large enough."""
    sides = (settled.boxes[:, 2:] - settled.boxes[:, :2]).amax(dim=1)
    good = (settled.scores >= confidence) & (sides >= least_face)
    return tuple(
        face_of(box, score, points)
        for box, score, points in zip(
            settled.boxes[good].tolist(),
            settled.scores[good].tolist(),
            settled.landmarks[good].tolist(),
            strict=True,
        )
    )
