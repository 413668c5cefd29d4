"""Small pictures of what a mask marks."""

import pytest
import torch

from cleanplate.overview import SIDE, overview


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(768, 500, (768, 500)), (769, 300, (385, 150)), (3072, 4096, (512, 683)), (1, 1, (1, 1))],
)
def test_no_side_is_longer(height, width, expected):
    small = overview(torch.zeros(height, width, 3), torch.zeros(height, width))
    assert small.shape == (*expected, 3)
    assert max(small.shape) <= SIDE
    assert small.dtype == torch.uint8


def test_what_is_marked_is_half_red():
    picture = torch.full((4, 4, 4), 0.5)
    mask = torch.zeros(4, 4)
    mask[1, 2], mask[3, 3] = 0.5, 0.4
    red = (191, 96, 89)
    expected = torch.full((4, 4, 3), 128, dtype=torch.uint8)
    expected[1, 2] = torch.tensor(red, dtype=torch.uint8)
    assert torch.equal(overview(picture, mask), expected)
    expected[3, 3] = expected[1, 2]
    assert torch.equal(overview(picture, mask, threshold=0.4), expected)
    inverted = overview(picture, mask, invert=True)
    assert (inverted[..., 0] == 191).sum() == 16  # 1 - 0.5 counts, too
    assert (picture == 0.5).all()


def test_values_out_of_range_are_shown_as_the_nearest():
    picture = torch.tensor([[[2.0, -1.0, float("nan")]]])
    assert overview(picture, torch.zeros(1, 1)).tolist() == [[[255, 0, 0]]]


def test_half_precision():
    picture = torch.full((2, 2, 3), 0.25, dtype=torch.float16)
    assert (overview(picture, torch.zeros(2, 2, dtype=torch.float16)) == 64).all()
