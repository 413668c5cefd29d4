"""Which defects a round repairs, with what: tables."""

import pytest
import torch

from cleanplate.defects.catalogue import catalogue
from cleanplate.defects.defect import Defect
from cleanplate.defects.plan import (
    FEATHER,
    FILL,
    REFINE,
    REMOVE,
    RESTORE,
    Means,
    growth,
    plan_round,
    way,
)
from cleanplate.geometry import Box, Size

SIZE = Size(400, 300)
NOTHING = Means()
ALL = Means(removal=True, diffusion=True, faces=True)
PLACE = Box(100, 100, 20, 20)


def defect(kind="spot", box=PLACE, severity=0.5, mask=None):
    return Defect(kind, 0.9, severity, "test", "why", box, mask)


def plan(*defects, means=NOTHING, number=0, most=2, seed=7):
    candidates = [(one, 0) for one in defects]
    return plan_round(candidates, SIZE, means, number=number, most=most, seed=seed)


WAYS = {
    ("text", NOTHING): (FILL,),
    ("text", ALL): (REMOVE,),
    ("logo", Means("by kind, refined", removal=True, diffusion=True)): (REMOVE, REFINE),
    ("spot", Means("by kind, refined", diffusion=True)): (FILL, REFINE),
    ("specular_highlight", Means("fill only", removal=True, diffusion=True)): (FILL,),
    ("text", Means("diffusion only", removal=True, diffusion=True)): (REFINE,),
    ("extra_fingers", ALL): (REFINE,),
    ("extra_fingers", NOTHING): (),
    ("extra_fingers", Means("fill only", diffusion=True)): (),
    ("bad_face", ALL): (RESTORE,),
    ("bad_face", Means(diffusion=True)): (REFINE,),
    ("bad_face", Means("diffusion only", diffusion=True, faces=True)): (REFINE,),
    ("bad_face", NOTHING): (),
    ("bad_face", Means("fill only", faces=True)): (),
    ("blur", ALL): (),
    ("low_resolution", ALL): (),
    ("too_dark", ALL): (),
    ("cropped_subject", ALL): (),
}


@pytest.mark.parametrize(
    ("kind", "means", "nodes"), [(*key, nodes) for key, nodes in WAYS.items()], ids=str
)
def test_the_nodes_follow_from_the_kind_and_what_is_there(kind, means, nodes):
    found = way(defect(kind), SIZE, means)
    assert found.nodes == nodes
    assert bool(found.why_not) != bool(nodes)


@pytest.mark.parametrize("means", [NOTHING, ALL, Means("diffusion only", diffusion=True)], ids=str)
@pytest.mark.parametrize("kind", catalogue())
def test_every_kind_is_repaired_or_left_with_a_reason(kind, means):
    for box in (None, Box(0, 0, 400, 300), Box(10, 10, 30, 30)):
        found = way(defect(kind, box), SIZE, means)
        assert bool(found.nodes) != bool(found.why_not)
        assert found.why_not.endswith(".") or found.nodes
        if box is None or box.size == SIZE:
            assert not found.nodes


@pytest.mark.parametrize(
    ("kind", "means", "words"),
    [
        ("extra_fingers", NOTHING, "connect model, vae and clip"),
        ("bad_face", NOTHING, "connect face_model, or model"),
        ("cropped_subject", ALL, "have to grow"),
        ("blur", ALL, "TiledRefine works on the picture as a whole"),
        ("too_bright", ALL, "no node repairs it"),
    ],
)
def test_the_reason_says_what_to_do(kind, means, words):
    assert words in way(defect(kind), SIZE, means).why_not


def test_what_covers_most_of_the_picture_is_left_unless_its_mask_does_not():
    box = Box(0, 0, 390, 290)
    assert "94%" in way(defect(box=box), SIZE, NOTHING).why_not
    mask = torch.zeros(290, 390)
    mask[40:80, 40:80] = 1
    assert way(defect(box=box, mask=mask), SIZE, NOTHING).nodes == (FILL,)


@pytest.mark.parametrize("repair", ["by kind, refined", "diffusion only"])
def test_diffusion_that_is_asked_for_has_to_be_there(repair):
    with pytest.raises(ValueError, match="connect model, vae and clip"):
        Means(repair)


def test_an_unknown_way_to_repair_is_refused():
    with pytest.raises(ValueError, match="choose one of by kind"):
        Means("magic")


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (Box(0, 0, 20, 20), 4),  # 15 % are 3: at least 4
        (Box(0, 0, 100, 100), 15),
        (Box(0, 0, 300, 30), 14),  # 15 % of its length would be more than it is high
        (Box(0, 0, 300, 3), 4),
    ],
)
def test_a_mask_grows_by_its_area_not_by_its_length(box, expected):
    assert growth(defect("text", box), SIZE) == expected


