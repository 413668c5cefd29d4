import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanplate.canvas import cut
from cleanplate.geometry import Box

NUMPY = {"edge": "edge", "mirror": "reflect"}


def picture(height=7, width=9):
    return torch.rand(2, height, width, 3, generator=torch.Generator().manual_seed(height))


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(NUMPY)),
    st.integers(1, 9),
    st.integers(1, 9),
    st.tuples(*[st.integers(0, 30)] * 4),
)
def test_what_lies_beyond_is_what_numpy_pads(outside, height, width, sides):
    image = picture(height, width)
    left, top, right, bottom = sides
    box = Box.from_edges(-left, -top, width + right, height + bottom)
    expected = np.pad(image.numpy(), ((0, 0), (top, bottom), (left, right), (0, 0)), NUMPY[outside])
    assert np.array_equal(cut(image, box, outside).numpy(), expected)


@pytest.mark.parametrize(("outside", "value"), [("grey", 0.5), ("zero", 0.0)])
def test_flat_surroundings(outside, value):
    image = picture()
    result = cut(image, Box(-3, 4, 8, 9), outside)
    assert torch.equal(result[:, :3, 3:], image[:, 4:, :5])
    assert (result[:, 3:] == value).all()
    assert (result[:, :, :3] == value).all()


def test_inside_it_is_the_image_itself():
    image = picture()
    part = cut(image, Box(2, 3, 4, 4))
    assert torch.equal(part, image[:, 3:7, 2:6])
    assert part.data_ptr() == image[:, 3:, 2:].data_ptr()


def test_a_box_without_a_pixel_of_the_image_is_refused():
    with pytest.raises(ValueError, match="lies outside the image of 9x7"):
        cut(picture(), Box(500, 0, 5, 5))
