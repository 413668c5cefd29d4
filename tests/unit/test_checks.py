import pytest
import torch

from cleanplate.checks import check_image, check_mask

IMAGE = torch.zeros(2, 10, 12, 3)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.zeros(10, 12, 3), "shape [10, 12, 3]"),
        (torch.zeros(1, 10, 12, 1), "3 or 4"),
        (torch.zeros(1, 0, 12, 3), "is empty"),
        (torch.zeros(1, 10, 12, 3, dtype=torch.uint8), "dtype torch.uint8"),
        (torch.full((1, 2, 2, 3), torch.nan), "holds 12 NaN"),
        (torch.tensor([[[[0.0, torch.inf, 0.5]]]]), "holds 1 NaN or infinite"),
    ],
)
def test_images_refused(image, message):
    with pytest.raises(ValueError) as error:
        check_image(image)
    assert message in str(error.value)
    assert "image" in str(error.value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_large_bright_image_is_finite_in_every_type(dtype):
    check_image(torch.ones(1, 600, 600, 3, dtype=dtype))


@pytest.mark.parametrize(
    ("mask", "parts"),
    [
        (torch.zeros(1, 10, 11), ["11x10", "12x10"]),
        (torch.zeros(3, 10, 12), ["3 masks", "2 images"]),
        (torch.zeros(2, 10, 12, 1), ["[2, 10, 12, 1]"]),
        (torch.zeros(1, 64, 64), ["empty 64x64 mask", "Load Image", "mask editor"]),
        (torch.ones(1, 64, 64), ["64x64", "12x10"]),
        (torch.full((1, 10, 12), torch.nan), ["NaN"]),
    ],
)
def test_masks_refused(mask, parts):
    with pytest.raises(ValueError) as error:
        check_mask(mask, IMAGE)
    for part in parts:
        assert part in str(error.value)


@pytest.mark.parametrize(
    "mask",
    [
        torch.ones(10, 12),
        torch.ones(1, 10, 12),
        torch.ones(2, 10, 12),
        torch.ones(1, 10, 12, dtype=torch.bool),
        torch.full((1, 10, 12), 255, dtype=torch.uint8),
        torch.ones(2, 10, 12, dtype=torch.float16),
        torch.full((1, 10, 12), 3.0),
    ],
)
def test_masks_brought_into_form(mask):
    result = check_mask(mask, IMAGE)
    assert result.shape == (2, 10, 12)
    assert result.dtype == torch.float32
    assert (result == 1).all()


def test_an_empty_mask_of_an_image_of_64x64_is_only_empty():
    assert not check_mask(torch.zeros(1, 64, 64), torch.zeros(1, 64, 64, 3)).any()
