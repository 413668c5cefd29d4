import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cleanplate import masks
from cleanplate.geometry import Box


def dot(height: int, width: int, *points: tuple[int, int]) -> torch.Tensor:
    core = torch.zeros(height, width, dtype=torch.bool)
    for y, x in points:
        core[y, x] = True
    return core


def test_soft_mask_counts_from_its_half():
    assert masks.core(torch.tensor([0.0, 0.49, 0.5, 1.0])).tolist() == [False, False, True, True]


@pytest.mark.parametrize("pixels", [1, 2, 3, 4, 8, 16, 32, 64, 128])
def test_growing_adds_so_many_pixels_on_each_side(pixels):
    grown = masks.grow(dot(300, 301, (150, 140)), pixels)
    assert masks.bounding_box(grown) == Box(
        140 - pixels, 150 - pixels, 2 * pixels + 1, 2 * pixels + 1
    )


def test_growing_by_nothing_keeps_a_line_of_one_pixel():
    line = dot(9, 9, *[(4, x) for x in range(9)])
    assert torch.equal(masks.grow(line, 0), line)


@pytest.mark.parametrize("pixels", [0, 1, 4, 16, 33])
def test_feather_is_one_on_the_mask_and_zero_beyond_its_width(pixels):
    core = dot(101, 101, (50, 50), (0, 0), (100, 40))
    weight = masks.feather(core, pixels)
    away = masks.distance(core)
    assert (weight[core] == 1).all()
    assert (weight[away > pixels] == 0).all()
    assert (weight[away <= pixels] > 0).all()
    # fades with the distance
    order = away.flatten().argsort()
    assert (weight.flatten()[order].diff() <= 1e-6).all()


def test_distance_matches_its_definition():
    core = dot(20, 30, (3, 4), (15, 22))
    y, x = torch.meshgrid(torch.arange(20), torch.arange(30), indexing="ij")
    expected = torch.minimum(
        ((y - 3) ** 2 + (x - 4) ** 2).float().sqrt(), ((y - 15) ** 2 + (x - 22) ** 2).float().sqrt()
    )
    assert torch.allclose(masks.distance(core), expected, atol=1e-5)


def test_nothing_is_near_an_empty_mask():
    core = dot(5, 6)
    assert masks.bounding_box(core) is None
    assert masks.object_boxes(core) == []
    assert not masks.grow(core, 3).any()
    assert not masks.feather(core, 3).any()


def test_each_object_has_its_box():
    core = torch.zeros(40, 50, dtype=torch.bool)
    core[2:5, 3:10] = True
    core[30:40, 49] = True
    # joined by a corner: one object
    core[10, 10] = core[11, 11] = True
    boxes = masks.object_boxes(core)
    assert sorted(boxes, key=lambda b: b.y) == [
        Box(3, 2, 7, 3),
        Box(10, 10, 2, 2),
        Box(49, 30, 1, 10),
    ]


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1)])
def test_smallest_images(shape):
    full = torch.ones(shape, dtype=torch.bool)
    assert masks.grow(full, 3).all()
    assert (masks.feather(full, 3) == 1).all()
    assert masks.bounding_box(full) == Box(0, 0, shape[1], shape[0])


@given(
    st.lists(
        st.builds(
            Box, st.integers(0, 50), st.integers(0, 50), st.integers(1, 20), st.integers(1, 20)
        )
    )
)
def test_merged_boxes_are_apart_and_hold_all(boxes):
    merged = masks.merge_boxes(boxes)
    for i, box in enumerate(merged):
        assert all(box.intersect(other) is None for other in merged[i + 1 :])
    for box in boxes:
        assert sum(m.intersect(box) == box for m in merged) == 1


def test_boxes_apart_stay_apart():
    boxes = [Box(0, 0, 10, 10), Box(11, 0, 10, 10), Box(0, 12, 5, 5)]
    assert masks.merge_boxes(boxes) == boxes


def drawing(*rows: str) -> torch.Tensor:
    return torch.tensor([[mark == "#" for mark in row] for row in rows])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # the inside of a ring
        (
            (".....", ".###.", ".#.#.", ".###.", "....."),
            (".....", ".###.", ".###.", ".###.", "....."),
        ),
        # a ring that is closed by corners only
        (
            (".....", "..#..", ".#.#.", "..#..", "....."),
            (".....", "..#..", ".###.", "..#..", "....."),
        ),
        # open by a side
        (("####", "#...", "####"), ("####", "#...", "####")),
        # the border of the image is no wall
        (("##.##", "#...#", "#####"), ("##.##", "#...#", "#####")),
        # an island of mask in a hole
        (("#####", "#...#", "#.#.#", "#...#", "#####"), ("#####",) * 5),
        # two holes
        (("#####", "#.#.#", "#####"), ("#####",) * 3),
        (("....",), ("....",)),
        (("#.#.#",), ("#.#.#",)),
        (("###",) * 3, ("###",) * 3),
    ],
)
def test_what_a_mask_encloses_becomes_mask(before, after):
    core = drawing(*before)
    kept = core.clone()
    assert torch.equal(masks.fill_holes(core), drawing(*after))
    assert torch.equal(core, kept)


def test_largest_objects_come_first_and_small_ones_not():
    core = torch.zeros(20, 30, dtype=torch.bool)
    core[1:4, 1:4] = True
    core[8:18, 10:20] = True
    core[0, 29] = True
    labels, objects = masks.largest_objects(core, least=2, most=9)
    assert [box for _, box in objects] == [Box(10, 8, 10, 10), Box(1, 1, 3, 3)]
    assert [int((labels == label).sum()) for label, _ in objects] == [100, 9]
    assert len(masks.largest_objects(core, least=2, most=1)[1]) == 1
    assert masks.largest_objects(core & False, least=1, most=9)[1] == []


@pytest.mark.parametrize("value", [0.5, 1.0])
def test_the_box_of_what_a_soft_mask_marks(value):
    mask = torch.full((30, 40), 0.4)
    assert masks.marked_box(mask) is None
    mask[3:9, 5] = mask[8, 5:20] = value
    assert masks.marked_box(mask) == masks.bounding_box(masks.core(mask)) == Box(5, 3, 15, 6)
