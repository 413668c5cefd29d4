"""Find faces in images with MTCNN."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..checks import check_image, size_of
from ..geometry import Size
from .face import Face
from .mtcnn import Mtcnn, Proposal
from .mtcnn_cascade import search
from .mtcnn_landmarks import Settled, settle
from .mtcnn_pyramid import pyramid, search_scales

CONFIDENCE = 0.9
LEAST_FACE = 20.0
MAX_SIDE = 2048

Step = Callable[[int, int], None]


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
    _check_settings(confidence, least_face, max_side, most)
    turns = _quarters(rotations)
    size = size_of(image)
    scales = search_scales(size, least_face, max_side)
    progress = _Progress(step, len(image) * (len(turns) * (len(scales) + 2) + 1))
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
    progress: _Progress,
) -> tuple[Face, ...]:
    """The faces of one image ``[H, W, 3 or 4]``."""
    found = []
    with torch.inference_mode():
        for turn in turns:
            turned = torch.rot90(pixels, turn)
            levels = pyramid(turned, least_face, max_side, networks.device)
            landmarks = search(networks, levels, progress).landmarks
            found.append(_turned_back(landmarks, turn, size_of(pixels[None])))
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


def face_of(box: list[float], score: float, points: list[list[float]]) -> Face:
    left, top, right, bottom = box
    one, two, three, four, five = ((x, y) for x, y in points)
    return Face((left, top, right, bottom), score, (one, two, three, four, five))


def _turned_back(points: Tensor, turn: int, size: Size) -> Tensor:
    """Points ``[N, 5, 2]`` of the image turned by quarters, against the clock, in the image."""
    x, y = points.unbind(dim=2)
    if turn == 1:
        x, y = size.width - y, x
    elif turn == 2:
        x, y = size.width - x, size.height - y
    elif turn == 3:
        x, y = y, size.height - x
    return torch.stack((x, y), dim=2)


def _quarters(rotations: Sequence[int]) -> list[int]:
    if not rotations or any(angle % 90 for angle in rotations):
        raise ValueError(
            f"rotations is {list(rotations)}: give multiples of 90 degrees, such as "
            "0, 90, 180, 270."
        )
    return sorted({angle // 90 % 4 for angle in rotations})


def _check_settings(confidence: float, least_face: float, max_side: int, most: int | None) -> None:
    if not 0 <= confidence <= 1:
        raise ValueError(f"confidence is {confidence}: give a score from 0 to 1, such as 0.95.")
    if not least_face >= Proposal.window:
        raise ValueError(
            f"least_face is {least_face} pixels: give at least {Proposal.window}, smaller faces "
            "are not recognised."
        )
    if max_side < Proposal.window:
        raise ValueError(f"max_side is {max_side} pixels: give at least {Proposal.window}.")
    if most is not None and most < 1:
        raise ValueError(f"most is {most}: give at least 1 face, or none for all.")


class _Progress:
    """Counts steps and tells the caller."""

    def __init__(self, tell: Step | None, total: int) -> None:
        self._tell, self._total, self._done = tell, total, 0

    def __call__(self) -> None:
        self._done += 1
        if self._tell is not None:
            self._tell(self._done, self._total)
