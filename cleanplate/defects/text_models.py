"""PP-OCR's networks from an installed OCR package, which is not imported: its files are enough.

PaddleOCR's text detection is Liao et al., "Real-time Scene Text Detection with Differentiable
Binarization", 2020, whose map of probabilities becomes boxes as in PaddleOCR's db_postprocess.py
(Apache-2.0); its text recognition ends in Graves et al., "Connectionist Temporal Classification",
2006, decoded here by the likeliest character of each column.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from .onnx_file import OnnxFile, read_onnx

MISSING = (
    "finding text needs the networks of the Python package rapidocr (27 MB): run "
    "`pip install --no-deps rapidocr` where ComfyUI runs."
)

UNREADABLE = (
    f"OpenCV {cv2.__version__} cannot read the networks that find text: install "
    "rapidocr_onnxruntime 1.4 with `pip install --no-deps`, or OpenCV 5."
)

_LOG = logging.getLogger(__name__)
_PACKAGES = ("rapidocr", "rapidocr_onnxruntime")
_MAP_LEAST = 0.3
_BOX_LEAST = 0.5
_UNCLIP = 1.6
_LEAST_SIDE = 3
_MOST_BOXES = 500
_LINE = 48
_WIDTHS = (320, 960)
_STEP = 32

Pixels = NDArray[np.uint8]
Quad = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class TextBox:
    """A line of text.

    Attributes:
        corners: ``[4, 2]`` x, y in pixels from the image's left top edge; clockwise, starting at
            the left end of the line's upper side.
        score: how sure the detector is, 0..1.
    """

    corners: Quad
    score: float


@dataclass(frozen=True, eq=False)
class TextModels:
    """Networks that find text and read it.

    Attributes:
        detector: takes images whose sides are multiples of 32.
        readers: one network for lines of different widths, by width.
    """

    detector: OnnxFile
    readers: Sequence[OnnxFile]

    def find(self, pixels: Pixels) -> list[TextBox]:
        """Lines of text in an image ``[H, W, 3]``, BGR, some 500 to 1000 pixels wide and high."""
        height, width = pixels.shape[:2]
        size = tuple(max(1, round(side / _STEP)) * _STEP for side in (width, height))
        seen = cv2.resize(pixels, size, interpolation=_scaling(pixels, size[0]))
        likely = self.detector.run(_normalised(seen))[0].reshape(size[::-1])
        scale = np.array((width / size[0], height / size[1]), np.float32)
        return [TextBox(box.corners * scale, box.score) for box in boxes_from_map(likely)]

    def read(self, pixels: Pixels, corners: Quad) -> tuple[str, float]:
        """What a line says, and how sure that is: the mean over its characters, 0..1.

        Args:
            pixels: ``[H, W, 3]`` BGR.
            corners: see `TextBox`.
        """
        line = _straightened(pixels, corners)
        if line.shape[0] <= 1.5 * line.shape[1]:
            return self._read(line)
        # A column: its letters lean to one side or the other.
        turns = (cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_90_CLOCKWISE)
        return max((self._read(cv2.rotate(line, turn)) for turn in turns), key=lambda read: read[1])

    def _read(self, line: Pixels) -> tuple[str, float]:
        wanted = max(1, ceil(_LINE * line.shape[1] / line.shape[0]))
        reader, room = next(
            (pair for pair in zip(self.readers, _WIDTHS, strict=True) if pair[1] >= wanted),
            (self.readers[-1], _WIDTHS[-1]),
        )
        width = min(wanted, room)
        scaled = cv2.resize(line, (width, _LINE), interpolation=_scaling(line, width))
        values = np.zeros((1, 3, _LINE, room), np.float32)
        values[..., :width] = _normalised(scaled)
        characters = reader.metadata.get("character", "").splitlines()
        return decode(reader.run(values)[0][0], characters)


def find_text_models() -> list[tuple[Path, Path]]:
    """Files of the detector and the reader of each installed package, the best first.

    Raises:
        ValueError: none is installed.
    """
    found = []
    for package in _PACKAGES:
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or ()) if spec else ():
            files = sorted((Path(place) / "models").glob("*.onnx"), reverse=True)
            detectors = [path for path in files if "_det_" in path.name]
            readers = [path for path in files if "_rec_" in path.name]
            if detectors and readers:
                found.append((detectors[0], readers[0]))
    if not found:
        raise ValueError(MISSING)
    return found


def load_text_models(paths: tuple[Path, Path] | None = None) -> TextModels:
    """The networks that find and read text.

    OpenCV 4 cannot read those of rapidocr, but those of rapidocr_onnxruntime.

    Args:
        paths: files of the detector and the reader; else the first of `find_text_models` that
            OpenCV reads.

    Raises:
        ValueError: a file is missing or damaged, no package is installed, or OpenCV reads none.
    """
    if paths:
        return _load(*paths)
    for detector, reader in find_text_models():
        try:
            return _load(detector, reader)
        except ValueError:
            _LOG.warning("OpenCV cannot read %s.", reader.name, exc_info=True)
    raise ValueError(UNREADABLE)


def _load(detector: Path, reader: Path) -> TextModels:
    readers = [read_onnx(reader, (1, 3, _LINE, width)) for width in _WIDTHS]
    return TextModels(read_onnx(detector), readers)


def boxes_from_map(likely: NDArray[np.float32]) -> list[TextBox]:
    """Boxes around what is likely to be text.

    A line's map is thinner than the line, so its box is grown on each side by the share of its
    area over its perimeter that the network was trained with.

    Args:
        likely: ``[H, W]`` in 0..1.

    Returns:
        at most 500, the likeliest.
    """
    binary = cv2.dilate((likely > _MAP_LEAST).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(binary, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    boxes = []
    for contour in contours:
        centre, (width, height), angle = cv2.minAreaRect(contour)
        if min(width, height) < _LEAST_SIDE:
            continue
        score = _mean_within(likely, cv2.boxPoints((centre, (width, height), angle)))
        if score < _BOX_LEAST:
            continue
        more = _UNCLIP * width * height / (width + height)
        corners = cv2.boxPoints((centre, (width + more, height + more), angle))
        boxes.append(TextBox(clockwise(corners + 0.5), score))
    return sorted(boxes, key=lambda box: -box.score)[:_MOST_BOXES]


def clockwise(corners: NDArray[np.float32]) -> Quad:
    """Corners of a rectangle in the order of `TextBox`: its line runs to the right."""
    middle = corners.mean(0)
    angles = np.arctan2(*(corners - middle).T[::-1])
    ring = corners[np.argsort(angles)]
    # The side that leads most to the right is the upper one.
    along = np.roll(ring, -1, axis=0) - ring
    start = int(np.argmax(along[:, 0] / np.maximum(np.linalg.norm(along, axis=1), 1e-6)))
    return np.ascontiguousarray(np.roll(ring, -start, axis=0), dtype=np.float32)


def decode(probabilities: NDArray[np.float32], characters: list[str]) -> tuple[str, float]:
    """The characters of a line.

    Args:
        probabilities: ``[columns, 1 + characters (+ 1)]``: no character, each, a space.
        characters: what the reader knows; missing ones are shown as ``?``.

    Returns:
        the text, and the mean probability of its characters; 0 for no text.
    """
    best, sure = probabilities.argmax(1), probabilities.max(1)
    starts = (best > 0) & (np.concatenate(([-1], best[:-1])) != best)
    known = ["", *characters, " "]
    text = "".join(known[i] if i < len(known) else "?" for i in best[starts])
    return text, float(sure[starts].mean()) if starts.any() else 0.0


def _mean_within(likely: NDArray[np.float32], corners: NDArray[np.float32]) -> float:
    left, top = np.maximum(np.floor(corners.min(0)).astype(int), 0)
    right, bottom = np.ceil(corners.max(0)).astype(int) + 1
    part = likely[top:bottom, left:right]
    inside = np.zeros(part.shape, np.uint8)
    cv2.fillPoly(inside, [(corners - (left, top)).astype(np.int32)], 1)
    return float(cv2.mean(part, inside)[0])


def _straightened(pixels: Pixels, corners: Quad) -> Pixels:
    """The part of an image in a rotated rectangle."""
    width = max(1, round(float(np.linalg.norm(corners[1] - corners[0]))))
    height = max(1, round(float(np.linalg.norm(corners[3] - corners[0]))))
    target = np.array(((0, 0), (width, 0), (width, height)), np.float32)
    # Corners count from the image's edge, OpenCV from the middle of its first pixel.
    matrix = cv2.getAffineTransform(corners[[0, 1, 2]] - 0.5, target - 0.5)
    border = cv2.BORDER_REPLICATE
    straight: Pixels = cv2.warpAffine(
        pixels, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=border
    )
    return straight


def _normalised(pixels: Pixels) -> NDArray[np.float32]:
    values: NDArray[np.float32] = pixels.transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1
    return values


def _scaling(pixels: Pixels, width: int) -> int:
    return int(cv2.INTER_AREA if width < pixels.shape[1] else cv2.INTER_LINEAR)
