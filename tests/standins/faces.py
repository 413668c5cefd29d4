"""Stand-ins for face restoration networks: of true size with random weights, and transparent ones.

A transparent one is spandrel's descriptor of a known architecture around a module whose result is
predictable and which keeps what it saw.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from spandrel import (
    Architecture,
    ImageModelDescriptor,
    SizeRequirements,
)
from spandrel.architectures.GFPGAN import GFPGAN
from spandrel.architectures.RestoreFormer import RestoreFormer
from torch import Tensor

from .sparse import Shape, random_weights, write_sparse


def write_gfpgan(path: Path) -> Path:
    """Write a GFPGAN of true size (86 million random weights, 330 MB).

    Its noise has a weight of 1, so that two runs differ unless it is switched off.
    """
    with torch.device("meta"):
        network = GFPGAN(
            out_size=512,
            num_style_feat=512,
            channel_multiplier=2,
            decoder_load_path=None,
            fix_decoder=False,
            num_mlp=8,
            input_is_latent=True,
            different_w=True,
            narrow=1,
            sft_half=True,
        )
    return _write(path, network)


def write_restoreformer(path: Path, channels: int = 64) -> Path:
    """Write a RestoreFormer; of true size (73 million random weights, 280 MB) with 64 channels.

    Safetensors, or a PyTorch checkpoint where the name ends in .pth.
    """
    with torch.device("meta"):
        network = RestoreFormer(
            n_embed=1024,
            embed_dim=256,
            ch=channels,
            out_ch=3,
            ch_mult=(1, 2, 2, 4, 4, 8),
            num_res_blocks=2,
            attn_resolutions=(16,),
            dropout=0.0,
            in_channels=3,
            resolution=512,
            z_channels=256,
            double_z=False,
            enable_mid=True,
            head_size=8,
        )
    return _write(path, network)


def write_codeformer(path: Path) -> Path:
    """Write a CodeFormer of true size (94 million random weights, 360 MB).

    Raises:
        ImportError: the package spandrel_extra_arches is not installed.
    """
    from spandrel_extra_arches.architectures.CodeFormer import CodeFormer

    with torch.device("meta"):
        network = CodeFormer(
            dim_embd=512,
            n_head=8,
            n_layers=9,
            codebook_size=1024,
            latent_size=256,
            connect_list=["32", "64", "128", "256"],
            fix_modules=["quantize", "generator"],
        )
    return _write(path, network)


def _write(path: Path, network: torch.nn.Module) -> Path:
    shapes: dict[str, Shape] = {k: tuple(v.shape) for k, v in network.state_dict().items()}
    values = random_weights(shapes, 0)
    if path.suffix != ".pth":
        return write_sparse(path, shapes, values)
    path.parent.mkdir(parents=True, exist_ok=True)
    missing = {k: torch.zeros(shape) for k, shape in shapes.items() if k not in values}
    torch.save({"params_ema": {**missing, **values}}, path)
    return path


class Transparent(torch.nn.Module):
    """A face network that keeps what it saw and returns a multiple of it; factor 1 is identity.

    Args:
        architecture: what it passes for.
        factor: -1 is the negative.
        colour: added to red, green and blue, in the network's range.
        fails: an exception to raise.
    """

    def __init__(
        self,
        architecture: str,
        factor: float = 1.0,
        colour: tuple[float, float, float] = (0.0, 0.0, 0.0),
        fails: BaseException | None = None,
    ) -> None:
        super().__init__()
        self.architecture, self.factor, self.fails = architecture, factor, fails
        self.register_buffer("colour", torch.tensor(colour)[:, None, None])
        self.seen: list[Tensor] = []
        self.options: list[dict[str, Any]] = []

    def forward(self, x: Tensor, **options: Any) -> tuple[Tensor, Any]:
        self.seen.append(x.clone())
        self.options.append(options)
        if self.fails is not None:
            raise self.fails
        return x * self.factor + self.colour, None


class _Known(Architecture[Transparent]):
    """An architecture by its id alone."""

    def __init__(self, name: str) -> None:
        super().__init__(id=name, name=name, detect=lambda state_dict: False)

    def load(self, state_dict: Any) -> Any:
        raise NotImplementedError


def descriptor(network: Transparent) -> ImageModelDescriptor[Transparent]:
    """spandrel's descriptor around a transparent network."""
    return ImageModelDescriptor(
        network,
        network.state_dict(),
        architecture=_Known(network.architecture),
        purpose="FaceSR",
        tags=[],
        supports_half=False,
        supports_bfloat16=True,
        scale=1,
        input_channels=3,
        output_channels=3,
        size_requirements=SizeRequirements(minimum=512),
        call_fn=lambda model, image: model(image)[0],
    )
