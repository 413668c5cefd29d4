"""Feature refinement, on networks whose two halves are known."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from spandrel.architectures.LaMa import LaMaArch
from standins.small_lama import Watched, descriptor, small_lama

from cleanplate.fill.refine import RefinedFill, cost, refine
from cleanplate.fill.regions import fill_regions
from cleanplate.geometry import Size

RATE = 0.004
"""By how much one correction moves both features together, each by Adam's rate of 0.002."""


def front(planes):
    """Cells of 8x8: their colours, too bright by 0.1, and by 0.2 more at the finer scale."""
    cells = F.avg_pool2d(planes, 8)[:, :3] + (0.1 if planes.shape[3] < 300 else 0.3)
    return cells, torch.zeros_like(cells)


def rear(features):
    return F.interpolate(features[0] + features[1], scale_factor=8, mode="nearest")


def scene(height=512, width=520):
    generator = torch.Generator().manual_seed(5)
    image = torch.rand(1, 3, height // 64, width // 64 + 1, generator=generator)
    image = F.interpolate(image, (height, width), mode="bilinear").movedim(1, -1).contiguous()
    hole = torch.zeros(1, height, width)
    hole[:, 160:320, 200:330] = 1
    return image, hole


def test_the_loss_falls_and_the_scales_come_closer():
    image, hole = scene()
    fills, losses = [], []

    def watched(features):
        fills.append(rear(features).detach())
        return rear(features)

    result = refine(
        front,
        watched,
        image,
        hole,
        steps=8,
        padded=lambda size: size,
        watch=lambda step, steps, loss: losses.append(loss),
    )
    # one fill at half the size, then one before each of eight corrections, and the last
    assert [tuple(f.shape[2:]) for f in fills] == [(256, 256)] + 9 * [(512, 520)]
    assert torch.equal(result, fills[-1].movedim(1, -1).clamp(0, 1))
    assert len(losses) == 8
    assert all(later < earlier for earlier, later in pairwise(losses))
    # deep in the hole the fill is black plus what is too bright: 0.3, which nears the coarse 0.1
    deep = (0, slice(None), slice(200, 280), slice(240, 290))
    for done, fill in enumerate(fills[1:]):
        assert fill[deep].mean() == pytest.approx(0.3 - done * RATE, abs=1e-3)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_nothing_outside_the_mask_and_nothing_of_the_model_changes(mode):
    with mode():
        model = descriptor(small_lama())
        before = {name: tensor.clone() for name, tensor in model.model.state_dict().items()}
        image, mask = scene(300, 620)
        mask = mask[:, :300]
        losses = []
        fill = RefinedFill(model, steps=2, watch=lambda *at: losses.append(at))
        result, changed = fill_regions(image, mask, fill, context_pixels=200)
        assert torch.equal(result[changed == 0], image[changed == 0])
        assert not result.requires_grad
        assert result.isfinite().all()
        after = model.model.state_dict()
        assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
        assert all(p.requires_grad and p.grad is None for p in model.model.parameters())
    assert [at[:2] for at in losses] == [(0, 2), (1, 2)]
    assert losses[1][2] < losses[0][2]


def test_a_small_crop_is_filled_without_corrections():
    model = descriptor(small_lama())
    image, hole = scene(256, 300)
    hole = torch.zeros_like(hole)
    hole[:, 50:90, 60:99] = 1

    def never(*_):
        raise AssertionError("corrected")

    assert RefinedFill(model, watch=never)(image, hole).shape == image.shape


def test_a_thin_hole_leaves_something_to_compare():
    model = descriptor(small_lama())
    image, hole = scene()
    hole = torch.zeros_like(hole)
    hole[:, 100, 60:400] = 1
    losses = []
    RefinedFill(model, steps=1, watch=lambda *at: losses.append(at[2]))(image, hole)
    assert losses and all(torch.tensor(losses).isfinite())


def test_cancel_reaches_through():
    def cancel(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        RefinedFill(descriptor(small_lama()), watch=cancel)(*scene())


@pytest.mark.parametrize(
    ("size", "scales", "steps", "forwards"),
    [
        (Size(400, 511), 1, 0, 1),
        # plain at a quarter of the pixels, 15 steps of two fills each, one before and one after
        (Size(512, 512), 2, 15, 0.25 + 30 + 2),
        (Size(768, 100), 2, 15, 0.25 + 30 + 2),
    ],
)
def test_what_it_costs(size, scales, steps, forwards):
    needed = cost(size, 15)
    assert (needed.scales, needed.steps) == (scales, steps)
    assert needed.forwards == pytest.approx(forwards, abs=0.01)
    assert needed.memory == size.area * 14_500


def test_only_lama_is_refined():
    class Other(LaMaArch):
        id = "Other"

    with pytest.raises(ValueError, match="refine works with LaMa alone"):
        RefinedFill(descriptor(Watched(), Other()))
