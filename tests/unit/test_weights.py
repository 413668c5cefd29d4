import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanplate import masks
from cleanplate.weights import grow_and_feather


def spots(seed: int, height: int = 60, width: int = 70) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(height, width, generator=generator) > 0.998


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 20))
def test_without_growing_it_is_the_feather(seed, feather):
    core = spots(seed)
    grown, weights = grow_and_feather(core, 0, feather)
    assert torch.equal(grown, core)
    assert torch.allclose(weights, masks.feather(core, feather), atol=1e-6)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 20), st.integers(0, 20))
def test_it_is_one_on_the_grown_mask_and_zero_beyond_both(seed, grow, feather):
    core = spots(seed)
    grown, weights = grow_and_feather(core, grow, feather)
    away = masks.distance(core)
    assert torch.equal(grown, masks.grow(core, grow))
    assert torch.equal(weights == 1, grown)
    assert torch.equal(weights > 0, away <= grow + feather)
    order = away.flatten().argsort()
    assert (weights.flatten()[order].diff() <= 1e-6).all()


@pytest.mark.parametrize("pixels", [1, 2, 3, 8, 32, 128])
def test_growing_is_the_same_to_all_sides(pixels):
    core = torch.zeros(300, 301, dtype=torch.bool)
    core[150, 140] = True
    grown, _ = grow_and_feather(core, pixels, 0)
    box = masks.bounding_box(grown)
    assert (box.x, box.right) == (140 - pixels, 141 + pixels)
    assert (box.y, box.bottom) == (150 - pixels, 151 + pixels)


@pytest.mark.parametrize(("grow", "feather"), [(0, 0), (3, 0), (0, 3), (3, 3)])
def test_an_empty_mask_stays_empty(grow, feather):
    grown, weights = grow_and_feather(torch.zeros(5, 6, dtype=torch.bool), grow, feather)
    assert not grown.any()
    assert not weights.any()
