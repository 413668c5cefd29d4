"""Defects that others found: boxes of other nodes, and masks that somebody painted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite
from typing import Any

import cv2
import numpy as np
from torch import Tensor

from ..checks import check_image, check_mask, size_of
from ..geometry import Box, Size
from .catalogue import catalogue, kind
from .defect import Defect

FROM_BOXES, FROM_MASK = "boxes", "mask"

LEAST_SCORE = 0.3
MOST = 100
"""Defects of one image."""

_LEAST_PIXELS = 16
"""Of a spot of a mask; smaller ones are slips of the brush."""


@dataclass(frozen=True)
class Found:
    """What was found in one image.

    Attributes:
        defects: the most severe first.
        notes: a sentence for each that was not used.
    """

    defects: tuple[Defect, ...] = ()
    notes: tuple[str, ...] = ()


def defects_from_boxes(
    boxes: Any,
    image: Tensor,
    kinds: Mapping[str, str],
    *,
    otherwise: str = "",
    confidence: float = LEAST_SCORE,
    most: int = MOST,
) -> list[Found]:
    """Defects from a BOUNDING_BOX.

    Args:
        boxes: per image a list of ``{x, y, width, height, label, score}`` in pixels; one list, or
            one box, serves all images.
        image: ``[B, H, W, C]``.
        kinds: which kind a label is; letter case does not matter.
        otherwise: kind of a label that `kinds` does not name, unless it is itself the name of a
            kind; empty to leave such boxes out.
        confidence: least score, 0..1; a box without one counts as sure.
        most: keep only so many of an image, the most severe.

    Raises:
        ValueError: another structure or count, or an unknown kind.
    """
    check_image(image, values=False)
    chosen = checked_kinds(kinds)
    if otherwise:
        kind(otherwise)
    size = size_of(image)
    lists = _per_image(boxes, len(image))
    return [_of_boxes(some, size, chosen, otherwise, confidence, most) for some in lists]


def defects_from_mask(
    mask: Tensor, image: Tensor, name: str, *, most: int = MOST, threshold: float = 0.5
) -> list[Found]:
    """Defects of one kind from a mask: one for each spot that hangs together.

    Args:
        mask: ``[B or 1, H, W]`` in 0..1.
        image: ``[B, H, W, C]``.
        name: their kind.
        most: keep only so many of an image, the largest.
        threshold: from where on a pixel counts.

    Returns:
        per image its defects; the values of the mask within each spot are kept.

    Raises:
        ValueError: mask and image do not belong together, or an unknown kind.
    """
    check_image(image, values=False)
    severity = kind(name).severity(1.0)
    values = check_mask(mask, image)
    return [_of_mask(one, name, severity, most, threshold) for one in values]


def checked_kinds(kinds: Mapping[str, str]) -> dict[str, str]:
    """A mapping of labels to kinds, in small letters.

    Raises:
        ValueError: it names an unknown kind.
    """
    for label, name in kinds.items():
        if name not in catalogue():
            raise ValueError(
                f"'{label}' is mapped to the kind '{name}', which does not exist: choose one of "
                f"{', '.join(catalogue())}."
            )
    return {label.strip().lower(): name for label, name in kinds.items()}


def clipped(edges: Sequence[float], size: Size) -> Box | None:
    """The pixels that left, top, right, bottom touch within an image; None if there are none."""
    if not all(isfinite(edge) for edge in edges) or edges[0] >= edges[2] or edges[1] >= edges[3]:
        return None
    left, top = max(0, floor(edges[0])), max(0, floor(edges[1]))
    right, bottom = min(size.width, ceil(edges[2])), min(size.height, ceil(edges[3]))
    return Box.from_edges(left, top, right, bottom) if left < right and top < bottom else None


def bounded(defects: Sequence[Defect], most: int) -> tuple[tuple[Defect, ...], tuple[str, ...]]:
    """The most severe, and a note if there were more; of equal ones the first."""
    ordered = sorted(defects, key=lambda defect: (-defect.severity, -defect.score))
    left_out = len(ordered) - most
    note = (f"{len(ordered)} were found: only the {most} most severe are used",)
    return tuple(ordered[:most]), note if left_out > 0 else ()


def _of_boxes(
    boxes: Sequence[Any],
    size: Size,
    kinds: Mapping[str, str],
    otherwise: str,
    confidence: float,
    most: int,
) -> Found:
    defects, notes = [], []
    for number, entry in enumerate(boxes, 1):
        try:
            x, y, width, height = (float(entry[key]) for key in ("x", "y", "width", "height"))
            given = entry.get("score")
            score = 1.0 if given is None else float(given)
            label = str(entry.get("label") or "")
        except (TypeError, KeyError, ValueError, AttributeError):
            notes.append(f"box {number} has no x, y, width and height that are numbers")
            continue
        key = label.strip().lower()
        name = kinds.get(key) or (key if key in catalogue() else otherwise)
        box = clipped((x, y, x + width, y + height), size)
        if box is None:
            notes.append(f"box {number} is empty or lies outside the image ({size})")
        elif not isfinite(score):
            notes.append(f"box {number} has a score that is no number")
        elif not name:
            notes.append(f"box {number}, labelled '{label}', is mapped to no kind")
        elif score >= confidence:
            score = min(score, 1.0)
            reason = f"a box labelled '{label}'" if label else "a box"
            reason += f" with score {score:.2f} was given"
            defects.append(Defect(name, score, kind(name).severity(score), FROM_BOXES, reason, box))
    kept, more = bounded(defects, most)
    return Found(kept, (*notes, *more))


def _of_mask(mask: Tensor, name: str, severity: float, most: int, threshold: float) -> Found:
    spots = (mask >= threshold).to("cpu").numpy().astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(spots, connectivity=8)
    areas = stats[1:count, cv2.CC_STAT_AREA]
    order = np.argsort(-areas, kind="stable")
    kept = [int(i) + 1 for i in order if areas[i] >= _LEAST_PIXELS]
    notes = []
    if len(kept) < len(areas):
        notes.append(
            f"{len(areas) - len(kept)} spots of the mask have fewer than {_LEAST_PIXELS} pixels "
            "and are left out"
        )
    if len(kept) > most:
        notes.append(f"the mask has {len(kept)} spots: only the {most} largest are used")
    defects = []
    for label in kept[:most]:
        left, top, width, height = (int(value) for value in stats[label, :4])
        box = Box(left, top, width, height)
        inside = mask.new_tensor(labels[box.rows, box.columns] == label)
        painted = int(stats[label, cv2.CC_STAT_AREA])
        defects.append(
            Defect(
                name,
                1.0,
                severity,
                FROM_MASK,
                f"{painted} pixels were painted",
                box,
                (mask[box.rows, box.columns] * inside).to("cpu"),
            )
        )
    return Found(tuple(defects), tuple(notes))


def _per_image(boxes: Any, images: int) -> list[Sequence[Any]]:
    """Boxes as a list for each image; core takes flat lists and single boxes."""
    if isinstance(boxes, Mapping):
        boxes = [boxes]
    if not isinstance(boxes, (list, tuple)):
        kind_of = "nothing" if boxes is None else f"of type {type(boxes).__name__}"
        raise ValueError(f"boxes are {kind_of}: connect a BOUNDING_BOX.")
    if not any(isinstance(some, (list, tuple)) for some in boxes):
        boxes = [boxes]
    if not all(isinstance(some, (list, tuple)) for some in boxes):
        raise ValueError(
            "boxes are neither a list for each image nor one list: connect a BOUNDING_BOX."
        )
    if len(boxes) not in (1, images):
        raise ValueError(
            f"boxes are for {len(boxes)} images but image holds {images}: connect those of this "
            "image, or one list for all."
        )
    return list(boxes) * images if len(boxes) == 1 else list(boxes)
