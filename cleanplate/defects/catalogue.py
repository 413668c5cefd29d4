"""The kinds of defects: what each is, what repairs it, and how bad it is."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from ..geometry import Box

GROUPS = ("anatomy", "quality", "light", "composition", "style", "text", "missing")
MANUAL = "manual"
"""Stands for the detector where there is none: the user paints the mask and chooses the kind."""

_LEAST_GROWTH = 4
"""Pixels that a mask which grows at all grows at least: the soft rim of a small defect."""


@dataclass(frozen=True)
class SeverityRule:
    """How bad a defect is, by one number that its detector measured.

    Attributes:
        measure: what the number is, in words; "score" for the detector's score.
        mild: where the severity is `least`.
        severe: where it is `most`; below `mild` where less is worse.
        least: severity of the mildest that is reported, 0..1.
        most: that of the worst, 0..1.
    """

    measure: str
    mild: float
    severe: float
    least: float
    most: float

    def __call__(self, value: float) -> float:
        """The severity, 0..1: straight between the two ends, level beyond them."""
        share = (value - self.mild) / (self.severe - self.mild)
        return self.least + (self.most - self.least) * min(max(share, 0.0), 1.0)

    def __str__(self) -> str:
        return (
            f"{self.measure}: {self.least:.1f} at {self.mild:g}, {self.most:.1f} at {self.severe:g}"
        )


@dataclass(frozen=True)
class Kind:
    """One kind of defect; the comments of `catalogue.toml` explain the fields.

    Attributes:
        name: its key, as in `Defect.kind`.
        title: what people call it.
        group: one of `GROUPS`.
        description: one plain sentence.
        positive: prompt for the repair; empty: the surroundings decide.
        negative: terms and their weights, the most important first.
        denoise: for the repair, 0..1.
        grow: growth of the mask, as a part of the defect's longer side.
        context: how much longer the crop is than the mask's box.
        fix: id of the node that repairs it; empty where none of this pack can.
        advice: what to do, one sentence.
        detectors: names of those that find it by themselves; empty for a manual kind.
        severity: how bad it is.
    """

    name: str
    title: str
    group: str
    description: str
    positive: str
    negative: tuple[tuple[str, float], ...]
    denoise: float
    grow: float
    context: float
    fix: str
    advice: str
    detectors: tuple[str, ...]
    severity: SeverityRule

    @property
    def found_by(self) -> str:
        """The detectors, or "manual"."""
        return ", ".join(self.detectors) or MANUAL

    def growth(self, box: Box) -> int:
        """Pixels that the mask of a defect in that box should grow."""
        if self.grow == 0:
            return 0
        return max(_LEAST_GROWTH, round(self.grow * max(box.width, box.height)))


@cache
def catalogue() -> Mapping[str, Kind]:
    """All kinds by name, in the order of the file."""
    text = files(__package__).joinpath("catalogue.toml").read_text("utf-8")
    return MappingProxyType(parse(text))


def kind(name: str) -> Kind:
    """The kind of that name.

    Raises:
        ValueError: there is none.
    """
    found = catalogue().get(name)
    if found is None:
        raise ValueError(
            f"There is no defect kind '{name}': choose one of {', '.join(catalogue())}."
        )
    return found


def parse(text: str) -> dict[str, Kind]:
    """Read kinds from TOML text.

    Raises:
        ValueError: no TOML, a field that is missing or unknown or has a value that it cannot have;
            the sentence names the kind and the field.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"The defect catalogue is no valid TOML: {error}.") from error
    return {name: _kind(name, table) for name, table in tables.items()}


def _kind(name: str, table: Any) -> Kind:
    where = f"defect kind '{name}'"
    values = _fields(table, Kind, where, given={"name"})
    rule = SeverityRule(**_fields(values["severity"], SeverityRule, f"severity of {where}"))
    _expect(rule.mild != rule.severe, "severity", where, "needs mild and severe to differ")
    _expect(0 <= rule.least <= rule.most <= 1, "severity", where, "needs 0 <= least <= most <= 1")
    _expect(values["group"] in GROUPS, "group", where, f"is none of {', '.join(GROUPS)}")
    for field in ("title", "description", "advice"):
        _expect(bool(values[field]), field, where, "is empty")
    _expect(0 <= values["denoise"] <= 1, "denoise", where, "is not within 0..1")
    _expect(0 <= values["grow"] <= 1, "grow", where, "is not within 0..1")
    _expect(values["context"] >= 1, "context", where, "is below 1")
    negative = values["negative"]
    weights = list(negative.values())
    _expect(
        all(_is(w, "float") and 0 < w <= 2 for w in weights),
        "negative",
        where,
        "needs 0 < weight <= 2",
    )
    _expect(all(_is(d, "str") for d in values["detectors"]), "detectors", where, "needs names")
    return Kind(
        **{
            **values,
            "name": name,
            "negative": tuple((term, float(weight)) for term, weight in negative.items()),
            "detectors": tuple(values["detectors"]),
            "severity": rule,
        }
    )


_TYPES: dict[str, Any] = {
    "str": str,
    "float": (int, float),
    "tuple[tuple[str, float], ...]": dict,
    "tuple[str, ...]": list,
    "SeverityRule": dict,
}


def _is(value: object, annotation: str) -> bool:
    return isinstance(value, _TYPES[annotation]) and not isinstance(value, bool)


def _fields(
    table: Any, cls: type, where: str, given: frozenset[str] | set[str] = frozenset()
) -> dict[str, Any]:
    """The values of a table that holds exactly the fields of a dataclass, of their types."""
    if not isinstance(table, dict):
        raise ValueError(f"{where} is no table.")
    expected = {field.name: str(field.type) for field in fields(cls) if field.name not in given}
    for name in sorted(expected.keys() - table.keys()):
        raise ValueError(f"{where} has no field '{name}'.")
    for name in sorted(table.keys() - expected.keys()):
        raise ValueError(f"{where} has an unknown field '{name}'.")
    for name, annotation in expected.items():
        _expect(_is(table[name], annotation), name, where, f"is {table[name]!r}, of the wrong type")
    return dict(table)


def _expect(holds: bool, field: str, where: str, what: str) -> None:
    if not holds:
        raise ValueError(f"Field '{field}' of {where} {what}.")
