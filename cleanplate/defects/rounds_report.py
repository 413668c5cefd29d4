"""What a repair in rounds has done, as data and as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .catalogue import kind
from .defect import Defect
from .plan import REFINE
from .rounds import Progress, Result, Round


def describe_progress(progress: Progress) -> dict[str, Any]:
    """The report of one image, of nothing but what JSON knows; for `report.as_json`.

    ``passed`` is true when nothing is left, false when something is, and null when nothing is left
    but a detector could not tell. ``summary`` says the same in sentences.
    """
    return {
        "passed": progress.passed,
        "summary": list(_sentences(progress)),
        "stopped": progress.why_over(),
        "rounds": [_round(done, number) for number, done in enumerate(progress.rounds, 1)],
        "left": [{**_place(defect), "why": progress.why_left(defect)} for defect in progress.open],
        "not_looked_for": [_place(defect) for defect in progress.done],
        "failures": [{"detector": f.detector, "message": f.message} for f in progress.failures],
        "notes": list(progress.notes),
    }


def as_text(reports: Sequence[dict[str, Any]]) -> str:
    """The summaries of the reports of several images, line by line."""
    if len(reports) == 1:
        return "\n".join(reports[0]["summary"])
    return "\n".join(
        f"Image {number}: {line}"
        for number, report in enumerate(reports)
        for line in report["summary"]
    )


def say_round(done: Round, number: int) -> str:
    """What one round has brought, one line."""
    results = "; ".join(_result_in_words(result) for result in done.results)
    return f"Round {number}: {len(done.found)} open. {results}."


def _sentences(progress: Progress) -> Iterator[str]:
    for number, done in enumerate(progress.rounds, 1):
        yield say_round(done, number)
    for defect in progress.open:
        yield f"Left: {_in_words(defect)}. {progress.why_left(defect)}"
    for failure in progress.failures:
        yield f"Detector '{failure.detector}' failed: {failure.message}"
    yield progress.why_over()


def _round(done: Round, number: int) -> dict[str, Any]:
    return {
        "round": number,
        "helped": done.helped,
        "found": [_place(defect) for defect in done.found],
        "repairs": [_repair(result) for result in done.results],
    }


def _repair(result: Result) -> dict[str, Any]:
    repair = result.repair
    made: dict[str, Any] = {
        **_place(repair.defect),
        "nodes": list(repair.nodes),
        "seed": repair.seed,
        "grow": repair.grow,
    }
    if REFINE in repair.nodes:
        made |= {
            "positive": repair.positive,
            "negative": repair.negative,
            "denoise": repair.denoise,
            "context": repair.context,
        }
    return made | {
        "severity_before": round(result.before, 3),
        "severity_after": round(result.after, 3),
        "result": result.verdict,
    }


def _place(defect: Defect) -> dict[str, Any]:
    box = defect.box
    return {
        "kind": defect.kind,
        "title": kind(defect.kind).title,
        "severity": round(defect.severity, 3),
        "source": defect.source,
        "box": box and {"x": box.x, "y": box.y, "width": box.width, "height": box.height},
    }


def _result_in_words(result: Result) -> str:
    return f"{_in_words(result.repair.defect)}: {' + '.join(result.repair.nodes)}, {result.verdict}"


def _in_words(defect: Defect) -> str:
    box, title = defect.box, kind(defect.kind).title
    return f"{title} at {box.x},{box.y} ({box.size})" if box else f"{title}, everywhere"
