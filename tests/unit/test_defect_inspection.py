"""Batches of images through detectors, with what others have found."""

import json
import logging

import pytest
import torch

from cleanplate.defects.boxes import Found
from cleanplate.defects.defect import Defect
from cleanplate.defects.detect import Failure
from cleanplate.defects.inspection import (
    EXACT,
    Defects,
    Detection,
    Given,
    Inspected,
    boxes_of,
    from_findings,
    from_others,
    inspect,
    masks_of,
    reports,
)
from cleanplate.defects.report import Limits, Selection, as_json
from cleanplate.geometry import Box, Size

SIZE = Size(40, 30)
PLACE = Box(2, 3, 4, 5)


def defect(kind="spot", score=0.8, severity=0.5, box=PLACE, source="test"):
    return Defect(kind, score, severity, source, "why", box)


def batch(*brightness, channels=3):
    return torch.stack([torch.full((30, 40, channels), float(value)) for value in brightness])


def bright(image):
    """A spot in images brighter than the middle."""
    return [defect()] if float(image.mean()) > 0.5 else []


def fails(image):
    raise RuntimeError("no luck")


# inspect ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_each_image_has_its_entry_the_empty_one_in_the_middle_too(channels, dtype):
    image = batch(1, 0, 1, channels=channels).to(dtype)
    found = inspect(image, Detection((("bright", bright),)))
    assert found.size == SIZE
    assert [len(one.defects) for one in found.images] == [1, 0, 1]
    assert [one.passed for one in found.images] == [False, True, False]
    assert (found.count, found.passed) == (2, False)
    masks = masks_of(found)
    assert masks.shape == (3, 30, 40)
    assert masks.sum((1, 2)).tolist() == [20, 0, 20]
    assert [len(boxes) for boxes in boxes_of(found)] == [1, 0, 1]
    assert [len(report["defects"]) for report in reports(found)] == [1, 0, 1]


def test_detectors_see_float32_without_alpha():
    seen = []

    def look(image):
        seen.append((image.dtype, tuple(image.shape)))
        return []

    inspect(batch(0.5, channels=4).half(), Detection((("look", look),)))
    assert seen == [(torch.float32, (30, 40, 3))]


def test_what_fails_is_told_and_the_others_report(caplog):
    with caplog.at_level(logging.WARNING):
        found = inspect(batch(1, 0), Detection((("broken", fails), ("bright", bright))))
    first, second = found.images
    assert first.defects and not second.defects
    assert first.failures == second.failures == (Failure("broken", "RuntimeError: no luck"),)
    assert (first.passed, second.passed, found.passed) == (False, None, False)
    assert "broken" in caplog.text
    assert inspect(batch(0), Detection((("broken", fails),))).passed is None


def test_notes_of_detectors_become_sentences():
    found = Found((defect(),), ("found but mapped to no kind: cat",))
    inspected = inspect(batch(0), Detection((("yolo", lambda image: found),)))
    (report,) = reports(inspected)
    assert len(report["defects"]) == 1
    assert report["notes"] == ["yolo: found but mapped to no kind: cat."]


def test_what_is_given_counts_under_the_same_limits():
    given = [Given((defect(severity=0.9), defect(score=0.2)), ("note.",)), Given()]
    found = inspect(batch(1, 0), Detection((("bright", bright),)), given=given)
    first, second = found.images
    assert [d.severity for d in first.defects] == [0.9, 0.5]
    assert (first.selection.dropped, first.notes) == (1, ("note.",))
    assert (second.defects, second.passed) == ((), True)
    # Looking again, without.
    assert inspect(batch(1, 0), found.detection).count == 1
    with pytest.raises(ValueError, match="given for 2 images but image holds 1"):
        inspect(batch(1), found.detection, given=given)


def test_steps_count_detectors_and_images_and_can_cancel():
    steps = []
    detection = Detection((("a", bright), ("b", bright)))
    inspect(batch(1, 0), detection, step=lambda *step: steps.append(step))
    assert steps == [(n, 6) for n in range(1, 7)]

    class Cancelled(BaseException):
        pass

    def cancel(done, total):
        raise Cancelled

    with pytest.raises(Cancelled):
        inspect(batch(1), detection, step=cancel)


