import cv2
import numpy as np
import pytest
import torch

from cleanplate.defects.aspect import AspectSettings, find_wrong_aspect
from cleanplate.defects.compression import corner_cross, find_compression
from cleanplate.defects.exposure import find_exposure
from cleanplate.defects.highlights import find_highlights
from cleanplate.defects.luma import Level, luma
from cleanplate.defects.noise import find_noise, grain
from cleanplate.defects.resolution import ResolutionSettings, find_low_resolution
from cleanplate.defects.sharpness import (
    SharpnessSettings,
    blur_map,
    find_blur,
    find_blurred_regions,
)

WHOLE = (find_blur, find_compression, find_noise, find_exposure)
EVERY = (*WHOLE, find_blurred_regions, find_highlights, find_low_resolution, find_wrong_aspect)


def scene(size=256, seed=0):
    """Overlapping discs of plain colours on a soft gradient, drawn sharp: clean by design."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[: 2 * size, : 2 * size] / (2 * size)
    image = np.stack((90 + 60 * x, 110 + 40 * y, 100 + 30 * x * y), axis=-1).astype(np.float32)
    for _ in range(60):
        centre = tuple(int(v) for v in generator.integers(0, 2 * size, 2))
        colour = tuple(float(v) for v in generator.uniform(20, 205, 3))
        cv2.circle(image, centre, int(generator.integers(size // 16, size // 5)), colour, -1)
    small = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    return small.round().clip(0, 255).astype(np.uint8)


def tensor(pixels):
    return torch.from_numpy(np.ascontiguousarray(pixels)).float() / 255


def kinds(found):
    return [defect.kind for defect in found]


def jpeg(pixels, quality):
    return cv2.imdecode(cv2.imencode(".jpg", pixels, [1, quality])[1], cv2.IMREAD_COLOR)


def noisy(pixels, sigma, seed=0):
    grains = np.random.default_rng(seed).normal(0, sigma, pixels.shape)
    return (pixels + grains).round().clip(0, 255).astype(np.uint8)


SCENE = scene()
CLEAN = tensor(SCENE)


@pytest.mark.parametrize("find", EVERY)
def test_nothing_is_found_in_a_clean_picture(find):
    if find is find_low_resolution:
        assert kinds(find(CLEAN, ResolutionSettings(256))) == []
    else:
        assert kinds(find(CLEAN)) == []


@pytest.mark.parametrize(
    ("find", "worse", "kind"),
    [
        (find_blur, cv2.GaussianBlur(SCENE, (0, 0), 2), "blur"),
        (find_blur, cv2.GaussianBlur(SCENE, (0, 0), 8), "blur"),
        (find_blur, noisy(cv2.GaussianBlur(SCENE, (0, 0), 2), 2), "blur"),
        (find_blur, cv2.blur(SCENE, (15, 1)), "motion_blur"),
        (find_blur, cv2.blur(SCENE, (1, 15)), "motion_blur"),
        (find_blur, cv2.resize(SCENE[::4, ::4], (256, 256), interpolation=2), "upscaled"),
        (find_compression, jpeg(SCENE, 10), "compression"),
        (find_compression, jpeg(SCENE, 30), "compression"),
        (find_noise, noisy(SCENE, 10), "noise"),
        (find_noise, noisy(SCENE, 25), "noise"),
        (find_exposure, SCENE // 4, "too_dark"),
        (find_exposure, np.minimum(SCENE * 2.5, 255).astype(np.uint8), "too_bright"),
    ],
)
def test_what_was_put_in_is_found(find, worse, kind):
    (defect,) = find(tensor(worse))
    assert defect.kind == kind
    assert 0.5 <= defect.score <= 1
    assert 0 < defect.severity <= 1
    assert defect.box is None
    assert defect.reason


def test_more_blur_is_worse():
    found = [find_blur(tensor(cv2.GaussianBlur(SCENE, (0, 0), s)))[0] for s in (1.5, 2, 4)]
    severities = [defect.severity for defect in found]
    assert severities == sorted(severities)
    assert severities[0] < severities[-1]


def test_one_sharp_thing_makes_a_photo_sharp():
    soft = cv2.GaussianBlur(SCENE, (0, 0), 4)
    soft[80:160, 80:160] = SCENE[80:160, 80:160]
    assert find_blur(tensor(soft)) == []


def test_a_plain_picture_has_no_sharpness_to_judge():
    assert find_blur(torch.full((200, 200, 3), 0.5)) == []


def test_the_least_score_lets_more_through():
    soft = tensor(cv2.GaussianBlur(SCENE, (0, 0), 0.9))
    assert find_blur(soft, SharpnessSettings(least_score=0.5)) == []
    (defect,) = find_blur(soft, SharpnessSettings(least_score=0.1))
    assert 0.1 <= defect.score < 0.5


@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 5), (7, 1)])
def test_the_grid_of_blocks_is_found_wherever_it_begins(row, column):
    ratio, start = corner_cross(luma(tensor(jpeg(SCENE, 20)[row:, column:])))
    assert ratio > 1.3
    assert start == ((8 - row) % 8, (8 - column) % 8)


@pytest.mark.parametrize("period", [2, 4])
def test_other_grids_are_no_blocks(period):
    pixels = np.repeat(np.repeat(SCENE[::period, ::period], period, 0), period, 1)
    assert find_compression(tensor(pixels)) == []


@pytest.mark.parametrize("sigma", [3.0, 6.0, 12.0])
def test_noise_is_measured_in_levels(sigma):
    grains = np.random.default_rng(1).normal(0, sigma, (256, 256)).astype(np.float32)
    measured = grain(np.float32(128) + grains)
    assert measured is not None
    assert measured[0] == pytest.approx(sigma, rel=0.12)
    # A second difference of white noise halves when pixels are averaged in pairs each way; the
    # blocks with the least of it show a little more.
    assert 0.45 < measured[1] < 0.75


def test_texture_is_no_noise():
    """As strong as noise, but smooth over a few pixels."""
    grains = np.random.default_rng(2).normal(0, 1, (256, 256)).astype(np.float32)
    rough = cv2.GaussianBlur(grains, (0, 0), 0.9)
    pixels = (128 + 30 * rough / rough.std()).clip(10, 245)
    assert find_noise(tensor(np.repeat(pixels[..., None], 3, axis=2))) == []


def test_black_and_white_areas_hide_no_noise():
    pixels = noisy(SCENE, 10)
    pixels[:, :170] = 0
    assert kinds(find_noise(tensor(pixels))) == ["noise"]


def with_spots(places, radius=6):
    pixels = np.minimum(SCENE, 150).astype(np.float32)
    y, x = np.mgrid[:256, :256]
    for row, column in places:
        away = np.hypot(y - row, x - column) / radius
        alpha = np.clip(1.8 * np.exp(-(away**2) / 2), 0, 1)[..., None]
        pixels += (255 - pixels) * alpha
    return tensor(pixels.round())


def test_each_highlight_is_a_defect_of_its_own():
    places = [(60, 50), (130, 200), (200, 90)]
    found = find_highlights(with_spots(places))
    assert kinds(found) == ["specular_highlight"] * 3
    for row, column in places:
        (hit,) = [
            d for d in found if d.box.y <= row < d.box.bottom and d.box.x <= column < d.box.right
        ]
        assert hit.mask.shape == (hit.box.height, hit.box.width)
        assert hit.mask[row - hit.box.y, column - hit.box.x] == 1
        assert 30 < float(hit.mask.sum()) < 400


@pytest.mark.parametrize(
    ("name", "draw"),
    [
        ("large", lambda p: cv2.circle(p, (128, 128), 40, (255, 255, 255), -1)),
        ("ring", lambda p: cv2.circle(p, (128, 128), 8, (255, 255, 255), 2)),
        ("line", lambda p: cv2.line(p, (60, 60), (90, 60), (255, 255, 255), 3)),
        ("coloured", lambda p: cv2.circle(p, (128, 128), 6, (255, 255, 120), -1)),
        ("at the border", lambda p: cv2.circle(p, (0, 128), 6, (255, 255, 255), -1)),
        ("speck", lambda p: cv2.circle(p, (128, 128), 1, (255, 255, 255), -1)),
        ("cross", lambda p: cv2.drawMarker(p, (128, 128), (255, 255, 255), 0, 18, 3)),
    ],
)
def test_other_white_things_are_no_highlights(name, draw):
    pixels = np.minimum(SCENE, 150)
    draw(pixels)
    assert find_highlights(tensor(pixels)) == []


def test_a_blurred_half_is_found():
    pixels = noisy(scene(seed=3), 4)
    rough = np.random.default_rng(0).normal(0, 25, pixels.shape)
    pixels = (pixels + rough).clip(0, 255).astype(np.uint8)
    pixels[:, 128:] = cv2.GaussianBlur(pixels, (0, 0), 3)[:, 128:]
    ratio, _ = blur_map(luma(tensor(pixels)), 31)
    assert ratio[:, 150:].mean() < 1.25 < ratio[:, :110].mean()
    found = find_blurred_regions(tensor(pixels))
    assert kinds(found)[:1] == ["blur"]
    assert 120 <= found[0].box.x <= 160
    assert found[0].box.right == 256


@pytest.mark.parametrize(
    ("short", "wanted", "found"), [(256, 256, 0), (255, 256, 1), (64, 512, 1), (64, 0, 0)]
)
def test_low_resolution_is_the_short_side(short, wanted, found):
    image = torch.zeros(short, 700, 3)
    assert len(find_low_resolution(image, ResolutionSettings(wanted))) == found


def test_a_quarter_of_the_resolution_is_as_bad_as_it_gets():
    severity = [
        find_low_resolution(torch.zeros(n, 900, 3), ResolutionSettings(800))[0].severity
        for n in (799, 400, 200, 100)
    ]
    assert severity == sorted(severity)
    assert severity[2:] == pytest.approx([0.8, 0.8])


@pytest.mark.parametrize(
    ("height", "width", "settings", "found"),
    [
        (100, 150, AspectSettings(), 0),
        (100, 150, AspectSettings(ratio=1.5), 0),
        (100, 151, AspectSettings(ratio=1.5), 0),
        (100, 160, AspectSettings(ratio=1.5), 1),
        (160, 100, AspectSettings(ratio=1.6), 1),
        (96, 160, AspectSettings(multiple=16), 0),
        (96, 161, AspectSettings(multiple=16), 1),
    ],
)
def test_wrong_aspect(height, width, settings, found):
    assert len(find_wrong_aspect(torch.zeros(height, width, 3), settings)) == found


@pytest.mark.parametrize("settings", [AspectSettings(ratio=-1), AspectSettings(multiple=0)])
def test_an_impossible_aspect_is_refused(settings):
    with pytest.raises(ValueError, match="give a ratio"):
        find_wrong_aspect(CLEAN, settings)


@pytest.mark.parametrize("find", EVERY)
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (2, 2), (3, 3), (8, 8), (9, 300), (33, 31)])
def test_images_of_any_size(find, size):
    image = torch.rand(*size, 3, generator=torch.Generator().manual_seed(0))
    for defect in find(image):
        assert 0 <= defect.score <= 1


@pytest.mark.parametrize(
    "find", [f for f in EVERY if f not in (find_low_resolution, find_exposure)]
)
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_plain_images(find, value):
    assert find(torch.full((80, 90, 3), value)) == []


@pytest.mark.parametrize(
    ("value", "found"), [(0.0, ["too_dark"]), (0.5, []), (0.8, []), (1.0, ["too_bright"])]
)
def test_the_light_of_plain_images(value, found):
    assert kinds(find_exposure(torch.full((80, 90, 3), value))) == found


@pytest.mark.parametrize(
    ("colour", "found"),
    [((255, 0, 0), []), ((255, 200, 0), []), ((255, 255, 120), ["too_bright"])],
)
def test_a_saturated_colour_is_not_burnt(colour, found):
    pixels = SCENE.copy()
    pixels[:128] = colour
    assert kinds(find_exposure(tensor(pixels))) == found


@pytest.mark.parametrize("find", [*WHOLE, find_highlights])
def test_alpha_and_half_precision_change_nothing(find):
    worse = tensor(noisy(cv2.GaussianBlur(jpeg(SCENE // 2, 20), (0, 0), 1.5), 8))
    spotted = with_spots([(60, 50)]) if find is find_highlights else worse
    alpha = torch.zeros(256, 256, 1)
    plain, with_alpha, half = (
        find(i) for i in (spotted, torch.cat((spotted, alpha), 2), spotted.half())
    )
    assert kinds(plain) == kinds(with_alpha) == kinds(half)
    assert [d.score for d in plain] == [d.score for d in with_alpha]
    assert [d.score for d in half] == pytest.approx([d.score for d in plain], abs=0.05)


@pytest.mark.parametrize("find", EVERY)
def test_the_image_is_left_alone_and_the_answer_is_always_the_same(find):
    image = tensor(noisy(SCENE, 12))
    before = image.clone()
    first, second = find(image), find(image)
    assert torch.equal(image, before)
    assert [(d.kind, d.score, d.box) for d in first] == [(d.kind, d.score, d.box) for d in second]


@pytest.mark.parametrize("find", WHOLE)
def test_large_images_are_read_in_strips_with_the_same_result(find):
    """Two copies below each other, more rows than a strip, say what one says."""
    worse = tensor(noisy(jpeg(SCENE // 3, 20), 12))
    (one,), (tall,) = (find(i)[:1] or [None] for i in (worse, worse.repeat(4, 1, 1)))
    assert (one is None) == (tall is None)
    if one is not None:
        assert tall.score == pytest.approx(one.score, abs=0.12)


def test_luma_clamps_and_weighs():
    image = torch.tensor([[[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [2, 2, 2], [-1, -1, -1]]])
    assert luma(image)[0] == pytest.approx([76.245, 149.685, 29.07, 255, 0], abs=1e-3)


@pytest.mark.parametrize(
    ("level", "value", "score"),
    [
        (Level(10, 20), 10, 0.5),
        (Level(10, 20), 20, 1.0),
        (Level(10, 20), 99, 1.0),
        (Level(10, 20), 5, 0.25),
        (Level(10, 20), -9, 0.0),
        (Level(1.3, 1.1), 1.2, 0.75),
        (Level(1.3, 1.1), 1.5, 0.0),
    ],
)
def test_levels_run_straight_through_both_points(level, value, score):
    assert level.score(value) == pytest.approx(score)
