"""What a network gathers from all that it sees, made one and the same for all windows of an image.

Each window would have its own, so that no window gives what the whole image gives, and two windows
differ in tone where they meet. Here a few samples from all over the image stand for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from math import isqrt
from typing import Any

import torch
from torch import Tensor, nn

Statistics = dict[nn.Module, Tensor]
"""What modules give that look at all pixels; it takes a few kilobytes."""

Hook = Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]

# As small as DAT's windows: at the same cost many small samples stand better for an image than few
# large ones.
_SIDE = 32
# Multiples of two numbers that no small fractions come near: what is chosen by them is even in
# every direction, and forms neither rows nor columns.
_ACROSS, _DOWN = 0.7548776662466927, 0.5698402909980532


def has_statistics(network: nn.Module) -> bool:
    """Whether it has modules of which `measured` knows that they look at all pixels."""
    return any(True for _ in _pools(network)) or any(True for _ in _attentions(network))


def samples(image: Tensor, pixels: int, align: int = 1) -> Tensor:
    """Squares from all over an image, as evenly as can be, without overlap.

    Args:
        image: ``[H, W, 3]``.
        pixels: the most that all of them have together.
        align: they start at multiples of it, and so are their sides unless the image is smaller.

    Returns:
        ``[n, 3, h, w]``, h and w the same or as much as the image has.
    """
    side = max(min(_SIDE, isqrt(pixels)) // align, 1) * align
    height, width = min(side, image.shape[0]), min(side, image.shape[1])
    cells = [
        (y, x) for y in range(image.shape[0] // height) for x in range(image.shape[1] // width)
    ]
    cells.sort(key=lambda cell: (cell[0] * _DOWN + cell[1] * _ACROSS) % 1)
    chosen = sorted(cells[: max(1, pixels // (height * width))])
    # What is left over at the ends goes to all sides, as far as the network's own grid allows.
    top = image.shape[0] % height // (2 * align) * align
    left = image.shape[1] % width // (2 * align) * align
    parts = [
        image[top + y * height :, left + x * width :][:height, :width].movedim(-1, 0)
        for y, x in chosen
    ]
    return torch.stack(parts)


@contextmanager
def measured(network: nn.Module) -> Iterator[Statistics]:
    """Within it the network takes a batch for one image, and what it gathers is noted.

    Channel attention (XCiT, arXiv 2106.09681, as DAT has it, arXiv 2308.03364) multiplies every
    channel with every other, summed over pixels, and divides by their norms: all three are sums,
    which add up over a batch. So do means over all pixels.

    The borders of samples are mostly none of the image's: convolutions continue what lies there.
    """
    found: Statistics = {}

    def pool(module: nn.Module, inputs: tuple[Tensor, ...], result: Tensor) -> Tensor:
        found[module] = result.mean(0, keepdim=True)
        return found[module].expand_as(result)

    def project(module: nn.Module, inputs: tuple[Tensor, ...], result: Tensor) -> None:
        attention = of_projection[module]
        found[attention.attn_drop] = _attention(attention, result)

    of_projection: dict[nn.Module, Any] = {a.qkv: a for a in _attentions(network)}
    with ExitStack() as hooks, _borders_continued(network):
        for part in _pools(network):
            hooks.callback(part.register_forward_hook(pool).remove)
        for projection, attention in of_projection.items():
            hooks.callback(projection.register_forward_hook(project).remove)
            hooks.callback(attention.attn_drop.register_forward_hook(_giving(found)).remove)
        yield found


@contextmanager
def held(found: Mapping[nn.Module, Tensor]) -> Iterator[None]:
    """Within it modules give what was noted, whatever they see."""
    give = _giving(found)
    with ExitStack() as hooks:
        for module in found:
            hooks.callback(module.register_forward_hook(give).remove)
        yield


@contextmanager
def _borders_continued(network: nn.Module) -> Iterator[None]:
    """Within it convolutions see the last pixels again beyond a border, where else they see zeros.

    Zeros are an edge that the image does not have, all around each sample.
    """
    convolutions = [part for part in network.modules() if isinstance(part, nn.Conv2d)]
    padded = [c for c in convolutions if c.padding_mode == "zeros" and max(c.kernel_size) > 1]
    try:
        for part in padded:
            part.padding_mode = "replicate"
        yield
    finally:
        for part in padded:
            part.padding_mode = "zeros"


def _giving(found: Mapping[nn.Module, Tensor]) -> Hook:
    def give(module: nn.Module, inputs: tuple[Tensor, ...], result: Tensor) -> Tensor:
        return found[module].to(result.dtype).expand_as(result)

    return give


def _attention(module: Any, projected: Tensor) -> Tensor:
    """The weights ``[1, heads, d, d]`` for a batch of queries, keys and values ``[n, p, 3 C]``."""
    heads: int = module.num_heads
    width = projected.shape[2] // (3 * heads)
    products = projected.new_zeros(heads, width, width, dtype=torch.float32)
    squares = projected.new_zeros(2, heads, width, dtype=torch.float32)
    # Half precision has too few digits for sums over so many pixels.
    with torch.autocast(projected.device.type, enabled=False):
        # One after the other, which takes less memory than the network itself does.
        for one in projected:
            queries, keys, _ = one.float().view(-1, 3, heads, width).permute(1, 2, 3, 0)
            products += queries @ keys.transpose(-2, -1)
            squares += torch.stack((queries, keys)).square().sum(-1)
    norms = squares.sqrt().clamp_min(1e-12)
    logits = products / (norms[0][..., :, None] * norms[1][..., None, :])
    weights: Tensor = (logits * module.temperature).softmax(-1)[None]
    return weights


def _pools(network: nn.Module) -> Iterable[nn.Module]:
    for part in network.modules():
        if isinstance(part, nn.AdaptiveAvgPool2d) and part.output_size in (1, (1, 1)):
            yield part


def _attentions(network: nn.Module) -> Iterable[Any]:
    for part in network.modules():
        if type(part).__name__ == "Adaptive_Channel_Attention":
            yield part
