"""Outlines of masks: filled again they give the mask."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cleanplate.geometry import Size
from cleanplate.outline import MOST_POINTS, outline, svg_path


def filled(polygons, shape):
    """The pixels whose middle lies inside an odd number of polygons."""
    inside = np.zeros(shape, bool)
    for polygon in polygons:
        xs, ys = polygon[:, 0], polygon[:, 1]
        for x0, y0, x1, y1 in zip(xs, ys, np.roll(xs, -1), np.roll(ys, -1), strict=True):
            for row in range(min(y0, y1), max(y0, y1)):
                crossing = x0 + (row + 0.5 - y0) / (y1 - y0) * (x1 - x0)
                inside[row] ^= np.arange(shape[1]) + 0.5 > crossing
    return inside


@given(arrays.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
@settings(max_examples=200, deadline=None)
def test_an_outline_gives_the_mask_back(mask):
    assert np.array_equal(filled(outline(torch.from_numpy(mask)), mask.shape), mask)


def test_a_box_has_four_corners_between_pixels():
    mask = torch.zeros(20, 30, dtype=torch.bool)
    mask[5:9, 10:12] = True
    (box,) = outline(mask)
    assert sorted(map(tuple, box.tolist())) == [(10, 5), (10, 9), (12, 5), (12, 9)]


def test_a_hole_has_a_line_of_its_own():
    mask = torch.ones(9, 9, dtype=torch.bool)
    mask[3:5, 3:5] = False
    assert len(outline(mask)) == 2


def test_a_ragged_mask_is_simplified_and_stays_in_place():
    noise = torch.rand(200, 200, generator=torch.Generator().manual_seed(0)).numpy()
    mask = cv2.GaussianBlur(noise, None, 2) > 0.5
    assert mask.sum() > 10_000
    lines = outline(torch.from_numpy(mask))
    assert 100 < sum(map(len, lines)) <= MOST_POINTS
    assert (filled(lines, mask.shape) != mask).mean() < 0.05


def test_nothing_marked_has_no_outline():
    assert outline(torch.zeros(5, 5, dtype=torch.bool)) == []


@pytest.mark.parametrize("size", [Size(4, 2), Size(400, 200)])
def test_a_path_is_in_parts_of_the_picture(size):
    width, height = size.width // 4, size.height // 2
    mask = torch.zeros(size.height, size.width, dtype=torch.bool)
    mask[:height, :width] = True
    assert svg_path(outline(mask), size) == "M0 0L0 0.5L0.25 0.5L0.25 0Z"
