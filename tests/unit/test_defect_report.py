import json
import logging

import pytest
import torch

from cleanplate.defects.catalogue import catalogue
from cleanplate.defects.defect import Defect
from cleanplate.defects.detect import Failure, Scan, scan
from cleanplate.defects.report import (
    MOST,
    Limits,
    as_json,
    describe,
    negative_prompt,
    positive_prompt,
    select,
    union_mask,
)
from cleanplate.geometry import Box, Size

SIZE = Size(100, 80)
ALL = Limits()
IMAGE = torch.zeros(80, 100, 3)


def defect(kind="spot", score=0.8, severity=0.5, box=None, mask=None, reason="why"):
    return Defect(kind, score, severity, "test", reason, box, mask)


def finds(*found):
    return lambda image: found


def report_image(found, size, limits=ALL):
    return describe(select(found.defects, size, limits), found.failures, size, limits)


# scan ---------------------------------------------------------------------------------------------


def test_detectors_run_in_their_order():
    first, second, third = defect("blur"), defect("noise"), defect("logo", box=Box(1, 2, 3, 4))
    found = scan(IMAGE, [("a", finds(first, second)), ("b", finds()), ("c", finds(third))])
    assert found == Scan((first, second, third))


def test_a_detector_that_fails_does_not_stop_the_others(caplog):
    def fails(image):
        raise RuntimeError("no luck\ntoday")

    one, two = defect("blur"), defect("noise")
    with caplog.at_level(logging.WARNING):
        found = scan(IMAGE, [("a", finds(one)), ("broken", fails), ("c", finds(two))])
    assert found.defects == (one, two)
    assert found.failures == (Failure("broken", "RuntimeError: no luck today"),)
    assert "broken" in caplog.text
    assert "no luck" in caplog.text


def test_what_fails_half_way_reports_nothing():
    def fails(image):
        yield defect("blur")
        raise ValueError("later")

    assert scan(IMAGE, [("late", fails)]) == Scan((), (Failure("late", "ValueError: later"),))


class Cancelled(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "passing"), [(KeyboardInterrupt, ()), (SystemExit, ()), (Cancelled, (Cancelled,))]
)
def test_what_cancels_a_run_passes(error, passing):
    def stops(image):
        raise error

    with pytest.raises(error):
        scan(IMAGE, [("stops", stops)], passing)


def test_alpha_is_not_shown_to_detectors():
    shapes = []
    scan(torch.zeros(5, 6, 4), [("looks", lambda image: shapes.append(image.shape) or ())])
    assert shapes == [(5, 6, 3)]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (defect("unheard_of"), "no defect kind 'unheard_of'"),
        (defect(score=1.5), "score 1.5"),
        (defect(severity=float("nan")), "severity nan"),
        (defect(box=Box(100, 0, 5, 5)), "outside the image of 100x80"),
        (defect(box=Box(0, 0, 5, 4), mask=torch.ones(5, 4)), r"mask of shape \[5, 4\]"),
        (defect(mask=torch.ones(80, 100)), "mask of shape"),
    ],
)
def test_findings_that_nobody_could_use_are_failures(wrong, words):
    found = scan(IMAGE, [("odd", finds(wrong))])
    assert found.defects == ()
    (failure,) = found.failures
    with pytest.raises(ValueError, match=words):
        raise ValueError(failure.message)


# select -------------------------------------------------------------------------------------------


def test_the_most_severe_come_first_and_keep_what_is_theirs():
    generator = torch.Generator().manual_seed(0)
    severities = torch.randperm(20, generator=generator).div(20).tolist()
    given = [
        defect(score=0.5 + s / 4, severity=s, box=Box(n, 0, 4, 4), mask=torch.full((4, 4), s))
        for n, s in enumerate(severities)
    ]
    kept = select(given, SIZE, Limits(most=5)).defects
    assert [d.severity for d in kept] == pytest.approx([0.95, 0.9, 0.85, 0.8, 0.75])
    for d in kept:
        assert d.score == pytest.approx(0.5 + d.severity / 4)
        assert severities[d.box.x] == d.severity
        assert d.mask.eq(d.severity).all()


