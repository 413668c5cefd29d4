"""Run detectors on an image; one that fails does not stop the others."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ..geometry import Box, Size
from .catalogue import kind
from .defect import Defect, Detector

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """A detector that did not finish.

    Attributes:
        detector: its name.
        message: one line, what went wrong.
    """

    detector: str
    message: str


@dataclass(frozen=True)
class Scan:
    """What detectors say about one image.

    Attributes:
        defects: of all of them, in the order in which they ran.
        failures: of those that did not finish.
    """

    defects: tuple[Defect, ...] = ()
    failures: tuple[Failure, ...] = ()


def scan(
    image: Tensor,
    detectors: Sequence[tuple[str, Detector]],
    passing: tuple[type[BaseException], ...] = (),
) -> Scan:
    """Find defects of one image.

    Args:
        image: ``[H, W, 3 or 4]`` in 0..1, finite; alpha plays no part.
        detectors: with their names, for the report of failures.
        passing: exceptions that are meant for the caller, such as those that cancel a run; they and
            what is no `Exception` are raised. Any other is noted, with its traceback in the log.
    """
    size = Size(image.shape[1], image.shape[0])
    defects: list[Defect] = []
    failures = []
    for name, detector in detectors:
        try:
            found = list(detector(image[..., :3]))
            for defect in found:
                _check(defect, size)
        except passing:
            raise
        except Exception as error:
            _LOG.warning("Defect detector '%s' failed.", name, exc_info=True)
            lines = str(error).strip().splitlines()
            failures.append(Failure(name, f"{type(error).__name__}: {' '.join(lines)}"[:500]))
            continue
        defects += found
    return Scan(tuple(defects), tuple(failures))


def _check(defect: Defect, size: Size) -> None:
    """Refuse what no later step could use, while it is known who made it."""
    kind(defect.kind)
    box = defect.box
    if not (0 <= defect.score <= 1 and 0 <= defect.severity <= 1):
        raise ValueError(
            f"a {defect.kind} has score {defect.score:g} and severity {defect.severity:g}, both "
            "have to be within 0..1."
        )
    if box is not None and Box.of(size).intersect(box) is None:
        raise ValueError(f"a {defect.kind} lies at {box}, outside the image of {size}.")
    if defect.mask is None:
        return
    shape = None if box is None else (box.height, box.width)
    if tuple(defect.mask.shape) != shape:
        raise ValueError(
            f"a {defect.kind} has a mask of shape {list(defect.mask.shape)} for the box {box}."
        )
