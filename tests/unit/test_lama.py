"""LaMa itself: padding, batches, and float32 in whatever surrounds it."""

import pytest
import torch
from spandrel.architectures.LaMa import LaMaArch
from standins.small_lama import Watched, descriptor, small_lama

from cleanplate.fill.lama import LamaFill, batch_pixels_of, fixed_side, pad
from cleanplate.geometry import Size


def crop(height, width, count=1):
    image = 0.2 + 0.6 * torch.rand(
        count, height, width, 3, generator=torch.Generator().manual_seed(1)
    )
    hole = torch.zeros(count, height, width)
    hole[:, height // 3 : height // 2 + 1, width // 3 : width // 2 + 1] = 1
    return image, hole


@pytest.mark.parametrize("size", [(5, 7), (16, 16), (17, 9), (67, 101), (1, 3)])
def test_the_network_sees_the_crop_and_its_reflection_never_black(size):
    network = Watched()
    image, hole = crop(*size)
    filled = LamaFill(descriptor(network.train()))(image, hole)
    ((seen, marked),) = network.seen
    assert seen.shape[2] % 8 == seen.shape[3] % 8 == 0
    assert min(seen.shape[2:]) >= 16
    assert seen.min() >= image.min() > 0
    assert torch.equal(seen[0, :, : size[0], : size[1]], image[0].movedim(-1, 0))
    assert torch.equal(marked[0, 0, : size[0], : size[1]], hole[0])
    if size == (67, 101):
        assert torch.equal(seen[..., 67:, :101], seen[..., 61:66, :101].flip(2))
        assert torch.equal(seen[..., :67, 101:], seen[..., :67, 97:100].flip(3))
    assert filled.shape == image.shape
    assert torch.equal(filled, (image * 3 - 1).clamp(0, 1))


def test_padding_beyond_reflection_repeats_the_last_pixel():
    planes = torch.tensor([[[[1.0, 2.0, 3.0]]]])
    assert pad(planes, Size(8, 1)).tolist() == [[[[1, 2, 3, 2, 1, 1, 1, 1]]]]
    assert pad(planes, Size(3, 1)) is planes


def test_crops_together_give_what_each_gives():
    fill = LamaFill(descriptor(small_lama()))
    image, hole = crop(37, 50, 3)
    hole[1, 20:30, 5:12] = 1
    together = fill(image, hole)
    for i in range(3):
        alone = fill(image[i : i + 1], hole[i : i + 1])
        assert (together[i] - alone[0]).abs().max() < 1e-5
    assert not together.requires_grad


def test_the_network_stays_in_float32_whatever_surrounds_it():
    image, hole = crop(40, 48)
    expected = LamaFill(descriptor(small_lama()))(image, hole)
    kinds = set()
    real = torch.fft.rfftn

    def watched(x, *args, **kwargs):
        kinds.add(x.dtype)
        return real(x, *args, **kwargs)

    for cast in (torch.bfloat16, torch.float16):
        model = descriptor(small_lama())
        with torch.autocast("cpu", cast), pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.fft, "rfftn", watched)
            assert torch.equal(LamaFill(model)(image, hole), expected)
    assert kinds == {torch.float32}
    # a model that another node has made bfloat16
    halved = LamaFill(descriptor(small_lama().bfloat16()))(image, hole)
    assert (halved - expected).abs().max() < 0.02
    # in the picture's type back
    assert LamaFill(model)(image.half(), hole).dtype == torch.float16


def test_a_network_that_draws_at_random_gives_the_same_each_time():
    class Drawing(Watched):
        def forward(self, image, mask):
            return image + torch.rand_like(image)

    class Other(LaMaArch):
        id = "Other"

    fill = LamaFill(descriptor(Drawing(), Other()))
    image, hole = crop(20, 50)
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first = fill(image, hole)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(fill(image, hole), first)


def test_crops_come_together_where_that_is_faster():
    class Other(LaMaArch):
        id = "Other"

    lama, other = descriptor(Watched()), descriptor(Watched(), Other())
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert LamaFill(lama).batch_pixels == batch_pixels_of(lama, cpu) == 0
    assert batch_pixels_of(other, cpu) == batch_pixels_of(other, gpu) == 0
    assert batch_pixels_of(lama, gpu) == 1024 * 1024


def test_other_networks_may_want_one_square():
    class Other(LaMaArch):
        id = "Other"

    network = Watched()
    model = descriptor(network, Other(), minimum=64, multiple_of=64, square=True)
    fill = LamaFill(model)
    assert fixed_side(model) == 64
    assert fixed_side(descriptor(network)) is None
    image, hole = crop(20, 50)
    assert fill(image, hole).shape == image.shape
    assert network.seen[0][0].shape == (1, 3, 64, 64)
