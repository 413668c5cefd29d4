"""Colours, seams, several crops, and what StitchBack refuses."""

import math

import pytest
import torch
from support.crops import mask_of, picture

from cleanplate.colour import MODES
from cleanplate.crop import CropSettings, crop_around_mask, crops_around_mask
from cleanplate.geometry import Box
from cleanplate.stitch import full_mask, same_pictures, stitch_all, stitch_back

MASK = Box(110, 90, 60, 50)
SEAMS = ("feather", "multi-band", "whole crop")


def scene(batch=1):
    """A soft picture, so that resizing loses little, with some grain."""
    y, x = torch.meshgrid(torch.linspace(0, 9, 240), torch.linspace(0, 7, 300), indexing="ij")
    waves = torch.stack([x.sin(), y.cos(), (x + y).sin()], dim=-1)[None] * 0.3 + 0.5
    grain = torch.rand(batch, 240, 300, 3, generator=torch.Generator().manual_seed(5)) * 0.02
    return (waves + grain).expand(batch, -1, -1, -1).contiguous()


def large_mask():
    return mask_of(MASK, height=240, width=300)


@pytest.mark.parametrize("colour", MODES)
@pytest.mark.parametrize("seam", SEAMS)
def test_an_unchanged_crop_gives_the_image_back_in_every_mode(colour, seam):
    image = scene(batch=2)
    stitch, crop, _ = crop_around_mask(image, large_mask())
    assert torch.equal(stitch_back(stitch, crop, colour=colour, seam=seam), image)


@pytest.mark.parametrize("seam", ["feather", "multi-band"])
@pytest.mark.parametrize("size", [None, 512])
def test_a_shift_in_colour_is_undone_and_what_was_painted_stays(seam, size):
    image = scene()
    stitch, crop, mask = crop_around_mask(
        image, large_mask(), CropSettings(1.5, 40, width=size or 0, height=size or 0)
    )
    painted = torch.where(mask[..., None] > 0.5, 1 - crop, crop)
    wanted = stitch_back(stitch, painted, colour="none", seam=seam)
    shifted = painted * 0.93 + torch.tensor([0.03, -0.02, 0.04])
    spoilt = stitch_back(stitch, shifted, colour="none", seam=seam)
    mended = stitch_back(stitch, shifted, seam=seam)
    assert (spoilt - wanted).abs().mean() > 20 * (mended - wanted).abs().mean()
    assert (mended - wanted).abs().max() < 4 / 255
    half = stitch_back(stitch, shifted, strength=0.5, seam=seam)
    assert (half - wanted).abs().mean() > 0.4 * (spoilt - wanted).abs().mean()


@pytest.mark.parametrize("colour", MODES)
@pytest.mark.parametrize("seam", ["feather", "multi-band"])
def test_nothing_changes_where_the_weight_is_zero(colour, seam):
    image = scene()
    stitch, crop, _ = crop_around_mask(image, large_mask(), CropSettings(width=256, height=192))
    other = torch.rand(crop.shape, generator=torch.Generator().manual_seed(1))
    result = stitch_back(stitch, other, colour=colour, seam=seam)
    outside = stitch.mask()[0] == 0
    assert torch.equal(result[0][outside], image[0][outside])
    assert not torch.equal(result, image)


@pytest.mark.parametrize("size", [192, 512])
def test_noise_that_a_resize_took_is_no_shift(size):
    """A crop that is sampled: means of a few pixels of noise look as if their tones were lost."""
    image = torch.rand(1, 800, 800, 3, generator=torch.Generator().manual_seed(2))
    mask = mask_of(Box(150, 150, 500, 450), height=800, width=800)
    stitch, crop, _ = crop_around_mask(image, mask, CropSettings(1.2, 0, width=size, height=size))
    wanted = stitch_back(stitch, crop, colour="none")
    for mode in MODES:
        assert (stitch_back(stitch, crop, colour=mode) - wanted).abs().mean() < 0.1 / 255, mode


