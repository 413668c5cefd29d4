"""What was found in a batch of images, and how to look again in the same way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from ..checks import check_image, size_of
from ..geometry import Box, Size
from .boxes import Found
from .catalogue import kind
from .defect import Defect
from .detect import Failure, scan
from .findings import SOURCE as FROM_FINDINGS
from .findings import parse_findings
from .report import Limits, Selection, describe, select, union_mask
from .segment import Segmenter, exact_masks

EXACT = "exact masks"
"""Name of what turns boxes into masks, where it fails."""

Look = Callable[[Tensor], Sequence[Defect] | Found]
"""A `Detector`; where it gives `Found`, its notes go into the report."""


@dataclass(frozen=True)
class Detection:
    """How to look for defects.

    Attributes:
        detectors: by name; each looks at one image at a time.
        limits: which findings count.
        passing: exceptions that stop the whole, such as the user's cancel.
        segment: gives exact masks to those that count and are only a box; None leaves the boxes.
    """

    detectors: tuple[tuple[str, Look], ...]
    limits: Limits = field(default_factory=Limits)
    passing: tuple[type[BaseException], ...] = ()
    segment: Segmenter | None = None


@dataclass(frozen=True)
class Given:
    """What others have found in one image, before it is looked at.

    Attributes:
        defects: they count under the same limits.
        notes: sentences for the report.
        failures: of those who were to find something, and gave nothing that can be used.
    """

    defects: tuple[Defect, ...] = ()
    notes: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()

    def __add__(self, other: Given) -> Given:
        return Given(
            self.defects + other.defects,
            self.notes + other.notes,
            self.failures + other.failures,
        )


@dataclass(frozen=True)
class Inspected:
    """What was found in one image.

    Attributes:
        selection: the defects that count, the most severe first.
        failures: of detectors.
        notes: sentences about what was given or seen and could not be used.
    """

    selection: Selection = field(default_factory=Selection)
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def defects(self) -> tuple[Defect, ...]:
        return self.selection.defects

    @property
    def passed(self) -> bool | None:
        """Nothing was found; None where nothing was found but a detector failed."""
        if self.selection.found:
            return False
        return None if self.failures else True


@dataclass(frozen=True, eq=False)
class Defects:
    """What was found in a batch of images.

    Attributes:
        size: of the images.
        images: for each image, in their order.
        detection: how to look again.
    """

    size: Size
    images: tuple[Inspected, ...]
    detection: Detection

    @property
    def count(self) -> int:
        """How many were found in all images, listed or not."""
        return sum(image.selection.found for image in self.images)

    @property
    def passed(self) -> bool | None:
        """Whether every image has; None where none has failed, but one could not be judged."""
        each = {image.passed for image in self.images}
        return False if False in each else None if None in each else True


def inspect(
    image: Tensor,
    detection: Detection,
    *,
    given: Sequence[Given] = (),
    step: Callable[[int, int], None] | None = None,
) -> Defects:
    """Look for defects in each image of a batch.

    Args:
        image: ``[B, H, W, 3 or 4]`` in 0..1.
        detection: how.
        given: what others have found, for each image; not found again by `detection`.
        step: ``step(done, total)`` after each detector of each image; may raise to cancel.

    Raises:
        ValueError: no image, or `given` is for another number of images.
    """
    check_image(image)
    if given and len(given) != len(image):
        raise ValueError(
            f"defects are given for {len(given)} images but image holds {len(image)}: give a list "
            "for each."
        )
    each = len(detection.detectors) + 1
    inspected = []
    for number, picture in enumerate(image):

        def done(count: int, before: int = number * each) -> None:
            if step:
                step(before + count, len(image) * each)

        start = given[number] if given else Given()
        inspected.append(_inspect(picture.float(), detection, start, done))
        done(each)
    return Defects(size_of(image), tuple(inspected), detection)


def _inspect(
    picture: Tensor, detection: Detection, found: Given, done: Callable[[int], None]
) -> Inspected:
    for number, (name, look) in enumerate(detection.detectors, 1):
        found += _look(picture, name, look, detection.passing)
        done(number)
    size = Size(picture.shape[1], picture.shape[0])
    selection, failures = select(found.defects, size, detection.limits), found.failures
    segment, kept = detection.segment, selection.defects
    if segment and kept:

        def exact(picture: Tensor) -> Sequence[Defect]:
            return exact_masks(picture, kept, segment)

        masked = scan(picture, [(EXACT, exact)], detection.passing)
        failures += masked.failures
        if not masked.failures:
            selection = replace(selection, defects=masked.defects)
    return Inspected(selection, failures, found.notes)


def _look(
    picture: Tensor, name: str, look: Look, passing: tuple[type[BaseException], ...]
) -> Given:
    notes: list[str] = []

    def detector(picture: Tensor) -> Sequence[Defect]:
        found = look(picture)
        if not isinstance(found, Found):
            return found
        notes.extend(_sentence(name, note) for note in found.notes)
        return found.defects

    looked = scan(picture, [(name, detector)], passing)
    return Given(looked.defects, tuple(notes), looked.failures)


def from_others(source: str, found: Iterable[Found]) -> list[Given]:
    """What boxes, masks or landmarks gave, for each image."""
    return [
        Given(some.defects, tuple(_sentence(source, note) for note in some.notes)) for some in found
    ]


def from_findings(text: str, size: Size) -> Given:
    """What a vision-language model wrote about one image, see `parse_findings`.

    A text that cannot be read, or that says the image is not fine and names nothing that can be
    used, counts as a detector that failed: nobody can tell whether the image is clean.
    """
    found = parse_findings(text, size)
    if found.defects or found.passed:
        return Given(found.defects, found.warnings)
    first = found.warnings or ("The findings say that the image is not fine, and not why.",)
    return Given((), found.warnings[1:], (Failure(FROM_FINDINGS, first[0]),))


def reports(found: Defects) -> list[dict[str, Any]]:
    """The report of each image, see `describe`; for `as_json`."""
    made = []
    for image in found.images:
        report = describe(image.selection, image.failures, found.size, found.detection.limits)
        report["notes"] += image.notes
        made.append(report)
    return made


def summary(found: Defects) -> str:
    """A line for each image: the defects by name, and what could not be looked for."""
    lines = []
    for number, image in enumerate(found.images, 1):
        names = Counter(kind(defect.kind).title for defect in image.defects)
        parts = [f"{name} x{count}" if count > 1 else name for name, count in names.items()]
        if image.selection.found > len(image.defects):
            parts.append(f"{image.selection.found - len(image.defects)} more")
        line = ", ".join(parts) or ("undecided" if image.failures else "no defects")
        line += "".join(f"; {f.detector} failed: {f.message}" for f in image.failures)
        lines.append(f"Image {number}: {line}" if len(found.images) > 1 else line)
    return "\n".join(lines)


def masks_of(found: Defects, *, whole: bool = False) -> Tensor:
    """Where the defects of each image are, ``[B, H, W]``, see `union_mask`."""
    masks = torch.empty(len(found.images), found.size.height, found.size.width)
    for mask, image in zip(masks, found.images, strict=True):
        mask.copy_(union_mask(image.defects, found.size, whole=whole))
    return masks


def boxes_of(found: Defects) -> list[list[dict[str, Any]]]:
    """A BOUNDING_BOX: for each image the boxes of its defects, the most severe first.

    The label is the kind. Defects of an image as a whole have none.
    """
    return [
        [box_entry(defect, defect.box) for defect in image.defects if defect.box]
        for image in found.images
    ]


def box_entry(defect: Defect, box: Box) -> dict[str, Any]:
    """A defect's box as BOUNDING_BOX has it."""
    sides = {"x": box.x, "y": box.y, "width": box.width, "height": box.height}
    return {**sides, "label": defect.kind, "score": defect.score}


def _sentence(source: str, note: str) -> str:
    return f"{source}: {note.rstrip('.')}."
