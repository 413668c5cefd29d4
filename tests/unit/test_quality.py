"""The score of a picture falls with its damage, and rankings follow scores."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch

from cleanplate.agreement import agreement, cosines
from cleanplate.quality import LEAST, Part, Quality, given, judge
from cleanplate.ranking import numbers_of, rank


def scene(size=256, seed=0):
    """Discs of plain colours on a soft gradient, drawn sharp."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[: 2 * size, : 2 * size] / (2 * size)
    image = np.stack((90 + 60 * x, 110 + 40 * y, 100 + 30 * x * y), axis=-1).astype(np.float32)
    for _ in range(60):
        centre = tuple(int(v) for v in generator.integers(0, 2 * size, 2))
        colour = tuple(float(v) for v in generator.uniform(20, 235, 3))
        cv2.circle(image, centre, int(generator.integers(size // 16, size // 5)), colour, -1)
    small = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    return small.round().clip(0, 255).astype(np.uint8)


def blurred(pixels, sigma):
    return cv2.GaussianBlur(pixels, (0, 0), sigma)


def moved(pixels, length):
    return cv2.blur(pixels, (length, 1))


def noisy(pixels, sigma):
    grains = np.random.default_rng(0).normal(0, sigma, pixels.shape)
    return (pixels + grains).round().clip(0, 255).astype(np.uint8)


def jpeg(pixels, quality):
    return cv2.imdecode(cv2.imencode(".jpg", pixels, [1, quality])[1], cv2.IMREAD_COLOR)


def lit(pixels, factor):
    return (pixels * float(factor)).round().clip(0, 255).astype(np.uint8)


def enlarged(pixels, factor):
    small = cv2.resize(pixels, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, pixels.shape[1::-1], interpolation=cv2.INTER_CUBIC)


def tensor(pixels):
    return torch.from_numpy(np.ascontiguousarray(pixels)).float() / 255


def values(pixels, side=256):
    return {part.name: part.value for part in judge(tensor(pixels), side).parts}


LADDERS = [
    ("sharpness", blurred, (0.7, 1.2, 2, 3, 5)),
    ("sharpness", moved, (3, 5, 9, 15)),
    ("sharpness", enlarged, (2, 3, 4, 6)),
    ("noise", noisy, (4, 8, 15, 25, 40)),
    ("compression", jpeg, (60, 40, 20, 10, 5)),
    ("light", lit, (0.7, 0.5, 0.3, 0.15)),
    ("light", lit, (1.5, 2.2, 3.5, 6)),
]


@pytest.mark.parametrize(("name", "damage", "strengths"), LADDERS)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_score_falls_with_every_step_of_damage(name, damage, strengths, seed):
    clean = scene(seed=seed)
    pictures = [clean, *(damage(clean, strength) for strength in strengths)]
    scores = [judge(tensor(pixels)).score for pixels in pictures]
    assert all(better > worse for better, worse in pairwise(scores)), scores
    assert scores[-1] < 0.4 * scores[0]
    assert values(pictures[-1])[name] < 0.4 < 0.7 < values(clean)[name]


def test_real_photos_fall_with_damage_too():
    data = pytest.importorskip("skimage.data")
    clean = np.ascontiguousarray(data.astronaut()[:256, 100:356])
    assert judge(tensor(clean), 256).score > 0.5
    for _, damage, strengths in LADDERS:
        scores = [judge(tensor(damage(clean, s)), 256).score for s in strengths]
        assert scores == sorted(scores, reverse=True), damage


def test_what_each_part_halves_at():
    clean = scene(512)
    # Flat grey with noise of 10 levels, an edge of 2 pixels spread, a quarter burnt out.
    grey = np.full((256, 256, 3), 128, np.uint8)
    grain = np.random.default_rng(1).normal(0, 10, (256, 256, 1))
    assert values((grey + grain).round().astype(np.uint8))["noise"] == pytest.approx(0.5, abs=0.08)
    step = np.where(np.arange(256)[None, :, None] < 128, 60, 200) * np.ones((256, 1, 3))
    cross = np.where(np.arange(256)[:, None, None] < 128, step, 260 - step).astype(np.uint8)
    assert values(blurred(cross, 2))["sharpness"] == pytest.approx(0.5, abs=0.06)
    burnt = clean.copy()
    burnt[:256, :256] = 255
    ratio = values(burnt)["light"] / values(clean)["light"]
    assert ratio == pytest.approx(0.5, abs=0.05)
    assert values(clean, side=1024)["resolution"] == 0.5
    assert values(clean, side=300)["resolution"] == 1


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_blank_picture_is_worse_than_any_blurred_one(value):
    blank = judge(torch.full((64, 96, 3), value), 64)
    assert blank.score <= LEAST
    assert "no edges" in str(blank)
    assert blank.score < judge(tensor(blurred(scene(), 4)), 64).score


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 40, 3), (9, 9, 4)])
def test_tiny_pictures_are_judged(shape):
    assert 0 <= judge(torch.rand(shape)).score <= 1


def test_types_and_alpha_play_no_part():
    clean = tensor(scene())
    with_alpha = torch.cat([clean, torch.rand(256, 256, 1)], dim=2)
    assert judge(with_alpha).score == judge(clean).score
    assert judge(clean.half()).score == pytest.approx(judge(clean).score, abs=0.01)


