"""What holds for any image, mask and settings."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.crops import picture

from cleanplate import masks
from cleanplate.checks import size_of
from cleanplate.crop import CropSettings, crops_around_mask
from cleanplate.geometry import Box
from cleanplate.stitch import full_mask, stitch_all

DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64]
MANY = settings(max_examples=300, deadline=None)


@st.composite
def scenes(draw, extend=False, resized=False):
    """An image, its masks, and settings for cropping it."""
    height, width = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    batch, channels = draw(st.integers(1, 3)), draw(st.sampled_from([3, 4]))
    dtype = draw(st.sampled_from(DTYPES))
    image = picture(height, width, channels, batch).to(dtype)
    mask = torch.zeros(draw(st.sampled_from([1, batch])), height, width)
    for plane in mask:
        for _ in range(draw(st.integers(0, 3))):
            x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
            strength = draw(st.sampled_from([0.3, 0.5, 1.0]))
            plane[y : y + draw(st.integers(1, 20)), x : x + draw(st.integers(1, 20))] = strength
    lengths = st.sampled_from([0, 8, 33])
    wanted = CropSettings(
        context_factor=draw(st.sampled_from([1.0, 1.3, 3.0])),
        context_pixels=draw(st.sampled_from([0, 5])),
        minimum_size=draw(st.sampled_from([0, 24])),
        multiple=draw(st.sampled_from([1, 8])),
        keep_inside=draw(st.booleans()),
        grow=draw(st.sampled_from([0, 1, 4])),
        feather=draw(st.sampled_from([0, 1, 6])),
        outside=draw(st.sampled_from(["edge", "mirror", "grey"])),
        width=draw(lengths) if resized else 0,
        height=draw(lengths) if resized else 0,
        threshold=draw(st.sampled_from([0.2, 0.5])),
        fill_holes=draw(st.booleans()),
        invert=draw(st.booleans()),
        one_per=draw(st.sampled_from(["image", "moving frame", "batch", "object"])),
        extend=draw(st.tuples(*[st.sampled_from([0, 0, 7])] * 4)) if extend else (0, 0, 0, 0),
    )
    return image, mask, wanted


def marked(image, mask, wanted):
    """What shall change, by the definition, on the image alone."""
    planes = mask.expand(len(image), -1, -1)
    planes = 1 - planes if wanted.invert else planes
    cores = [plane >= wanted.threshold for plane in planes]
    return [masks.fill_holes(core) if wanted.fill_holes else core for core in cores]


@MANY
@given(scenes(extend=True))
def test_an_unchanged_crop_gives_the_image_back(scene):
    image, mask, wanted = scene
    crops = crops_around_mask(image, mask, wanted)
    result = stitch_all([c.stitch for c in crops], [c.image for c in crops])
    left, top, right, bottom = wanted.extend
    height, width = image.shape[1:3]
    assert result.dtype == image.dtype
    assert result.shape[1:3] == (height + top + bottom, width + left + right)
    assert torch.equal(result[:, top : top + height, left : left + width], image)


@MANY
@given(scenes(resized=True), st.sampled_from(["feather", "multi-band"]))
def test_the_mask_is_replaced_and_nothing_beyond_the_fade_changes(scene, seam):
    image, mask, wanted = scene
    crops = crops_around_mask(image, mask, wanted)
    stitches = [crop.stitch for crop in crops]
    changed = [torch.full_like(crop.image, 2.0) for crop in crops]
    result = stitch_all(stitches, changed, colour="none", seam=seam)
    weights = full_mask(stitches)
    for i, core in enumerate(marked(image, mask, wanted)):
        away = masks.distance(core)
        assert torch.equal(weights[i] == 1, away <= wanted.grow)
        assert torch.equal(weights[i] > 0, away <= wanted.grow + wanted.feather)
        assert (result[i, ..., :3][weights[i] == 1] == 1).all()
        assert torch.equal(result[i][weights[i] == 0], image[i][weights[i] == 0])
    assert torch.equal(result[..., 3:], image[..., 3:])


@MANY
@given(scenes(resized=True))
def test_boxes_and_sizes_are_as_asked(scene):
    image, mask, wanted = scene
    size = size_of(image)
    whole = Box.of(size)
    for crop in crops_around_mask(image, mask, wanted):
        stitch = crop.stitch
        assert stitch.image is image
        assert len(crop.image) == len(stitch.boxes)
        assert crop.image.shape[:3] == crop.mask.shape == crop.painted.shape == crop.blend.shape
        assert crop.image.is_contiguous()
        got = size_of(crop.image)
        assert wanted.width in (0, got.width)
        assert wanted.height in (0, got.height)
        forced = wanted.width or wanted.height
        for box, alpha in zip(stitch.boxes, stitch.alpha, strict=True):
            assert alpha.shape == (box.height, box.width)
            if wanted.keep_inside and not forced:
                assert box.intersect(whole) == box
            if not forced:
                assert got == box.size
                for length, limit in ((box.width, size.width), (box.height, size.height)):
                    assert length % wanted.multiple == 0 or length == limit
            # no seam on a side of the crop that lies inside the image
            for lies_inside, edge in (
                (box.x > 0, alpha[:, 0]),
                (box.y > 0, alpha[0]),
                (box.right < size.width, alpha[:, -1]),
                (box.bottom < size.height, alpha[-1]),
            ):
                assert not lies_inside or not edge.any()


@settings(max_examples=100, deadline=None)
@given(scenes(resized=True))
def test_nothing_given_is_changed(scene):
    image, mask, wanted = scene
    before = image.clone(), mask.clone()
    crops = crops_around_mask(image, mask, wanted)
    weights = [crop.stitch.alpha.clone() for crop in crops]
    changed = [crop.image * 0.5 for crop in crops]
    first = stitch_all([c.stitch for c in crops], changed)
    assert torch.equal(stitch_all([c.stitch for c in crops], changed), first)
    assert torch.equal(image, before[0])
    assert torch.equal(mask, before[1])
    for crop, alpha in zip(crops, weights, strict=True):
        assert torch.equal(crop.stitch.alpha, alpha)