def test_a_field_is_undone_in_a_crop_that_is_sampled():
    y, x = torch.meshgrid(torch.linspace(0, 9, 900), torch.linspace(0, 7, 900), indexing="ij")
    image = torch.stack([x.sin(), y.cos(), (x + y).sin()], dim=-1)[None] * 0.3 + 0.5
    mask = mask_of(Box(200, 250, 500, 400), height=900, width=900)
    stitch, crop, _ = crop_around_mask(image, mask, CropSettings(1.3, 0, width=512, height=512))
    across = torch.linspace(-0.05, 0.05, 512)[:, None]
    plain = stitch_back(stitch, crop, colour="none")
    shifted = stitch_back(stitch, crop + across, colour="none")
    mended = stitch_back(stitch, crop + across)
    assert (shifted - plain).abs().mean() > 10 * (mended - plain).abs().mean()
    # Rows are corrected in strips, of which none may show.
    steps = (mended - plain)[0, 300:600, 300:600].diff(dim=0).abs()
    assert steps.max() < 0.1 / 255


def test_a_crop_without_known_pixels_is_not_corrected():
    image = scene()
    stitch, crop, _ = crop_around_mask(image, torch.ones(1, 240, 300))
    assert torch.equal(stitch_back(stitch, crop * 0.5), crop * 0.5)


def test_the_whole_crop_can_be_pasted():
    image = scene()
    stitch, crop, _ = crop_around_mask(image, large_mask())
    result = stitch_back(stitch, torch.ones_like(crop), colour="none", seam="whole crop")
    box = stitch.boxes[0]
    assert (result[0, box.rows, box.columns] == 1).all()
    rest = torch.ones(240, 300, dtype=torch.bool)
    rest[box.rows, box.columns] = False
    assert torch.equal(result[0][rest], image[0][rest])


OBJECTS = (Box(10, 10, 8, 8), Box(100, 12, 10, 6), Box(20, 70, 12, 12))
EACH = CropSettings(1, 4, 0, 1, feather=3, one_per="object")


def test_crops_of_several_objects_come_back_into_one_image():
    image = picture(batch=2)
    mask = torch.cat([mask_of(*OBJECTS), mask_of(OBJECTS[1])])
    crops = crops_around_mask(image, mask, EACH)
    stitches = [crop.stitch for crop in crops]
    assert torch.equal(stitch_all(stitches, [crop.image for crop in crops]), image)
    painted = [torch.full_like(crop.image, k / 8) for k, crop in enumerate(crops)]
    result = stitch_all(stitches, painted, colour="none")
    for k, (i, box) in enumerate([(0, 0), (0, 1), (0, 2), (1, 1)]):
        assert (result[i, OBJECTS[box].rows, OBJECTS[box].columns] == k / 8).all()
    weights = full_mask(stitches)
    assert torch.equal(weights == 1, mask > 0)
    assert torch.equal(result[weights == 0], image[weights == 0])


def test_a_later_crop_lands_on_the_result_of_the_earlier():
    image, both = picture(), mask_of(Box(40, 30, 30, 30))
    first, crop, _ = crop_around_mask(image, both)
    second, other, _ = crop_around_mask(image, mask_of(Box(50, 40, 30, 30)))
    painted = torch.zeros_like(crop), torch.ones_like(other)
    result = stitch_all((first, second), painted, colour="none")
    expected = stitch_back(first, painted[0], colour="none")
    weights = second.mask()[..., None]
    assert torch.allclose(result, torch.lerp(expected, torch.ones(1), weights), atol=1e-6)


