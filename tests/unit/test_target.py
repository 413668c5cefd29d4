from math import sqrt

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanplate.geometry import Size
from cleanplate.upscale.target import (
    AREA_TOLERANCE,
    FLUX,
    SD15,
    SDXL,
    ModelFamily,
    fit_to_model,
    passes,
    target_size,
)


class Doubler:
    """Enlarges by repeating pixels, and counts what it saw."""

    def __init__(self, scale: int = 2):
        self.scale = scale
        self.seen: list[tuple[int, ...]] = []

    def __call__(self, image):
        self.seen.append(tuple(image.shape))
        s = self.scale
        return image.repeat_interleave(s, dim=1).repeat_interleave(s, dim=2)


@pytest.mark.parametrize(
    ("size", "family", "expected"),
    [
        (Size(100, 100), FLUX, Size(1024, 1024)),
        (Size(3000, 3000), FLUX, Size(1024, 1024)),
        (Size(600, 400), SD15, Size(624, 416)),
        (Size(1344, 768), SDXL, Size(1344, 768)),
        (Size(1, 1), SD15, Size(512, 512)),
        (Size(2048, 512), FLUX, Size(2048, 512)),
    ],
)
def test_known_targets(size, family, expected):
    assert target_size(size, family) == expected


@settings(max_examples=500)
@given(st.integers(96, 3000), st.floats(1 / 3, 3), st.sampled_from([FLUX, SDXL, SD15]))
def test_targets_keep_aspect_and_area(width, aspect, family):
    size = Size(width, max(1, round(width / aspect)))
    target = target_size(size, family)
    assert target.width % family.multiple == 0
    assert target.height % family.multiple == 0
    assert abs(target.area / family.area - 1) <= AREA_TOLERANCE
    assert abs(target.aspect / size.aspect - 1) < 0.017


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_every_shape_has_a_target(width, height):
    target = target_size(Size(width, height), FLUX)
    assert target.width % 16 == 0
    assert target.height % 16 == 0


@pytest.mark.parametrize(
    ("factor", "scale", "expected"),
    [
        (0.5, 2, 0),
        (1.0, 4, 0),
        (1.05, 2, 0),
        (1.1, 2, 1),
        (2.0, 2, 1),
        (3.0, 2, 1),
        (3.1, 2, 2),
        (6.0, 4, 1),
        (6.1, 4, 2),
        (3.0, 1, 0),
    ],
)
def test_passes(factor, scale, expected):
    assert passes(factor, scale) == expected


def test_the_model_runs_only_on_a_small_crop():
    small, large = torch.rand(1, 100, 100, 3), torch.rand(1, 500, 520, 3)
    family = ModelFamily(256 * 256, 16)
    for image, calls in ((small, [(1, 100, 100, 3)]), (large, [])):
        upscaler = Doubler()
        mask = torch.zeros(image.shape[:3])
        result, result_mask = fit_to_model(image, mask, family, upscaler)
        assert upscaler.seen == calls
        assert result.shape[1] % 16 == 0
        assert result.shape[:3] == result_mask.shape
        assert abs(sqrt(result.shape[1] * result.shape[2]) - 256) < 4


def test_alpha_and_mask_go_along():
    image = torch.rand(2, 50, 40, 4, dtype=torch.float16)
    image[..., 3] = 0.5
    mask = torch.zeros(1, 50, 40)
    mask[:, 25:] = 1
    result, result_mask = fit_to_model(image, mask, ModelFamily(128 * 128, 8), Doubler())
    assert result.dtype == torch.float16
    assert result.shape[0] == result_mask.shape[0] == 2
    assert (result[..., 3] == 0.5).all()
    half = result.shape[1] // 2
    assert (result_mask[:, : half - 3] == 0).all()
    assert (result_mask[:, half + 3 :] == 1).all()
    assert result.min() >= 0
    assert result.max() <= 1


@pytest.mark.parametrize("area", [0, -5])
def test_a_family_needs_an_area(area):
    with pytest.raises(ValueError, match="at least 1"):
        ModelFamily(area, 16)
