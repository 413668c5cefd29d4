"""Shadows made by the formula of a shadow: the ground times a constant, beside a disc."""

import pytest
import torch

from cleanplate import masks
from cleanplate.shadow import grow_over_shadow

SIZE = 200


def ellipse(x: float, y: float, a: float, b: float) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    return ((columns - x) / a) ** 2 + ((rows - y) / b) ** 2 <= 1


OBJECT = ellipse(90, 80, 25, 25)
SHADOW = ellipse(120, 105, 34, 12) & ~OBJECT


def ground(noise: float = 0.04) -> torch.Tensor:
    colour = torch.tensor([0.7, 0.6, 0.45])
    texture = 1 + noise * torch.randn(SIZE, SIZE, 1, generator=torch.Generator().manual_seed(0))
    slope = torch.linspace(0.9, 1.1, SIZE)[None, :, None]
    return colour * texture * slope


def scene(base: torch.Tensor, dark: torch.Tensor, ratio: object) -> torch.Tensor:
    image = base.clone()
    image[dark] *= torch.as_tensor(ratio)
    image[OBJECT] = torch.tensor([0.2, 0.3, 0.8])
    return image.clamp(0, 1)


def shares(image: torch.Tensor, dark: torch.Tensor) -> tuple[float, float]:
    """Share of the dark region taken, and of other ground taken, the latter in sizes of the object.

    The band of 4 pixels around the region belongs to neither.
    """
    core = masks.grow(OBJECT, 2)
    result = grow_over_shadow(image, core)
    assert (result.mask | ~core).all()
    added = result.mask & ~core
    assert bool(added.any()) == (result.found > 0)
    right = dark & ~core
    wrong = added & ~masks.grow(dark, 4)
    return float(added[right].float().mean()), float(wrong.sum() / OBJECT.sum())


@pytest.mark.parametrize("noise", [0.0, 0.04, 0.1])
@pytest.mark.parametrize("ratio", [0.4, 0.55, 0.7])
def test_the_shadow_is_taken_and_no_more(ratio, noise):
    taken, wrong = shares(scene(ground(noise), SHADOW, ratio), SHADOW)
    assert taken > 0.95
    assert wrong < 0.02


def test_light_is_what_is_left_in_the_shadow():
    found = grow_over_shadow(scene(ground(), SHADOW, 0.5), masks.grow(OBJECT, 2))
    assert found.found == 1
    assert found.light == pytest.approx(0.5, abs=0.06)


def test_a_shadow_under_blue_sky():
    taken, wrong = shares(scene(ground(), SHADOW, [0.5, 0.53, 0.58]), SHADOW)
    assert taken > 0.95
    assert wrong < 0.02


@pytest.mark.parametrize(
    ("ratio", "why"),
    [
        ([0.3, 0.5, 0.55], "greener than the ground"),
        ([0.7, 0.5, 0.3], "yellower than the ground"),
        ([0.15, 0.15, 0.15], "darker than shadows are"),
        ([0.95, 0.95, 0.95], "hardly darker"),
        ([1.3, 1.3, 1.3], "lighter"),
    ],
)
def test_other_things_are_not_taken(ratio, why):
    taken, wrong = shares(scene(ground(), SHADOW, ratio), SHADOW)
    assert (taken, wrong) == (0, 0), why


def test_a_dark_thing_of_another_texture_is_not_taken():
    noise = torch.randn(SIZE, SIZE, 1, generator=torch.Generator().manual_seed(1))
    image = scene(ground(0.02), SHADOW, 0.55 * (1 + 0.3 * noise)[SHADOW])
    assert shares(image, SHADOW) == (0, 0)


def test_a_shadow_apart_from_the_object_is_not_its_own():
    apart = ellipse(150, 150, 30, 10)
    assert shares(scene(ground(), apart, 0.5), apart) == (0, 0)


def test_what_is_all_around_is_no_shadow():
    around = ellipse(90, 80, 45, 45)
    assert shares(scene(ground(), around, 0.5), around)[1] == 0


@pytest.mark.parametrize("noise", [0.0, 0.04, 0.2])
def test_no_shadow_no_growth(noise):
    nothing = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    result = grow_over_shadow(scene(ground(noise), nothing, 1.0), masks.grow(OBJECT, 2))
    assert (result.found, result.light) == (0, 1.0)
    assert torch.equal(result.mask, masks.grow(OBJECT, 2))


def test_a_larger_picture_gives_the_same_shadow():
    def larger(plane: torch.Tensor) -> torch.Tensor:
        return plane.repeat_interleave(4, 0).repeat_interleave(4, 1)

    result = grow_over_shadow(larger(scene(ground(), SHADOW, 0.5)), larger(OBJECT))
    assert result.mask[larger(SHADOW)].float().mean() > 0.95
    assert result.mask[~masks.grow(larger(SHADOW | OBJECT), 16)].sum() == 0


@pytest.mark.parametrize(
    "core",
    [
        torch.zeros(SIZE, SIZE, dtype=torch.bool),
        torch.ones(SIZE, SIZE, dtype=torch.bool),
        ellipse(50, 50, 3, 3),
    ],
    ids=["empty", "everything", "small"],
)
def test_masks_that_show_nothing_stay(core):
    assert torch.equal(grow_over_shadow(ground(), core).mask, core)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_flat_pictures(value):
    assert torch.equal(grow_over_shadow(torch.full((SIZE, SIZE, 3), value), OBJECT).mask, OBJECT)


@pytest.mark.parametrize(("height", "width"), [(1, 300), (300, 1), (12, 12)])
def test_odd_sizes(height, width):
    core = torch.zeros(height, width, dtype=torch.bool)
    core[: max(1, height // 2), : max(1, width // 2)] = True
    image = torch.rand(height, width, 4, generator=torch.Generator().manual_seed(0)).half()
    before = image.clone(), core.clone()
    assert grow_over_shadow(image, core).mask.shape == core.shape
    assert torch.equal(image, before[0])
    assert torch.equal(core, before[1])
