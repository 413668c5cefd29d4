"""Stand-ins for the VAE, in the TAESD file format (2.5 M parameters instead of 84 M).

ComfyUI takes any VAE file that has `taesd_decoder.1.weight` for a TAESD and reads the number of
latent channels from that tensor. The format needs no support from us: stock `VAELoader` does it.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from .sparse import random_weights, write_sparse

WIDTH = 64
"""Feature channels of every TAESD layer."""
AMPLITUDE = 1.5
"""Mosaic latents span -AMPLITUDE (black) to +AMPLITUDE (white)."""
KEEPING_GAIN = 1e5
"""Gain of the latents beside which `write_keeping_flux` may neglect the noise."""
COLOURS = 3

_ENCODER_BLOCKS = (1, 3, 4, 5, 7, 8, 9, 11, 12, 13)
_ENCODER_STRIDED = (2, 6, 10)
_ENCODER_OUT = 14
_DECODER_BLOCKS = (3, 4, 5, 8, 9, 10, 13, 14, 15, 18)
_DECODER_UPSAMPLED = (7, 12, 17)
_DECODER_OUT = 19

_ONE = WIDTH - 1  # decoder channel that holds 1 everywhere
_SMOOTH_ONE = WIDTH - 2  # the same, smoothed: falls below 1 at the border


def taesd_shapes(latent_channels: int = 16, prefix: str = "") -> dict[str, tuple[int, ...]]:
    """Names and shapes of every tensor in a TAESD file with this many latent channels."""
    shapes: dict[str, tuple[int, ...]] = {}

    def conv(name: str, n_in: int, n_out: int, bias: bool = True) -> None:
        shapes[f"{prefix}{name}.weight"] = (n_out, n_in, 3, 3)
        if bias:
            shapes[f"{prefix}{name}.bias"] = (n_out,)

    def blocks(part: str, indices: tuple[int, ...]) -> None:
        for i in indices:
            for j in (0, 2, 4):
                conv(f"{part}.{i}.conv.{j}", WIDTH, WIDTH)

    conv("taesd_encoder.0", COLOURS, WIDTH)
    blocks("taesd_encoder", _ENCODER_BLOCKS)
    for i in _ENCODER_STRIDED:
        conv(f"taesd_encoder.{i}", WIDTH, WIDTH, bias=False)
    conv(f"taesd_encoder.{_ENCODER_OUT}", WIDTH, latent_channels)
    conv("taesd_decoder.1", latent_channels, WIDTH)
    blocks("taesd_decoder", _DECODER_BLOCKS)
    for i in _DECODER_UPSAMPLED:
        conv(f"taesd_decoder.{i}", WIDTH, WIDTH, bias=False)
    conv(f"taesd_decoder.{_DECODER_OUT}", WIDTH, COLOURS)
    shapes[f"{prefix}vae_scale"] = ()
    shapes[f"{prefix}vae_shift"] = ()
    return shapes


def tiny_vae_weights(
    latent_channels: int = 16, seed: int = 0, prefix: str = ""
) -> dict[str, Tensor]:
    """Random weights: every picture encodes and decodes to something, deterministically."""
    values = random_weights(taesd_shapes(latent_channels, prefix), seed)
    values[f"{prefix}taesd_decoder.{_DECODER_OUT}.bias"] = torch.full((COLOURS,), 0.5)
    values[f"{prefix}vae_scale"] = torch.tensor(1.0)
    return values


def copies_per_colour(latent_channels: int) -> int:
    """How many latent channels of a mosaic VAE hold the same colour (the decoder averages)."""
    return latent_channels // COLOURS


def mosaic_latent(
    colour: tuple[float, float, float], latent_channels: int = 16, amplitude: float = AMPLITUDE
) -> Tensor:
    """The latent that a mosaic VAE gives to an area of one colour; unused channels are 0."""
    copies = copies_per_colour(latent_channels)
    latent = torch.zeros(latent_channels)
    latent[: copies * COLOURS] = amplitude * (2 * torch.tensor(colour) - 1).repeat_interleave(
        copies
    )
    return latent


def mosaic_vae_weights(
    latent_channels: int = 16,
    prefix: str = "",
    amplitude: float = AMPLITUDE,
    smooth: float = 8 / 255,
    gain: float = 1.0,
) -> dict[str, Tensor]:
    """Weights that encode every 8x8 block as its mean colour and decode it predictably.

    Differences between neighbouring blocks up to about four times `smooth` are read as a gradient
    and interpolated; larger ones are read as an edge and kept sharp at the block's border. So a
    painted hole does not bleed into the picture around it, and smooth pictures survive.

    A finer mosaic than 8x8 cannot exist in this format: the decoder upsamples by repetition and
    convolves, so it turns a constant latent into a constant picture, whatever its weights are.

    The latents are `gain` times as large as `mosaic_latent` says.
    """
    values: dict[str, Tensor] = {}
    values[f"{prefix}vae_scale"] = torch.tensor(1 / gain)  # latents are divided by it
    copies = copies_per_colour(latent_channels)

    def new(name: str, n_in: int = WIDTH, n_out: int = WIDTH) -> Tensor:
        values[f"{prefix}{name}.weight"] = weight = torch.zeros(n_out, n_in, 3, 3)
        return weight

    def new_bias(name: str, size: int = WIDTH) -> Tensor:
        values[f"{prefix}{name}.bias"] = bias = torch.zeros(size)
        return bias

    # Encoder: carry the three colours, halve three times by averaging 2x2. Blocks left at zero
    # are the identity for values >= 0.
    first = new("taesd_encoder.0", COLOURS)
    for c in range(COLOURS):
        first[c, c, 1, 1] = 1
    for i in _ENCODER_STRIDED:
        weight = new(f"taesd_encoder.{i}")
        for c in range(COLOURS):
            weight[c, c, 1:, 1:] = 0.25
    weight = new(f"taesd_encoder.{_ENCODER_OUT}", n_out=latent_channels)
    bias = new_bias(f"taesd_encoder.{_ENCODER_OUT}", latent_channels)
    for c in range(COLOURS):
        rows = slice(c * copies, (c + 1) * copies)
        weight[rows, c, 1, 1] = 2 * amplitude
        bias[rows] = -amplitude

    # Decoder, entrance: it squashes latents with 3 * tanh(x / 3); undo that with a piecewise
    # linear function, a sum of ramps, which also clamps the colours to 0..1.
    ramps = (WIDTH - 2) // COLOURS
    knots = 3 * torch.tanh(torch.linspace(-amplitude, amplitude, ramps, dtype=torch.float64) / 3)
    slopes = (1 / (ramps - 1)) / knots.diff()
    slopes = torch.cat([slopes, torch.zeros(1, dtype=torch.float64)])
    steps = slopes.diff(prepend=torch.zeros(1, dtype=torch.float64)).float()
    weight, bias = new("taesd_decoder.1", latent_channels), new_bias("taesd_decoder.1")
    for j in range(ramps):
        for c in range(COLOURS):
            weight[j * COLOURS + c, c * copies : (c + 1) * copies, 1, 1] = 1 / copies
            bias[j * COLOURS + c] = -knots[j]
    diagonal = torch.arange(WIDTH)
    for j in (0, 2):
        new(f"taesd_decoder.3.conv.{j}")[diagonal, diagonal, 1, 1] = 1
    weight, bias = new("taesd_decoder.3.conv.4"), new_bias("taesd_decoder.3.conv.4")
    weight[diagonal, diagonal, 1, 1] = -1  # cancels the skip connection
    for j in range(ramps):
        for c in range(COLOURS):
            weight[c, j * COLOURS + c, 1, 1] += steps[j]
    bias[_ONE] = 1

    # Decoder, three doublings: each colour once repeated (m) and once interpolated (s), then
    # m += tent(s - m), where tent(d) is d for small d and 0 for large d. At the border s is
    # wrong (zero padding), which _SMOOTH_ONE shows; there the ramps are pushed below zero.
    # No diagonal taps, so that a hole does not reach the cell at its corner.
    plane = torch.tensor([[0, 0.25, 0], [0.25, 0, 0.25], [0, 0.25, 0]])
    for level, stage in enumerate(_DECODER_UPSAMPLED):
        limit = smooth / 2**level
        weight = new(f"taesd_decoder.{stage}")
        for c in (*range(COLOURS), _ONE):
            weight[c, c, 1, 1] = 1
        for c in range(COLOURS):
            weight[COLOURS + c, c] = plane
        weight[_SMOOTH_ONE, _ONE] = plane
        block = f"taesd_decoder.{stage + 1}.conv"
        ramp, ramp_bias = new(f"{block}.0"), new_bias(f"{block}.0")
        keep = new(f"{block}.2")
        add = new(f"{block}.4")
        row = 0
        for c in range(COLOURS):
            for sign in (1, -1):
                for k, factor in enumerate((1, -2, 1)):
                    ramp[row, COLOURS + c, 1, 1] = sign
                    ramp[row, c, 1, 1] = -sign
                    ramp[row, _SMOOTH_ONE, 1, 1] = 8
                    ramp[row, _ONE, 1, 1] = -8
                    ramp_bias[row] = -k * limit
                    keep[row, row, 1, 1] = 1
                    add[c, row, 1, 1] = sign * factor
                    row += 1
    weight = new(f"taesd_decoder.{_DECODER_OUT}", n_out=COLOURS)
    for c in range(COLOURS):
        weight[c, c, 1, 1] = 1
    return values


def write_tiny_vae(path: Path, latent_channels: int = 16, seed: int = 0) -> Path:
    """Write a random VAE (4.9 MB)."""
    shapes = taesd_shapes(latent_channels)
    return write_sparse(path, shapes, tiny_vae_weights(latent_channels, seed), torch.float16)


def write_mosaic_vae(
    path: Path, latent_channels: int = 16, smooth: float = 8 / 255, gain: float = 1.0
) -> Path:
    """Write the predictable VAE, see `mosaic_vae_weights` (9.8 MB apparent, less on disk)."""
    values = mosaic_vae_weights(latent_channels, smooth=smooth, gain=gain)
    return write_sparse(path, taesd_shapes(latent_channels), values)
