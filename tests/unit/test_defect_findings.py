"""What a vision-language model writes, as defects."""

import json
import time

import pytest

from cleanplate.defects.catalogue import catalogue
from cleanplate.defects.findings import parse_findings
from cleanplate.geometry import Box, Size

SIZE = Size(800, 600)
ONE = {"kind": "extra_fingers", "bbox": [100, 200, 180, 260], "severity": 0.7, "note": "six"}
BOX = Box(100, 200, 80, 60)


def parse(value, size=SIZE, **settings):
    text = value if isinstance(value, str) else json.dumps(value)
    return parse_findings(text, size, **settings)


def test_a_finding_becomes_a_defect():
    found = parse([{**ONE, "score": 0.9}])
    (defect,) = found.defects
    assert (defect.kind, defect.score, defect.severity) == ("extra_fingers", 0.9, 0.7)
    assert (defect.box, defect.source) == (BOX, "findings")
    assert defect.reason == "the model says: six"
    assert found.passed is False
    assert found.warnings == ()


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([ONE]),
        json.dumps({"findings": [ONE]}),
        json.dumps({"issues": [ONE], "summary": "bad"}),
        json.dumps(ONE),
        f"```json\n{json.dumps([ONE], indent=2)}\n```",
        f"Here is [1] what I see {{so far}}:\n\n```\n{json.dumps([ONE])}\n```\nAnything else?",
        f"Sure! {json.dumps({'findings': [ONE]})} Let me know.",
        str([ONE]),
        json.dumps([ONE]).replace("}]", ",},]").replace("260]", "260,]"),
        f"<think>A hand [with six] fingers</think>{json.dumps([ONE])}",
    ],
)
def test_json_is_found_however_it_is_wrapped(text):
    found = parse(text)
    assert [(d.kind, d.box, d.severity) for d in found.defects] == [("extra_fingers", BOX, 0.7)]
    assert found.passed is False
    assert found.warnings == ()


def test_a_text_that_breaks_off_gives_what_is_complete():
    text = json.dumps({"findings": [ONE, {**ONE, "kind": "blur"}]})
    found = parse(text[: text.index("blur")])
    assert [defect.kind for defect in found.defects] == ["extra_fingers"]
    assert found.warnings == ("The findings break off: only those that are complete are used.",)


@pytest.mark.parametrize(
    ("value", "passed"),
    [
        ([], True),
        ({"findings": []}, True),
        ({"passed": True}, True),
        ({"passed": False, "findings": []}, False),
        ({"passed": True, "findings": [ONE]}, False),
    ],
)
def test_it_passes_when_nothing_was_found_and_nothing_says_otherwise(value, passed):
    assert parse(value).passed is passed


@pytest.mark.parametrize(
    "text",
    [
        *("", "   ", "The image looks fine.", "{", "[" * 5000, "null", "7", '"text"', "[1, 2]"),
        *("{}", '{"answer": 42}', "\x00\x01", "}{" * 2000, '{"a":' * 3000, "'" * 100),
    ],
)
def test_what_cannot_be_read_warns_and_leaves_the_verdict_open(text):
    found = parse(text)
    assert found.defects == ()
    assert found.passed is None
    assert len(found.warnings) == 1


def test_a_hostile_text_does_not_take_long():
    start = time.process_time()
    parse("[" * 200_000 + "{'kind'" * 1000)
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    ("box", "more", "settings", "expected"),
    [
        ([0.125, 0.5, 0.25, 0.75], {}, {}, Box(100, 300, 100, 150)),
        ([125, 500, 250, 1000], {}, {}, Box(100, 300, 100, 300)),
        ([125, 500, 250, 600], {}, {}, Box(125, 500, 125, 100)),
        ([125, 500, 250, 600], {"unit": "0-1000"}, {}, Box(100, 300, 100, 60)),
        ([125, 500, 250, 600], {"coordinates": "permille"}, {}, Box(100, 300, 100, 60)),
        ([10, 50, 20, 60], {"units": "percent"}, {}, Box(80, 300, 80, 60)),
        ([0, 0, 1, 1], {"unit": "px"}, {}, Box(0, 0, 1, 1)),
        ([125, 500, 250, 600], {"unit": "pixels"}, {"unit": "0-1000"}, Box(100, 300, 100, 60)),
        ([100, 200, 80, 60], {"format": "xywh"}, {}, BOX),
        ("100, 200, 180, 260", {}, {}, BOX),
        ([["100", 200, "180.0", 260]], {}, {}, BOX),
        ({"x": 100, "y": 200, "width": 80, "height": 60}, {}, {}, BOX),
        ({"x": 100, "y": 200, "w": 80, "h": 60}, {}, {}, BOX),
        ({"x1": 100, "y1": 200, "x2": 180, "y2": 260}, {}, {}, BOX),
        ({"left": 100, "top": 200, "right": 180, "bottom": 260}, {}, {}, BOX),
        (None, {}, {}, None),
        ([], {}, {}, None),
    ],
)
def test_boxes_in_any_unit(box, more, settings, expected):
    found = parse([{**ONE, "bbox": box, **more}], **settings)
    assert [defect.box for defect in found.defects] == [expected]


