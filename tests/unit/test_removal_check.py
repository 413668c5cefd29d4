import cv2
import numpy as np
import pytest
import torch

from cleanplate.candidates import check_candidates
from cleanplate.removal_check import best_of, check_removal
from cleanplate.removal_probe import MISSING, load_probe

SIZE = 160


def scene(size=SIZE, seed=0):
    """Leaves and sand: a smooth gradient, grain of a few pixels, and a bar that crosses."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    base = np.stack((0.35 + 0.2 * x, 0.45 + 0.1 * y, 0.3 + 0.1 * x * y), axis=-1)
    grain = cv2.GaussianBlur(generator.normal(0, 1, (size, size)), (0, 0), size / 130)
    base += 0.04 * (grain / grain.std())[..., None]
    base[abs(y - 0.3 - 0.2 * x) < 0.02] = (0.75, 0.7, 0.6)
    return torch.from_numpy(base.clip(0, 1)).float()[None]


def hole(size=SIZE, radius=0.22):
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return (((x / size - 0.5) ** 2 + (y / size - 0.5) ** 2) <= radius**2).float()[None]


def blurred(image, mask, sigma=6.0):
    """The image as a removal leaves it: soft inside the hole."""
    soft = cv2.GaussianBlur(image[0].numpy(), (0, 0), sigma)
    return torch.where(mask[..., None] > 0, torch.from_numpy(soft)[None], image)


def with_disc(image, colour, radius=0.1, x=0.52, y=0.47):
    size = image.shape[1]
    disc = np.zeros((size, size), np.float32)
    cv2.circle(disc, (round(x * size), round(y * size)), round(radius * size), 1, -1, cv2.LINE_AA)
    alpha = torch.from_numpy(disc)[None, ..., None]
    return image + alpha * (torch.tensor(colour) - image)


TRUTH, MASK = scene(), hole()
BEFORE = blurred(TRUTH, MASK)
NOISE = torch.randn(TRUTH.shape, generator=torch.Generator().manual_seed(1))
GOOD = {
    "unchanged": BEFORE,
    "noise": BEFORE + 0.02 * NOISE,
    "tone": BEFORE * torch.tensor((1.04, 0.98, 0.95)) + 0.02,
    "the texture of the surroundings": torch.where(MASK[..., None] > 0, scene(seed=3), BEFORE),
    "the line that the removal lost": TRUTH,
    "all of it": TRUTH * 0.97 + 0.02 + 0.015 * NOISE,
}
BAD = {
    "a red disc": with_disc(TRUTH, (0.8, 0.1, 0.1)),
    "a dark disc": with_disc(BEFORE, (0.05, 0.05, 0.08)),
    "a bright disc and noise": with_disc(TRUTH, (0.95, 0.95, 0.95)) + 0.02 * NOISE,
    "a disc that reaches the edge": with_disc(TRUTH, (0.1, 0.2, 0.8), x=0.35, y=0.5),
}


@pytest.fixture(scope="module")
def installed():
    found = load_probe()
    if found is None:
        pytest.skip(MISSING)
    return found


@pytest.fixture(params=["patches", "network"])
def probe(request):
    """None, and the installed network."""
    return request.getfixturevalue("installed") if request.param == "network" else None


@pytest.mark.parametrize("name", GOOD)
def test_a_good_refinement_passes(name, probe):
    assert check_removal(BEFORE, GOOD[name].clamp(0, 1), MASK, probe).score < 0.3


@pytest.mark.parametrize("name", BAD)
def test_an_object_is_seen(name, probe):
    assert check_removal(BEFORE, BAD[name].clamp(0, 1), MASK, probe).score > 0.8


def test_nothing_changed_scores_about_0(probe):
    verdict = check_removal(BEFORE, BEFORE, MASK, probe)
    assert verdict.score < 0.05
    assert verdict.box is None


def test_the_box_holds_the_object():
    verdict = check_removal(BEFORE, BAD["a red disc"], MASK)
    expected = (0.52 - 0.1) * SIZE, (0.47 - 0.1) * SIZE, 0.2 * SIZE, 0.2 * SIZE
    box = verdict.box
    assert np.allclose((box.x, box.y, box.width, box.height), expected, atol=0.05 * SIZE)
    assert f"{box.width}x{box.height} px" in verdict.reason


def test_a_colour_found_around_is_less_new_than_another():
    bars, none = (
        check_removal(BEFORE, with_disc(BEFORE, colour), MASK).features.colour
        for colour in ((0.75, 0.7, 0.6), (0.6, 0.7, 0.95))
    )
    assert bars < none - 1


def test_grain_tells_a_sharper_hole_from_an_object_in_a_soft_one():
    grain = {
        name: check_removal(BEFORE, after.clamp(0, 1), MASK).features.grain
        for name, after in (GOOD | BAD).items()
    }
    assert abs(grain["the texture of the surroundings"]) < 0.3
    assert grain["a dark disc"] < -0.5


def test_a_hole_busier_all_over_counts_no_more_than_one_like_its_surroundings():
    busy = BEFORE + 0.2 * MASK[..., None] * NOISE
    assert check_removal(BEFORE, busy.clamp(0, 1), MASK).features.grain == pytest.approx(0.2)


def test_what_continues_outside_is_not_enclosed_and_an_object_is_by_its_area():
    line, disc = (
        np.exp(check_removal(BEFORE, after, MASK).features.enclosed) - 0.02
        for after in (GOOD["the line that the removal lost"], BAD["a dark disc"])
    )
    assert line < 0.02
    # the edge is softened, so the disc reaches a pixel farther
    assert disc == pytest.approx((0.11 / 0.22) ** 2, abs=0.03)


@pytest.mark.parametrize("name", GOOD | BAD)
def test_a_new_shape_is_a_new_pattern_too(name):
    features = check_removal(BEFORE, (GOOD | BAD)[name].clamp(0, 1), MASK).features
    assert features.shape <= features.pattern


@pytest.mark.parametrize("after", ["a red disc", "all of it", "unchanged"])
def test_the_resolution_does_not_matter(after):
    after = {**GOOD, **BAD}[after].clamp(0, 1)

    def larger(image):
        size = (SIZE * 3, SIZE * 3)
        return torch.nn.functional.interpolate(image.movedim(-1, 1), size, mode="bilinear").movedim(
            1, -1
        )

    small = check_removal(BEFORE, after, MASK)
    large = check_removal(
        larger(BEFORE),
        larger(after),
        torch.nn.functional.interpolate(MASK[None], scale_factor=3)[0],
    )
    assert abs(large.score - small.score) < 0.25
    assert (large.score > 0.5) == (small.score > 0.5)


def test_what_lies_far_from_the_hole_does_not_matter():
    def padded(image, value):
        return torch.nn.functional.pad(image.movedim(-1, 1), (400, 0, 0, 300), value=value).movedim(
            1, -1
        )

    def verdict(value):
        mask = torch.nn.functional.pad(MASK, (400, 0, 0, 300))
        return check_removal(padded(BEFORE, value), padded(BAD["a red disc"], value), mask)

    assert verdict(0.1).score == verdict(0.9).score


def test_the_same_input_gives_the_same_verdict_and_stays_as_it_was():
    before, after = BEFORE.clone(), BAD["a red disc"].clone()
    first = check_removal(before, after, MASK)
    assert check_removal(before, after, MASK) == first
    assert torch.equal(before, BEFORE)
    assert torch.equal(after, BAD["a red disc"])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types(dtype):
    after = BAD["a red disc"].to(dtype)
    assert check_removal(BEFORE.to(dtype), after, MASK.to(dtype)).score > 0.8


def test_transparency_plays_no_part():
    alpha = torch.rand(1, SIZE, SIZE, 1)
    after = BAD["a red disc"]
    assert check_removal(
        torch.cat((BEFORE, alpha), -1), torch.cat((after, 1 - alpha), -1), MASK
    ) == check_removal(BEFORE, after, MASK)


@pytest.mark.parametrize("value", [0.0, 0.4])
def test_an_empty_mask_passes(value):
    verdict = check_removal(BEFORE, BAD["a red disc"], MASK * value)
    assert verdict.score == 0
    assert "mask" in verdict.reason


def test_a_soft_mask_counts_from_half():
    soft = torch.from_numpy(cv2.GaussianBlur(MASK[0].numpy(), (0, 0), 4))[None]
    hard = (soft >= 0.5).float()
    after = BAD["a red disc"]
    assert check_removal(BEFORE, after, soft) == check_removal(BEFORE, after, hard)


def _one_pixel():
    mask = torch.zeros(1, SIZE, SIZE)
    mask[0, 80, 80] = 1
    return mask


def _frame():
    mask = torch.ones(1, SIZE, SIZE)
    mask[:, 20:-20, 20:-20] = 0
    return mask


def _all_but_one():
    mask = torch.ones(1, SIZE, SIZE)
    mask[0, 3, 4] = 0
    return mask


@pytest.mark.parametrize(
    "mask",
    [
        _one_pixel(),
        _frame(),
        _all_but_one(),
        torch.nn.functional.pad(torch.ones(1, SIZE, 80), (0, 80)),
        torch.nn.functional.pad(torch.ones(1, 1, SIZE), (0, 0, 50, SIZE - 51)),
    ],
    ids=["a pixel", "touching all borders", "all but a pixel", "one half", "a line"],
)
@pytest.mark.parametrize("image", [TRUTH, torch.full_like(TRUTH, 0.5)], ids=["photo", "flat"])
def test_odd_masks_give_a_score(mask, image, probe):
    verdict = check_removal(image, image, mask, probe)
    assert 0 <= verdict.score < 0.3


@pytest.mark.parametrize(("height", "width"), [(16, 16), (2, 2), (1, 9), (33, 5)])
def test_tiny_images_give_a_score(height, width, probe):
    image = torch.rand(1, height, width, 3, generator=torch.Generator().manual_seed(2))
    mask = torch.zeros(1, height, width)
    mask[0, 0, : max(1, width // 2)] = 1
    for after in (image, 1 - image):
        assert 0 <= check_removal(image, after, mask, probe).score <= 1


def test_the_best_is_chosen():
    after = torch.cat([BAD["a red disc"], GOOD["all of it"], BAD["a dark disc"]]).clamp(0, 1)
    chosen = check_candidates(BEFORE, after, MASK)
    (index,), (verdicts,) = chosen.picks, chosen.verdicts
    assert index == 1
    assert len(verdicts) == 3
    assert best_of([verdicts[0], verdicts[2]]) is None
    assert best_of([verdicts[0], verdicts[2]], threshold=1.0) is not None
    assert best_of(verdicts[1:]) == 0


def test_candidates_of_a_batch_come_as_whole_batches():
    good, bad = GOOD["all of it"].clamp(0, 1), BAD["a red disc"]
    after = torch.cat([bad, good, good, bad])
    chosen = check_candidates(BEFORE.expand(2, -1, -1, -1), after, MASK)
    assert chosen.picks == (2, 1)
    assert chosen.passed
    assert torch.equal(chosen.image, torch.cat([good, good]))


def test_a_batch_is_checked_pair_by_pair():
    good, bad = GOOD["all of it"].clamp(0, 1), BAD["a red disc"]
    chosen = check_candidates(BEFORE.expand(3, -1, -1, -1), torch.cat([good, bad, good]), MASK)
    assert chosen.picks == (0, None, 2)
    assert not chosen.passed
    assert chosen.score == max(verdicts[0].score for verdicts in chosen.verdicts)
    assert torch.equal(chosen.image, torch.cat([good, BEFORE, good]))
    assert len(chosen.report.splitlines()) == 4
    assert "Picture 2: no refinement passes" in chosen.report


@pytest.mark.parametrize(("b", "a", "expected"), [(4, 3, 4), (3, 4, 4), (4, 4, 4), (3, 3, 3)])
def test_transparency_is_kept(b, a, expected):
    def channels(image, count, alpha):
        return torch.cat((image, torch.full((1, SIZE, SIZE, count - 3), alpha)), -1)

    for after, passes in ((GOOD["unchanged"], True), (BAD["a red disc"], False)):
        chosen = check_candidates(channels(BEFORE, b, 0.2), channels(after, a, 0.7), MASK)
        assert chosen.passed == passes
        assert chosen.image.shape[3] == expected
        if expected == 4:
            alpha = 0.2 if b == 4 else 0.7 if passes else 1.0
            assert torch.allclose(chosen.image[..., 3], torch.tensor(alpha))


@pytest.mark.parametrize(
    ("before", "after", "mask", "parts"),
    [
        (BEFORE, BEFORE[:, :100], MASK, ["160x160", "160x100"]),
        (BEFORE, BEFORE, MASK[:, :90], ["160x160", "160x90"]),
        (BEFORE.expand(2, -1, -1, -1), BEFORE.expand(3, -1, -1, -1), MASK, ["2 images", "holds 3"]),
        (BEFORE.expand(3, -1, -1, -1), BEFORE, MASK, ["3 images", "holds 1"]),
        (BEFORE, BEFORE * torch.nan, MASK, ["after", "NaN"]),
        (BEFORE * torch.inf, BEFORE, MASK, ["before", "infinite"]),
        (BEFORE, BEFORE, MASK * torch.nan, ["mask", "NaN"]),
        (BEFORE, BEFORE, torch.ones(1, SIZE, SIZE), ["covers the whole image"]),
        (BEFORE[:0], BEFORE, MASK, ["before is empty"]),
        (BEFORE[..., :1], BEFORE, MASK, ["before", "3 or 4"]),
    ],
)
def test_input_that_cannot_work_is_refused(before, after, mask, parts):
    with pytest.raises(ValueError) as refused:
        check_candidates(before, after, mask)
    for part in parts:
        assert part in str(refused.value)


def test_the_network_tells_a_background_of_large_parts_from_a_thing(installed, photo):
    scene, coins, x, y, radius = photo("coffee"), photo("coins"), 38, 228, 37
    rows, columns = torch.meshgrid(*(torch.arange(n) for n in scene.shape[1:3]), indexing="ij")
    away = ((columns - x) ** 2 + (rows - y) ** 2).sqrt()
    mask = (away <= radius).float()[None]
    filled = cv2.inpaint(
        (scene[0].numpy() * 255).round().astype(np.uint8),
        mask[0].numpy().astype(np.uint8),
        3,
        cv2.INPAINT_NS,
    )
    before = torch.from_numpy(filled)[None] / 255
    half = radius // 2
    coin = scene.clone()
    shrunk = cv2.resize(coins[0, 14:70, 306:362].numpy(), (2 * half, 2 * half))
    place = (slice(y - half, y + half), slice(x - half, x + half))
    disc = (away <= half - 1)[place][..., None]
    coin[0][place] = torch.where(disc, torch.from_numpy(shrunk), coin[0][place])
    assert check_removal(before, scene, mask).score > 0.5
    assert check_removal(before, scene, mask, installed).score < 0.4
    seen = check_removal(before, coin, mask, installed)
    assert seen.score > 0.8
    assert "a thing of its own" in seen.reason
