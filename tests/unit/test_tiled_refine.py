import random

import pytest
import torch

from cleanplate.geometry import Box, Size
from cleanplate.upscale.flat import is_flat
from cleanplate.upscale.noise import NoiseField
from cleanplate.upscale.refine import Grid, mirrored, refine_tiles, tiles_to_refine, window


def same(pixels, tile):
    return pixels


def white(pixels, tile):
    return torch.ones_like(pixels)


def ramp(height, width, channels=3):
    flat = torch.arange(height * width * channels, dtype=torch.float32)
    return (flat / flat.numel()).reshape(1, height, width, channels)


def grid_of(image, tile=64, overlap=16, align=16):
    return Grid.of(Size(image.shape[2], image.shape[1]), tile, overlap, align)


def refined(image, refine, mask=None, **settings):
    grid = grid_of(image, **settings)
    return refine_tiles(image, tiles_to_refine(image, grid, mask), refine, mask)


def test_what_does_not_change_stays_to_the_bit():
    draw = random.Random(4)
    for _ in range(150):
        tile = 16 * draw.randint(2, 9)
        image = torch.rand(1, draw.randint(1, 260), draw.randint(1, 260), draw.choice([3, 4]))
        overlap = draw.randrange(tile // 2)
        align = draw.choice([8, 16])
        if tile < 4 * align + overlap:
            overlap = 0
        assert torch.equal(refined(image, same, tile=tile, overlap=overlap, align=align), image)


@pytest.mark.parametrize("overlap", [0, 5, 16, 31])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (64, 64), (65, 130), (200, 333)])
def test_every_pixel_changes_wholly(height, width, overlap):
    # A sum of weights that is not 1 would show: black becomes 1.
    image = torch.zeros(1, height, width, 3)
    result = refined(image, white, overlap=overlap)
    assert float((result - 1).abs().max()) < 3e-7
    assert float(result.max()) <= 1


def test_each_tile_lands_where_it_was_taken_from():
    draw = random.Random(5)
    for _ in range(60):
        height, width = draw.randint(1, 260), draw.randint(1, 260)
        image, wanted = torch.rand(1, height, width, 3), torch.rand(height, width, 3)
        grid = grid_of(image, tile=16 * draw.randint(4, 9), overlap=draw.randrange(32))

        def draws(pixels, tile, wanted=wanted):
            return window(wanted, tile.box)

        result = refine_tiles(image, grid.tiles(), draws)
        assert float((result[0] - wanted).abs().max()) < 4e-7


def test_weights_add_up_where_windows_are_short():
    # Three windows over 129 pixels would blend in threes at full overlap.
    for length in range(100, 200):
        image = torch.zeros(1, 1, length, 3)
        result = refined(image, white, tile=64, overlap=31, align=1)
        assert float((result - 1).abs().max()) < 3e-7


