"""Networks like LaMa, small or watched, behind spandrel's descriptor."""

from __future__ import annotations

import torch
from spandrel import MaskedImageModelDescriptor, SizeRequirements
from spandrel.architectures.LaMa import LaMa, LaMaArch


def descriptor(
    network: torch.nn.Module, architecture: LaMaArch | None = None, **needs: int
) -> MaskedImageModelDescriptor:
    """The network as spandrel hands it out; `needs` are its size requirements."""
    needs = needs or {"minimum": 16, "multiple_of": 8}
    return MaskedImageModelDescriptor(
        network,
        network.state_dict(),
        architecture=architecture or LaMaArch(),
        purpose="Inpainting",
        tags=[],
        supports_half=False,
        supports_bfloat16=True,
        input_channels=3,
        output_channels=3,
        size_requirements=SizeRequirements(**needs),
    )


def small_lama(width: int = 4, blocks: int = 2) -> LaMa:
    """LaMa's own layers, narrower, with random weights."""
    with torch.device("meta"):
        network = LaMa(in_nc=4, out_nc=3)
    torch.manual_seed(3)
    network.model = type(network.model)(4, 3, ngf=width, n_blocks=blocks)
    return network


class Watched(torch.nn.Module):
    """A network that keeps what it was shown."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.seen = []

    def forward(self, image, mask):
        assert not self.training
        assert image.dtype == mask.dtype == self.weight.dtype == torch.float32
        self.seen.append((image, mask))
        return image * 3 - 1
