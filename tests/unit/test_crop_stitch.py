import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.crops import mask_of, paste, picture

from cleanplate.crop import CropSettings, crop_around_mask
from cleanplate.geometry import Box, Size
from cleanplate.masks import distance
from cleanplate.stitch import Stitch, _same_shape
from cleanplate.upscale.resize import resize
from cleanplate.upscale.target import FLUX, SD15, SDXL, ModelFamily, target_size

PLACES = {
    "middle": Box(60, 40, 21, 13),
    "left": Box(0, 40, 11, 13),
    "corner": Box(90, 60, 37, 31),
    "pixel": Box(33, 44, 1, 1),
    "row": Box(0, 50, 127, 1),
    "everywhere": Box(0, 0, 127, 91),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_an_unchanged_crop_gives_the_image_back_bit_for_bit(place, inside, dtype):
    image = picture(dtype=dtype)
    stitch, crop, _ = crop_around_mask(
        image, mask_of(PLACES[place]), CropSettings(keep_inside=inside)
    )
    assert torch.equal(paste(stitch, crop), image)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("factor", [1.0, 1.2, 3.0])
@pytest.mark.parametrize("feather", [0, 3, 16])
@pytest.mark.parametrize("larger", [1, 2.5])
def test_weights_reach_exactly_one_and_zero(place, factor, feather, larger):
    image, box = picture(), PLACES[place]
    mask = mask_of(box)
    settings = CropSettings(context_factor=factor, context_pixels=0, feather=feather)
    stitch, crop, _ = crop_around_mask(image, mask, settings)
    size = Size(round(crop.shape[2] * larger), round(crop.shape[1] * larger))
    result = paste(stitch, resize(torch.full_like(crop, 2.0), size))

    inside = mask[0] > 0
    # What lies beyond 1 saturates, and covers the mask completely.
    assert (result[0][inside] == 1).all()
    beyond = distance(inside) > feather
    assert torch.equal(result[0][beyond], image[0][beyond])
    assert torch.equal(stitch.mask()[0] > 0, ~beyond)
    assert ((stitch.mask()[0] == 1) == inside).all()
    # No seam at a side of the crop that lies inside the image.
    where, alpha = stitch.boxes[0], stitch.alpha[0]
    for side, edge in (
        (where.x > 0, alpha[:, 0]),
        (where.y > 0, alpha[0]),
        (where.right < 127, alpha[:, -1]),
        (where.bottom < 91, alpha[-1]),
    ):
        assert not side or (edge == 0).all()


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.integers(0, 69),
    st.integers(0, 69),
    st.integers(1, 30),
    st.sampled_from([1, 8, 16]),
    st.booleans(),
)
def test_any_size_and_mask_round_trips(height, width, x, y, side, multiple, inside):
    x, y = min(x, width - 1), min(y, height - 1)
    image = picture(height, width)
    mask = mask_of(
        Box(x, y, min(side, width - x), min(side, height - y)), height=height, width=width
    )
    crop_settings = CropSettings(multiple=multiple, keep_inside=inside)
    stitch, crop, crop_mask = crop_around_mask(image, mask, crop_settings)
    assert crop.shape[:3] == crop_mask.shape
    assert torch.equal(paste(stitch, crop), image)


def test_the_crop_shows_the_mask_where_it_was():
    image = picture()
    box = PLACES["middle"]
    stitch, crop, crop_mask = crop_around_mask(image, mask_of(box), CropSettings(multiple=1))
    place = stitch.boxes[0]
    assert torch.equal(crop[0], image[0, place.rows, place.columns])
    at = box.relative_to(place)
    expected = torch.zeros_like(crop_mask[0])
    expected[at.rows, at.columns] = 1
    assert torch.equal(crop_mask[0], expected)


@pytest.mark.parametrize(
    ("factor", "pixels", "minimum", "multiple", "expected"),
    [
        (1.0, 0, 0, 1, Size(21 + 2 * 17, 13 + 2 * 17)),  # the feather and a pixel more
        (3.0, 0, 0, 1, Size(21 + 2 * 21, 13 + 2 * 21)),  # the longer side again, on each side
        (1.0, 30, 0, 1, Size(21 + 60, 13 + 60)),
        (1.0, 0, 80, 1, Size(80, 80)),
        (1.0, 0, 0, 16, Size(64, 48)),
    ],
)
def test_the_size_of_a_crop(factor, pixels, minimum, multiple, expected):
    wanted = CropSettings(factor, pixels, minimum, multiple)
    stitch, crop, _ = crop_around_mask(picture(), mask_of(PLACES["middle"]), wanted)
    assert Size(crop.shape[2], crop.shape[1]) == stitch.boxes[0].size == expected


def test_growing_the_mask():
    settings = CropSettings(grow=5, feather=0)
    stitch, _, crop_mask = crop_around_mask(picture(), mask_of(PLACES["pixel"]), settings)
    assert stitch.mask()[0, 44, 28:39].tolist() == [1.0] * 11
    assert stitch.mask()[0, 44, 27] == 0
    assert crop_mask.sum() == stitch.alpha.sum()


