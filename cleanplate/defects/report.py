"""What was found, in order, as a mask, as prompts and as text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..geometry import Box, Size
from .boxes import bounded
from .catalogue import kind
from .defect import Defect
from .detect import Failure

MOST = 100
"""Defects that a report lists."""


@dataclass(frozen=True)
class Limits:
    """Which findings count.

    Attributes:
        threshold: least score, 0..1.
        least_area: of the box, as a part of the image; defects of the image as a whole always pass.
        most_area: likewise.
        most: how many, the most severe; 0 for all that a report can list.
        others: least scores of these sources instead, for those that measure otherwise.
    """

    threshold: float = 0.5
    least_area: float = 0.0
    most_area: float = 1.0
    most: int = 0
    others: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, least in (("threshold", self.threshold), *self.others.items()):
            if not 0 <= least <= 1:
                raise ValueError(f"{name} is {least:g}: give a score from 0 to 1.")
        if not 0 <= self.least_area <= self.most_area <= 1:
            raise ValueError(
                f"least_area is {self.least_area:g} and most_area {self.most_area:g}: give parts "
                "of the image from 0 to 1, the smaller first."
            )
        if self.most < 0:
            raise ValueError(f"most is {self.most}: give the number of defects to keep, or 0.")

    def count(self, defect: Defect, size: Size) -> bool:
        """Whether a defect of an image of that size counts."""
        if defect.score < self.others.get(defect.source, self.threshold):
            return False
        area = defect.box.size.area / size.area if defect.box else None
        return area is None or self.least_area <= area <= self.most_area


@dataclass(frozen=True)
class Selection:
    """The findings that count.

    Attributes:
        defects: the most severe first, then the surest, then as they were found.
        found: how many pass threshold and area, listed or not.
        dropped: how many do not.
    """

    defects: tuple[Defect, ...] = ()
    found: int = 0
    dropped: int = 0


def select(defects: Sequence[Defect], size: Size, limits: Limits = Limits()) -> Selection:
    """Keep what counts, the most severe first; each keeps its own box, mask and score.

    Args:
        defects: of one image.
        size: of the image.
        limits: what counts.
    """
    passing = [defect for defect in defects if limits.count(defect, size)]
    kept, _ = bounded(passing, min(limits.most or MOST, MOST))
    return Selection(kept, len(passing), len(defects) - len(passing))


def union_mask(defects: Iterable[Defect], size: Size, *, whole: bool = False) -> Tensor:
    """Where the defects are: ``[H, W]`` float32 in 0..1, the larger value where they overlap.

    Args:
        defects: of one image.
        size: of the image; what reaches beyond it is cut off.
        whole: paint defects of the image as a whole, too: over everything.
    """
    union = torch.zeros(size.height, size.width)
    for defect in defects:
        box = Box.of(size) if defect.box is None and whole else defect.box
        inside = box.intersect(Box.of(size)) if box else None
        if box is None or inside is None:
            continue
        target = union[inside.rows, inside.columns]
        if defect.mask is None:
            target.fill_(1.0)
        else:
            part = inside.relative_to(box)
            values = defect.mask[part.rows, part.columns].detach().to("cpu", torch.float32)
            torch.maximum(target, values.clamp(0, 1), out=target)
    return union


def negative_prompt(kinds: Iterable[str]) -> str:
    """The terms to steer away from, such as ``(watermark:1.5), signature``.

    Of a term that several kinds name, the largest weight counts; the heaviest come first.

    Raises:
        ValueError: an unknown kind.
    """
    weights: dict[str, float] = {}
    for name in kinds:
        for term, weight in kind(name).negative:
            weights[term] = max(weight, weights.get(term, 0.0))
    ordered = sorted(weights.items(), key=lambda item: -item[1])
    return ", ".join(_weighted(term, weight) for term, weight in ordered)


def positive_prompt(kinds: Iterable[str], scene: str = "") -> str:
    """What to ask for: `scene` in the user's words, then what the kinds add, each once.

    Raises:
        ValueError: an unknown kind.
    """
    parts = dict.fromkeys(
        part.strip()
        for text in (scene, *(kind(name).positive for name in kinds))
        for part in text.split(",")
    )
    return ", ".join(part for part in parts if part)


def _weighted(term: str, weight: float) -> str:
    term = term.replace("(", r"\(").replace(")", r"\)")
    return term if weight == 1 else f"({term}:{weight:g})"


def describe(
    selection: Selection, failures: Sequence[Failure], size: Size, limits: Limits = Limits()
) -> dict[str, Any]:
    """The report of one image, of nothing but what JSON knows.

    ``passed`` is true when nothing was found, false when something was, and null when nothing was
    found but a detector failed: then nobody can tell.

    Args:
        selection: what was found.
        failures: of detectors.
        size: of the image.
        limits: what counted.
    """
    count = selection.found
    report: dict[str, Any] = {
        "passed": False if count else None if failures else True,
        "defect_count": count,
        "image": {"width": size.width, "height": size.height},
        "threshold": _rounded(limits.threshold),
        "defects": [_entry(defect) for defect in selection.defects],
        "failures": [{"detector": f.detector, "message": f.message} for f in failures],
        "notes": [],
    }
    if limits.others:
        report["thresholds"] = {name: _rounded(least) for name, least in limits.others.items()}
    listed = len(selection.defects)
    if listed < count:
        report["notes"].append(f"{count} were found: only the {listed} most severe are listed.")
    if selection.dropped:
        report["notes"].append(
            f"{selection.dropped} left out: below the threshold, or too small or large."
        )
    return report


def as_json(reports: Sequence[dict[str, Any]]) -> str:
    """Reports, one for each image, as JSON text; the same findings give the same text."""
    return json.dumps(list(reports), indent=2, ensure_ascii=False, allow_nan=False)


def _entry(defect: Defect) -> dict[str, Any]:
    entry = kind(defect.kind)
    box = defect.box
    return {
        "kind": defect.kind,
        "title": entry.title,
        "group": entry.group,
        "score": _rounded(defect.score),
        "severity": _rounded(defect.severity),
        "severity_rule": str(entry.severity),
        "reason": defect.reason,
        "source": defect.source,
        "box": None
        if box is None
        else {"x": box.x, "y": box.y, "width": box.width, "height": box.height},
        "fix": entry.fix or None,
        "advice": entry.advice,
        "positive": positive_prompt([defect.kind]),
        "negative": negative_prompt([defect.kind]),
        "denoise": entry.denoise,
        "grow": 0 if box is None else entry.growth(box),
        "context": entry.context,
    }


def _rounded(value: float) -> float:
    return round(float(value), 3)