def test_of_equal_ones_the_surest_then_the_first():
    given = [defect(score=s, reason=r) for s, r in ((0.6, "a"), (0.9, "b"), (0.6, "c"))]
    assert [d.reason for d in select(given, SIZE).defects] == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        (Limits(), "large small whole"),
        (Limits(threshold=0.7), "large whole"),
        (Limits(least_area=0.02), "large whole"),
        (Limits(most_area=0.25), "small whole"),
        (Limits(threshold=1), ""),
    ],
)
def test_limits(limits, kept):
    given = [
        defect(severity=0.9, score=0.8, box=Box(0, 0, 100, 40), reason="large"),
        defect(severity=0.8, score=0.6, box=Box(0, 0, 10, 10), reason="small"),
        defect("blur", severity=0.1, score=0.9, reason="whole"),
        defect(severity=1.0, score=0.4, reason="unsure"),
    ]
    chosen = select(given, SIZE, limits)
    assert [d.reason for d in chosen.defects] == kept.split()
    assert chosen.found == len(kept.split())
    assert chosen.dropped == 4 - chosen.found


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"threshold": 1.5}, "threshold is 1.5"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"least_area": 0.5, "most_area": 0.1}, "the smaller first"),
        ({"most_area": 2}, "the smaller first"),
        ({"most": -1}, "most is -1"),
    ],
)
def test_impossible_limits_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        Limits(**settings)


# union_mask ---------------------------------------------------------------------------------------


def test_the_mask_of_nothing_is_empty():
    mask = union_mask([defect("blur")], SIZE)
    assert mask.shape == (80, 100)
    assert not mask.any()


def test_the_image_as_a_whole_is_painted_only_when_asked():
    assert union_mask([defect("blur")], SIZE, whole=True).eq(1).all()


def test_masks_and_boxes_are_joined_by_the_larger_value():
    parts = [
        defect(box=Box(10, 20, 4, 2), mask=torch.full((2, 4), 0.25)),
        defect(box=Box(12, 20, 4, 2), mask=torch.full((2, 4), 0.75)),
        defect(box=Box(50, 60, 3, 3)),
    ]
    mask = union_mask(parts, SIZE)
    assert mask[20, 10:17].tolist() == [0.25, 0.25, 0.75, 0.75, 0.75, 0.75, 0]
    assert mask[60:63, 50:53].eq(1).all()
    assert float(mask.sum()) == pytest.approx(2 * (2 * 0.25 + 4 * 0.75) + 9)


def test_what_reaches_beyond_the_image_is_cut():
    values = torch.arange(12.0).reshape(3, 4) / 20
    mask = union_mask([defect(box=Box(-2, 78, 4, 3), mask=values)], SIZE)
    assert torch.equal(mask[78:, :2], values[:2, 2:])
    assert mask.count_nonzero() == values[:2, 2:].count_nonzero()
    assert not union_mask([defect(box=Box(200, 0, 4, 3))], SIZE).any()


def test_the_masks_of_defects_are_left_alone():
    given = torch.full((2, 2), 0.5, dtype=torch.float16)
    union_mask([defect(box=Box(0, 0, 2, 2), mask=given), defect(box=Box(0, 0, 2, 2))], SIZE)
    assert given.eq(0.5).all()


# prompts ------------------------------------------------------------------------------------------


def test_weights_are_written_as_comfyui_reads_them():
    assert negative_prompt(["watermark"]) == "(watermark:1.5), (text:1.2), signature"


def test_terms_of_several_kinds_are_said_once_with_the_largest_weight():
    text = negative_prompt(["watermark", "signature", "watermark"])
    assert text == "(watermark:1.5), (signature:1.5), (text:1.2), (artist name:1.2)"