def test_a_soft_mask_stays_soft_on_the_crop_and_counts_from_its_half():
    mask = torch.zeros(1, 91, 127)
    mask[:, 40:50, 60:70] = 0.6
    mask[:, 40:50, 70:80] = 0.3
    stitch, _, crop_mask = crop_around_mask(picture(), mask, CropSettings(feather=0))
    assert stitch.mask()[0].sum() == 100
    assert torch.allclose(crop_mask.unique(), torch.tensor([0, 0.3, 1]))


def test_beyond_the_image_the_edge_is_repeated_and_never_masked():
    image = picture()
    stitch, crop, crop_mask = crop_around_mask(
        image, mask_of(Box(0, 0, 10, 10)), CropSettings(keep_inside=False)
    )
    place = stitch.boxes[0]
    assert place.x < 0
    assert place.y < 0
    assert (crop[0, 0, 0] == image[0, 0, 0]).all()
    assert (crop_mask[0, : -place.y] == 0).all()
    changed = paste(stitch, torch.zeros_like(crop))
    assert (changed[0, :10, :10] == 0).all()


def test_a_context_mask_enlarges_the_crop_and_changes_nothing_else():
    context = mask_of(Box(0, 80, 5, 5))
    settings = CropSettings(context_pixels=0, feather=4)
    stitch, crop, _ = crop_around_mask(picture(), mask_of(PLACES["middle"]), settings, context)
    box = stitch.boxes[0]
    assert box.intersect(Box(0, 80, 5, 5)) == Box(0, 80, 5, 5)
    result = paste(stitch, torch.zeros_like(crop))
    assert (result[0, 80:85, :5] > 0).any()


def test_crops_of_a_batch_have_one_size_and_their_own_place():
    image = picture(batch=3)
    mask = torch.cat([mask_of(PLACES[p]) for p in ("middle", "corner", "pixel")])
    mask[2] = 0
    stitch, crop, _ = crop_around_mask(image, mask)
    assert len({b.size for b in stitch.boxes}) == 1
    assert crop.shape[0] == 3
    assert torch.equal(paste(stitch, crop), image)
    result = paste(stitch, torch.ones_like(crop))
    for i in (0, 1):
        assert (result[i][mask[i] > 0] == 1).all()
    # the image without a mask is untouched
    assert torch.equal(result[2], image[2])


def test_one_mask_serves_every_image():
    image = picture(batch=2)
    stitch, crop, _ = crop_around_mask(image, mask_of(PLACES["middle"]))
    assert stitch.boxes[0] == stitch.boxes[1]
    assert (paste(stitch, torch.zeros_like(crop))[:, 45, 65] == 0).all()


def test_masks_that_are_alike_are_looked_at_once():
    image, mask = picture(batch=3), mask_of(PLACES["middle"]).repeat(3, 1, 1)
    one = crop_around_mask(image, mask[:1])
    alike = crop_around_mask(image, mask)
    assert alike[0].alpha.stride(0) == alike[2].stride(0) == 0
    assert alike[0].boxes == one[0].boxes
    for ours, expected in zip(alike[1:], one[1:], strict=True):
        assert torch.equal(ours, expected)

    mask[2, 52] = 0
    each = crop_around_mask(image, mask)
    assert each[0].alpha.stride(0) > 0
    assert torch.equal(each[2][0], one[2][0])
    assert not torch.equal(each[2][2], one[2][2])


def test_the_context_is_shown_on_each_side():
    image, mask = picture(200, 300), mask_of(Box(120, 80, 20, 10), height=200, width=300)
    context = mask_of(Box(200, 85, 5, 5), height=200, width=300)
    for shown in (None, context, torch.zeros(1, 64, 64)):
        wanted = CropSettings(1, 40, 0, 1, feather=4)
        stitch, _, _ = crop_around_mask(image, mask, wanted, shown)
        box = stitch.boxes[0]
        assert box.intersect(Box(80, 40, 100, 90)) == Box(80, 40, 100, 90)


def test_a_mask_at_the_border_stays_in_the_middle_when_the_crop_may_extend():
    settings = CropSettings(1.5, 0, 0, 1, keep_inside=False, feather=4)
    stitch, _, _ = crop_around_mask(picture(), mask_of(Box(0, 40, 20, 20)), settings)
    assert stitch.boxes[0] == Box(-5, 35, 30, 30)


def test_double_precision_stays():
    image = picture().double() + torch.rand(1, 91, 127, 3, dtype=torch.float64) * 1e-9
    stitch, crop, _ = crop_around_mask(image, mask_of(PLACES["middle"]))
    assert torch.equal(paste(stitch, crop), image)
    changed = paste(stitch, torch.zeros_like(crop))
    outside = stitch.mask()[0] == 0
    assert torch.equal(changed[0][outside], image[0][outside])


def test_an_empty_mask_passes_the_image_through():
    image = picture(batch=2)
    stitch, crop, crop_mask = crop_around_mask(image, torch.zeros(1, 91, 127))
    assert stitch.is_empty
    assert torch.equal(crop, image)
    assert not crop_mask.any()
    assert torch.equal(paste(stitch, torch.ones(2, 8, 8, 3)), image)


