"""Repair in rounds: whether a round helped, when it ends, and what the report says."""

import json

import pytest
import torch

from cleanplate.defects.defect import Defect
from cleanplate.defects.detect import Failure
from cleanplate.defects.inspection import EXACT, Detection, Inspected
from cleanplate.defects.plan import Means
from cleanplate.defects.report import Selection, as_json
from cleanplate.defects.rounds import (
    BETTER,
    GONE,
    NO_BETTER,
    UNSEEN,
    Settings,
    begin,
    judge,
    take_back,
)
from cleanplate.defects.rounds_report import as_text, describe_progress
from cleanplate.geometry import Box, Size

SIZE = Size(400, 300)
LOOKS = Detection((("eye", lambda image: ()),))
FILLING = Means()
PLACES = [Box(x, 50, 20, 20) for x in range(20, 380, 60)]
A, B, C, D, E, F = PLACES


def defect(box=A, severity=0.5, kind="spot", source="eye"):
    return Defect(kind, 0.9, severity, source, "why", box)


def seen(*defects, failures=()):
    return Inspected(Selection(tuple(defects), len(defects)), tuple(failures))


def start(*defects, failures=(), means=FILLING, **settings):
    return begin(seen(*defects, failures=failures), SIZE, LOOKS, Settings(means, **settings))


def boxes(defects):
    return [defect.box for defect in defects]


def planned(progress):
    return boxes(repair.defect for repair in progress.next_repairs())


def run(progress, *found, failures=()):
    """One round; then `found` is found."""
    return judge(progress, progress.next_repairs(), seen(*found, failures=failures))


def verdicts(progress):
    return [result.verdict for result in progress.rounds[-1].results]


# rounds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("per_round", [1, 2, 3])
@pytest.mark.parametrize("count", range(1, 7))
def test_removable_defects_take_as_many_rounds_as_they_fill(count, per_round):
    left = [defect(box) for box in PLACES[:count]]
    progress = start(*left, max_rounds=9, per_round=per_round)
    while repairs := progress.next_repairs():
        left = [one for one in left if one not in [repair.defect for repair in repairs]]
        progress = run(progress, *left)
    assert len(progress.rounds) == -(-count // per_round)
    assert progress.passed is True
    assert progress.why_over() == "Nothing is left."


def test_nothing_found_is_nothing_to_do():
    progress = start()
    assert progress.next_repairs() == ()
    assert progress.passed is True
    assert progress.why_over() == "Nothing was found."


def test_no_rounds_are_no_repairs():
    progress = start(defect(), max_rounds=0)
    assert progress.next_repairs() == ()
    assert progress.passed is False
    assert progress.why_over() == "max_rounds is 0: nothing was repaired."


def test_the_rounds_are_spent():
    progress = run(start(defect(A), defect(B), max_rounds=1, per_round=1), defect(B))
    assert progress.next_repairs() == ()
    assert progress.why_over() == "All rounds are spent."
    assert progress.why_left(progress.open[0]) == "There was no round left for it."


@pytest.mark.parametrize(("name", "value"), [("max_rounds", -1), ("per_round", 0)])
def test_settings_that_mean_nothing_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        Settings(Means(), **{name: value})


def test_seeds_go_on_from_round_to_round():
    progress = start(defect(A), defect(B), per_round=1, seed=5)
    assert [repair.seed for repair in progress.next_repairs()] == [5]
    progress = run(progress, defect(B))
    assert [repair.seed for repair in progress.next_repairs()] == [1005]


# did it help --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "verdict", "left"),
    [
        ([], GONE, []),
        ([defect(severity=0.3)], BETTER, [0.3]),
        ([defect(severity=0.49)], NO_BETTER, [0.5]),  # a change so small is chance
        ([defect(severity=0.5)], NO_BETTER, [0.5]),
        ([defect(severity=0.9)], NO_BETTER, [0.5]),
        # another kind, of another group, in its place
        ([defect(severity=0.2, kind="text")], GONE, [0.2]),
        ([defect(severity=0.6, kind="text")], NO_BETTER, [0.5]),
        # two smaller ones in its place
        ([defect(Box(20, 50, 8, 8), 0.3), defect(Box(32, 62, 8, 8), 0.3)], NO_BETTER, [0.5]),
    ],
)
def test_a_repair_is_judged_by_what_is_found_in_its_place(after, verdict, left):
    progress = run(start(defect(severity=0.5)), *after)
    assert verdicts(progress) == [verdict]
    assert [one.severity for one in progress.open] == left


