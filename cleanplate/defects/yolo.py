"""Detectors of the YOLO kind that the user brings as ONNX files, run by OpenCV."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..geometry import Box, Size
from .boxes import Found, bounded, checked_kinds, clipped
from .catalogue import catalogue, kind
from .defect import Defect
from .onnx_file import Array, OnnxFile, read_onnx
from .yolo_outputs import decode, once, prototypes

SOURCE = "yolo"
CONFIDENCE = 0.3
OVERLAP = 0.5
MOST = 100

_SIDE = 640
_GREY = 114
_HAND = "a hand was found ({label}, {score:.2f}), please check it: fingers are not counted"


@dataclass(frozen=True, eq=False)
class Yolo:
    """A detector and the names of its classes; empty where its file does not tell."""

    file: OnnxFile
    names: Mapping[int, str]

    def label(self, number: int) -> str:
        return self.names.get(number, str(number))

    def knows(self, label: str) -> bool:
        """Whether it has a class of that name, in small letters, or number; ``*`` is any."""
        named = {name.strip().lower() for name in self.names.values()}
        return not self.names or label in named | {str(n) for n in self.names} | {"*"}

    @property
    def side(self) -> tuple[int, int]:
        """Width and height of its input; where it takes any, those it was exported for, or 640."""
        shape = self.file.input_shape
        height, width = shape[2:] if len(shape) == 4 else (None, None)
        noted = [int(n) for n in re.findall(r"\d+", self.file.metadata.get("imgsz", ""))]
        wanted = noted if len(noted) == 2 and min(noted) > 0 else [_SIDE, _SIDE]
        return width or wanted[1], height or wanted[0]


def load_yolo(path: Path) -> Yolo:
    """Read a detector.

    Raises:
        ValueError: it is missing, damaged, no ONNX file, or not one that OpenCV reads.
    """
    file = read_onnx(path)
    return Yolo(file, _names(file.metadata.get("names", "")))


def parse_classes(text: str) -> dict[str, str]:
    """A mapping of classes to kinds from lines ``class = kind``.

    A class is a name or a number; ``*`` stands for every other one. Empty lines and what follows
    ``#`` count for nothing.

    Raises:
        ValueError: a line of another form, or an unknown kind.
    """
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        content = line.split("#")[0].strip()
        if not content:
            continue
        label, sign, name = (part.strip() for part in content.partition("="))
        if not (label and sign and name):
            raise ValueError(
                f"line {number} of the classes is '{content}': write class = kind, such as "
                "hand = hand."
            )
        found[label] = name
    return checked_kinds(found)


def check_classes(kinds: Mapping[str, str], detector: Yolo) -> None:
    """Refuse classes that a detector does not have; one without names may have any.

    Raises:
        ValueError: there is one.
    """
    for label in kinds:
        if not detector.knows(label):
            raise ValueError(
                f"{detector.file.name} has no class '{label}': choose one of "
                f"{', '.join(detector.names.values())}."
            )


def detect_with_yolo(
    image: Tensor,
    detector: Yolo,
    kinds: Mapping[str, str],
    *,
    confidence: float = CONFIDENCE,
    least_area: float = 0.0,
    most_area: float = 1.0,
    overlap: float = OVERLAP,
    most: int = MOST,
) -> Found:
    """Find what a detector knows, as defects.

    Args:
        image: ``[H, W, 3 or 4]`` float in 0..1.
        detector: see `load_yolo`.
        kinds: which kind a class is, see `parse_classes`; a class whose own name is that of a kind
            needs no line.
        confidence: least score, 0..1.
        least_area: smallest box, as a share of the image.
        most_area: largest box, as a share of the image.
        overlap: of two boxes of one class that overlap by more, the better stays.
        most: keep only so many, the most severe.

    Returns:
        its defects, the most severe first, with masks if the detector gives them; notes name the
        classes that are mapped to no kind.

    Raises:
        ValueError: a setting out of range, a class or kind that does not exist, or outputs of a
            layout that is not read.
    """
    _check(confidence, least_area, most_area, overlap, most)
    chosen = checked_kinds(kinds)
    check_classes(chosen, detector)
    size = Size(image.shape[1], image.shape[0])
    seen, frame = letterbox(_rgb(image), detector.side)
    outputs = detector.file.run(seen)
    found = once(
        decode(outputs, detector.file.name, len(detector.names) or None, confidence), overlap
    )
    shapes = prototypes(outputs) if found.terms is not None else None
    defects, unmapped = [], set()
    for index in range(len(found.scores)):
        number = int(found.classes[index])
        name = _kind_of(number, detector, chosen)
        if not name:
            unmapped.add(detector.label(number))
            continue
        edges = frame.back(found.boxes[index])
        box = clipped(edges.tolist(), size)
        share = box.size.area / size.area if box else 0.0
        if box is None or not least_area <= share <= most_area:
            continue
        mask = None
        if shapes is not None and found.terms is not None:
            mask = _mask(found.terms[index], shapes, frame, box)
        score = float(min(found.scores[index], 1.0))
        label = detector.label(number)
        reason = _HAND if name == "hand" else "the detector saw {label} with score {score:.2f}"
        defects.append(
            Defect(
                name,
                score,
                kind(name).severity(score),
                SOURCE,
                reason.format(label=label, score=score),
                box,
                mask,
            )
        )
    kept, notes = bounded(defects, most)
    if unmapped:
        notes = (f"found but mapped to no kind: {', '.join(sorted(unmapped))}", *notes)
    return Found(kept, notes)


@dataclass(frozen=True)
class Frame:
    """How an image lies in the input of a network: ``input = image * scale + offset``."""

    scale: float
    left: int
    top: int
    side: tuple[int, int]

    def back(self, boxes: Array) -> Array:
        """Boxes ``[..., 4]`` of the input in pixels of the image."""
        offset = np.array((self.left, self.top) * 2, np.float32)
        moved: Array = (boxes - offset) / self.scale
        return moved


def letterbox(pixels: NDArray[np.uint8], side: tuple[int, int]) -> tuple[Array, Frame]:
    """An image scaled to fit a network's input, centred on grey.

    Args:
        pixels: ``[H, W, 3]`` RGB.
        side: width and height of the input.

    Returns:
        ``[1, 3, height, width]`` in 0..1, and how to find the way back.
    """
    height, width = pixels.shape[:2]
    scale = min(side[0] / width, side[1] / height)
    size = Size(max(1, round(width * scale)), max(1, round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(pixels, (size.width, size.height), interpolation=how)
    left, top = (side[0] - size.width) // 2, (side[1] - size.height) // 2
    canvas = np.full((side[1], side[0], 3), _GREY, np.uint8)
    canvas[top : top + size.height, left : left + size.width] = small
    values = (canvas.transpose(2, 0, 1)[None] / 255).astype(np.float32)
    return values, Frame(scale, left, top, side)


def _mask(terms: Array, shapes: Array, frame: Frame, box: Box) -> Tensor | None:
    """The pixels of a box that belong to it; None where the mask says none."""
    count, height, width = shapes.shape
    mixed = (terms @ shapes.reshape(count, -1)).reshape(height, width)
    ratio = np.array((width / frame.side[0], height / frame.side[1]))
    step = frame.scale * ratio
    # Pixels count from their edges here, OpenCV's from their middles.
    start = np.array((box.x, box.y)) * step + np.array((frame.left, frame.top)) * ratio
    matrix = np.array(
        (
            (step[0], 0, start[0] + 0.5 * step[0] - 0.5),
            (0, step[1], start[1] + 0.5 * step[1] - 0.5),
        )
    )
    placed = cv2.warpAffine(
        mixed,
        matrix,
        (box.width, box.height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    inside = placed > 0
    return torch.from_numpy(inside.astype(np.float32)) if inside.any() else None


def _kind_of(number: int, detector: Yolo, kinds: Mapping[str, str]) -> str:
    label = detector.label(number).strip().lower()
    own = label if label in catalogue() else ""
    return kinds.get(label) or kinds.get(str(number)) or own or kinds.get("*", "")


def _check(
    confidence: float, least_area: float, most_area: float, overlap: float, most: int
) -> None:
    if not 0 <= confidence <= 1 or not 0 <= overlap <= 1:
        raise ValueError(
            f"confidence is {confidence} and overlap {overlap}: give numbers from 0 to 1."
        )
    if not 0 <= least_area <= most_area <= 1:
        raise ValueError(
            f"boxes from {least_area} to {most_area} of the image are wanted: give shares of 1, "
            "the smaller first."
        )
    if most < 1:
        raise ValueError(f"most is {most}: give at least 1.")


def _names(text: str) -> dict[int, str]:
    """Names of classes as the exporter notes them: ``{0: 'face', 1: 'hand'}``, or a list."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return {}
    if isinstance(value, (list, tuple)):
        value = dict(enumerate(value))
    if not isinstance(value, dict) or not all(isinstance(key, int) for key in value):
        return {}
    return {key: str(name) for key, name in value.items()}


def _rgb(image: Tensor) -> NDArray[np.uint8]:
    tones = image[..., :3].to("cpu", torch.float32).clamp(0, 1).mul(255).round()
    return np.ascontiguousarray(tones.to(torch.uint8).numpy())
