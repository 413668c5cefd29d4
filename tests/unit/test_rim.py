"""The warning of masks that cut through their object, on discs whose outline is known."""

import pytest
import torch

from cleanplate.rim import rims


def disc(size: int, radius: float, x: float | None = None, y: float | None = None) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    x, y = size / 2 if x is None else x, size / 2 if y is None else y
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def scene(*objects: torch.Tensor, noise: float = 0.05) -> torch.Tensor:
    """Light objects on a dark ground, both with noise."""
    size = objects[0].shape[0]
    image = torch.full((size, size, 3), 0.3)
    for one in objects:
        image[one] = torch.tensor([0.7, 0.6, 0.5])
    noisy = image + noise * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    return noisy.clamp(0, 1)


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.15])
@pytest.mark.parametrize("short", [0, 2, 3, 5, 8, 11])
def test_a_mask_too_small_is_told_by_how_much(short, noise):
    (rim,) = rims(scene(disc(200, 50), noise=noise), disc(200, 50 - short))
    assert rim.is_cut
    assert abs(rim.pixels - short) <= 1


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.15])
@pytest.mark.parametrize("beyond", [4, 6, 8, 12, 16, 30])
def test_a_mask_that_reaches_beyond_its_object_is_good(beyond, noise):
    (rim,) = rims(scene(disc(200, 50), noise=noise), disc(200, 50 + beyond))
    assert not rim.is_cut


def test_pixels_are_those_of_the_image():
    (rim,) = rims(scene(disc(900, 300)), disc(900, 285))
    assert rim.is_cut
    assert abs(rim.pixels - 15) <= 2


@pytest.mark.parametrize("amount", [0.0, 0.05, 0.2])
def test_no_object_no_warning(amount):
    nothing = torch.zeros(200, 200, dtype=torch.bool)
    (rim,) = rims(scene(nothing, noise=amount), disc(200, 40))
    assert not rim.is_cut


def test_an_edge_on_one_side_is_no_outline():
    image = scene(torch.arange(200).repeat(200, 1) > 145)
    (rim,) = rims(image, disc(200, 40))
    assert not rim.is_cut


def test_each_object_by_itself():
    tight, good = disc(300, 40, 80, 80), disc(300, 40, 210, 210)
    mask = disc(300, 36, 80, 80) | disc(300, 46, 210, 210)
    found = {rim.box.x < 100: rim.is_cut for rim in rims(scene(tight, good), mask)}
    assert found == {True: True, False: False}


def test_a_masked_neighbour_is_no_edge():
    """Its outline lies all along the gap of 3 pixels, but it is masked itself."""
    hole, ring = disc(200, 40), disc(200, 60) & ~disc(200, 44)
    found = {rim.box.width < 100: rim.is_cut for rim in rims(scene(ring), hole | ring)}
    assert found[True] is False


@pytest.mark.parametrize(("x", "y"), [(0, 100), (199, 0), (100, 190)])
def test_an_object_at_the_border(x, y):
    image = scene(disc(200, 50, x, y))
    assert rims(image, disc(200, 45, x, y))[0].is_cut
    assert not rims(image, disc(200, 56, x, y))[0].is_cut


@pytest.mark.parametrize(
    "core",
    [disc(64, 4), torch.zeros(64, 64, dtype=torch.bool)],
    ids=["small", "empty"],
)
def test_what_is_too_small_is_not_measured(core):
    assert rims(torch.rand(64, 64, 3), core) == []


def test_a_mask_everywhere_has_no_outside():
    (rim,) = rims(torch.rand(64, 64, 4), torch.ones(64, 64, dtype=torch.bool))
    assert (rim.strength, rim.is_cut) == (0.0, False)


def test_other_types_and_inputs_stay():
    image, core = scene(disc(100, 30)).half(), disc(100, 26)
    before = image.clone()
    assert rims(image, core)[0].is_cut
    assert torch.equal(image, before)