def test_tiles_have_one_size_in_steps_and_cover_the_image():
    draw = random.Random(7)
    for _ in range(2000):
        align = draw.choice([8, 16, 32])
        tile = draw.randint(8 * align, 1100)
        overlap = draw.randrange(min(tile // 2, tile - 4 * align))
        size = Size(draw.randint(1, 5000), draw.randint(1, 5000))
        grid = Grid.of(size, tile, overlap, align)
        for windows, length in ((grid.rows, size.height), (grid.columns, size.width)):
            assert len({w.length for w in windows}) == 1
            assert windows[0].length <= max(tile, align)
            assert all(w.start % align == w.stop % align == 0 for w in windows)
            assert 0 <= windows[-1].stop - length < align
            assert windows[-1].keep_stop == length


def test_neighbours_blend_linearly_over_the_overlap():
    image = torch.zeros(1, 64, 112, 3)
    grid = grid_of(image, tile=64, overlap=16)
    assert str(grid) == "1 rows x 2 columns"
    result = refine_tiles(
        image, grid.tiles(), lambda pixels, tile: torch.full_like(pixels, tile.number)
    )
    row = result[0, 30, :, 1]
    assert row[:48].unique().tolist() == [0]
    assert row[48:64].tolist() == pytest.approx([(i + 0.5) / 16 for i in range(16)])
    assert row[64:].unique().tolist() == [1]


def test_a_tile_sees_its_own_pixels_and_the_image_mirrored_beyond():
    image = ramp(90, 70)
    seen = {}

    def look(pixels, tile):
        seen[tile.number] = (tile.box, pixels.clone())
        return pixels

    refined(image, look, tile=64, overlap=16)
    assert len(seen) == 4
    for box, pixels in seen.values():
        inside = pixels[: 90 - box.y, : 70 - box.x]
        assert torch.equal(inside, image[0, box.y : box.bottom, box.x : box.right])
    box, pixels = seen[3]
    assert (box.bottom, box.right) == (96, 80)
    assert torch.equal(pixels[90 - box.y, 0], image[0, 88, box.x])
    assert torch.equal(pixels[0, 70 - box.x], image[0, box.y, 68])


def test_the_alpha_channel_is_kept():
    image = torch.rand(2, 80, 100, 4)
    result = refined(image, white)
    assert torch.equal(result[..., 3], image[..., 3])
    assert float(result[..., :3].min()) > 0.999


def test_outside_the_mask_not_a_bit_changes_and_tiles_are_left_out():
    image = torch.rand(1, 200, 200, 3) * 3 - 1  # out of range, too
    mask = torch.zeros(1, 200, 200)
    mask[0, 10:20, 10:20] = 0.5
    grid = grid_of(image)
    chosen = tiles_to_refine(image, grid, mask)
    assert [t.number for t in chosen] == [0]
    result = refine_tiles(image, chosen, white, mask)
    outside = mask[0] == 0
    assert torch.equal(result[0][outside], image[0][outside])
    inside = (image[0] + (1 - image[0]) * 0.5)[~outside]
    assert torch.allclose(result[0][~outside], inside, atol=1e-6)


def test_images_of_a_batch_have_tiles_of_their_own():
    image = torch.zeros(2, 100, 64, 3)
    image[1] = 0.5
    seen = []

    def look(pixels, tile):
        seen.append((tile.image, tile.number, float(pixels.mean())))
        return pixels

    refined(image, look)
    assert seen == [(0, 0, 0.0), (0, 1, 0.0), (1, 0, 0.5), (1, 1, 0.5)]


def test_half_precision_is_computed_in_single():
    image = torch.rand(1, 70, 70, 3).half()
    result = refined(image, same)
    assert result.dtype == torch.float32
    assert torch.equal(result, image.float())


@pytest.mark.parametrize(
    ("tile", "overlap", "words"),
    [
        (16, 0, "tile is 16 pixels: choose 32 or more"),
        (64, 32, "less than half a tile"),
        (64, -1, "0 or more"),
    ],
)
def test_settings_that_cannot_work_are_refused(tile, overlap, words):
    with pytest.raises(ValueError, match=words):
        Grid.of(Size(500, 500), tile, overlap)


def test_a_refiner_that_changes_the_size_is_refused():
    image = torch.rand(1, 64, 64, 3)
    with pytest.raises(ValueError, match="64x64 pixels came back as"):
        refined(image, lambda pixels, tile: pixels[:32])


def test_mirrored_pixels():
    assert mirrored(slice(2, 9), 5).tolist() == [2, 3, 4, 3, 2, 1, 0]
    assert mirrored(slice(0, 4), 1).tolist() == [0, 0, 0, 0]
    plane = torch.arange(12).reshape(3, 4)
    assert window(plane, Box(2, 1, 4, 3)).tolist() == [[6, 7, 6, 5], [10, 11, 10, 9], [6, 7, 6, 5]]


def test_cutting_a_tile_out_costs_nothing_beside_it():
    # One value stands for a plane whose rows alone would not fit into memory.
    plane = torch.ones(1, 1, 1).expand(1 << 30, 1 << 30, 3)
    edge = (1 << 30) - 100
    assert window(plane, Box(edge, edge, 112, 112)).shape == (112, 112, 3)


def test_parts_of_the_noise_agree_where_they_overlap():
    field = NoiseField(seed=2**64 - 1, channels=4)
    whole = field.part(Box(0, 0, 300, 200))
    draw = random.Random(1)
    for _ in range(20):
        x, y = draw.randrange(200), draw.randrange(150)
        box = Box(x, y, draw.randint(1, 300 - x), draw.randint(1, 200 - y))
        assert torch.equal(field.part(box), whole[:, :, box.rows, box.columns])


def test_the_noise_is_standard_normal_and_without_a_pattern():
    noise = NoiseField(seed=3, channels=16).part(Box(1000, 500, 512, 512))[0]
    assert noise.shape == (16, 512, 512)
    assert abs(float(noise.mean())) < 2e-3
    assert abs(float(noise.std()) - 1) < 2e-3
    assert abs(float((noise**4).mean()) - 3) < 0.02
    # neighbours and neighbouring blocks have nothing in common
    for lag in (1, 63, 64, 128):
        for axis in (1, 2):
            moved = noise.roll(lag, axis)
            assert abs(float((noise * moved).mean())) < 3e-3
    assert abs(float((noise[0] * noise[1]).mean())) < 0.01


def test_each_seed_and_image_has_noise_of_its_own():
    box = Box(0, 0, 64, 64)
    fields = [NoiseField(1, 4), NoiseField(2, 4), NoiseField(1, 4, image=1)]
    fields += [NoiseField(2**32 + 1, 4)]
    parts = [field.part(box) for field in fields]
    for i, one in enumerate(parts):
        for other in parts[:i]:
            assert abs(float((one * other).mean())) < 0.05


def test_what_is_flat():
    y = torch.linspace(0, 1, 256)
    gradient = y[:, None, None].expand(256, 256, 3).clone()
    assert is_flat(gradient, 4)
    assert not is_flat(gradient, 0)
    bird = gradient.clone()
    bird[100:110, 100:110] = 0
    assert not is_flat(bird, 4)
    speck = gradient.clone()
    speck[100, 100] = 1
    assert is_flat(speck, 4)
    grain = (gradient + torch.randn(gradient.shape) * 2 / 255).clamp(0, 1)
    assert not is_flat(grain, 4)
    assert is_flat(grain, 20)


def test_flat_tiles_are_left_out():
    image = torch.full((1, 64, 200, 3), 0.5)
    image[0, :, 150:] = torch.rand(64, 50, 3)
    chosen = tiles_to_refine(image, grid_of(image), skip_flat=4)
    assert [tile.number for tile in chosen] == [2, 3]
