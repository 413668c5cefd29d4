"""What a crop shows, and at what size."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.crops import mask_of, paste, picture

from cleanplate import masks
from cleanplate.checks import size_of
from cleanplate.crop import CropSettings, crop_around_mask, crops_around_mask
from cleanplate.geometry import Box, Size, with_aspect

MIDDLE = Box(60, 40, 21, 13)
TIGHT = {"context_factor": 1.0, "context_pixels": 0, "minimum_size": 0, "multiple": 1}


@pytest.mark.parametrize(
    ("width", "height", "multiple", "expected"),
    [
        (64, 64, 1, Size(64, 64)),
        (128, 32, 8, Size(128, 32)),
        (100, 36, 8, Size(100, 36)),  # as asked, whatever the multiple
        (96, 0, 8, Size(96, 80)),  # 55x47, of the same aspect but for the multiple
        (0, 80, 16, Size(96, 80)),
    ],
)
def test_a_forced_size(width, height, multiple, expected):
    wanted = CropSettings(1, 0, 0, multiple, width=width, height=height)
    stitch, crop, mask = crop_around_mask(picture(), mask_of(MIDDLE), wanted)
    assert size_of(crop) == size_of(mask) == expected
    box = stitch.boxes[0]
    assert box.intersect(MIDDLE.pad(17)) == MIDDLE.pad(17)
    # nothing is stretched: the box has that aspect but for half a pixel of a side
    fits = (box.width - box.height * expected.aspect, box.height - box.width / expected.aspect)
    assert min(abs(v) for v in fits) <= 0.5
    result = paste(stitch, torch.full_like(crop, 2.0))
    assert torch.equal(result[0][stitch.mask()[0] == 0], picture()[0][stitch.mask()[0] == 0])
    assert (result[0, MIDDLE.rows, MIDDLE.columns] == 1).all()


def test_an_aspect_that_the_image_cannot_hold_goes_beyond_it_and_no_farther_than_it_must():
    across = mask_of(Box(5, 40, 110, 8))
    stitch, crop, mask = crop_around_mask(
        picture(), across, CropSettings(**TIGHT, feather=4, width=64, height=64)
    )
    box = stitch.boxes[0]
    assert box.size == Size(120, 120)
    assert (box.y, box.bottom) == (-14, 106)
    assert box.x == 0
    assert size_of(crop) == Size(64, 64)
    # nothing beyond the image is to be painted
    assert not mask[0, :6].any()
    assert torch.equal(stitch.mask() == 1, across == 1)


@given(*[st.integers(1, 3000)] * 6)
def test_an_aspect_is_kept_within_half_a_pixel(w, h, a, b, limit_w, limit_h):
    wanted, aspect, limit = Size(w, h), Size(a, b), Size(limit_w, limit_h)
    size = with_aspect(wanted, aspect)
    assert size.width >= w
    assert size.height >= h
    assert size.width == w or size.height == h
    inside = with_aspect(wanted, aspect, limit)
    assert inside == size or inside.width == limit_w or inside.height == limit_h
    assert inside == size or (inside.width <= limit_w and inside.height <= limit_h)
    for got in (size, inside):
        errors = (got.width - got.height * aspect.aspect, got.height - got.width / aspect.aspect)
        assert min(abs(error) for error in errors) <= 0.5 + 1e-9 or 1 in (got.width, got.height)


@pytest.mark.parametrize(
    ("settings", "marked"),
    [
        ({}, "ring"),
        ({"fill_holes": True}, "disc"),
        ({"threshold": 0.2}, "ring and faint"),
        ({"threshold": 0.2, "fill_holes": True}, "disc and faint"),
        ({"invert": True}, "rest"),
    ],
)
def test_what_of_a_mask_counts(settings, marked):
    image, mask = picture(120, 160), torch.zeros(1, 120, 160)
    disc = masks.grow(mask_of(Box(80, 60, 1, 1), height=120, width=160)[0] > 0, 20)
    hole = masks.grow(mask_of(Box(80, 60, 1, 1), height=120, width=160)[0] > 0, 12)
    faint = mask_of(Box(10, 10, 9, 9), height=120, width=160)[0] > 0
    mask[0][disc & ~hole] = 1
    mask[0][faint] = 0.3
    expected = {
        "ring": disc & ~hole,
        "disc": disc,
        "ring and faint": (disc & ~hole) | faint,
        "disc and faint": disc | faint,
        "rest": ~(disc & ~hole),
    }[marked]
    (crop,) = crops_around_mask(image, mask, CropSettings(feather=0, **settings))
    assert torch.equal(crop.stitch.mask()[0] == 1, expected)
    box = crop.stitch.boxes[0]
    assert torch.equal(crop.painted, mask[:, box.rows, box.columns])
    assert torch.equal(crop.blend, crop.stitch.alpha)


@pytest.mark.parametrize(
    "form",
    [
        lambda m: m[0],
        lambda m: m[None],
        lambda m: m > 0,
        lambda m: (m * 255).to(torch.uint8),
        lambda m: m.half(),
        lambda m: m.double(),
        lambda m: m * 255,
        lambda m: m.flip(0).expand(1, -1, -1),
    ],
)
def test_the_form_of_a_mask_makes_no_difference(form):
    mask = mask_of(MIDDLE)
    expected, crop, crop_mask = crop_around_mask(picture(), mask)
    stitch, other, other_mask = crop_around_mask(picture(), form(mask))
    assert stitch.boxes == expected.boxes
    assert torch.equal(stitch.alpha, expected.alpha)
    assert torch.equal(other, crop)
    assert torch.equal(other_mask, crop_mask)


def moving(frames=9, step=7):
    boxes = [Box(10 + step * i + 3 * (-1) ** i, 40, 12, 12) for i in range(frames)]
    return boxes, torch.cat([mask_of(box) for box in boxes])


def test_one_place_for_a_whole_batch():
    boxes, mask = moving()
    mask[4] = 0
    image = picture(batch=9)
    wanted = CropSettings(**TIGHT, feather=2, one_per="batch")
    stitch, crop, _ = crop_around_mask(image, mask, wanted)
    (place,) = set(stitch.boxes)
    for box in boxes:
        assert place.intersect(box) == box
    result = paste(stitch, torch.zeros_like(crop))
    for i, box in enumerate(boxes):
        assert bool((result[i, box.rows, box.columns] == 0).all()) == (i != 4)
    assert torch.equal(result[4], image[4])


def test_a_moving_frame_moves_smoothly_and_still_holds_the_mask():
    boxes, mask = moving()
    mask[4] = 0
    wanted = CropSettings(1, 12, 0, 1, feather=2)
    loose = CropSettings(1, 12, 0, 1, feather=2, one_per="moving frame")
    jumping = [box.x for box in crop_around_mask(picture(batch=9), mask, wanted)[0].boxes]
    stitch, _, _ = crop_around_mask(picture(batch=9), mask, loose)
    smooth = [box.x for box in stitch.boxes]

    def shake(path):
        return float(torch.tensor(path, dtype=torch.float32).diff(n=2).abs().max())

    assert shake(smooth) < shake(jumping) / 3
    assert smooth == sorted(smooth)
    for i, (place, box) in enumerate(zip(stitch.boxes, boxes, strict=True)):
        assert i == 4 or place.intersect(box.pad(2)) == box.pad(2)


OBJECTS = [Box(10, 10, 8, 8), Box(100, 12, 10, 6), Box(20, 70, 12, 12), Box(36, 72, 4, 4)]


def test_each_object_has_its_crop_and_close_ones_share():
    wanted = CropSettings(1, 4, 0, 1, feather=3, one_per="object")
    crops = crops_around_mask(picture(), mask_of(*OBJECTS), wanted)
    held = [OBJECTS[0], OBJECTS[1], OBJECTS[2].union(OBJECTS[3])]
    assert len(crops) == len(held)
    assert [crop.stitch.number for crop in crops] == [0, 1, 2]
    for crop, box in zip(crops, held, strict=True):
        assert crop.stitch.boxes[0] == box.pad(4)
        assert crop.image.shape[:3] == crop.mask.shape == crop.painted.shape
    places = [crop.stitch.boxes[0] for crop in crops]
    assert all(a.intersect(b) is None for a in places for b in places if a is not b)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.builds(
            Box, st.integers(0, 110), st.integers(0, 70), st.integers(1, 17), st.integers(1, 21)
        ),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([1, 8]),
    st.sampled_from([1.0, 2.0]),
    st.booleans(),
)
def test_crops_of_objects_never_overlap_and_cover_the_mask(boxes, multiple, factor, inside):
    wanted = CropSettings(factor, 0, 0, multiple, keep_inside=inside, feather=2, one_per="object")
    crops = crops_around_mask(picture(), mask_of(*boxes), wanted)
    places = [crop.stitch.boxes[0] for crop in crops]
    whole = Box(0, 0, 127, 91)
    for i, place in enumerate(places):
        for other in places[i + 1 :]:
            common = place.intersect(other)
            assert common is None or common.intersect(whole) is None
    covered = torch.zeros(91, 127)
    for crop in crops:
        covered += crop.stitch.mask()[0]
    assert torch.equal(covered == 1, mask_of(*boxes)[0] > 0)


def test_objects_of_a_batch_belong_to_their_image():
    mask = torch.cat([mask_of(OBJECTS[0], OBJECTS[1]), mask_of(), mask_of(OBJECTS[2])])
    wanted = CropSettings(1, 4, 0, 1, feather=3, one_per="object")
    crops = crops_around_mask(picture(batch=3), mask, wanted)
    assert [crop.stitch.first for crop in crops] == [0, 0, 2]


@pytest.mark.parametrize("outside", ["edge", "mirror", "grey"])
@pytest.mark.parametrize("channels", [3, 4])
def test_outpainting_gives_the_larger_image(outside, channels):
    image = picture(channels=channels, batch=2)
    wanted = CropSettings(feather=8, outside=outside, extend=(16, 0, 40, 5))
    stitch, crop, mask = crop_around_mask(image, mask_of(), wanted)
    assert stitch.image is image
    result = paste(stitch, torch.ones_like(crop))
    assert result.shape == (2, 91 + 5, 127 + 56, channels)
    weights = stitch.mask()
    assert weights.shape == result.shape[:3]
    assert (weights[:, :, :16] == 1).all()
    assert (weights[:, 91:] == 1).all()
    # all that is new is painted, what is far from it stays
    assert (result[weights == 1] == 1).all()
    assert torch.equal(result[:, : 91 - 9, 25:134], image[:, : 91 - 9, 9:118])
    # and the model sees the image where it was
    box = stitch.boxes[0]
    inside = Box(0, 0, 127, 91).relative_to(box)
    assert torch.equal(crop[:, inside.rows, inside.columns], image[..., :3])
    assert (mask[:, inside.rows, inside.columns] == 0).all()
    grey = crop[:, :, : inside.x] == 0.5
    assert bool(grey.all()) == (outside == "grey")


def test_outpainting_changes_what_is_masked_besides():
    wanted = CropSettings(feather=0, extend=(0, 30, 0, 0))
    stitch, crop, _ = crop_around_mask(picture(), mask_of(MIDDLE), wanted)
    expected = torch.zeros(121, 127, dtype=torch.bool)
    expected[:30] = True
    expected[70:83, 60:81] = True
    assert torch.equal(stitch.mask()[0] == 1, expected)
    assert torch.equal(paste(stitch, crop)[:, 30:], picture())


@pytest.mark.parametrize("name", ["one_per", "outside"])
def test_unknown_choices_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} is 'other': choose one of"):
        CropSettings(**{name: "other"})


def test_an_empty_mask_at_a_forced_size():
    stitch, crop, mask = crop_around_mask(
        picture(), torch.zeros(1, 91, 127), CropSettings(width=64, height=64)
    )
    assert stitch.is_empty
    assert size_of(crop) == size_of(mask) == Size(64, 64)
    assert torch.equal(paste(stitch, crop), picture())