@pytest.mark.parametrize("name", catalogue())
def test_every_kind_has_prompts_with_balanced_brackets(name):
    text = negative_prompt([name]) + positive_prompt([name])
    assert text.count("(") == text.count(")")


@pytest.mark.parametrize(
    ("kinds", "scene", "text"),
    [
        ([], "", ""),
        (["watermark"], "", ""),
        (["watermark"], "a beach at dusk", "a beach at dusk"),
        (["blur", "blur"], "", "sharp focus, fine detail"),
        (["blur"], "fine detail, a beach", "fine detail, a beach, sharp focus"),
    ],
)
def test_positive_prompts(kinds, scene, text):
    assert positive_prompt(kinds, scene) == text


# reports ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "passed"),
    [
        (Scan(), True),
        (Scan((defect("blur"),)), False),
        (Scan((), (Failure("text", "no file"),)), None),
        (Scan((defect("blur"),), (Failure("text", "no file"),)), False),
        (Scan((defect("blur", score=0.2),)), True),
    ],
)
def test_passed(found, passed):
    report = report_image(found, SIZE)
    assert report["passed"] is passed
    assert report["defect_count"] == (passed is False)


def test_a_report_says_what_to_do():
    found = Scan(
        (defect("watermark", 0.91234, 0.7, Box(10, 20, 40, 8), reason="it reads 'stock'"),),
        (Failure("faces", "ValueError: no weights"),),
    )
    (report,) = json.loads(as_json([report_image(found, SIZE, Limits(0.4))]))
    (entry,) = report["defects"]
    expected = {
        "kind": "watermark",
        "group": "text",
        "score": 0.912,
        "severity": 0.7,
        "reason": "it reads 'stock'",
        "source": "test",
        "box": {"x": 10, "y": 20, "width": 40, "height": 8},
        "fix": "LamaRemove",
        "positive": "",
        "negative": "(watermark:1.5), (text:1.2), signature",
        "denoise": 0.8,
        "grow": 6,
        "context": 1.8,
    }
    assert {name: entry[name] for name in expected} == expected
    assert report["threshold"] == 0.4
    assert report["image"] == {"width": 100, "height": 80}
    assert report["failures"] == [{"detector": "faces", "message": "ValueError: no weights"}]


@pytest.mark.parametrize("name", catalogue())
def test_every_kind_can_be_reported(name):
    (report,) = json.loads(as_json([report_image(Scan((defect(name),)), SIZE)]))
    assert report["defects"][0]["title"] == catalogue()[name].title


def test_five_hundred_defects_are_counted_and_the_worst_listed():
    given = [defect(severity=n / 500, box=Box(n % 90, n // 90, 2, 2)) for n in range(500)]
    report = report_image(Scan(tuple(given)), SIZE)
    assert report["defect_count"] == 500
    assert len(report["defects"]) == MOST == 100
    assert min(entry["severity"] for entry in report["defects"]) == pytest.approx(0.8)
    assert report["notes"] == ["500 were found: only the 100 most severe are listed."]


def test_what_was_left_out_is_said():
    given = [defect(score=0.1), defect(score=0.9)]
    assert report_image(Scan(tuple(given)), SIZE)["notes"] == [
        "1 left out: below the threshold, or too small or large."
    ]


def test_the_same_findings_give_the_same_text():
    given = [defect(severity=0.5, box=Box(n, 0, 2, 2)) for n in range(10)]
    texts = {as_json([describe(select(given, SIZE), (), SIZE)]) for _ in range(3)}
    assert len(texts) == 1


def test_batches_keep_their_empty_frames():
    reports = [report_image(s, SIZE) for s in (Scan(), Scan((defect("blur"),)), Scan())]
    assert [r["defect_count"] for r in json.loads(as_json(reports))] == [0, 1, 0]
