"""Defects from the answer of a vision-language model: a text with JSON somewhere in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from ..geometry import Size
from .boxes import MOST, bounded, clipped
from .catalogue import catalogue, kind
from .defect import Defect
from .loose_json import objects, read_value, spans

SOURCE = "findings"
OTHER = "other"
"""Kind of what the catalogue does not know."""

UNITS = ("pixels", "0-1", "0-1000", "percent")

_SCALES = {"0-1": 1.0, "0-1000": 1000.0, "percent": 100.0}
_UNIT_NAMES = {
    "pixel": "pixels",
    "px": "pixels",
    "absolute": "pixels",
    "relative": "0-1",
    "normalized": "0-1",
    "normalised": "0-1",
    "fraction": "0-1",
    "0..1": "0-1",
    "0-1.0": "0-1",
    "permille": "0-1000",
    "0..1000": "0-1000",
    "normalized_1000": "0-1000",
    "0-100": "percent",
    "%": "percent",
}
_LISTS = ("findings", "defects", "issues", "problems", "detections", "objects", "results")
_KINDS = ("kind", "label", "type", "defect", "issue", "class", "name", "category")
_BOXES = ("bbox", "box", "bbox_2d", "box_2d", "bounding_box")
_SCORES = ("score", "confidence", "probability")
_REASONS = ("note", "reason", "description", "explanation", "text")
_CORNERS = (
    ("x1", "y1", "x2", "y2"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("x_min", "y_min", "x_max", "y_max"),
    ("left", "top", "right", "bottom"),
)
_SEVERITIES = {
    "minor": 0.3,
    "low": 0.3,
    "moderate": 0.55,
    "medium": 0.55,
    "major": 0.8,
    "high": 0.8,
    "severe": 0.9,
    "critical": 1.0,
}
_ALIASES = {
    "extra_finger": "extra_fingers",
    "six_fingers": "extra_fingers",
    "missing_fingers": "extra_fingers",
    "fused_fingers": "extra_fingers",
    "deformed_hand": "extra_fingers",
    "bad_hands": "extra_fingers",
    "extra_limb": "wrong_limbs",
    "extra_limbs": "wrong_limbs",
    "extra_arm": "wrong_limbs",
    "extra_leg": "wrong_limbs",
    "missing_limb": "wrong_limbs",
    "bad_anatomy": "wrong_limbs",
    "deformed_face": "bad_face",
    "distorted_face": "bad_face",
    "face": "bad_face",
    "crossed_eyes": "asymmetric_eyes",
    "blurry": "blur",
    "out_of_focus": "blur",
    "pixelated": "low_resolution",
    "jpeg_artifacts": "compression",
    "compression_artifacts": "compression",
    "artifact": "compression",
    "artifacts": "compression",
    "grain": "noise",
    "underexposed": "too_dark",
    "overexposed": "too_bright",
    "glare": "specular_highlight",
    "reflection": "specular_highlight",
    "inconsistent_lighting": "inconsistent_light",
    "wrong_shadow": "inconsistent_light",
    "cropped": "cropped_subject",
    "plastic_skin": "waxy_skin",
    "wrong_color": "wrong_colour",
    "anachronism": "wrong_era",
    "gibberish": "garbled_text",
    "gibberish_text": "garbled_text",
}
_NOT_SURE = 0.5
_LONGEST = 200_000
_UNREADABLE = (
    "The findings hold no JSON that can be read ({start}): ask the model for nothing but a JSON "
    'list of {{"kind", "bbox", "severity", "note"}}.'
)


@dataclass(frozen=True)
class Findings:
    """What a text says about an image.

    Attributes:
        defects: the most severe first.
        passed: nothing was found; None where the text does not tell.
        warnings: a sentence for each thing that was guessed, changed or left out.
    """

    defects: tuple[Defect, ...] = ()
    passed: bool | None = None
    warnings: tuple[str, ...] = ()


def parse_findings(text: str, size: Size, *, unit: str = "", most: int = MOST) -> Findings:
    """Read findings; whatever the text holds, it only warns.

    Read are a list, or an object with a list called findings, defects, issues and the like, in
    JSON or as Python writes it, in code fences or amid other words, with commas too many, or
    broken off at the end. Each finding has a kind (kind, label, type…), a box if it has a place
    (bbox, box, bbox_2d, box_2d: a list of four, or an object), a severity (0-1, 0-10, or low to
    critical), a score and a note.

    The unit of the boxes is that of the argument; else what the text states as unit, units or
    coordinates; else a guess for all of them: 0-1 where no coordinate is above 1; 0-1000 where one
    reaches beyond the image and none is above 1000, or for box_2d; else pixels. A list is left,
    top, right, bottom; for box_2d top, left, bottom, right, as Google's models write it
    (https://ai.google.dev/gemini-api/docs/image-understanding). A stated format, xyxy, yxyx or
    xywh, wins.

    Args:
        text: the answer.
        size: of the image.
        unit: one of `UNITS`; empty to let the text say or to guess.
        most: keep only so many, the most severe.

    Raises:
        ValueError: an unknown `unit`.
    """
    if unit and unit not in UNITS:
        raise ValueError(f"unit is '{unit}': choose one of {', '.join(UNITS)}.")
    if not text.strip():
        return Findings(warnings=("The findings are empty: connect the model's answer.",))
    value, warnings = _json_in(text[:_LONGEST])
    listed = _listed(value)
    if listed is None:
        start = " ".join(text.split())[:60]
        return Findings(warnings=(_UNREADABLE.format(start=f"it begins '{start}'"),))
    entries, stated = listed
    boxed = [_box(entry) for entry in entries]
    found_unit, guessed = _unit(unit, stated, entries, boxed, size)
    warnings += guessed
    defects = []
    for number, (entry, box) in enumerate(zip(entries, boxed, strict=True), 1):
        defect, notes = _defect(entry, box, found_unit, size, number)
        warnings += [f"Finding {number} {note}." for note in notes]
        if defect is not None:
            defects.append(defect)
    kept, more = bounded(defects, most)
    warnings += [f"{note[0].upper()}{note[1:]}." for note in more]
    return Findings(kept, _passed(stated, entries), tuple(warnings))


def _passed(stated: Mapping[str, Any], entries: Sequence[Any]) -> bool:
    return not entries and stated.get("passed") is not False


def _defect(
    entry: Any, box: list[float] | str | None, unit: str, size: Size, number: int
) -> tuple[Defect | None, list[str]]:
    notes = []
    given = str(_first(entry, _KINDS) or "").strip() if isinstance(entry, Mapping) else str(entry)
    if not given:
        return None, ["names no kind and is left out"]
    name = _kind_named(given)
    if name == OTHER:
        notes.append(f"is of the kind '{given}', which is unknown: it is kept as '{OTHER}'")
    if isinstance(box, str):
        return None, [*notes, f"has a box that is {box}, and is left out"]
    place = None
    if box is not None:
        scale = _SCALES.get(unit)
        if scale:
            box = [
                edge / scale * length
                for edge, length in zip(box, (size.width, size.height) * 2, strict=True)
            ]
        place = clipped(box, size)
        if place is None:
            return None, [*notes, f"has a box outside the image ({size}), and is left out"]
    score = _number(_first(entry, _SCORES)) if isinstance(entry, Mapping) else None
    score = _NOT_SURE if score is None else _shared(score)
    severity = _severity(entry.get("severity")) if isinstance(entry, Mapping) else None
    if severity is None:
        severity = kind(name).severity(score)
    said = str(_first(entry, _REASONS) or "").strip() if isinstance(entry, Mapping) else ""
    reason = f"the model says: {said or given}"
    return Defect(name, score, severity, SOURCE, reason[:300], place), notes


def _kind_named(given: str) -> str:
    """The kind of the catalogue that is meant."""
    key = re.sub(r"[^a-z0-9]+", "_", given.lower()).strip("_")
    titles = {
        re.sub(r"[^a-z0-9]+", "_", entry.title.lower()).strip("_"): name
        for name, entry in catalogue().items()
    }
    for form in (key, f"{key}s", key.removesuffix("s")):
        if form in catalogue():
            return form
        if form in titles:
            return titles[form]
        if form in _ALIASES:
            return _ALIASES[form]
    return OTHER


def _listed(value: Any) -> tuple[list[Any], Mapping[str, Any]] | None:
    """The findings, and the object that they stand in."""
    if isinstance(value, list):
        # Not the [1] of a footnote.
        plain = all(isinstance(entry, (Mapping, str)) for entry in value)
        return (value, {}) if plain else None
    if isinstance(value, dict):
        for name in _LISTS:
            if isinstance(value.get(name), list):
                return value[name], value
        if any(name in value for name in _KINDS):
            return [value], {}
        if isinstance(value.get("passed"), bool):
            return [], value
    return None


def _box(entry: Any) -> list[float] | str | None:
    """Left, top, right, bottom in the text's unit; in words why not; None without a box."""
    if not isinstance(entry, Mapping):
        return None
    field = next((name for name in _BOXES if entry.get(name) is not None), None)
    if field is None:
        return None
    value = entry[field]
    if isinstance(value, Mapping):
        return _box_of_fields(value)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if not value:
        return None
    if isinstance(value, str):
        value = re.findall(r"-?\d+(?:\.\d+)?", value)
    if not isinstance(value, (list, tuple)) or len(value) != 4:
        return "no list of four numbers"
    numbers = [_number(part) for part in value]
    if any(part is None for part in numbers):
        return "no list of four numbers"
    a, b, c, d = (float(part) for part in numbers if part is not None)
    order = str(entry.get("format") or ("yxyx" if field == "box_2d" else "xyxy")).lower()
    if order == "yxyx":
        return [b, a, d, c]
    return [a, b, a + c, b + d] if order == "xywh" else [a, b, c, d]


def _box_of_fields(value: Mapping[str, Any]) -> list[float] | str:
    for names in _CORNERS:
        numbers = [_number(value.get(name)) for name in names]
        if None not in numbers:
            return [float(part) for part in numbers if part is not None]
    sides = [_number(value.get(name)) for name in ("x", "y", "width", "height")]
    sides = [
        _number(value.get(short)) if part is None else part
        for part, short in zip(sides, ("x", "y", "w", "h"), strict=True)
    ]
    if None in sides:
        return "no object with x, y, width and height"
    x, y, width, height = (float(part) for part in sides if part is not None)
    return [x, y, x + width, y + height]


def _unit(
    wanted: str,
    stated: Mapping[str, Any],
    entries: Sequence[Any],
    boxes: Sequence[list[float] | str | None],
    size: Size,
) -> tuple[str, list[str]]:
    """The unit of the boxes, and a warning if it is a guess that may be wrong."""
    if wanted:
        return wanted, []
    for entry in (stated, *entries):
        for field in ("unit", "units", "coordinates"):
            if isinstance(entry, Mapping) and isinstance(entry.get(field), str):
                said = entry[field].strip().lower()
                known = said if said in UNITS else _UNIT_NAMES.get(said)
                if known:
                    return known, []
    known_boxes = [box for box in boxes if isinstance(box, list)]
    if not known_boxes:
        return "pixels", []
    largest = max(abs(edge) for box in known_boxes for edge in box)
    if largest <= 1:
        return "0-1", []
    if any(isinstance(entry, Mapping) and "box_2d" in entry for entry in entries):
        return "0-1000", []
    across = max(max(box[0], box[2]) for box in known_boxes)
    down = max(max(box[1], box[3]) for box in known_boxes)
    if (across > size.width or down > size.height) and largest <= 1000:
        return "0-1000", []
    if largest <= 1000 and max(size.width, size.height) > 1000:
        return "pixels", [
            "The boxes may be pixels or 0-1000 and are taken as pixels: let the model state the "
            'unit, as in {"unit": "0-1000", "findings": [...]}.'
        ]
    return "pixels", []


def _severity(value: Any) -> float | None:
    if isinstance(value, str) and value.strip().lower() in _SEVERITIES:
        return _SEVERITIES[value.strip().lower()]
    number = _number(value)
    return None if number is None else _shared(number)


def _shared(number: float) -> float:
    """A number of 0-1, 0-10 or 0-100 as 0-1."""
    scale = 1 if number <= 1 else 10 if number <= 10 else 100
    return min(max(number / scale, 0.0), 1.0)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(value.strip().rstrip("%")) if isinstance(value, str) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if isfinite(number) else None


def _first(entry: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((entry[name] for name in names if entry.get(name) is not None), None)


def _json_in(text: str) -> tuple[Any, list[str]]:
    """The value of the first JSON that holds findings, and warnings about it."""
    for part in (text, *spans(text)):
        value = read_value(part)
        if isinstance(value, (list, dict)) and _listed(value) is not None:
            return value, []
    whole = [value for part in objects(text, _KINDS) if isinstance(value := read_value(part), dict)]
    if whole:
        return whole, ["The findings break off: only those that are complete are used."]
    return None, []
