import pytest
import torch

from cleanplate.upscale.compose import Share, place
from cleanplate.upscale.windows import plan_windows


def composed(image, tile, halo, align, blend, scale=1):
    """An image cut into windows, enlarged by repetition and put together again."""
    height, width, channels = image.shape
    rows, columns = (plan_windows(n, tile, halo, align) for n in (height, width))
    whole = torch.zeros(height * scale, width * scale, channels)
    for y in rows:
        for x in columns:
            seen = image[y.start : y.stop, x.start : x.stop]
            large = seen.repeat_interleave(scale, 0).repeat_interleave(scale, 1)
            place(
                large,
                Share.of(y, height, blend, scale),
                Share.of(x, width, blend, scale),
                whole,
            )
    return whole


@pytest.mark.parametrize("scale", [1, 3])
def test_without_a_blend_each_pixel_is_copied_once(scale):
    image = torch.rand(150, 211, 3)
    expected = image.repeat_interleave(scale, 0).repeat_interleave(scale, 1)
    assert torch.equal(composed(image, 64, 8, 1, 0, scale), expected)


@pytest.mark.parametrize(("align", "blend"), [(1, 16), (16, 8), (32, 16)])
def test_ramps_add_up_to_one(align, blend):
    image = torch.rand(300, 211, 3)
    assert (composed(image, 128, 16, align, blend, 2)).shape == (600, 422, 3)
    difference = composed(image, 128, 16, align, blend) - image
    assert float(difference.abs().max()) < 3e-7


def test_a_ramp_is_linear_and_ends_at_its_reach():
    first, second = plan_windows(100, 64, 8)
    ramp = Share.of(second, 100, blend=4)
    assert (first.keep_stop, ramp.start) == (50, 46)
    assert ramp.weights[:9].tolist() == [0.0625 + i / 8 for i in range(8)] + [1.0]
    assert Share.of(first, 100, blend=4).weights[-8:].tolist() == [0.9375 - i / 8 for i in range(8)]


def test_ends_of_the_image_have_no_ramp():
    (only,) = plan_windows(50, 64, 8)
    assert Share.of(only, 50, blend=4).weights is None
