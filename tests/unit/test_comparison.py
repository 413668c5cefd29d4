"""Pictures side by side."""

import pytest
import torch

from cleanplate.comparison import change_where, pairs


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (1, 1, [(0, 0)]),
        (1, 3, [(0, 0), (0, 1), (0, 2)]),
        (3, 1, [(0, 0), (1, 0), (2, 0)]),
        (2, 4, [(0, 0), (1, 1), (0, 2), (1, 3)]),
        (3, 2, [(0, 0), (1, 1), (2, 0)]),
    ],
)
def test_the_shorter_batch_starts_over(before, after, expected):
    assert pairs(before, after) == expected


def scene(value=0.5, channels=3):
    return torch.full((1, 6, 8, channels), value)


def test_the_change_in_a_region_is_the_largest_there():
    changed = scene()
    changed[0, 1, 1] += 100 / 255
    changed[0, 4, 4, 2] += 3 / 255
    where = torch.ones(6, 8, dtype=torch.bool)
    where[:3, :3] = False
    assert change_where(scene(), changed, where) == 3
    assert change_where(scene(), changed, ~where) == 100


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_no_change_is_none_at_all(dtype):
    everywhere = torch.ones(6, 8, dtype=torch.bool)
    assert change_where(scene().to(dtype), scene().to(dtype), everywhere) == 0


def test_alpha_counts_where_both_have_it():
    everywhere = torch.ones(6, 8, dtype=torch.bool)
    clear = scene(channels=4)
    clear[..., 3] = 0
    assert change_where(scene(channels=4), clear, everywhere) == 127
    assert change_where(scene(), clear, everywhere) == 0


def test_nothing_to_say():
    nowhere = torch.zeros(6, 8, dtype=torch.bool)
    assert change_where(scene(), scene(), nowhere) is None
    assert change_where(scene(), torch.zeros(1, 12, 16, 3), ~nowhere) is None