def test_a_slanted_line_grows_by_its_own_area_not_by_its_box():
    mask = torch.eye(200)
    for k in range(1, 10):
        mask += torch.diag(torch.ones(200 - k), k) + torch.diag(torch.ones(200 - k), -k)
    slanted = defect("text", Box(0, 0, 200, 200), mask=mask)
    assert growth(slanted, SIZE) == round(0.15 * (19 * 200 - 90) ** 0.5)
    assert growth(defect("text", Box(0, 0, 200, 200)), SIZE) == 30


def test_a_second_try_grows_farther():
    assert growth(defect("text", Box(0, 0, 100, 100)), SIZE, tries=1) == 22
    (repair,) = plan_round([(defect(), 1)], SIZE, NOTHING, number=1, most=1, seed=0)
    assert repair.grow == 6


def test_a_round_takes_the_first_ones_up_to_its_limit():
    boxes = [Box(x, 50, 20, 20) for x in (10, 110, 210, 310)]
    defects = [defect(box=box) for box in boxes]
    assert [repair.defect for repair in plan(*defects, most=3)] == defects[:3]


def test_what_cannot_be_repaired_takes_no_place():
    hand, spot = defect("extra_fingers"), defect(box=Box(10, 10, 9, 9))
    assert [repair.defect for repair in plan(hand, spot, most=1)] == [spot]
    assert plan(hand) == ()


@pytest.mark.parametrize(("x", "together"), [(120, False), (137, False), (138, True), (200, True)])
def test_repairs_that_would_meet_wait_for_another_round(x, together):
    """Each reaches 4 (grown) + 4 (feather) + 1 pixels beyond its 20."""
    first, second = defect(), defect(box=Box(x, 100, 20, 20))
    third = defect(box=Box(300, 200, 20, 20))
    chosen = [repair.defect for repair in plan(first, second, third)]
    assert chosen == [first, second if together else third]


@pytest.mark.parametrize(
    ("kind", "means", "reach"),
    [
        ("spot", NOTHING, 4 + FEATHER[FILL] + 1),
        ("extra_fingers", ALL, 4 + FEATHER[REFINE] + 1),
        ("spot", Means("by kind, refined", removal=True, diffusion=True), 4 + 4 + 16 + 1),
        ("bad_face", ALL, 20 + 1),
    ],
)
def test_the_area_is_all_that_can_change(kind, means, reach):
    (repair,) = plan(defect(kind), means=means)
    assert repair.area == Box(100, 100, 20, 20).pad(reach)


def test_the_area_ends_with_the_image():
    (repair,) = plan(defect(box=Box(395, 0, 20, 20)))
    assert repair.area == Box.from_edges(386, 0, 400, 29)
    mask = repair.mask(SIZE)
    assert mask.sum() == 5 * 20
    assert mask[0, :20, 395:].all()


def test_the_mask_is_that_of_the_defect_counted_from_a_half():
    soft = torch.tensor([[0.4, 0.6], [1.0, 0.0]])
    (repair,) = plan(defect(box=Box(7, 5, 2, 2), mask=soft))
    assert repair.mask(SIZE).dtype == torch.bool
    assert repair.mask(SIZE).nonzero().tolist() == [[0, 5, 8], [0, 6, 7]]


def test_a_mask_that_counts_nowhere_stands_for_its_box():
    (repair,) = plan(defect(box=Box(7, 5, 2, 2), mask=torch.full((2, 2), 0.3)))
    assert repair.mask(SIZE).sum() == 4


def test_the_mask_of_a_face_is_all_that_its_frame_covers():
    (repair,) = plan(defect("bad_face"), means=ALL)
    assert repair.mask(SIZE).sum() == repair.area.size.area


def test_seeds_are_of_the_round_and_the_repair_and_stay_in_range():
    two = defect(), defect(box=Box(10, 10, 20, 20))
    assert [repair.seed for repair in plan(*two)] == [7, 8]
    assert [repair.seed for repair in plan(*two, number=3)] == [3007, 3008]
    assert [repair.seed for repair in plan(*two, seed=2**64 - 1)] == [2**64 - 1, 0]


def test_prompts_are_the_scene_and_what_the_kind_adds():
    means = Means(diffusion=True, scene="a garden, morning")
    (repair,) = plan(defect("extra_fingers"), means=means)
    assert repair.positive == (
        "a garden, morning, a natural hand with five fingers, correct anatomy"
    )
    assert repair.negative.startswith("(extra fingers:1.5), ")
    assert (repair.denoise, repair.context) == (0.65, 2.0)