def test_each_repair_is_judged_by_itself():
    worse = defect(B, 0.9)
    progress = run(start(defect(A, 0.6), defect(B, 0.5)), worse)
    assert verdicts(progress) == [GONE, NO_BETTER]
    assert [(one.box, one.severity) for one in progress.open] == [(B, 0.5)]


def test_what_turns_up_elsewhere_is_not_held_against_a_repair():
    """A detection that lists the two most severe shows others when these are gone."""
    progress = run(start(defect(A), defect(B)), defect(C, 0.5), defect(D, 0.5))
    assert verdicts(progress) == [GONE, GONE]
    assert boxes(progress.open) == [C, D]


def test_what_disappears_with_its_neighbour_counts_for_the_repair():
    near = defect(Box(25, 55, 5, 5), 0.3, "text")
    progress = run(start(defect(A, 0.5), near), defect(A, 0.6))
    assert verdicts(progress) == [BETTER]


def test_a_repair_that_failed_is_tried_once_more_after_the_others_with_another_seed():
    progress = start(defect(A, 0.9), defect(B, 0.5), per_round=1)
    assert planned(progress) == [A]
    progress = run(progress, defect(A, 0.9), defect(B, 0.5))
    assert planned(progress) == [B]  # nothing helped, but B was not tried yet
    progress = run(progress, defect(A, 0.9))
    assert planned(progress) == [A]
    assert progress.next_repairs()[0].seed == 2000
    progress = run(progress, defect(A, 0.9))
    assert planned(progress) == []
    assert progress.why_left(progress.open[0]) == "Tried 2 times, and still there."


def test_a_round_without_improvement_ends_it_when_all_was_tried():
    progress = run(start(defect(A), defect(B)), defect(A), defect(B))
    assert progress.next_repairs() == ()
    assert progress.why_over() == "The last round brought no improvement."
    assert progress.passed is False


def test_a_defect_that_shrinks_is_left_after_two_tries():
    progress = run(start(defect(severity=0.9)), defect(severity=0.6))
    progress = run(progress, defect(severity=0.3))
    assert verdicts(progress) == [BETTER]
    assert progress.next_repairs() == ()
    assert "tried 2 times" in progress.why_over()


def test_another_kind_of_its_group_in_the_same_place_is_the_same_defect():
    progress = run(start(defect(kind="text", severity=0.9)), defect(kind="watermark", severity=0.6))
    assert progress.tries(progress.open[0]) == 1
    assert progress.tries(defect(kind="spot")) == 0
    assert progress.tries(defect(B, kind="text")) == 0


# what cannot be looked for ------------------------------------------------------------------------


def test_what_others_have_found_is_repaired_once_and_done():
    progress = start(*(defect(box, source="mask") for box in (A, B, C)))
    progress = run(progress)
    assert verdicts(progress) == [UNSEEN, UNSEEN]
    assert boxes(progress.open) == [C]
    progress = run(progress)
    assert progress.passed is True
    assert boxes(progress.done) == [A, B, C]
    assert len(progress.rounds) == 2


def test_a_given_place_where_something_worse_turns_up_is_taken_back():
    progress = run(start(defect(A, 0.5, source="mask")), defect(A, 0.8, "text"))
    assert verdicts(progress) == [NO_BETTER]
    assert [one.source for one in progress.open] == ["mask"]
    assert progress.done == ()


def test_what_two_have_found_in_one_place_is_repaired_together():
    both = defect(A, 0.5, "text"), defect(A, 0.6, "watermark", "findings")
    assert run(start(*both)).passed is True
    stays = run(start(*both), defect(A, 0.5, "text"))
    assert verdicts(stays) == [NO_BETTER]
    assert len(stays.open) == 2


@pytest.mark.parametrize("kind", ["hand", "small_face"])
def test_what_is_always_found_again_is_repaired_once(kind):
    hand = defect(kind=kind)
    progress = run(start(hand, means=Means(diffusion=True)), defect(kind=kind))
    assert verdicts(progress) == [UNSEEN]
    assert progress.passed is True
    # another one elsewhere is not
    progress = run(start(hand, means=Means(diffusion=True)), hand, defect(B, kind=kind))
    assert boxes(progress.open) == [B]


def test_a_detector_that_fails_later_is_no_proof_of_success():
    failure = Failure("eye", "RuntimeError: gone")
    progress = run(start(*(defect(box) for box in (A, B, C))), failures=[failure])
    assert verdicts(progress) == [UNSEEN, UNSEEN]
    assert boxes(progress.open) == [C]
    progress = run(progress, failures=[failure])
    assert progress.passed is None
    assert progress.failures == (failure,)


