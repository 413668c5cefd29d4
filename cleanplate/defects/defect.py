"""A defect that was found, and what finds them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from ..geometry import Box


@dataclass(frozen=True, eq=False)
class Defect:
    """One defect of one image.

    Attributes:
        kind: which, a key of the catalogue.
        score: how sure the detector is, 0..1.
        severity: how bad it is, 0..1, by the rule that the catalogue states for the kind.
        source: name of the detector.
        reason: one sentence with the numbers behind it.
        box: where, within the image; None for a defect of the image as a whole.
        mask: which pixels of the box, ``[box.height, box.width]`` float32 in 0..1; None for all of
            them.
    """

    kind: str
    score: float
    severity: float
    source: str
    reason: str
    box: Box | None = None
    mask: Tensor | None = None


Detector = Callable[[Tensor], Sequence[Defect]]
"""Finds defects of one image ``[H, W, 3]`` float32 in 0..1; none is an empty sequence."""