def test_variants_of_several_objects():
    crops = crops_around_mask(picture(), mask_of(*OBJECTS), EACH)
    stitches = [crop.stitch for crop in crops]
    variants = [torch.cat([crop.image * 0, crop.image * 0 + 1]) for crop in crops]
    result = stitch_all(stitches, variants, colour="none")
    for box in OBJECTS:
        assert (result[0, box.rows, box.columns] == 0).all()
        assert (result[1, box.rows, box.columns] == 1).all()
    with pytest.raises(ValueError, match="come in 1 to 2 variants"):
        stitch_all(stitches, [variants[0], *(crop.image for crop in crops[1:])])
    with pytest.raises(ValueError, match="3 stitches for 2 images"):
        stitch_all(stitches, variants[:2])


def test_stitches_in_a_row_that_belong_together():
    a, b = (crops_around_mask(picture(), mask_of(*OBJECTS), EACH) for _ in range(2))
    stitches = [crop.stitch for crop in (*a, *b)]
    assert [len(group) for group in same_pictures(stitches)] == [3, 3]
    assert [len(group) for group in same_pictures([stitches[0]] * 2)] == [1, 1]


def test_nan_in_a_patch_is_refused():
    stitch, crop, _ = crop_around_mask(scene(), large_mask())
    crop[0, 3, 4, 1] = math.nan
    with pytest.raises(ValueError, match="image holds 1 NaN or infinite values"):
        stitch_back(stitch, crop)


def test_nan_that_no_crop_shows_stays_where_it_is():
    image = scene()
    image[0, 0, 0] = math.nan
    stitch, crop, _ = crop_around_mask(image, large_mask())
    result = stitch_back(stitch, crop)
    assert torch.equal(result.isnan(), image.isnan())
    image[0, 100, 100] = math.inf
    with pytest.raises(ValueError, match="image holds 3 NaN or infinite"):
        crop_around_mask(image, large_mask())


@pytest.mark.parametrize("side", [24, 400])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_a_resized_crop_shows_must_be_finite(bad, side):
    image = scene()
    image[0, 100, 120, 1] = bad
    with pytest.raises(ValueError, match="NaN or infinite values"):
        crop_around_mask(image, large_mask(), CropSettings(width=side, height=side))


@pytest.mark.parametrize(("name", "value"), [("seam", "sewn"), ("colour", "pink")])
def test_unknown_modes_are_refused(name, value):
    stitch, crop, _ = crop_around_mask(scene(), large_mask())
    with pytest.raises(ValueError, match="choose one of"):
        stitch_back(stitch, crop * 0.5, **{name: value})


def test_the_image_is_read_only():
    image = scene(batch=2)
    before = image.clone()
    stitch, crop, _ = crop_around_mask(image, large_mask())
    assert stitch.image.data_ptr() == image.data_ptr()
    alpha = stitch.alpha.clone()
    first = stitch_back(stitch, crop * 0.5)
    assert torch.equal(stitch_back(stitch, crop * 0.5), first)
    assert torch.equal(image, before)
    assert torch.equal(stitch.alpha, alpha)


@pytest.mark.parametrize(("name", "least"), [("chelsea", 44), ("rocket", 44), ("coffee", 42)])
def test_a_round_trip_of_a_photo(name, least):
    """From 194 to 1024 pixels and back; with bicubic and bilinear filters on bytes, 36 to 39 dB."""
    photo = torch.from_numpy(getattr(pytest.importorskip("skimage.data"), name)().copy())
    photo = photo[:300, :440][None].float() / 255
    mask = mask_of(Box(173, 103, 94, 94), height=300, width=440)
    wanted = CropSettings(1, 0, 0, 1, feather=49, width=1024, height=1024)
    stitch, crop, _ = crop_around_mask(photo, mask, wanted)
    assert crop.shape[1:3] == (1024, 1024)
    assert stitch.boxes[0] == Box(123, 53, 194, 194)
    result = stitch_back(stitch, crop, seam="whole crop")
    error = (result - photo)[:, 53:247, 123:317]
    assert -10 * math.log10(float(error.square().mean())) > least
    # no tone is lost
    assert float(error.mean().abs()) * 255 < 0.01