def test_a_detector_that_works_again_is_believed():
    failure = Failure("eye", "RuntimeError: gone")
    progress = run(start(defect(A), failures=[failure]))
    assert progress.passed is True
    assert progress.failures == (failure,)


def test_others_that_failed_leave_it_undecided_and_exact_masks_do_not():
    unread = Failure("findings", "no JSON")
    assert start(failures=[unread]).passed is None
    assert run(start(defect(), failures=[unread])).passed is None
    assert run(start(defect(), failures=[Failure(EXACT, "no")])).passed is True


def test_what_cannot_be_repaired_is_left_with_the_reason():
    blur = defect(None, 0.9, "blur")
    hand = defect(B, 0.8, "extra_fingers")
    progress = run(start(blur, hand, defect(A)), blur, hand)
    assert progress.next_repairs() == ()
    assert progress.passed is False
    assert progress.why_over() == "Nothing of what is left can be repaired here."
    assert progress.why_left(blur).startswith("It is of the picture as a whole. ")
    assert progress.why_left(hand) == "Connect model, vae and clip."


def test_a_source_that_is_named_otherwise_than_its_detector_is_looked_for():
    """The detector of sharpness calls what it finds blur."""
    blur = defect(None, 0.9, "blur", source="blur")
    progress = run(start(blur, *(defect(box) for box in (A, B, C))), blur, defect(C))
    assert boxes(progress.open) == [None, C]
    assert boxes(run(progress).open) == []


# the better image ---------------------------------------------------------------------------------


def pictures():
    before = torch.zeros(1, SIZE.height, SIZE.width, 3)
    return before, torch.ones_like(before)


def test_the_better_image_is_kept_place_by_place():
    progress = start(defect(A), defect(B))
    progress = run(progress, defect(B))
    before, after = pictures()
    gone, failed = (result.repair.area for result in progress.rounds[-1].results)
    image = take_back(before, after, progress.rounds[-1].results)
    assert (image[:, gone.rows, gone.columns] == 1).all()
    assert (image[:, failed.rows, failed.columns] == 0).all()
    assert image.sum() == 3 * (SIZE.area - failed.size.area)
    assert (after == 1).all()


def test_nothing_is_copied_where_everything_or_nothing_helped():
    before, after = pictures()
    helped = run(start(defect(A), defect(B)))
    assert take_back(before, after, helped.rounds[-1].results) is after
    failed = run(start(defect(A)), defect(A))
    assert take_back(before, after, failed.rounds[-1].results) is before


# the report ---------------------------------------------------------------------------------------


def test_the_report_says_what_was_found_done_and_left():
    fingers = defect(B, 0.8, "extra_fingers")
    progress = run(start(defect(A, 0.5), fingers, failures=[Failure("nose", "cold")]), fingers)
    report = describe_progress(progress)
    assert json.loads(as_json([report])) == [report]
    assert report["passed"] is False
    (only,) = report["rounds"]
    assert (only["round"], only["helped"]) == (1, True)
    assert [one["kind"] for one in only["found"]] == ["spot", "extra_fingers"]
    (repair,) = only["repairs"]
    assert repair["nodes"] == ["ContentAwareFill"]
    assert repair["result"] == "gone"
    assert (repair["severity_before"], repair["severity_after"]) == (0.5, 0)
    assert "positive" not in repair
    assert [one["why"] for one in report["left"]] == ["Connect model, vae and clip."]
    assert report["failures"] == [{"detector": "nose", "message": "cold"}]
    assert report["summary"] == [
        "Round 1: 2 open. Spot at 20,50 (20x20): ContentAwareFill, gone.",
        "Left: Wrong fingers at 80,50 (20x20). Connect model, vae and clip.",
        "Detector 'nose' failed: cold",
        "Nothing of what is left can be repaired here.",
    ]


def test_a_diffusion_repair_is_reported_with_its_prompts():
    progress = run(start(defect(A, kind="hand"), means=Means(diffusion=True, scene="a desk")))
    (repair,) = describe_progress(progress)["rounds"][0]["repairs"]
    assert repair["nodes"] == ["FluxFillRefine"]
    assert repair["positive"] == "a desk, a natural hand with five fingers"
    assert repair["negative"].startswith("(extra fingers:1.4)")
    assert (repair["denoise"], repair["context"]) == (0.55, 2.0)


def test_several_images_are_told_apart():
    reports = [describe_progress(start()), describe_progress(start(defect(), max_rounds=0))]
    assert as_text(reports[:1]) == "Nothing was found."
    assert as_text(reports).splitlines()[0] == "Image 0: Nothing was found."
    assert as_text(reports).splitlines()[-1].startswith("Image 1: max_rounds is 0")
