import numpy as np
import pytest
import torch
from PIL import Image

from cleanplate.geometry import Box, Size
from cleanplate.upscale.resize import (
    LastFilters,
    resize,
    resize_mask,
    resize_samples,
    resize_strips,
)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((37, 53), (100, 90)),
        ((300, 200), (70, 51)),
        ((5, 7), (64, 64)),
        ((64, 64), (64, 30)),
        ((1, 1), (9, 4)),
    ],
)
def test_equals_pillow_on_floats(old, new):
    image = torch.rand(1, *old, 3, generator=torch.Generator().manual_seed(0))
    result = resize(image, Size(new[1], new[0]))
    for channel in range(3):
        plane = Image.fromarray(image[0, ..., channel].numpy())
        expected = np.asarray(plane.resize((new[1], new[0]), Image.Resampling.LANCZOS))
        assert np.abs(result[0, ..., channel].numpy() - expected).max() < 1e-6
    assert result.is_contiguous()


def test_shrinking_a_zone_plate_leaves_no_moire():
    n = 1024
    y, x = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
    plate = 0.5 + 0.5 * torch.cos(torch.pi / (2 * n) * (x**2 + y**2).float())
    small = resize(plate[None, ..., None], Size(256, 256))[0, ..., 0]
    # Columns and rows from 64 on lie beyond what 256 pixels can show: only grey may remain.
    assert float(small[128:, 128:].std()) < 0.002


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_keeps_type_flat_colours_and_batch(dtype):
    image = torch.tensor([0.25, 0.5, 1.0], dtype=dtype).expand(2, 30, 20, 3)
    result = resize(image, Size(33, 45))
    assert result.dtype == dtype
    assert result.shape == (2, 45, 33, 3)
    assert torch.allclose(result.float(), image[:1, :1, :1].float(), atol=1e-6)


SIZES = [Size(90, 60), Size(620, 900), Size(40, 300), Size(90, 300), Size(200, 60)]


@pytest.mark.parametrize("size", SIZES)
def test_strips_together_are_the_whole(size):
    image = torch.rand(60, 90, 3, generator=torch.Generator().manual_seed(0))
    part = Box(3, 5, size.width - 7, size.height - 9)
    whole = resize(image[None], size, part)[0]
    seen = 0
    for rows, pixels in resize_strips(image, size, part):
        assert rows.start == seen
        assert torch.equal(pixels, whole[rows])
        pixels.zero_()
        seen = rows.stop
    assert seen == part.height


@pytest.mark.parametrize("size", SIZES)
def test_samples_are_pixels_of_the_whole(size):
    image = torch.rand(60, 90, 3, generator=torch.Generator().manual_seed(0))
    rows, columns = torch.arange(1, size.height, 3), torch.arange(2, size.width, 5)
    samples = resize_samples(image, size, rows, columns)
    assert torch.allclose(samples, resize(image[None], size)[0][rows][:, columns], atol=1e-6)


def test_filters_are_taken_again_where_they_fit_only():
    generator, filters = torch.Generator().manual_seed(0), LastFilters()
    picture = torch.rand(1, 60, 90, 3, generator=generator)
    others = [picture.flip(1), picture[:, :50], picture[..., :1], picture]
    sizes = [Size(40, 90), Size(40, 90), Size(40, 90), Size(41, 90)]
    parts = [Box(1, 2, 30, 40)] * 3 + [Box(2, 2, 30, 40)]
    for image, size, part in zip(others, sizes, parts, strict=True):
        again = filters.of(picture, Size(40, 90), Box(1, 2, 30, 40))
        assert filters.of(picture.flip(2), Size(40, 90), Box(1, 2, 30, 40)) is again
        assert torch.equal(resize(image, size, part, filters), resize(image, size, part))
        first = next(iter(resize_strips(image[0], size, part, filters=filters)))[1].clone()
        assert torch.equal(first, next(iter(resize_strips(image[0], size, part)))[1])


def test_same_size_is_the_same_tensor():
    image = torch.rand(1, 5, 6, 3)
    assert resize(image, Size(6, 5)) is image


@pytest.mark.parametrize("size", [Size(64, 64), Size(7, 5), Size(20, 20)])
def test_masks_stay_in_their_range_and_place(size):
    mask = torch.zeros(1, 20, 20)
    mask[:, :10] = 1
    result = resize_mask(mask, size)
    assert result.min() == 0
    assert abs(float(result.max()) - 1) < 1e-6
    assert abs(float(result.mean()) - 0.5) < 0.01
