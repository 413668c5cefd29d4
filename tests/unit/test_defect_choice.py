"""One defect out of many, and its mask."""

import pytest
import torch

from cleanplate.defects.choice import choose, mask_of
from cleanplate.defects.defect import Defect
from cleanplate.geometry import Box, Size

SIZE = Size(100, 80)


def defect(kind="watermark", box=None, mask=None):
    return Defect(kind, 0.9, 0.5, "test", "why", box, mask)


BLUR = defect("blur")
FIRST, SECOND = defect(box=Box(40, 30, 20, 10)), defect("spot", Box(0, 0, 8, 8))
THIRD = defect(box=Box(80, 70, 10, 10))
ALL = (BLUR, FIRST, SECOND, THIRD)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [FIRST, SECOND, THIRD]),
        ({"placed": False}, [BLUR, FIRST, SECOND, THIRD]),
        ({"name": "watermark"}, [FIRST, THIRD]),
        ({"name": "blur"}, []),
        ({"name": "blur", "placed": False}, [BLUR]),
    ],
)
def test_those_that_are_asked_for_in_their_order(settings, expected):
    count = len(expected)
    chosen = [choose(ALL, index, **settings) for index in range(count)]
    assert [choice.defect for choice in chosen] == expected
    beyond = choose(ALL, count, **settings)
    assert (beyond.defect, beyond.count) == (None, count)


def test_an_index_below_0():
    with pytest.raises(ValueError, match="index is -1"):
        choose(ALL, -1)


def test_the_mask_grows_by_what_the_catalogue_says():
    plain = mask_of(FIRST, SIZE, grow=False)
    assert plain.sum() == 200
    # 0.15 of the 20 pixels is less than the least, 4.
    grown = mask_of(FIRST, SIZE)
    assert grown[26:44, 40:60].all() and grown[30:40, 36:64].all()
    assert grown[:26].sum() == grown[44:].sum() == grown[:, :36].sum() == grown[:, 64:].sum() == 0
    large = defect(box=Box(0, 0, 80, 10))
    assert mask_of(large, SIZE)[:, 0].sum() == 10 + 12


def test_soft_values_stay_and_spots_too_faint_do_not_grow():
    soft = torch.full((10, 20), 0.25)
    assert torch.equal(mask_of(defect(box=FIRST.box, mask=soft), SIZE)[30:40, 40:60], soft)
    soft[4:6, 8:12] = 1.0
    grown = mask_of(defect(box=FIRST.box, mask=soft), SIZE)
    assert grown[30, 40] == 0.25
    assert grown[34:36, 45:55].eq(1).all()


@pytest.mark.parametrize("nothing", [None, BLUR])
def test_without_a_place_the_mask_is_empty(nothing):
    mask = mask_of(nothing, SIZE)
    assert mask.shape == (80, 100)
    assert not mask.any()
