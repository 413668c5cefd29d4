"""Crops larger than the network should see: reduced and enlarged without loss around the hole."""

import pytest
import torch

from cleanplate.checks import size_of
from cleanplate.fill.capped import MAX_SIDE, CappedFill, capped, enlarge, reduce
from cleanplate.fill.regions import fill_regions
from cleanplate.geometry import Size
from cleanplate.upscale.resize import resize


def natural(height, width, steepness=1.0):
    """Noise whose amplitude falls with frequency: 1 as in sharp photographs, 2 in large ones."""
    generator = torch.Generator().manual_seed(0)
    y = torch.fft.fftfreq(height)[:, None]
    x = torch.fft.rfftfreq(width)[None]
    falling = 1 / (x**2 + y**2).sqrt().clamp(min=1 / max(height, width)) ** steepness
    spectrum = torch.fft.rfft2(torch.randn(3, height, width, generator=generator)) * falling
    planes = torch.fft.irfft2(spectrum, s=(height, width))
    planes = (planes - planes.mean()) / planes.std()
    return (0.5 + 0.16 * planes).clamp(0, 1).movedim(0, -1)[None].contiguous()


def blob(height, width, share):
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    away = ((y - height / 2) ** 2 + (x - width / 2) ** 2).float()
    return (away <= share * height * width / torch.pi).float()[None]


@pytest.mark.parametrize(
    ("size", "cap", "expected"),
    [
        (Size(1024, 700), 1024, Size(1024, 700)),
        (Size(2048, 1024), 1024, Size(1024, 512)),
        (Size(700, 1500), 512, Size(239, 512)),
        (Size(5000, 1), 1024, Size(1024, 1)),
    ],
)
def test_sizes(size, cap, expected):
    assert capped(size, cap) == expected


def test_a_fill_sees_small_crops_as_they_are_and_large_ones_reduced():
    seen = []

    def fill(image, hole):
        seen.append((image, hole))
        return image

    image, hole = natural(40, 60), blob(40, 60, 0.1)
    CappedFill(fill, 60)(image, hole)
    assert seen[-1][0] is image
    result = CappedFill(fill, 30)(image, hole)
    assert size_of(seen[-1][0]) == size_of(seen[-1][1]) == Size(30, 20)
    assert result.shape == image.shape


@pytest.mark.parametrize("factor", [1.3, 2.0, 3.7])
def test_nothing_of_the_object_leaks_and_nothing_known_is_lost(factor):
    """The known pixels are the same whatever the object looks like; each touched one is hole."""
    height, width = 120, 161
    size = Size(round(width / factor), round(height / factor))
    image, hole = natural(height, width), blob(height, width, 0.2)
    hole[0, 7, 9] = 1
    inside = hole.unsqueeze(-1) > 0
    small, marked = reduce(image.masked_fill(inside, 0.0), hole, size)
    other, also = reduce(image.masked_fill(inside, 1.0), hole, size)
    assert torch.equal(small, other) and torch.equal(marked, also)
    for y, x in hole[0].nonzero().tolist():
        row = slice(int(y * size.height / height), int(-(-(y + 1) * size.height // height)))
        column = slice(int(x * size.width / width), int(-(-(x + 1) * size.width // width)))
        assert (marked[0, row, column] == 1).all()
    # no more is hole than its rim needs, and known colours are those of the plain reduction
    grown = torch.nn.functional.max_pool2d(hole[None], 3, 1, 1)[0].mean()
    assert marked.mean() < grown + 0.1
    far = resize(hole.unsqueeze(-1), size)[..., 0].abs() < 1e-6
    assert torch.allclose(small[far], resize(image, size)[far].clamp(0, 1), atol=2e-2)


def test_a_mask_like_a_sieve_leaves_the_best_known_pixels():
    image = torch.full((1, 64, 64, 3), 0.3)
    hole = torch.ones(1, 64, 64)
    hole[0, 5::16, 3::16] = 0
    small, marked = reduce(image.masked_fill(hole.unsqueeze(-1) > 0, 1.0), hole, Size(16, 16))
    assert 0 < (marked == 0).sum() <= 16
    assert torch.allclose(small[marked == 0], torch.tensor(0.3), atol=1e-5)


def test_enlarging_does_not_overshoot():
    step = torch.zeros(1, 8, 8, 3)
    step[:, :, 4:] = torch.tensor([0.2, 0.5, 1.0])
    large = enlarge(step, Size(31, 31))
    assert large.shape == (1, 31, 31, 3)
    for c, high in enumerate((0.2, 0.5, 1.0)):
        assert large[..., c].min() == 0
        assert large[..., c].max() == pytest.approx(high)
    # every crop has a range of its own
    pair = enlarge(torch.cat([step, torch.full_like(step, 0.7)]), Size(31, 31))
    assert torch.allclose(pair[1], torch.tensor(0.7))


@pytest.mark.parametrize(("cap", "steepness"), [(MAX_SIDE, 1.0), (256, 2.0)])
def test_recovery(cap, steepness):
    """A perfect network, which gives the truth at the size it is shown: 38 dB in the hole."""
    truth, hole = natural(640, 900, steepness), blob(640, 900, 0.05)
    spoilt = torch.where(hole.unsqueeze(-1) > 0, torch.tensor([1.0, 0.0, 1.0]), truth)
    true_crops, shown = [], []
    fill_regions(truth, hole, lambda crop, _: true_crops.append(crop) or crop)

    def perfect(crop, marked):
        shown.append(size_of(crop))
        return resize(true_crops[0], shown[0])

    result, changed = fill_regions(spoilt, hole, CappedFill(perfect, cap))
    whole = size_of(true_crops[0])
    assert shown == [capped(whole, cap)]
    inside = changed > 0
    error = (result - truth)[inside].square().mean()
    assert -10 * torch.log10(error) >= 38
    assert torch.equal(result[~inside], spoilt[~inside])
