"""Defects that others found: boxes and masks."""

import pytest
import torch

from cleanplate.defects.boxes import defects_from_boxes, defects_from_mask
from cleanplate.geometry import Box

IMAGE = torch.zeros(1, 60, 100, 3)


def entry(x=10, y=20, width=30, height=15, label="hand", score=0.8):
    return {"x": x, "y": y, "width": width, "height": height, "label": label, "score": score}


def of_boxes(boxes, kinds=None, image=IMAGE, **settings):
    return defects_from_boxes(boxes, image, kinds or {}, **settings)


def test_a_box_becomes_a_defect_with_its_kind_and_score():
    (found,) = of_boxes([[entry(label="Logo mark")]], {"logo mark": "logo"})
    (defect,) = found.defects
    assert (defect.kind, defect.score, defect.source) == ("logo", 0.8, "boxes")
    assert defect.box == Box(10, 20, 30, 15)
    assert defect.mask is None
    # The catalogue: 0.4 at a score of 0.3, 0.8 at 1.
    assert defect.severity == pytest.approx(0.4 + 0.4 * 0.5 / 0.7)
    assert found.notes == ()


def test_a_label_that_is_a_kind_needs_no_mapping_and_others_are_named():
    (found,) = of_boxes([[entry(label="hand"), entry(label="dog")]])
    assert [defect.kind for defect in found.defects] == ["hand"]
    assert found.notes == ("box 2, labelled 'dog', is mapped to no kind",)
    (found,) = of_boxes([[entry(label="dog")]], otherwise="unwanted_object")
    assert [defect.kind for defect in found.defects] == ["unwanted_object"]


@pytest.mark.parametrize(
    ("given", "box"),
    [
        ((-5, -5, 20, 20), Box(0, 0, 15, 15)),
        ((90.5, 50.2, 30, 30), Box(90, 50, 10, 10)),
        ((10.9, 10.9, 1, 1), Box(10, 10, 2, 2)),
    ],
)
def test_boxes_are_cut_to_the_image_and_touch_whole_pixels(given, box):
    (found,) = of_boxes([[entry(*given)]])
    assert [defect.box for defect in found.defects] == [box]


@pytest.mark.parametrize(
    ("wrong", "note"),
    [
        (entry(x=100), "box 1 is empty or lies outside the image (100x60)"),
        (entry(width=0), "box 1 is empty or lies outside the image (100x60)"),
        (entry(x=float("nan")), "box 1 is empty or lies outside the image (100x60)"),
        (entry(score=float("nan")), "box 1 has a score that is no number"),
        ({"x": 1}, "box 1 has no x, y, width and height that are numbers"),
        (7, "box 1 has no x, y, width and height that are numbers"),
    ],
)
def test_a_box_that_cannot_be_used_is_left_out_with_a_reason(wrong, note):
    (found,) = of_boxes([[wrong, entry()]])
    assert len(found.defects) == 1
    assert found.notes == (note,)


def test_lists_belong_to_images_and_one_serves_all():
    images = IMAGE.expand(3, -1, -1, -1)
    counts = [len(found.defects) for found in of_boxes([[], [entry()], []], image=images)]
    assert counts == [0, 1, 0]
    for one in ([[entry()]], [entry()], entry()):
        assert [len(found.defects) for found in of_boxes(one, image=images)] == [1, 1, 1]
    assert [found.defects for found in of_boxes([], image=images)] == [(), (), ()]
    with pytest.raises(ValueError, match="for 2 images but image holds 3"):
        of_boxes([[], []], image=images)


@pytest.mark.parametrize("wrong", [None, 7, "boxes", [[entry()], entry()]])
def test_what_is_no_list_of_boxes_is_refused(wrong):
    with pytest.raises(ValueError, match="connect a BOUNDING_BOX"):
        of_boxes(wrong)


def test_an_unknown_kind_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="'dog' is mapped to the kind 'pet', which does not exist"):
        of_boxes([], {"dog": "pet"})
    with pytest.raises(ValueError, match="no defect kind 'pet'"):
        of_boxes([], otherwise="pet")


def test_low_scores_are_left_out_and_of_many_the_most_severe_stay():
    scores = [0.1, 0.9, 0.5, 0.7]
    boxes = [[entry(x=10 * i, score=score) for i, score in enumerate(scores)]]
    (found,) = of_boxes(boxes, most=2)
    # Box and score stay together.
    assert [(d.score, d.box.x) for d in found.defects] == [(0.9, 10), (0.7, 30)]
    assert found.notes == ("3 were found: only the 2 most severe are used",)


def test_a_box_without_a_score_counts_as_sure():
    (found,) = of_boxes([[{**entry(), "score": None}]])
    assert found.defects[0].score == 1


def test_each_spot_of_a_mask_is_a_defect_with_its_own_pixels():
    mask = torch.zeros(1, 60, 100)
    mask[0, 10:20, 10:30] = 1
    mask[0, 15, 40:90] = 0.75
    mask[0, 14:17, 40] = 0.75
    (found,) = defects_from_mask(mask, IMAGE, "spot")
    large, line = found.defects
    assert (large.box, line.box) == (Box(10, 10, 20, 10), Box(40, 14, 50, 3))
    assert large.mask.eq(1).all()
    # The box of the line holds pixels that are none of it.
    assert line.mask.sum() == pytest.approx(0.75 * 52)
    assert (large.kind, large.score, large.reason) == ("spot", 1, "200 pixels were painted")
    whole = torch.zeros(60, 100)
    for defect in found.defects:
        whole[defect.box.rows, defect.box.columns] += defect.mask
    assert torch.equal(whole, mask[0])


def test_a_spot_within_the_box_of_another_is_not_mixed_with_it():
    mask = torch.zeros(1, 60, 100)
    mask[0, 10:40, 10:15] = 1
    mask[0, 35:40, 10:60] = 1
    mask[0, 10:20, 30:50] = 1
    (found,) = defects_from_mask(mask, IMAGE, "spot")
    assert [int(defect.mask.sum()) for defect in found.defects] == [30 * 5 + 45 * 5, 200]


def test_slips_of_the_brush_and_too_many_spots_are_left_out_and_said():
    mask = torch.zeros(1, 60, 100)
    for i in range(5):
        mask[0, 0:6, 10 * i : 10 * i + 3 + i] = 1
    mask[0, 50, 50] = 1
    (found,) = defects_from_mask(mask, IMAGE, "spot", most=2)
    assert [defect.box.width for defect in found.defects] == [7, 6]
    assert found.notes == (
        "1 spots of the mask have fewer than 16 pixels and are left out",
        "the mask has 5 spots: only the 2 largest are used",
    )


def test_an_empty_mask_gives_nothing_and_a_wrong_one_is_refused():
    assert defects_from_mask(torch.zeros(1, 60, 100), IMAGE, "spot")[0].defects == ()
    with pytest.raises(ValueError, match="mask is 50x50 but image is 100x60"):
        defects_from_mask(torch.zeros(1, 50, 50), IMAGE, "spot")
    with pytest.raises(ValueError, match="no defect kind 'stain'"):
        defects_from_mask(torch.zeros(1, 60, 100), IMAGE, "stain")
