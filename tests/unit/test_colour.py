import pytest
import torch
import torch.nn.functional as F

from cleanplate.colour import DEFAULT_MODE, MODES, Samples, match_colour

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


def blurred(image: torch.Tensor) -> torch.Tensor:
    planes = image.movedim(-1, 0)[None]
    taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    kernel = (taps[:, None] * taps).expand(3, 1, 5, 5)
    padded = F.pad(planes, (2, 2, 2, 2), mode="reflect")
    return F.conv2d(padded, kernel, groups=3)[0].movedim(0, -1)


@pytest.mark.parametrize("step", [1, 8])
def test_means_of_a_large_crop_show_its_shift(step):
    """Also beside what repeats every few pixels, as a model's blocks do."""
    image = scene(650, 1100)
    drift = torch.linspace(-0.04, 0.04, 1100)[None, :, None] + 0.03
    blocks = 0.02 * (torch.arange(1100)[None, :, None] % step == 0)
    out = match_colour(image + drift + blocks, image, around(image), "smooth field")
    level = (out - image - blocks + blocks.mean()).abs()
    assert level.mean() < 0.7 / 255
    still = match_colour(image, image, around(image), "smooth field")
    assert still is image


@pytest.mark.parametrize("mode", ACTIVE)
def test_samples_show_a_gain_but_not_that_noise_was_blurred(mode):
    """Means of a few pixels of nothing but detail differ by it alone."""
    shape = (700, 700)
    noise = torch.rand(*shape, 3, generator=torch.Generator().manual_seed(3))
    ring = torch.ones(shape, dtype=torch.bool)
    ring[200:500, 200:500] = False
    samples = Samples.of(shape, slice(0, 700), slice(0, 700))
    known = samples.pick(ring)
    assert samples.measure(*(samples.pick(v) for v in (blurred(noise), noise)), known, mode) is None
    image = scene(*shape)
    shift = samples.measure(*(samples.pick(v) for v in (image * 0.9, image)), known, mode)
    assert torch.allclose(shift.gain, torch.full((3,), -0.1, dtype=torch.float64), atol=0.002)


def test_samples_of_a_part_narrower_than_their_distance():
    samples = Samples.of((1000, 3000), slice(0, 1000), slice(4, 5))
    assert len(samples.rows) > 80
    assert len(samples.columns) <= 1


@pytest.mark.parametrize("mode", ACTIVE)
@pytest.mark.parametrize("amount", [0.8, -0.8])
def test_sharpening_and_blur_are_no_shift(mode, amount):
    image = scene()
    patch = image + amount * (image - blurred(image))
    assert (match_colour(patch, image, around(image), mode) - patch).abs().mean() < 0.1 / 255


@pytest.mark.parametrize("mode", ACTIVE)
@pytest.mark.parametrize("seed", range(1, 5))
def test_noise_is_no_shift(mode, seed):
    image = scene()
    generator = torch.Generator().manual_seed(seed)
    patch = image + 0.01 * torch.randn(image.shape, generator=generator)
    assert (match_colour(patch, image, around(image), mode) - patch).abs().mean() < 0.1 / 255


@pytest.mark.parametrize("mode", ACTIVE)
def test_pixels_of_the_ring_that_really_changed_do_not_count(mode):
    image = scene()
    patch = image + 0.03
    patch[:40, :60] = 0.9
    out = match_colour(patch, image, around(image), mode)
    rest = torch.ones(image.shape[:2], dtype=torch.bool)
    rest[:40, :60] = False
    assert (out - image)[rest].abs().mean() < 0.5 / 255


@pytest.mark.parametrize("mode", ACTIVE)
@pytest.mark.parametrize("shade", [0.0, 0.3, 1.0])
def test_a_flat_ring_gives_an_offset_and_no_wild_gain(mode, shade):
    image = torch.full((96, 120, 3), shade)
    ring = torch.ones(96, 120, dtype=torch.bool)
    ring[30:60, 30:80] = False
    shift = 0.04 if shade < 0.5 else -0.04
    generator = torch.Generator().manual_seed(0)
    patch = image + shift + 0.004 * torch.randn(image.shape, generator=generator)
    patch[~ring] = 0.5
    out = match_colour(patch, image, ring, mode)
    assert torch.allclose(out[~ring], torch.tensor(0.5 - shift), atol=1 / 255)


@pytest.mark.parametrize("mode", ACTIVE)
def test_what_ran_into_white_does_not_hide_the_shift(mode):
    image = scene()
    image[:, 100:] = 0.99
    out = match_colour((image + 0.05).clamp(0, 1), image, around(image), mode)
    assert (out - image)[:, :90].abs().mean() < 0.7 / 255


def test_a_field_beyond_the_ring_stays_within_what_the_ring_shows():
    image = scene()
    ring = torch.zeros(image.shape[:2], dtype=torch.bool)
    ring[:, :40] = True
    field = torch.linspace(-0.05, 0.05, 200)[None, :, None]
    removed = (image + field) - match_colour(image + field, image, ring, "smooth field")
    assert removed.min() > -0.053
    assert removed.max() < field[0, 39].item() + 0.003


@pytest.mark.parametrize("mode", ACTIVE)
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (17, 300)])
@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_smallest_crops_give_finite_colours(mode, shape, value):
    image = torch.full((*shape, 3), value)
    ring = torch.zeros(shape, dtype=torch.bool)
    ring[0, 0] = True
    out = match_colour((image + 0.05).clamp(0, 1), image, ring, mode)
    assert out.isfinite().all()
    assert (out - image).abs().max() < 0.06


@pytest.mark.parametrize("mode", ACTIVE)
def test_inputs_are_left_alone_and_results_repeat(mode):
    image = scene()
    patch = image * 0.9
    kept = patch.clone()
    once = match_colour(patch, image, around(image), mode)
    assert torch.equal(patch, kept)
    assert torch.equal(once, match_colour(patch, image, around(image), mode))


@pytest.mark.parametrize("mode", MODES)
def test_without_a_ring_nothing_changes(mode):
    image = scene()
    empty = torch.zeros(image.shape[:2], dtype=torch.bool)
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


def test_blocks_on_a_ramp_are_no_shift():
    """A gain and a field that cancel each other on the ring would explain them, and spoil all."""
    y, x = torch.meshgrid(torch.linspace(0, 1, 220), torch.linspace(0, 1, 256), indexing="ij")
    ramp = torch.stack([70 + 30 * x, 110 + 20 * y, 190 - 25 * (x + y)], dim=-1)
    original = (ramp.floor() / 255).float()
    planes = original.movedim(-1, 0)[None]
    large = F.interpolate(planes, (304, 352), mode="bicubic")
    blocks = F.interpolate(F.avg_pool2d(large, 8), scale_factor=8.0, mode="nearest")
    changed = F.interpolate(blocks, (220, 256), mode="area")[0].movedim(0, -1)
    ring = torch.ones(220, 256, dtype=torch.bool)
    ring[60:160, 80:180] = False
    for mode in MODES:
        result = match_colour(changed, original, ring, mode)
        assert (result - changed).abs().max() < 1 / 255, mode
