"""Sharpen what LaMa fills in large crops by correcting its features, scale by scale.

After Kulshreshtha, Pugh and Jiddi, "Feature Refinement to Improve High Resolution Image
Inpainting" (2022), which LaMa's authors took over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from spandrel import MaskedImageModelDescriptor
from torch import Tensor, nn
from torch.func import functional_call

from .. import masks
from ..checks import size_of
from ..geometry import Size
from .capped import capped, reduce
from .lama import pad, padded_size

MAX_STEPS = 15
MAX_SIDE = 768
"""Crops are capped at it while refining, which takes 8.6 GB then."""

_COARSEST = 256
_MOST_SCALES = 3
_RATE = 0.002
_TRUSTED = 7
"""Pixels from the rim of a coarse hole on which its fill is not compared, as in the paper."""
_BYTES_PER_PIXEL = 14_500
"""Measured for big-LaMa at 512x512: what the gradients need is kept from all its layers."""
_STEP_IN_FORWARDS = 2

Features = tuple[Tensor, Tensor]
Front = Callable[[Tensor], Features]
Rear = Callable[[Features], Tensor]
Watch = Callable[[int, int, float], None]
"""``watch(step, steps, loss)`` before each correction; may raise to cancel."""


@dataclass(frozen=True)
class Cost:
    """What refining one crop takes.

    Attributes:
        scales: how often the crop is filled, from coarse to fine.
        steps: corrections in all.
        forwards: computing, in plain fills of this crop.
        memory: bytes at the finest scale.
    """

    scales: int
    steps: int
    forwards: float
    memory: int


def cost(size: Size, steps: int) -> Cost:
    """What it takes to refine a crop of that size with `steps` corrections at each scale."""
    scales = _scales(size)
    shares = [scale.area / size.area for scale in scales]
    forwards = sum(shares) + sum(shares[:-1]) * steps * _STEP_IN_FORWARDS
    if len(scales) > 1:
        forwards += sum(shares[:-1])
    return Cost(len(scales), steps * (len(scales) - 1), forwards, size.area * _BYTES_PER_PIXEL)


def check_refinable(model: MaskedImageModelDescriptor[Any]) -> None:
    """Refuse a network that has no two halves known here.

    Raises:
        ValueError: a network that is not LaMa.
    """
    if model.architecture.id != "LaMa":
        raise ValueError(
            f"refine works with LaMa alone, and removal_model is {model.architecture.name}: set "
            "refine to 0."
        )


class RefinedFill:
    """A `Fill` that runs LaMa coarse to fine, each scale made to agree with the coarser one.

    A crop whose longer side is under 512 has no coarser scale that LaMa knows: it is filled as
    without refinement. The network itself is not changed, nor asked for gradients.

    Args:
        model: spandrel's descriptor of LaMa, on `device` already.
        device: where the network is.
        steps: corrections at each scale but the coarsest, 1 to 15.
        watch: progress and cancel.

    Raises:
        ValueError: a network that is not LaMa.
    """

    def __init__(
        self,
        model: MaskedImageModelDescriptor[Any],
        device: torch.device | str = "cpu",
        steps: int = MAX_STEPS,
        watch: Watch | None = None,
    ) -> None:
        check_refinable(model)
        self._model = model.float().eval()
        self._device = torch.device(device)
        self._steps = steps
        self._watch = watch

    def __call__(self, image: Tensor, hole: Tensor) -> Tensor:
        # ComfyUI runs nodes in inference mode, whose tensors take no part in gradients: all that
        # the gradients pass is copied out of it.
        with torch.inference_mode(False), torch.enable_grad():
            front, rear = _halves(self._model)
            shown = image.to(self._device, torch.float32, copy=True)
            marked = hole.to(self._device, torch.float32, copy=True)
            with torch.autocast(self._device.type, enabled=False):
                filled = refine(
                    front,
                    rear,
                    shown,
                    marked,
                    steps=self._steps,
                    padded=lambda size: padded_size(self._model, size),
                    watch=self._watch,
                )
        return filled.to(image)


def refine(
    front: Front,
    rear: Rear,
    image: Tensor,
    hole: Tensor,
    *,
    steps: int,
    padded: Callable[[Size], Size],
    watch: Watch | None = None,
) -> Tensor:
    """Fill at the coarsest scale, then at each finer one correct the features between two halves.

    The corrections (Adam) bring the fill, reduced, to the coarser fill inside the hole, and to the
    image outside of it. Needs gradients switched on.

    Args:
        front: the network up to its features; takes the image, black in the hole, and the hole, in
            four channels.
        rear: the rest of it, in 0..1.
        image: ``[1, h, w, 3]``.
        hole: ``[1, h, w]``, 0 or 1.
        steps: corrections at each scale but the coarsest.
        padded: the size at which the network computes a crop.
        watch: see `Watch`.

    Returns:
        ``[1, h, w, 3]`` in 0..1, without gradients.
    """
    filled: Tensor | None = None
    for size in reversed(_scales(size_of(image))):
        whole = size == size_of(image)
        small, marked = (image, hole) if whole else reduce(image, hole, size)
        filled = _fill_scale(front, rear, small, marked, filled, steps, padded(size), watch)
    assert filled is not None
    return filled


def _fill_scale(
    front: Front,
    rear: Rear,
    image: Tensor,
    hole: Tensor,
    coarse: Tensor | None,
    steps: int,
    padded: Size,
    watch: Watch | None,
) -> Tensor:
    size = size_of(image)
    marked = hole.unsqueeze(-1)
    planes = torch.cat([image * (1 - marked), marked], dim=-1).movedim(-1, 1)

    def picture(features: Features) -> Tensor:
        return rear(features)[..., : size.height, : size.width].movedim(1, -1)

    with torch.no_grad():
        features = front(pad(planes, padded))
        if coarse is None:
            return picture(features).clamp(0, 1)
        known = marked.expand_as(image) == 0
        trusted = _trusted(hole, coarse)

    # Leaves of the graph: nothing before them is asked for gradients.
    features = (features[0].clone().requires_grad_(), features[1].clone().requires_grad_())
    adam = torch.optim.Adam(features, lr=_RATE)
    for step in range(steps):
        filled = picture(features)
        agrees = (_averaged(filled, size_of(coarse)) - coarse)[trusted].abs().mean()
        loss = agrees + (filled - image)[known].abs().mean()
        if watch:
            watch(step, steps, float(loss.detach()))
        for tensor, slope in zip(features, torch.autograd.grad(loss, features), strict=True):
            tensor.grad = slope
        adam.step()
    with torch.no_grad():
        return picture(features).clamp(0, 1)


def _trusted(hole: Tensor, coarse: Tensor) -> Tensor:
    """Where the coarse fill is compared: bool ``[1, h, w, 3]``, some of it True."""
    size = size_of(coarse)
    inside = _averaged(hole.unsqueeze(-1), size)[0, ..., 0] >= masks.THRESHOLD
    deep = masks.distance(~inside) > _TRUSTED
    chosen = next((c for c in (deep, inside) if c.any()), torch.ones_like(inside))
    return chosen[None, ..., None].expand_as(coarse)


def _averaged(image: Tensor, size: Size) -> Tensor:
    """Reduce ``[N, h, w, C]`` in a way that gradients pass."""
    planes = image.movedim(-1, 1)
    return F.adaptive_avg_pool2d(planes, (size.height, size.width)).movedim(1, -1)


def _scales(size: Size) -> list[Size]:
    """From the crop's own size down by halves, as long as LaMa knows the scale."""
    longest = max(size.width, size.height)
    count = 1
    while count < _MOST_SCALES and longest >> count >= _COARSEST:
        count += 1
    return [capped(size, longest >> i) for i in range(count)]


def _halves(model: MaskedImageModelDescriptor[Any]) -> tuple[Front, Rear]:
    """LaMa cut before its first residual block, with weights that ask for no gradients."""
    layers = list(model.model.model.model)
    kinds = [type(layer).__name__ for layer in layers]
    cut = kinds.index("FFCResnetBlock")
    return _frozen(layers[:cut]), _frozen(layers[cut:])


def _frozen(layers: list[nn.Module]) -> Callable[[Any], Any]:
    """The layers as a function, called with stand-ins for their weights.

    The module is shared with other nodes: neither its weights nor their flags may change.
    """
    half = nn.Sequential(*layers)
    weights = {
        name: tensor.clone() if tensor.is_inference() else tensor.detach()
        for name, tensor in [*half.named_parameters(), *half.named_buffers()]
    }
    return lambda features: functional_call(half, weights, (features,))