def test_the_score_is_the_weighted_product():
    quality = Quality((Part("sharpness", 0.5, "a"), Part("noise", 0.8, "b", 2.0)))
    assert quality.score == pytest.approx(0.5 * 0.64)
    assert quality.weighted(noise=0).score == pytest.approx(0.5)
    assert quality.weighted(sharpness=2, noise=1).score == pytest.approx(0.25 * 0.8)
    assert quality.with_parts([Part("given", 0.1, "c")]).score == pytest.approx(0.032)
    assert str(quality.weighted(noise=0)) == "0.500: sharpness 0.50 (a)"
    assert str(quality).index("sharpness") < str(quality).index("noise")


def test_nothing_falls_below_the_least_part():
    a, b = (Quality((Part("sharpness", 0.0, ""), Part("noise", v, ""))) for v in (0.2, 0.4))
    assert 0 < a.score < b.score


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match="weight of noise is -1"):
        judge(torch.rand(64, 64, 3)).weighted(noise=-1)


@pytest.mark.parametrize(
    ("score", "worst", "best", "value"),
    [
        (5.5, 1, 10, 0.5),
        (20, 100, 0, 0.8),
        (-3, -2, 2, 0),
        (99, 0, 1, 1),
    ],
)
def test_scores_from_elsewhere_are_brought_into_their_range(score, worst, best, value):
    assert given(score, worst, best).value == pytest.approx(value)


def test_a_range_without_width_is_refused():
    with pytest.raises(ValueError, match="both 1"):
        given(0.5, 1, 1)


@pytest.mark.parametrize(
    ("value", "numbers"),
    [
        (0.5, [0.5]),
        ([1, 2.5], [1, 2.5]),
        ([[0.1, 0.2], [0.3]], [0.1, 0.2, 0.3]),
        ("0.1, 0.2;0.3\n4e-1", [0.1, 0.2, 0.3, 0.4]),
        (["[1, 2.5]"], [1, 2.5]),
        (["0.1", "0.2"], [0.1, 0.2]),
        (torch.tensor([[1.0], [2.0]]), [1, 2]),
        (torch.tensor(3.0), [3]),
        ([np.float32(0.5), np.array([1, 2])], [0.5, 1, 2]),
        ([True, False], [1, 0]),
        ([], []),
        ("", []),
    ],
)
def test_numbers_come_in_many_forms(value, numbers):
    assert numbers_of(value) == pytest.approx(numbers)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("good, bad", "text 'good'"),
        (["0.1", float("nan")], "holds nan"),
        ("inf", "holds inf"),
        ({"a": 1}, "holds a dict"),
        ([None], "holds a NoneType"),
        (torch.zeros(2, 8, 8, 3), r"shape \[2, 8, 8, 3\]"),
    ],
)
def test_what_is_no_number_is_refused(value, words):
    with pytest.raises(ValueError, match=words) as caught:
        numbers_of(value)
    assert "\n" not in str(caught.value)


def test_ranking_is_stable_and_told_in_words():
    ranking = rank([0.2, 0.9, 0.2, 0.9], 4)
    assert ranking.order == (1, 3, 0, 2)
    assert rank([0.2, 0.9, 0.2], 3, lowest=True).order == (0, 2, 1)
    assert str(ranking).splitlines()[0] == "1. image 2: 0.9"
    assert str(ranking).splitlines()[3] == "4. image 3: 0.2"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_another_number_of_scores_is_refused(count):
    with pytest.raises(ValueError, match=f"scores holds {count} number.* for 2 images"):
        rank([0.5] * count, 2)


@pytest.mark.parametrize(("width", "own"), [(1024, 1280), (1280, 1664)])
def test_agreement_is_a_cosine_and_no_softmax_over_one_caption(width, own):
    text = torch.zeros(1, width)
    text[0, 0] = 3.0
    pictures = torch.zeros(3, width)
    pictures[0, 0], pictures[1, 1], pictures[2, :2] = 2.0, 5.0, 1.0
    found = cosines(pictures, own, text)
    assert found == pytest.approx([1, 0, 0.5**0.5])
    assert [agreement(c).value for c in (0.2, -0.3, 0.6)] == pytest.approx([0.5, 0, 1])


@pytest.mark.parametrize(
    ("pictures", "own", "text", "words"),
    [
        (torch.ones(1, 768), 1024, torch.ones(1, 768), "SD 1.5, SD 3 and Flux"),
        (torch.ones(1, 1024), 1280, torch.ones(1, 1280), "with the text of SDXL"),
        (torch.ones(1, 1024), 1024, torch.ones(1, 1024), "1024 wide"),
        (torch.ones(1, 1280), 1280, torch.ones(1, 1280), "1280 wide"),
        (torch.ones(1, 729, 1152), 1152, torch.ones(1, 1280), "CLIP Vision ViT-bigG"),
        (torch.ones(1, 1280), 1664, torch.ones(1, 2048), "2048 numbers"),
        (torch.full((1, 1280), torch.nan), 1664, torch.ones(1, 1280), "NaN"),
    ],
)
def test_features_that_share_no_space_are_refused(pictures, own, text, words):
    with pytest.raises(ValueError, match=words) as caught:
        cosines(pictures, own, text)
    assert "\n" not in str(caught.value)
