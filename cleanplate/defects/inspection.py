"""What was found in a batch of images, and how to look again in the same way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from ..checks import check_image, size_of
from ..geometry import Size
from .defect import Defect, Detector
from .detect import Failure, scan
from .report import Limits, Selection, select


@dataclass(frozen=True)
class Detection:
    """How to look for defects.

    Attributes:
        detectors: by name; each looks at one image at a time.
        limits: which findings count.
        passing: exceptions that stop the whole, such as the user's cancel.
    """

    detectors: tuple[tuple[str, Detector], ...]
    limits: Limits = field(default_factory=Limits)
    passing: tuple[type[BaseException], ...] = ()


@dataclass(frozen=True)
class Inspected:
    """What was found in one image.

    Attributes:
        selection: the defects that count, the most severe first.
        failures: of detectors.
        notes: sentences about what was given and could not be used.
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


def inspect(
    image: Tensor,
    detection: Detection,
    *,
    given: Sequence[Sequence[Defect]] = (),
    notes: Sequence[Sequence[str]] = (),
    step: Callable[[int, int], None] | None = None,
) -> Defects:
    """Look for defects in each image of a batch.

    Args:
        image: ``[B, H, W, 3 or 4]`` in 0..1.
        detection: how.
        given: defects found by others, for each image; they count under the same limits, and are
            not found again by `detection`.
        notes: for each image, sentences for its report.
        step: ``step(done, total)`` after each image; may raise to cancel.

    Raises:
        ValueError: no image, or `given` is for another number of images.
    """
    check_image(image)
    if given and len(given) != len(image):
        raise ValueError(
            f"defects are given for {len(given)} images but image holds {len(image)}: give a list "
            "for each."
        )
    size = size_of(image)
    inspected = []
    for number, picture in enumerate(image):
        found = scan(picture, detection.detectors, detection.passing)
        everything = (*(given[number] if given else ()), *found.defects)
        inspected.append(
            Inspected(
                select(everything, size, detection.limits),
                found.failures,
                tuple(notes[number]) if notes else (),
            )
        )
        if step:
            step(number + 1, len(image))
    return Defects(size, tuple(inspected), detection)
