import random

import pytest
import torch
from support.upscalers import Repeat, described

from cleanplate.geometry import Box, Size
from cleanplate.upscale.enlarge import Target, count_tiles, enlarge, enlarge_rows
from cleanplate.upscale.resize import resize
from cleanplate.upscale.tiled import Surroundings, TiledNetwork


def network(scale=2, tile=128, **limits):
    return TiledNetwork(described(Repeat(scale, **limits)), Surroundings(tile=tile))


def enlarged(image, target, net, **options):
    out = torch.full((target.part.height, target.part.width, image.shape[2]), torch.nan)
    enlarge(image, target, net, out, **options)
    return out


def repeated(image, scale):
    return image.repeat_interleave(scale, dim=0).repeat_interleave(scale, dim=1)


@pytest.mark.parametrize(
    ("target", "size", "part", "passes"),
    [
        (Target.own(Size(300, 200), 4), Size(1200, 800), None, 1),
        (Target.own(Size(300, 200), 1), Size(300, 200), None, 1),
        (Target.factor(Size(300, 200), 3, 4), Size(900, 600), None, 1),
        (Target.factor(Size(300, 200), 0.5, 4), Size(150, 100), None, 0),
        (Target.factor(Size(300, 200), 7, 2), Size(2100, 1400), None, 3),
        (Target.factor(Size(300, 200), 5.9, 2), Size(1770, 1180), None, 2),
        (Target.longest_side(Size(1000, 667), 3840, 4), Size(3840, 2561), None, 1),
        (Target.longest_side(Size(667, 1000), 7680, 4), Size(5123, 7680), None, 2),
        (Target.pixels(Size(1000, 500), 2_000_000, 2), Size(2000, 1000), None, 1),
        (Target.fit(Size(1000, 500), Size(1920, 1080), 2), Size(1920, 960), None, 1),
        (
            Target.fill(Size(1000, 500), Size(1920, 1080), 2),
            Size(1920, 1080),
            Box(0, 0, 1920, 1080),
            1,
        ),
    ],
)
def test_targets(target, size, part, passes):
    assert (target.size, target.part, target.passes) == (size, part or Box.of(size), passes)
    assert target.source.size == (Size(889, 500) if part else target.source.size)


def test_every_target_has_exactly_the_size_asked_for():
    draw = random.Random(7)
    for _ in range(10_000):
        image = Size(draw.randint(1, 5000), draw.randint(1, 5000))
        bounds = Size(draw.randint(1, 9000), draw.randint(1, 9000))
        side, scale = draw.randint(1, 16384), draw.choice((1, 2, 3, 4))
        whole = Target.fill(image, bounds, scale)
        assert whole.part.size == bounds
        assert Box.of(image).intersect(whole.source) == whole.source
        assert Box.of(whole.size).intersect(whole.part) == whole.part
        fitted = Target.fit(image, bounds, scale).size
        assert fitted.width <= bounds.width
        assert fitted.height <= bounds.height
        assert fitted.width == bounds.width or fitted.height == bounds.height
        long = Target.longest_side(image, side, scale).size
        assert max(long.width, long.height) == side
        factor = draw.uniform(0.1, 8)
        size = Target.factor(image, factor, scale).size
        assert abs(size.width - image.width * factor) <= max(0.5, 1 - image.width * factor)


def test_an_absurd_size_is_refused_with_its_memory():
    with pytest.raises(ValueError, match=r"17000000x17000000, 3,229,\d+ GiB"):
        Target.longest_side(Size(100, 100), 17_000_000, 4)


@pytest.mark.parametrize("channels", [3, 4])
def test_the_networks_own_factor_is_written_straight(channels):
    image = torch.rand(200, 150, channels)
    net = network()
    result = enlarged(image, Target.own(Size(150, 200), 2), net)
    assert torch.equal(result[..., :3], repeated(image[..., :3], 2))
    if channels == 4:
        alpha = resize(image[None, ..., 3:], Size(300, 400)).clamp(0, 1)
        torch.testing.assert_close(result[None, ..., 3:], alpha)


@pytest.mark.parametrize(
    "make",
    [
        lambda size: Target.factor(size, 3.3, 4),
        lambda size: Target.factor(size, 5.0, 4),
        lambda size: Target.fill(size, Size(333, 700), 4),
        lambda size: Target.factor(size, 1.2, 4),
        lambda size: Target.fill(size, Size(600, 500), 4),
    ],
)
def test_another_size_is_what_resizing_the_whole_gives(make):
    image = torch.rand(200, 150, 3)
    target = make(Size(150, 200))
    result = enlarged(image, target, network(4))
    source = image[target.source.rows, target.source.columns]
    whole = resize(repeated(source, 4)[None], target.size)[0].clamp(0, 1)
    expected = whole[target.part.rows, target.part.columns]
    torch.testing.assert_close(result, expected, atol=1e-6, rtol=0)


def test_several_passes():
    image = torch.rand(60, 50, 3)
    target = Target.factor(Size(50, 60), 8, 2)
    net = network()
    assert torch.equal(enlarged(image, target, net), repeated(image, 8))
    assert count_tiles(target, net) == 1 + 1 + 20


def test_shrinking_needs_no_network():
    image = torch.rand(200, 150, 4)
    target = Target.factor(Size(150, 200), 0.37, 2)
    result = enlarged(image, target, None)
    torch.testing.assert_close(result[None], resize(image[None], target.size).clamp(0, 1))
    assert count_tiles(target, None) == 0


@pytest.mark.parametrize("factor", [2.0, 3.0])
@pytest.mark.parametrize("strength", [0.0, 0.25, 1.0])
def test_strength_mixes_with_the_plain_resize(factor, strength):
    image = torch.rand(150, 130, 3)
    target = Target.factor(Size(130, 150), factor, 2)
    result = enlarged(image, target, network(), strength=strength)
    plain = resize(image[None], target.size)[0].clamp(0, 1)
    full = resize(repeated(image, 2)[None], target.size)[0].clamp(0, 1)
    torch.testing.assert_close(result, plain.lerp(full, strength), atol=1e-6, rtol=0)


def test_rows_come_in_order_and_no_more_is_held_than_two_bands():
    image = torch.rand(1024, 64, 3)
    target = Target.own(Size(64, 1024), 2)
    net = network(tile=192)
    rows = []

    def take(part):
        assert part.untyped_storage().nbytes() <= 2 * 192 * 2 * 128 * 3 * 4
        rows.append(part.clone())

    enlarge_rows(image, target, net, take)
    assert torch.equal(torch.cat(rows), repeated(image, 2))


def test_memory_that_runs_out_while_rows_are_handed_on():
    image = torch.rand(600, 400, 3)
    net = network(tile=256, fails_at=4)
    target = Target.factor(Size(400, 600), 1.7, 2)
    result = enlarged(image, target, net)
    expected = resize(repeated(image, 2)[None], target.size)[0].clamp(0, 1)
    torch.testing.assert_close(result, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_in_and_out(dtype):
    image = torch.rand(100, 80, 3).to(dtype)
    target = Target.factor(Size(80, 100), 3, 2)
    out = torch.empty(300, 240, 3, dtype=dtype)
    enlarge(image, target, network(), out)
    expected = enlarged(image.float(), target, network())
    torch.testing.assert_close(out.float(), expected, atol=0.005, rtol=0)