def test_alpha_stays_the_original():
    image = picture(channels=4)
    stitch, crop, _ = crop_around_mask(image, mask_of(PLACES["middle"]))
    assert crop.shape[-1] == 3
    for changed in (torch.ones_like(crop), torch.ones(*crop.shape[:3], 4)):
        result = paste(stitch, changed)
        assert torch.equal(result[..., 3], image[..., 3])
        assert (result[0, 45, 65, :3] == 1).all()


def test_nothing_given_is_changed_and_the_stitch_holds_no_copy():
    image, mask = picture(), mask_of(PLACES["middle"])
    before = image.clone(), mask.clone()
    stitch, crop, _ = crop_around_mask(image, mask)
    assert stitch.image is image
    crop.fill_(0)
    first = paste(stitch, crop)
    assert torch.equal(paste(stitch, crop), first)
    assert torch.equal(image, before[0])
    assert torch.equal(mask, before[1])


def test_values_outside_the_range_saturate_inside_and_stay_outside():
    image = picture()
    image[0, 0, 0] = 1.004
    image[0, 45, 65] = -0.02
    stitch, crop, _ = crop_around_mask(image, mask_of(PLACES["middle"]))
    result = paste(stitch, crop + 0.5)
    assert (result[0, 0, 0] == image[0, 0, 0]).all()
    assert result[0, 40:53, 60:81].max() == 1
    assert result[0, 40:53, 60:81].min() >= 0.4


def test_variants_of_one_crop_give_a_result_each():
    stitch, crop, _ = crop_around_mask(picture(), mask_of(PLACES["middle"]))
    variants = torch.cat([crop * 0, crop, crop * 0 + 1])
    result = paste(stitch, variants)
    assert result.shape[0] == 3
    assert [float(v) for v in result[:, 45, 65, 0]] == [0, float(picture()[0, 45, 65, 0]), 1]


def test_a_stitch_of_another_batch_is_refused():
    stitch, crop, _ = crop_around_mask(picture(batch=3), mask_of(PLACES["middle"]))
    with pytest.raises(ValueError, match="stitch holds 3 images but image holds 2"):
        paste(stitch, crop[:2])


SQUARE = CropSettings(context_pixels=32, context_factor=1, minimum_size=80, multiple=1)


@pytest.mark.parametrize(
    ("height", "width"), [(40, 80), (1024, 935), (1024, 512), (48, 80), (384, 512), (87, 80)]
)
def test_another_aspect_is_refused(height, width):
    stitch, crop, _ = crop_around_mask(picture(), mask_of(Box(60, 40, 9, 9)), SQUARE)
    assert crop.shape[1:3] == (80, 80)
    with pytest.raises(ValueError, match=f"image is {width}x{height} but was cropped at 80x80"):
        paste(stitch, torch.zeros(1, height, width, 3))


@pytest.mark.parametrize(("height", "width"), [(80, 80), (240, 256), (1024, 1010), (7, 7), (1, 1)])
def test_a_side_rounded_for_a_model_is_accepted(height, width):
    stitch, _, _ = crop_around_mask(picture(), mask_of(Box(60, 40, 9, 9)), SQUARE)
    assert paste(stitch, torch.zeros(1, height, width, 3))[0, 44, 64, 0] == 0


@settings(max_examples=300, deadline=None)
@given(
    st.integers(1, 3000),
    st.integers(1, 3000),
    st.sampled_from([FLUX, SDXL, SD15, ModelFamily(2**20, 64), ModelFamily(2**20, 24)]),
)
def test_what_the_model_size_makes_of_a_crop_is_accepted(width, height, family):
    size = Size(width, height)
    if not 1 / 4 <= size.aspect <= 4:
        return
    target = target_size(size, family)
    assert _same_shape(target, size)


def test_a_round_trip_through_the_model_size_keeps_the_picture():
    y, x = torch.meshgrid(torch.linspace(0, 9, 200), torch.linspace(0, 7, 200), indexing="ij")
    image = torch.stack([x.sin(), y.cos(), (x * y).sin()], dim=-1)[None] * 0.5 + 0.5
    mask = mask_of(Box(60, 50, 70, 60), height=200, width=200)
    stitch, crop, _ = crop_around_mask(image, mask)
    size = Size(crop.shape[2], crop.shape[1])
    large = resize(crop, Size(size.width * 4, size.height * 4))
    error = (paste(stitch, large) - image).square().mean()
    assert -10 * float(error.log10()) > 60


def test_mask_of_the_stitch_is_the_weight_at_full_size():
    alpha = torch.full((1, 2, 3), 0.5)
    stitch = Stitch(torch.zeros(1, 5, 6, 3), (Box(-1, 4, 3, 2),), alpha)
    expected = torch.zeros(1, 5, 6)
    expected[0, 4, :2] = 0.5
    assert torch.equal(stitch.mask(), expected)
