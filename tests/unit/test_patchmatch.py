import math
from itertools import pairwise

import pytest
import torch

from cleanplate.fill.patchmatch import PatchMatch
from cleanplate.fill.regions import fill_regions
from cleanplate.fill.texture import Texture
from cleanplate.masks import distance


def noise(*shape, seed=1):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def disc(size, radius, y=None, x=None):
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    middle = (size - 1) / 2
    away = ((rows - (y or middle)) ** 2 + (columns - (x or middle)) ** 2).sqrt()
    return (away <= radius).float()[None]


def stripes(size, angle, width=1e9, period=None):
    """A dark band on a light ground, across the middle; antialiased, with a little noise."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    angle = math.radians(angle)
    away = (rows - size / 2) * math.cos(angle) - (columns - size / 2) * math.sin(angle) - 0.7
    if period:
        away = (away + period / 2) % period - period / 2
    inside = torch.minimum(away + 0.5, width - away + 0.5).clamp(0, 1)
    picture = (0.8 - 0.5 * inside)[..., None].expand(-1, -1, 3)
    return (picture + 0.005 * torch.randn(size, size, 3, generator=torch.manual_seed(1)))[None]


def off_by(result, truth, hole):
    """How far the border between dark and light lies from where it should: pixels."""
    dark, meant = (picture[0].mean(-1) < 0.55 for picture in (result, truth))
    wrong = (dark != meant) & (hole[0] > 0)
    if not wrong.any():
        return 0.0
    return float(torch.maximum(distance(meant), distance(~meant))[wrong].max())


@pytest.mark.parametrize("angle", [0, 15, 30, 45, 60, 75, 90])
@pytest.mark.parametrize(
    ("width", "period"), [(4, None), (1e9, None), (5, 17)], ids=["line", "edge", "pattern"]
)
def test_straight_edges_go_on(angle, width, period):
    truth, hole = stripes(128, angle, width, period), disc(128, 21)
    spoilt = torch.where(hole[..., None] > 0, 3.0, truth)
    result = PatchMatch()(spoilt, hole)
    assert off_by(result, truth, hole) <= 2
    assert torch.equal(result[hole == 0], truth[hole == 0])


@pytest.mark.parametrize(
    ("size", "radius", "angle"), [(192, 54, 65), (192, 54, 70), (220, 60, 70), (220, 60, 80)]
)
def test_an_edge_goes_on_where_what_repeats_it_is_too_short_for_the_middle(size, radius, angle):
    truth, hole = stripes(size, angle), disc(size, radius)
    assert off_by(PatchMatch()(truth, hole), truth, hole) <= 2


def detail(picture, inside):
    lines = picture[0].mean(-1)
    around = lines.roll(1, 0) + lines.roll(-1, 0) + lines.roll(1, 1) + lines.roll(-1, 1)
    return float((around - 4 * lines)[inside].std())


def test_texture_keeps_its_detail():
    truth, hole = noise(1, 96, 96, 3), disc(96, 16)
    result = PatchMatch()(truth * (1 - hole[..., None]), hole)
    inside = distance(hole[0] == 0) > 2
    assert 0.8 < detail(result, inside) / detail(truth, inside) < 1.2


def test_one_patch_is_not_repeated_all_over():
    truth, hole = noise(1, 96, 96, 3), disc(96, 16)
    result = PatchMatch()(truth * (1 - hole[..., None]), hole)
    values = result[0][distance(hole[0] == 0) > 4].mean(-1)
    assert len((values * 1e4).round().unique()) > 0.5 * len(values)


@pytest.mark.parametrize(("gain", "bias"), [(65535.0, 0.0), (1e-3, 0.0), (2.0, -7.0)])
def test_the_range_of_the_values_does_not_matter(gain, bias):
    truth, hole = stripes(64, 30, 5, 17), disc(64, 8)
    plain = PatchMatch()(truth, hole)
    scaled = (PatchMatch()(truth * gain + bias, hole) - bias) / gain
    assert (plain - scaled).abs().quantile(0.99) < 1e-3
    assert off_by(scaled, truth, hole) <= 2


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0, 40000.0])
@pytest.mark.parametrize("size", [9, 64])
def test_a_flat_picture_stays_exactly_flat(value, size):
    flat, hole = torch.full((1, size, size, 3), value), disc(size, size / 5)
    spoilt = torch.where(hole[..., None] > 0, value + 1, flat)
    assert torch.equal(PatchMatch()(spoilt, hole), flat)


def test_a_slope_shows_no_step():
    slope = torch.linspace(0.2, 0.6, 120)[None, :, None, None].expand(1, 120, 120, 3)
    truth, hole = slope + 0.002 * noise(1, 120, 120, 3), disc(120, 20)
    result = PatchMatch()(truth * (1 - hole[..., None]), hole)
    assert (result - truth).abs().max() < 0.02
    assert result.diff(dim=1).abs().max() < 0.012
    assert result.diff(dim=2).abs().max() < 0.012


def test_the_same_seed_gives_the_same_bits_and_leaves_the_global_state_alone():
    truth, hole = noise(1, 40, 40, 3), disc(40, 6)
    before = torch.get_rng_state()
    first, again = PatchMatch(seed=5)(truth, hole), PatchMatch(seed=5)(truth, hole)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again)
    assert not torch.equal(first, PatchMatch(seed=6)(truth, hole))


def test_what_lies_in_the_hole_has_no_influence():
    truth, hole = noise(1, 40, 40, 3), disc(40, 6)
    spoilt = torch.where(hole[..., None] > 0, 9.0, truth)
    assert torch.equal(PatchMatch()(spoilt, hole), PatchMatch()(truth, hole))


def test_each_picture_of_a_batch_is_filled_as_if_alone():
    pictures = noise(3, 48, 48, 3)
    holes = torch.cat([disc(48, 6), torch.zeros(1, 48, 48), disc(48, 8, y=20)])
    result = PatchMatch()(pictures, holes)
    assert torch.equal(result[1], pictures[1])
    for i in (0, 2):
        assert torch.equal(result[i : i + 1], PatchMatch()(pictures[i : i + 1], holes[i : i + 1]))


def test_no_picture_is_no_work():
    assert PatchMatch()(torch.zeros(0, 8, 8, 3), torch.zeros(0, 8, 8)).shape == (0, 8, 8, 3)


def test_copies_only_from_the_source():
    picture, hole = noise(1, 80, 80, 3), disc(80, 10)
    source = torch.zeros(1, 80, 80)
    source[:, :, :14] = 1
    picture[:, :, :14, 0] += 9
    result = PatchMatch()(picture, hole, source)
    assert (result[0][distance(hole[0] == 0) > 3][:, 0] > 6).all()
    assert (PatchMatch()(picture, hole)[0][hole[0] > 0][:, 0] < 3).all()


@pytest.mark.parametrize("whole", [True, False], ids=["no source", "all masked"])
def test_nothing_to_copy_from_is_refused(whole):
    picture, hole = noise(2, 20, 20, 3), disc(20, 6).repeat(2, 1, 1)
    source = torch.zeros(2, 20, 20)
    if not whole:
        hole[1], source = 1, None
    with pytest.raises(ValueError, match=r"nothing to copy from.*source_mask"):
        PatchMatch()(picture, hole, source)


def frame(size, border):
    """A hole that leaves only a frame."""
    hole = torch.ones(1, *size)
    hole[:, :border] = hole[:, -border:] = 0
    hole[:, :, :border] = hole[:, :, -border:] = 0
    return hole


def cross(size):
    """A hole that touches all four borders."""
    hole = torch.zeros(1, size, size)
    hole[:, size // 2 - 4 : size // 2 + 4] = 1
    hole[:, :, size // 2 - 4 : size // 2 + 4] = 1
    return hole


@pytest.mark.parametrize(
    "hole",
    [
        frame((40, 40), 7),
        frame((40, 40), 5),
        frame((40, 50), 3),
        frame((40, 50), 2),
        frame((40, 50), 1),
        1 - frame((40, 50), 10),
        cross(40),
        cross(14),
        torch.eye(7)[None, :, :5].contiguous(),
        torch.tensor([[[0.0, 1.0]]]),
        torch.tensor([[[0.0], [1.0], [1.0]]]),
        disc(200, 3)[:, 98:99],
        disc(200, 3)[:, :, 98:99],
        1 - disc(64, 2),
    ],
    ids=lambda hole: f"{tuple(hole.shape[1:])} {int(hole.sum())}",
)
def test_much_hole_and_little_picture(hole):
    picture = noise(*hole.shape, 3) * 0.5 + 2
    result = PatchMatch()(torch.where(hole[..., None] > 0, 99.0, picture), hole)
    assert torch.equal(result[hole == 0], picture[hole == 0])
    assert result.isfinite().all()
    assert result.min() > 1.8
    assert result.max() < 2.7


def test_progress_grows_to_its_total_and_can_cancel():
    calls = []
    picture, holes = noise(2, 64, 64, 3), disc(64, 10).repeat(2, 1, 1)
    PatchMatch(on_scale=lambda done, total: calls.append((done, total)))(picture, holes)
    done, totals = zip(*calls, strict=True)
    assert list(done) == sorted(done)
    assert len(set(totals)) == 1
    assert calls[-1][0] == calls[-1][1]
    assert max(b - a for a, b in pairwise(done)) <= totals[0] / 3

    def cancel(done, total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        PatchMatch(on_scale=cancel)(picture, holes)


def test_the_cost_follows_the_hole_and_not_the_picture():
    seen = []

    def fill(crop, hole):
        seen.append(crop.shape)
        return PatchMatch()(crop, hole)

    for size in (200, 500):
        fill_regions(noise(1, size, size, 3), disc(size, 8.5), fill, context_pixels=20)
    assert seen[0] == seen[1]


def test_what_is_smoother_than_the_surroundings_of_the_hole_is_not_preferred():
    # Rough ground all around the hole, and beyond it plenty of a smoother one that is as near to
    # the rough one as that is to itself.
    truth, hole = 0.5 + 0.2 * (noise(1, 96, 192, 3) - 0.5), torch.zeros(1, 96, 192)
    truth[:, :, 96:] = 0.5 + 0.5 * (truth[:, :, 96:] - 0.5)
    hole[0, 38:58, 38:58] = 1
    result = PatchMatch()(truth, hole)
    inside = distance(hole[0] == 0) > 2
    assert detail(result, inside) / detail(truth, inside) > 0.85


def test_lines_on_even_ground_are_no_texture():
    truth, hole = stripes(128, 0, 4, 36), disc(128, 20)
    lines = Texture.of(truth[0], hole[0] > 0)
    ground = Texture.of(noise(128, 128, 3), hole[0] > 0)
    assert (lines.weight[hole[0] > 0] < 0.1 * ground.weight[hole[0] > 0]).all()


def test_the_strength_of_a_texture_is_found_where_it_is_unknown():
    picture, hole = noise(96, 96, 3), disc(96, 16)[0] > 0
    texture = Texture.of(picture, hole)
    spoilt = Texture.of(torch.where(hole[..., None], 9.0, picture), hole)
    assert torch.equal(texture.wanted, spoilt.wanted)
    found, meant = texture.wanted[hole], texture.strength[~hole].mean()
    assert abs(found.mean() / meant - 1) < 0.1
    assert torch.allclose(found, meant, rtol=0.4)
    assert torch.allclose(Texture.of(3 * picture, hole).wanted, 3 * texture.wanted)
