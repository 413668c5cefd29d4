import pytest
import torch
import torch.nn.functional as F
from skimage.color import deltaE_ciede2000, rgb2lab

from cleanplate.colour import DEFAULT_MODE, MODES, Correction, Samples, match_colour
from cleanplate.colour_fit import Shift

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


def grit(height: int = 160, width: int = 200) -> torch.Tensor:
    """Nothing but texture, whose means hardly differ: the hardest to tell a gain of."""
    shape = (height // 4, width // 4, 1)
    coarse = torch.rand(shape, generator=torch.Generator().manual_seed(1)).expand(-1, -1, 3)
    fine = F.interpolate(coarse.movedim(-1, 0)[None], (height, width), mode="bilinear")
    return 0.2 + 0.6 * fine[0].movedim(0, -1)


def plane() -> tuple[torch.Tensor, torch.Tensor]:
    """Coordinates -1..1 on a scene, ``[h, w, 1]``."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 160), torch.linspace(-1, 1, 200), indexing="ij")
    return y[..., None], x[..., None]


def difference(out: torch.Tensor, wanted: torch.Tensor, where: torch.Tensor) -> float:
    """Mean CIEDE2000 over some pixels."""
    lab = (rgb2lab(v[where].double().numpy()[None]) for v in (out, wanted))
    return float(deltaE_ciede2000(*lab).mean())


def seam(image: torch.Tensor) -> torch.Tensor:
    """Eight pixels inside and outside of the ring's inner border."""
    ring = torch.zeros(image.shape[:2], dtype=torch.bool)
    ring[42:118, 52:148] = True
    ring[58:102, 68:132] = False
    return ring


@pytest.mark.parametrize("mode", ACTIVE)
@pytest.mark.parametrize(("picture", "bar"), [(scene, 0.02), (grit, 0.1)])
@pytest.mark.parametrize("amount", [-0.1, -0.03, -0.008, 0.008, 0.03, 0.1])
def test_a_gain_leaves_no_seam_however_small_it_is(mode, picture, bar, amount):
    image = picture()
    patch = repaint(image)
    for offset in (0.0, 0.03):
        out = match_colour(patch * (1 + amount) + offset, image, around(image), mode)
        assert difference(out, patch, seam(image)) < bar
        assert difference(out, patch, ~around(image)) < bar + 0.02


@pytest.mark.parametrize("picture", [scene, grit])
@pytest.mark.parametrize(("kind", "bar"), [("slope", 0.05), ("curve", 0.15), ("vignette", 0.7)])
def test_a_smooth_field_leaves_no_seam(picture, kind, bar):
    """Also inside a mask in which other tones were painted than there are around it."""
    image = picture()
    patch = repaint(image)
    y, x = plane()
    tint = torch.tensor([1.0, -0.5, 0.7]) * 0.08
    shifted = {
        "slope": patch + tint * (x - 0.5 * y),
        "curve": patch + tint * (x * x + 0.5 * x * y - y),
        "vignette": patch * (1 - tint * (x * x + y * y)),
    }[kind]
    out = match_colour(shifted, image, around(image), "smooth field")
    assert difference(out, patch, seam(image)) < min(bar, 0.25)
    assert difference(out, patch, ~around(image)) < bar


@pytest.mark.parametrize("mode", ACTIVE)
@pytest.mark.parametrize("picture", [scene, grit])
@pytest.mark.parametrize("seed", range(3))
def test_noise_of_blocks_is_no_shift(mode, picture, seed):
    """Noise in the means of 8x8 pixels, as a VAE leaves."""
    image = picture()
    noise = torch.randn(1, 3, 20, 25, generator=torch.Generator().manual_seed(seed)) * 1.5 / 255
    patch = image + F.interpolate(noise, scale_factor=8)[0].movedim(0, -1)
    assert (match_colour(patch, image, around(image), mode) - patch).abs().mean() < 0.05 / 255


@pytest.mark.parametrize("reach", [1.0, 0.1])
@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_a_correction_inverts_its_shift_in_any_part(reach, varies, strength):
    """With a gain that varies or not, all of it or for few tones."""
    size, image = (160, 200), scene().double()
    generator = torch.Generator().manual_seed(7)
    field, lean = torch.randn(2, 3, 3, 3, generator=generator, dtype=torch.float64) * 0.02
    shift = Shift(
        gain=torch.tensor([0.1, -0.08, 0.05], dtype=torch.float64),
        offset=torch.tensor([0.02, 0.0, -0.03], dtype=torch.float64),
        centre=torch.full((3,), 0.5, dtype=torch.float64),
        tones=torch.tensor([[-reach], [reach]], dtype=torch.float64).expand(2, 3),
        field=field,
        bounds=torch.tensor([[-0.03], [0.03]], dtype=torch.float64).expand(2, 3),
        gain_field=lean * varies,
        gain_bounds=torch.tensor([[-0.02], [0.02]], dtype=torch.float64).expand(2, 3),
    )
    down, right = shift.waves(slice(0, 160), slice(0, 200), size)
    bend, tilt = (
        torch.einsum("yi,cij,xj->yxc", down, weights, right).clamp(*bounds.mT[0])
        for weights, bounds in ((field, shift.bounds), (shift.gain_field, shift.gain_bounds))
    )
    tone = (image - 0.5).clamp(-reach, reach)
    changed = image + shift.offset + bend + (shift.gain + tilt) * tone
    rows, columns = slice(30, 150), slice(11, 190)
    wanted = torch.lerp(changed, image, strength)[rows, columns]
    part = changed[rows, columns].contiguous()
    correction = Correction.of(shift, size, rows, columns, strength, part)
    for top in (0, 50):
        correction.undo(part[top : 50 if top == 0 else None], top)
    assert (part - wanted).abs().max() < 1.5e-3
    assert (part - wanted).abs().mean() < 1e-4


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
