"""What detectors of the YOLO kind answer.

The layouts are those which the exporters of YOLOv5, YOLOv8 and YOLO11 write (read from their
documentation; nothing of them is imported).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ..faces.suppress import suppress
from .onnx_file import Array

LAYOUTS = (
    "[1, 4 + classes, N] of YOLOv8 and YOLO11, [1, N, 5 + classes] of YOLOv5, [1, N, 6] with "
    "suppression built in, each also with 32 mask coefficients and a second output [1, 32, h, w]"
)
"""What is read, in words."""

_MASK_TERMS = 32
_MOST_CANDIDATES = 1000
_MOST_SUPPRESSED = 1000


@dataclass(frozen=True, eq=False)
class Detections:
    """What a network found, best first.

    Attributes:
        boxes: ``[N, 4]`` left, top, right, bottom, in pixels of its input.
        scores: ``[N]`` 0..1.
        classes: ``[N]`` numbers of the classes.
        terms: ``[N, 32]`` of the masks; None without masks.
    """

    boxes: Array
    scores: Array
    classes: NDArray[np.int64]
    terms: Array | None = None


def decode(outputs: list[Array], name: str, classes: int | None, confidence: float) -> Detections:
    """Boxes of at least that score from a network's outputs.

    The layouts are told apart by the second output (masks) and the count of classes; where the file
    does not tell it, by the shorter axis: a network proposes more boxes than it has numbers for
    each.

    Args:
        outputs: of one image.
        name: of the file, for the message.
        classes: how many there are; None where the file does not tell.
        confidence: 0..1.

    Raises:
        ValueError: none of `LAYOUTS`.
    """
    masks = prototypes(outputs) is not None
    main = next((output for output in outputs if output.ndim == 3 and len(output) == 1), None)
    if main is None:
        raise ValueError(_refusal(outputs, name, classes))
    extra = _MASK_TERMS if masks else 0
    rows, columns = main.shape[1:]
    if columns == 6 + extra and _is_suppressed(main[0]):
        found = _suppressed(main[0])
    elif rows == 4 + classes + extra if classes else 4 + extra < rows < columns:
        found = _plain(main[0].T, extra)
    elif columns == 5 + classes + extra if classes else 5 + extra < columns < rows:
        found = _with_objectness(main[0], extra)
    else:
        raise ValueError(_refusal(outputs, name, classes))
    good = found.scores >= confidence
    order = np.argsort(-found.scores[good], kind="stable")[:_MOST_CANDIDATES]
    return _chosen(found, np.flatnonzero(good)[order])


def once(found: Detections, overlap: float) -> Detections:
    """Of boxes of one class that overlap only the best."""
    # Far apart for each class: boxes of different classes never meet.
    apart = found.boxes + found.classes[:, None] * 1e5
    kept = suppress(torch.from_numpy(apart), torch.from_numpy(found.scores), overlap)
    return _chosen(found, kept.numpy())


def _is_suppressed(table: Array) -> bool:
    """Whether each row ends in the number of a class: YOLOv5's of one class look the same else."""
    numbers = table[:, 5]
    return len(table) <= _MOST_SUPPRESSED and bool((numbers == numbers.round()).all())


def _plain(table: Array, extra: int) -> Detections:
    """``[N, centre x, centre y, width, height, classes…, mask terms…]``."""
    end = table.shape[1] - extra
    scores = table[:, 4:end]
    return Detections(
        _corners(table[:, :4]),
        scores.max(1),
        scores.argmax(1),
        table[:, end:] if extra else None,
    )


def _with_objectness(table: Array, extra: int) -> Detections:
    """The same with the probability of any object before the classes."""
    end = table.shape[1] - extra
    scores = table[:, 5:end] * table[:, 4:5]
    return Detections(
        _corners(table[:, :4]),
        scores.max(1),
        scores.argmax(1),
        table[:, end:] if extra else None,
    )


def _suppressed(table: Array) -> Detections:
    """``[N, left, top, right, bottom, score, class, mask terms…]``."""
    return Detections(
        table[:, :4],
        table[:, 4],
        table[:, 5].round().astype(np.int64),
        table[:, 6:] if table.shape[1] > 6 else None,
    )


def _chosen(found: Detections, index: NDArray[np.int64]) -> Detections:
    terms = None if found.terms is None else found.terms[index]
    return Detections(
        np.ascontiguousarray(found.boxes[index]),
        np.ascontiguousarray(found.scores[index]),
        found.classes[index],
        terms,
    )


def _corners(boxes: Array) -> Array:
    half = boxes[:, 2:] / 2
    return np.concatenate((boxes[:, :2] - half, boxes[:, :2] + half), axis=1)


def prototypes(outputs: list[Array]) -> Array | None:
    """``[32, h, w]``, from which the masks are mixed."""
    shapes = [output for output in outputs if output.ndim == 4]
    fits = len(shapes) == 1 and shapes[0].shape[:2] == (1, _MASK_TERMS)
    return shapes[0][0] if fits else None


def _refusal(outputs: list[Array], name: str, classes: int | None) -> str:
    shapes = " and ".join(str(list(output.shape)) for output in outputs)
    count = f" and names {classes} classes" if classes else ""
    return f"{name} gives {shapes}{count}, which is not read: {LAYOUTS} are."
