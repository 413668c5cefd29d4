import pytest
import torch
from spandrel import ModelTiling
from support.upscalers import Blur, Repeat, described
from torch import nn

from cleanplate.geometry import Size
from cleanplate.upscale.rows import Whole
from cleanplate.upscale.tiled import (
    ModelUpscaler,
    Surroundings,
    TiledNetwork,
    check_upscaler,
)


def repeated(image, scale):
    return image.repeat_interleave(scale, dim=1).repeat_interleave(scale, dim=2)


def ran(model, image, **around):
    network = TiledNetwork(model, Surroundings(**around))
    out = torch.full((image.shape[0] * model.scale, image.shape[1] * model.scale, 3), torch.nan)
    network.run(image, Whole(out))
    return out, network


@pytest.mark.parametrize(("height", "width"), [(20, 30), (512, 512), (513, 40), (700, 1100)])
def test_tiles_make_up_the_whole(height, width):
    image = torch.rand(2, height, width, 3)
    network = Repeat()
    around = Surroundings(tile=512)
    assert torch.equal(
        ModelUpscaler(TiledNetwork(described(network), around))(image), repeated(image, 2)
    )
    assert max(max(seen) for seen in network.seen) <= 512
    assert not network.training


@pytest.mark.parametrize(("architecture", "radius"), [("ESRGAN", 24), ("DAT", 14)])
@pytest.mark.parametrize("tile", [128, 256])
def test_tiles_give_what_the_untiled_network_gives(architecture, radius, tile):
    """ESRGAN's tiles are cut, DAT's are blended over half of their halo."""
    image = torch.rand(260, 257, 3)
    model = described(Blur(scale=1, radius=radius), architecture=architecture)
    out, _ = ran(model, image, tile=tile)
    untiled = model(image.movedim(-1, 0)[None])[0].movedim(0, -1)
    assert float((out - untiled).abs().max()) < 1e-6


def test_a_network_that_must_not_be_tiled_sees_the_whole():
    network = Repeat()
    ran(described(network, tiling=ModelTiling.INTERNAL), torch.rand(900, 700, 3), tile=256)
    assert network.seen == [(900, 700)]


def test_a_network_that_is_better_not_tiled_gets_large_tiles():
    model = described(Repeat(), architecture="SwinIR", tiling=ModelTiling.DISCOURAGED)
    assert TiledNetwork(model).tile(Size(4000, 4000)) == 574
    assert TiledNetwork(model, Surroundings(memory=1 << 40)).tile(Size(4000, 4000)) == 2048


def compact(network):
    """Describe it as a Compact network of 18 convolutions."""
    network.unused = nn.ModuleList(nn.Conv2d(1, 1, 3) for _ in range(18))
    return described(network, architecture="Compact")


@pytest.mark.parametrize(
    ("size", "seen"),
    [
        ((300, 359), [(300, 359)]),
        # What windows of 283 pixels leave of a square of 359 makes them 366 wide.
        ((1024, 1024), [(283, 366)] * 12),
        ((40, 5000), [(40, 2518)] * 2),
    ],
)
def test_layers_stay_in_memory_that_is_kept(size, seen):
    network = Repeat()
    ran(compact(network), torch.rand(*size, 3))
    assert network.seen == seen


def test_other_devices_get_larger_tiles():
    for device, tile in (("cpu", 359), ("cuda", 512)):
        network = TiledNetwork(compact(Repeat()), Surroundings(device=device))
        assert network.tile(Size(1024, 1024)) == tile


@pytest.mark.parametrize("architecture", ["ESRGAN", "DAT"])
def test_smaller_tiles_when_memory_runs_out_and_what_is_done_stays(architecture):
    image = torch.rand(1000, 1000, 3)
    network = Repeat(fails_at=3)
    if architecture == "DAT":
        network.window_size = 32
    steps = []
    out, tiled = ran(
        described(network, architecture=architecture),
        image,
        tile=416,
        step=lambda *step: steps.append(step),
    )
    expected = repeated(image[None], 2)[0]
    assert float((out - expected).abs().max()) < 1e-6
    # Two tiles of nine were done; none of their pixels is computed again but for the halo.
    assert steps[0] == (0, 9)
    assert steps[2] == (2, 9)
    assert steps[-1] == (steps[-1][1], steps[-1][1])
    assert max(max(seen) for seen in network.seen[3:]) <= 208
    assert tiled.tile(Size(1000, 1000)) == (208 if architecture == "ESRGAN" else 192)


