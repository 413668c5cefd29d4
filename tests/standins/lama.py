"""Stand-ins for big-LaMa at its true shape: spandrel reads no other.

All formats hold the same weights, written by hand, 51 M parameters of which all but a few are 0.
Either the hole becomes one colour, or it is filled from its surroundings: at 1/8 resolution every
residual block lets each unknown cell copy a known neighbour, left first, then right, top, bottom.
18 blocks reach 144 pixels into a hole; what lies deeper becomes grey.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from .sparse import dig_holes, write_sparse

Colour = tuple[float, float, float]

_BLOCKS = range(5, 23)
_DOWN = (2, 3, 4)
_UP = (24, 27, 30)
_OUT = 34
_LARGE = 4.0  # pushes a unit below zero, whatever colour it carries
_KNOWN = 3  # channel that is 1 where a cell is known
_DIRECTIONS = ((1, 0), (1, 2), (0, 1), (2, 1))  # kernel taps: left, right, above, below


def _generator() -> nn.Module:
    """LaMa's network without memory behind it."""
    from spandrel.architectures.LaMa import LaMa  # slow to import, and most tests need no LaMa

    with torch.device("meta"):
        return LaMa(in_nc=4, out_nc=3).model


def _logit(value: Tensor) -> Tensor:
    return torch.logit(value, eps=1 / 512)


def lama_weights(
    colour: Colour | None = None, prefix: str = "generator.model."
) -> dict[str, Tensor]:
    """The tensors of a big-LaMa that are not zero.

    With `colour` (0..1) the hole becomes that colour exactly (to 1/512 at the ends); without, it is
    filled from its surroundings. Names start with `prefix` as in the published checkpoints.
    """
    state = _generator().get_submodule("model").state_dict()
    values = {
        name: torch.full(tensor.shape, 1.0)
        for name, tensor in state.items()
        if name.endswith("running_var")
    }
    # Norm weights undo the epsilon, so that a norm is the identity.
    for name in list(values):
        values[name.replace("running_var", "weight")] = torch.full(
            values[name].shape, (1 + 1e-5) ** 0.5
        )

    def new(name: str) -> Tensor:
        values[name] = tensor = torch.zeros(state[name].shape)
        return tensor

    if colour is not None:
        new(f"{_OUT}.bias")[:] = _logit(torch.tensor(colour))
    else:
        _fill_from_surroundings(new)
    return {prefix + name: tensor for name, tensor in values.items()}