def test_other_scores_for_some_sources():
    given = [Given((defect(score=0.4, source="yolo"), defect(score=0.4), defect(score=0.6)))]
    limits = Limits(0.5, others={"yolo": 0.3})
    found = inspect(batch(0), Detection((), limits), given=given)
    assert [(d.source, d.score) for d in found.images[0].defects] == [("test", 0.6), ("yolo", 0.4)]
    (report,) = reports(found)
    assert (report["threshold"], report["thresholds"]) == (0.5, {"yolo": 0.3})
    with pytest.raises(ValueError, match="yolo is 2"):
        Limits(others={"yolo": 2})


# exact masks --------------------------------------------------------------------------------------


def half(image, boxes):
    """The left half of each box."""
    for box in boxes:
        mask = torch.zeros(image.shape[:2], dtype=torch.bool)
        mask[box.rows, box.x : box.x + box.width // 2] = True
        yield mask


def test_those_that_count_get_exact_masks():
    given = [Given((defect(box=Box(0, 0, 20, 20)), defect(score=0.1), defect(box=None)))]
    found = inspect(batch(0), Detection((), segment=half), given=given)
    exact, whole = found.images[0].defects
    assert exact.box == Box(0, 0, 10, 20)
    assert whole.box is None
    assert int(masks_of(found).sum()) == 200


def test_where_no_exact_mask_can_be_had_the_box_stays():
    found = inspect(batch(1), Detection((("bright", bright),), segment=lambda *_: fails(None)))
    (one,) = found.images
    assert one.defects[0].box == PLACE
    assert one.failures == (Failure(EXACT, "RuntimeError: no luck"),)


def test_nothing_is_segmented_where_nothing_is_found():
    found = inspect(batch(0), Detection((("bright", bright),), segment=lambda *_: fails(None)))
    assert found.passed is True


# given --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "count", "passed"),
    [
        ('[{"kind": "blur", "severity": 0.6}]', 1, False),
        ("[]", 0, True),
        ('{"passed": true}', 0, True),
        ("I see nothing wrong.", 0, None),
        ("", 0, None),
        ('{"passed": false}', 0, None),
        ('[{"kind": "spot", "bbox": "here"}]', 0, None),
    ],
)
def test_findings(text, count, passed):
    given = [from_findings(text, SIZE)]
    found = inspect(batch(0), Detection(()), given=given)
    (report,) = reports(found)
    assert (found.count, found.passed) == (count, passed)
    assert report["passed"] is passed
    failed = [failure["detector"] for failure in report["failures"]]
    assert failed == (["findings"] if passed is None else [])
    assert all(failure["message"].endswith(".") for failure in report["failures"])


def test_what_several_give_is_joined():
    one = from_others("boxes", [Found((defect(),), ("box 2 is empty",))])[0]
    other = Given((defect("noise"),), (), (Failure("a", "b"),))
    both = one + other
    assert [d.kind for d in both.defects] == ["spot", "noise"]
    assert both.notes == ("boxes: box 2 is empty.",)
    assert both.failures == (Failure("a", "b"),)


# results ------------------------------------------------------------------------------------------


def found_with(*defects):
    return Defects(SIZE, (Inspected(Selection(defects, len(defects))),), Detection(()))


def test_what_is_wrong_as_a_whole_is_painted_only_when_asked():
    found = found_with(defect("blur", box=None))
    assert not masks_of(found).any()
    assert masks_of(found, whole=True).all()
    assert boxes_of(found) == [[]]


def test_boxes_in_cores_format_in_the_order_of_the_report():
    found = found_with(defect("logo", 0.75), defect("blur", box=None), defect("spot", 0.5))
    assert boxes_of(found) == [
        [
            {"x": 2, "y": 3, "width": 4, "height": 5, "label": "logo", "score": 0.75},
            {"x": 2, "y": 3, "width": 4, "height": 5, "label": "spot", "score": 0.5},
        ]
    ]


def test_the_same_findings_give_the_same_text():
    detection = Detection((("bright", bright), ("broken", fails)))
    one, other = (as_json(reports(inspect(batch(1, 0), detection))) for _ in range(2))
    assert one == other
    assert json.loads(one)[1]["passed"] is None