@pytest.mark.parametrize(
    ("field", "expected"),
    [("bbox", BOX), ("box", BOX), ("bbox_2d", BOX), ("bounding_box", BOX)],
)
def test_names_of_the_box(field, expected):
    found = parse([{"label": "blur", field: [100, 200, 180, 260]}])
    assert [defect.box for defect in found.defects] == [expected]


def test_box_2d_is_in_thousandths_with_the_row_first():
    found = parse([{"label": "blur", "box_2d": [500, 125, 600, 250]}])
    assert [defect.box for defect in found.defects] == [Box(100, 300, 100, 60)]


def test_one_unit_holds_for_all_boxes():
    # The second alone could be pixels.
    found = parse([{**ONE, "bbox": [0, 0, 900, 990]}, {**ONE, "bbox": [125, 500, 250, 600]}])
    assert Box(100, 300, 100, 60) in [defect.box for defect in found.defects]


def test_a_unit_that_cannot_be_told_is_said():
    found = parse([ONE], Size(1600, 1200))
    assert [defect.box for defect in found.defects] == [BOX]
    assert "may be pixels or 0-1000" in found.warnings[0]
    assert parse({"unit": "pixels", "findings": [ONE]}, Size(1600, 1200)).warnings == ()


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("Extra fingers", "extra_fingers"),
        ("extra-finger", "extra_fingers"),
        ("Wrong fingers", "extra_fingers"),
        ("Overexposed", "too_bright"),
        ("watermarks", "watermark"),
        ("Blurry", "blur"),
        ("wrong limb", "wrong_limbs"),
        ("ghost in the machine", "other"),
    ],
)
def test_kinds_by_their_names_titles_and_what_people_call_them(given, kind):
    found = parse([{**ONE, "kind": given}])
    assert [defect.kind for defect in found.defects] == [kind]
    assert kind in catalogue()
    assert len(found.warnings) == (kind == "other")


@pytest.mark.parametrize(
    ("given", "severity"),
    [(0.3, 0.3), (7, 0.7), ("high", 0.8), ("0.4", 0.4), ("40%", 0.4), (-1, 0), ("awful", None)],
)
def test_severity_in_numbers_and_words(given, severity):
    (defect,) = parse([{**ONE, "severity": given}]).defects
    # Without one the catalogue decides by the score, here 0.5: 0.6 at 0.3, 1 at 1.
    assert defect.severity == pytest.approx(0.6 + 0.4 * 0.2 / 0.7 if severity is None else severity)


@pytest.mark.parametrize(
    ("entry", "warning"),
    [
        ({"bbox": [1, 2, 3, 4]}, "Finding 1 names no kind and is left out."),
        ({**ONE, "bbox": [1, 2, 3]}, "Finding 1 has a box that is no list of four numbers"),
        ({**ONE, "bbox": {"x": 1}}, "Finding 1 has a box that is no object with x, y, width"),
        ({**ONE, "bbox": [900, 0, 950, 10], "unit": "px"}, "Finding 1 has a box outside the image"),
    ],
)
def test_a_finding_that_cannot_be_used_is_left_out_with_a_warning(entry, warning):
    found = parse([entry, ONE])
    assert len(found.defects) == 1
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith(warning)
    assert found.passed is False


def test_plain_names_are_findings_of_the_whole_image():
    found = parse(["blur", "too dark"])
    assert [(d.kind, d.box) for d in found.defects] == [("blur", None), ("too_dark", None)]


def test_of_many_the_most_severe_stay():
    found = parse([{**ONE, "severity": i / 500} for i in range(500)])
    assert len(found.defects) == 100
    assert min(defect.severity for defect in found.defects) == 0.8
    assert found.warnings == ("500 were found: only the 100 most severe are used.",)


def test_an_unknown_unit_is_refused():
    with pytest.raises(ValueError, match="unit is 'inch': choose one of pixels"):
        parse([ONE], unit="inch")