def _fill_from_surroundings(new: Callable[[str], Tensor]) -> None:
    # In: three colours (black in the hole) and the mask; averaged down to cells of 8x8.
    weight = new("1.ffc.convl2l.weight")
    for c in range(4):
        weight[c, c, 3, 3] = 1
    for i in _DOWN[:2]:
        weight = new(f"{i}.ffc.convl2l.weight")
        for c in range(4):
            weight[c, c, 1:, 1:] = 0.25
    weight, bias = new(f"{_DOWN[2]}.ffc.convl2l.weight"), new(f"{_DOWN[2]}.bn_l.bias")
    for c in range(3):
        weight[c, c, 1:, 1:] = 0.25
    weight[:4, 3, 1:, 1:] = -64  # a cell with one masked pixel is unknown: colour 0, known 0
    bias[_KNOWN] = 1

    for i in _BLOCKS:
        weight, bias = new(f"{i}.conv1.ffc.convl2l.weight"), new(f"{i}.conv1.bn_l.bias")
        add = new(f"{i}.conv2.ffc.convl2l.weight")
        for d, tap in enumerate(_DIRECTIONS):
            taken = [(1, 1), *_DIRECTIONS[:d]]  # known already, or a better neighbour is
            for c in range(3):
                row = 4 * d + c
                weight[row, c, *tap] = 1
                weight[row, _KNOWN, *tap] = _LARGE
                bias[row] = -_LARGE
                for other in taken:
                    weight[row, _KNOWN, *other] = -_LARGE
                add[c, row, 1, 1] = 1
            row = 4 * d + _KNOWN
            weight[row, _KNOWN, *tap] = 1
            for other in taken:
                weight[row, _KNOWN, *other] = -1
            add[_KNOWN, row, 1, 1] = 1

    # Out: repeat each cell three times 2x2 (unknown ones as grey), then a 7x7 mean against the
    # blocks, taken of the colour's logit because a sigmoid follows. The logit is a sum of ramps.
    for i in _UP:
        weight, bias = new(f"{i}.weight"), new(f"{i}.bias")
        if i != _UP[-1]:
            for c in range(3):
                weight[c, c, 1:, 1:] = 1
                if i == _UP[0]:
                    weight[_KNOWN, c, 1:, 1:] = -0.5
                    bias[c] = 0.5
    ramps = weight.shape[1] // 3
    knots = torch.sin(torch.linspace(0, torch.pi / 2, ramps, dtype=torch.float64)) ** 2
    heights = _logit(knots)
    slopes = torch.cat([heights.diff() / knots.diff(), torch.zeros(1, dtype=torch.float64)])
    steps = slopes.diff(prepend=torch.zeros(1, dtype=torch.float64))
    out, out_bias = new(f"{_OUT}.weight"), new(f"{_OUT}.bias")
    for c in range(3):
        out_bias[c] = heights[0]
        for j in range(ramps):
            weight[c, 3 * j + c, 1:, 1:] = 1
            bias[3 * j + c] = -knots[j]
            out[c, 3 * j + c] = steps[j] / 49


def write_lama_safetensors(path: Path, colour: Colour | None = None) -> Path:
    """Write big-LaMa as safetensors (204 MB apparent, a few on disk)."""
    prefix = "generator.model."
    state = _generator().get_submodule("model").state_dict()
    shapes = {
        prefix + name: tensor.shape
        for name, tensor in state.items()
        if not name.endswith("num_batches_tracked")
    }
    return write_sparse(path, shapes, lama_weights(colour, prefix))


def write_lama_ckpt(path: Path, colour: Colour | None = None) -> Path:
    """Write a training checkpoint: a state dict inside, with keys that are not the generator's.

    Zero tensors are stored as one repeated number, which keeps the file small.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = lama_weights(colour, "generator.model.")
    state: dict[str, Tensor] = {}
    for name, tensor in _generator().get_submodule("model").state_dict().items():
        key = f"generator.model.{name}"
        zero = torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)
        state[key] = weights.get(key, zero)
    state["discriminator.model0.0.weight"] = torch.zeros(64, 3, 4, 4)
    state["discriminator.model0.0.bias"] = torch.zeros(64)
    state["loss_resnet_pl.impl.conv1.weight"] = torch.zeros(64, 3, 7, 7)
    checkpoint = {
        "epoch": 40,
        "global_step": 1000000,
        "pytorch-lightning_version": "1.2.9",
        "state_dict": state,
        "lr_schedulers": [],
    }
    torch.save(checkpoint, path)
    return path


class _Published(nn.Module):
    """The module inside the published big-lama.pt: forward(image, mask), keys generator.model.*"""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        masked = image * (1 - mask)
        predicted = self.generator(masked, mask)
        return mask * predicted + (1 - mask) * image


def write_lama_torchscript(path: Path, colour: Colour | None = None) -> Path:
    """Write big-LaMa as the TorchScript archive that is published as big-lama.pt."""
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = _generator().to_empty(device="cpu").eval()
    state = generator.state_dict()
    for tensor in state.values():
        tensor.zero_()
    for name, value in lama_weights(colour, "model.").items():
        state[name].copy_(value)
    example = torch.zeros(1, 3, 32, 32), torch.zeros(1, 1, 32, 32)
    with torch.inference_mode():
        traced = torch.jit.trace(_Published(generator), example, check_trace=False)
    traced.save(str(path))
    return dig_holes(path)
