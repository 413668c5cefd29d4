import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cleanplate import masks
from cleanplate.multiband import blend_bands


def pictures(height: int, width: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.rand(height, width, 3, generator=generator),
        torch.rand(height, width, 3, generator=generator),
    )


def blob(height: int, width: int) -> torch.Tensor:
    core = torch.zeros(height, width, dtype=torch.bool)
    core[height // 3 : 2 * height // 3, width // 4 : width // 2] = True
    return core


@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 20))
def test_each_side_is_exact_where_it_stands_alone(height, width, feather):
    original, changed = pictures(height, width)
    alpha = masks.feather(blob(height, width), feather)
    out = blend_bands(original, changed, alpha)
    assert torch.equal(out[alpha == 0], original[alpha == 0])
    assert torch.equal(out[alpha == 1], changed[alpha == 1])
    assert out.isfinite().all()


def test_equal_pictures_stay_bit_identical():
    original, _ = pictures(70, 80)
    assert torch.equal(
        blend_bands(original, original.clone(), masks.feather(blob(70, 80), 12)), original
    )


def test_a_constant_difference_fades_as_the_weight():
    original, _ = pictures(90, 100)
    alpha = masks.feather(blob(90, 100), 16)
    out = blend_bands(original, original + 0.1, alpha)
    assert torch.allclose(out, original + 0.1 * alpha[..., None], atol=1e-4)


def test_fine_detail_is_not_mixed():
    # two checkerboards in opposite phase average to grey under a plain fade
    y, x = torch.meshgrid(torch.arange(96), torch.arange(96), indexing="ij")
    board = ((y + x) % 2).float()[..., None].expand(-1, -1, 3)
    alpha = masks.feather(blob(96, 96), 24)
    fading = (alpha > 0) & (alpha < 1)
    plain = torch.lerp(board, 1 - board, alpha[..., None])
    mixed = blend_bands(board, 1 - board, alpha)
    assert (plain - 0.5).abs()[fading].mean() < 0.35
    assert (mixed - 0.5).abs()[fading].mean() > 0.45


def test_nothing_of_what_lies_under_the_mask_bleeds_out():
    original, changed = pictures(80, 90)
    core = blob(80, 90)
    alpha = masks.feather(core, 16)
    repainted = torch.where(core[..., None], torch.tensor(7.0), original)
    out, other = blend_bands(original, changed, alpha), blend_bands(repainted, changed, alpha)
    assert torch.allclose(out, other, atol=1e-5)


def test_shapes_that_do_not_go_together_are_refused():
    original, changed = pictures(8, 9)
    with pytest.raises(ValueError, match=r"\[8, 8\]"):
        blend_bands(original, changed, torch.ones(8, 8))
