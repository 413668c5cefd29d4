"""Which of the faces that were found shall be restored, and why not the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, hypot

from torch import Tensor

from .. import masks
from ..geometry import Box, Size
from .align import Alignment, align
from .face import Face

CHOICES = ("all", "largest", "most central", "index")
LEAST_EYE_DISTANCE = 5.0


@dataclass(frozen=True)
class Selection:
    """How to choose.

    Attributes:
        choice: "all"; "largest": by the area of the detected box; "most central"; "index": the
            one with that number.
        index: from 0, left to right by the middle of the boxes; negative counts from the right.
        confidence: least score, 0..1; detectors have their own limit, too.
        eye_distance: least distance of the eyes in pixels of the image.
        most: restore at most so many faces of an image, the largest; 0 is no limit.

    Raises:
        ValueError: another choice, or numbers that make no sense.
    """

    choice: str = "all"
    index: int = 0
    confidence: float = 0.0
    eye_distance: float = LEAST_EYE_DISTANCE
    most: int = 0

    def __post_init__(self) -> None:
        if self.choice not in CHOICES:
            raise ValueError(f"selection is {self.choice!r}: choose one of {', '.join(CHOICES)}.")
        if not 0 <= self.confidence <= 1:
            raise ValueError(f"confidence is {self.confidence}: choose a value in 0..1.")
        if self.eye_distance < 0 or self.most < 0:
            raise ValueError("the least eye distance and the most faces must not be negative.")


@dataclass(frozen=True, eq=False)
class Candidate:
    """A face that was found, and what becomes of it.

    Attributes:
        face: the face.
        number: its place from left to right, from 0.
        alignment: where it lies; None if it cannot be told.
        reason: why it is not restored; empty if it is to be.
    """

    face: Face
    number: int
    alignment: Alignment | None = None
    reason: str = ""


def select(
    faces: Sequence[Face], size: Size, selection: Selection, mask: Tensor | None = None
) -> list[Candidate]:
    """Choose among the faces of one image.

    Args:
        faces: what was found, in any order.
        size: the image's.
        selection: how to choose.
        mask: ``[h, w]`` in 0..1; only faces whose box it touches somewhere from 0.5 up.

    Returns:
        all faces from left to right, each with an alignment or a reason.
    """
    ordered = sorted(faces, key=lambda face: (face.box[0] + face.box[2], face.box))
    found = [_looked_at(face, i, size, selection, mask) for i, face in enumerate(ordered)]
    chosen = _chosen(found, size, selection)
    if selection.most:
        largest = sorted(chosen, key=lambda c: (-_area(c.face), c.number))
        kept = {c.number for c in largest[: selection.most]}
        return [
            c
            if c.reason or c.number in kept
            else _skipped(c, f"there are {selection.most} larger ones, the most to restore")
            for c in _marked(found, chosen, selection)
        ]
    return _marked(found, chosen, selection)


def _marked(
    found: list[Candidate], chosen: list[Candidate], selection: Selection
) -> list[Candidate]:
    numbers = {c.number for c in chosen}
    why = {
        "largest": "it is not the largest",
        "most central": "it is not the most central",
        "index": f"its index is not {selection.index}",
    }
    return [
        c if c.reason or c.number in numbers else _skipped(c, why[selection.choice]) for c in found
    ]


def _chosen(found: list[Candidate], size: Size, selection: Selection) -> list[Candidate]:
    """The faces that the choice picks of those that can be restored."""
    able = [c for c in found if not c.reason]
    if selection.choice == "largest":
        return sorted(able, key=lambda c: (-_area(c.face), c.number))[:1]
    if selection.choice == "most central":
        return sorted(able, key=lambda c: (_from_middle(c.face, size), c.number))[:1]
    if selection.choice == "index":
        wanted = selection.index + (len(found) if selection.index < 0 else 0)
        return [c for c in able if c.number == wanted]
    return able


def _looked_at(
    face: Face, number: int, size: Size, selection: Selection, mask: Tensor | None
) -> Candidate:
    """Whether a face can be restored at all."""

    def skip(reason: str) -> Candidate:
        return Candidate(face, number, None, reason)

    if face.score < selection.confidence:
        return skip(f"the detector is {face.score:.2f} sure, less than {selection.confidence:.2f}")
    box = _pixels(face).intersect(Box.of(size))
    if box is None:
        return skip("it lies outside the image")
    if face.landmarks is None:
        return skip("no landmarks were found in its box")
    (x1, y1), (x2, y2) = face.landmarks[:2]
    distance = hypot(x2 - x1, y2 - y1)
    if distance < selection.eye_distance:
        return skip(
            f"its eyes are {distance:.1f} pixels apart, less than {selection.eye_distance:g}"
        )
    if mask is not None and not bool(masks.core(mask[box.rows, box.columns]).any()):
        return skip("the mask does not touch it")
    alignment = align(face.landmarks)
    if isinstance(alignment, str):
        return skip(alignment)
    if alignment.place(size) is None:
        return skip("it lies outside the image")
    return Candidate(face, number, alignment)


def _skipped(candidate: Candidate, reason: str) -> Candidate:
    return Candidate(candidate.face, candidate.number, None, reason)


def _pixels(face: Face) -> Box:
    left, top, right, bottom = face.box
    return Box.from_edges(floor(left), floor(top), ceil(right), ceil(bottom))


def _area(face: Face) -> float:
    left, top, right, bottom = face.box
    return max(0.0, right - left) * max(0.0, bottom - top)


def _from_middle(face: Face, size: Size) -> float:
    left, top, right, bottom = face.box
    return hypot(left + right - size.width, top + bottom - size.height)
