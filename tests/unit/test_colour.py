import pytest
import torch

from cleanplate.colour import DEFAULT_MODE, MODES, match_colour

ACTIVE = [mode for mode in MODES if mode != "none"]


def scene(height: int = 160, width: int = 200) -> torch.Tensor:
    """Shades and fine texture."""
    y, x = torch.meshgrid(torch.linspace(0, 3, height), torch.linspace(0, 3, width), indexing="ij")
    shades = torch.stack((y.sin(), (x + y).cos(), (2 * x).sin()), dim=-1) * 0.2 + 0.5
    generator = torch.Generator().manual_seed(0)
    return shades + 0.1 * torch.randn(height, width, 3, generator=generator).clamp(-1, 1)


def around(image: torch.Tensor) -> torch.Tensor:
    """A ring that leaves out the middle, where the tests repaint."""
    ring = torch.ones(image.shape[:2], dtype=torch.bool)
    ring[50:110, 60:140] = False
    return ring


def repaint(image: torch.Tensor) -> torch.Tensor:
    return torch.where(around(image)[..., None], image, image.flip(0, 1) * 0.7)


@pytest.mark.parametrize("mode", ACTIVE)
@pytest.mark.parametrize(
    ("gain", "offset"),
    [
        ((1.1, 0.9, 1.05), (0.0, 0.0, 0.0)),
        ((1.0, 1.0, 1.0), (0.05, -0.05, 0.02)),
        ((0.92, 1.08, 1.0), (0.03, -0.04, 0.05)),
    ],
)
def test_gain_and_offset_are_undone(mode, gain, offset):
    image = scene()
    wanted = repaint(image)
    out = match_colour(
        wanted * torch.tensor(gain) + torch.tensor(offset), image, around(image), mode
    )
    assert (out - wanted).abs().mean() < 0.5 / 255


def test_a_smooth_field_is_undone():
    image = scene()
    y, x = torch.meshgrid(torch.linspace(-1, 1, 160), torch.linspace(-1, 1, 200), indexing="ij")
    field = (0.05 * x - 0.04 * y * y)[..., None] * torch.tensor([1.0, -0.5, 0.8])
    out = match_colour(repaint(image) + field, image, around(image), "smooth field")
    assert (out - repaint(image)).abs().mean() < 0.7 / 255


@pytest.mark.parametrize("mode", MODES)
def test_a_crop_that_has_not_shifted_stays(mode):
    image = scene()
    patch = repaint(image)
    assert (match_colour(patch, image, around(image), mode) - patch).abs().mean() < 0.01 / 255


@pytest.mark.parametrize("mode", MODES)
def test_without_a_ring_nothing_changes(mode):
    image = scene()
    empty = torch.zeros(image.shape[:2], dtype=torch.bool)
    assert match_colour(image * 0.9, image, empty, mode) is not None
    assert torch.equal(match_colour(image * 0.9, image, empty, mode), image * 0.9)


def test_strength_scales_what_is_undone():
    image = scene()
    patch = repaint(image) * 0.9
    whole = match_colour(patch, image, around(image), DEFAULT_MODE)
    half = match_colour(patch, image, around(image), DEFAULT_MODE, 0.5)
    assert torch.allclose(half, (patch + whole) / 2, atol=1e-6)
    assert torch.equal(match_colour(patch, image, around(image), DEFAULT_MODE, 0.0), patch)


@pytest.mark.parametrize(
    ("mode", "strength", "message"),
    [("histogram", 1.0, "choose one of none"), ("none", 1.5, r"0\.\.1")],
)
def test_unknown_settings_are_refused(mode, strength, message):
    image = scene()
    with pytest.raises(ValueError, match=message):
        match_colour(image, image, around(image), mode, strength)


def test_shapes_that_do_not_go_together_are_refused():
    image = scene()
    with pytest.raises(ValueError, match="before and after"):
        match_colour(image[:10], image, around(image), "none")
    with pytest.raises(ValueError, match="ring"):
        match_colour(image, image, around(image)[:10], "none")