@pytest.mark.parametrize("architecture", ["ESRGAN", "DAT"])
def test_memory_that_runs_out_on_the_only_tile(architecture):
    image = torch.rand(300, 250, 3)
    out, _ = ran(described(Repeat(fails_at=1), architecture=architecture), image, tile=512)
    assert float((out - repeated(image[None], 2)[0]).abs().max()) < 1e-6


def test_memory_that_runs_out_twice():
    image = torch.rand(600, 300, 3)
    network = Repeat(most=100)
    out, _ = ran(described(network), image, tile=512)
    assert torch.equal(out, repeated(image[None], 2)[0])
    assert network.seen[-1][0] <= 100


@pytest.mark.parametrize(("height", "width"), [(300, 300), (70, 2000)])
def test_gives_up_when_no_tile_fits(height, width):
    with pytest.raises(torch.OutOfMemoryError):
        ran(described(Repeat(most=10)), torch.rand(height, width, 3))


def test_other_errors_of_the_network_are_not_hidden():
    class Broken(Repeat):
        def forward(self, planes):
            raise RuntimeError("sizes do not match")

    with pytest.raises(RuntimeError, match="sizes do not match"):
        ran(described(Broken()), torch.rand(300, 300, 3))


def test_what_fails_in_half_precision_is_done_in_float32():
    class Touchy(Repeat):
        def forward(self, planes):
            if torch.is_autocast_enabled("cpu"):
                raise RuntimeError("not implemented for 'Half'")
            return super().forward(planes)

    image = torch.rand(100, 300, 3)
    out, _ = ran(described(Touchy()), image, tile=160, dtype=torch.bfloat16)
    assert torch.equal(out, repeated(image[None], 2)[0])


def test_what_is_no_number_in_half_precision_is_done_in_float32():
    class Overflowing(Repeat):
        def forward(self, planes):
            result = super().forward(planes)
            return result * torch.nan if torch.is_autocast_enabled("cpu") else result

    image = torch.rand(100, 300, 3)
    out, _ = ran(described(Overflowing()), image, tile=160, dtype=torch.bfloat16)
    assert torch.equal(out, repeated(image[None], 2)[0])


def test_a_network_that_gives_nan_is_refused():
    class Damaged(Repeat):
        def forward(self, planes):
            return super().forward(planes) * torch.nan

    with pytest.raises(ValueError, match=r"ESRGAN.*NaN"):
        ran(described(Damaged()), torch.rand(30, 30, 3))


def test_a_tile_below_the_minimum_is_refused():
    with pytest.raises(ValueError, match="tile is 40 but DAT needs at least"):
        ran(described(Repeat(), architecture="DAT"), torch.rand(300, 300, 3), tile=40)


def test_progress_before_each_tile():
    calls = []
    around = Surroundings(tile=512, step=lambda done, total: calls.append((done, total)))
    ModelUpscaler(TiledNetwork(described(Repeat()), around))(torch.rand(2, 600, 300, 3))
    # Two images of two tiles, and the end.
    assert calls == [(i, 4) for i in range(5)]


def test_finished_tiles_are_shown_where_they_lie():
    image = torch.rand(300, 500, 3)
    canvas = torch.zeros(600, 1000, 3)

    def seen(tile, box, whole):
        assert whole == Size(1000, 600)
        canvas[box.rows, box.columns] = tile

    ran(described(Repeat(), architecture="DAT"), image, tile=256, seen=seen)
    assert torch.equal(canvas, repeated(image[None], 2)[0])


@pytest.mark.parametrize(
    ("described_as", "message"),
    [
        ({"purpose": "FaceSR", "architecture": "GFPGAN"}, "GFPGAN, which restores single faces"),
        ({"input_channels": 1}, "ESRGAN for 1 channels"),
    ],
)
def test_models_of_another_kind_are_refused(described_as, message):
    with pytest.raises(ValueError, match=message):
        check_upscaler(described(Repeat(), **described_as))


def test_what_is_no_upscale_model_is_refused():
    with pytest.raises(ValueError, match="upscale_model is Repeat, which fills masks"):
        check_upscaler(Repeat())
