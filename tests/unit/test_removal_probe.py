from itertools import pairwise

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cleanplate import removal_probe
from cleanplate.efficientnet import CHANNELS, EfficientNetLite
from cleanplate.geometry import Box
from cleanplate.removal_features import Features
from cleanplate.removal_probe import LENGTH, Probe, describe, load_probe
from cleanplate.removal_view import View, view


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(5)
    return EfficientNetLite().eval()


def seen(changed=True, size=120, side=60):
    """A view of a square hole in a picture of noise, with other noise in it if it changed."""
    generator = np.random.default_rng(4)
    before = generator.random((size, size, 3), np.float32)
    hole = np.zeros((size, size), bool)
    edge = (size - side) // 2
    hole[edge : edge + side, edge : edge + side] = True
    after = before.copy()
    if changed:
        after[hole] = generator.random((side * side, 3), np.float32)
    return view(before, after, hole, Box(edge, edge, side, side))


def parts(numbers):
    """The four numbers of each channel, of all three resolutions."""
    starts = np.cumsum([0, *(4 * n for n in CHANNELS)])
    levels = [numbers[a:b].reshape(4, -1) for a, b in pairwise(starts)]
    return np.concatenate(levels, axis=1)


def test_what_did_not_change_differs_from_nothing_before(network):
    numbers = describe(network, seen(changed=False))
    assert numbers.shape == (LENGTH,)
    against_around, against_before, highest, change = parts(numbers)
    assert not against_before.any()
    assert not change.any()
    assert against_around.any()
    assert highest.any()


def test_a_change_in_the_hole_shows(network):
    _, against_before, _, change = parts(describe(network, seen()))
    assert against_before.any()
    # of the coarser ones a cell sees far beyond the hole
    assert (change[: CHANNELS[0]] > 0).all()


@pytest.mark.parametrize(("size", "side"), [(16, 2), (40, 38), (400, 90), (9, 9)])
def test_holes_of_any_size_give_finite_numbers(network, size, side):
    numbers = describe(network, seen(size=size, side=side))
    assert np.isfinite(numbers).all()


def test_small_holes_are_looked_at_enlarged(network):
    small = seen(size=30, side=15)
    large = View(
        *(np.kron(x, np.ones((8, 8, 1), np.float32)) for x in (small.before, small.after)),
        np.kron(small.hole, np.ones((8, 8), bool)),
        small.box,
    )
    one, other = (describe(network, x) for x in (small, large))
    assert np.corrcoef(one, other)[0, 1] > 0.9


def test_the_odds_are_a_weighted_sum(network):
    features = Features(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)
    weights = Features(0.5, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0)
    looked = seen()
    numbers = describe(network, looked)
    picked = np.zeros(LENGTH, np.float32)
    picked[[0, LENGTH - 1]] = 2.0, -3.0
    probe = Probe(network, 0.25, weights, picked, 0.125)
    odds, added = probe.odds(features, looked)
    network_part = 2 * numbers[0] - 3 * numbers[-1]
    assert odds == pytest.approx(0.25 + 0.5 - 7 + network_part, abs=1e-4)
    assert added == pytest.approx(network_part - 0.125, abs=1e-4)


def test_the_fitted_weights_are_of_the_right_size():
    fitted = load_file(removal_probe._FITTED)
    assert fitted["seen"].shape == (LENGTH,)
    assert fitted["features"].shape == (len(Features.__dataclass_fields__),)
    assert all(bool(torch.isfinite(x).all()) for x in fitted.values())


def test_without_the_package_there_is_no_probe(monkeypatch):
    monkeypatch.setattr(removal_probe, "weights_file", lambda: None)
    assert load_probe() is None


def test_damaged_weights_are_refused_by_name(tmp_path, monkeypatch):
    (tmp_path / "lite.pth").write_bytes(b"no network")
    monkeypatch.setattr(removal_probe, "weights_file", lambda: tmp_path / "lite.pth")
    with pytest.raises(ValueError, match=r"lite\.pth"):
        load_probe()
