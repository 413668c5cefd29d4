"""Stand-ins for Flux Fill and its text encoders.

Stock ComfyUI (0.25.0 and 0.33.0 read) takes the width of a Flux model from its file and needs
only heads of 128, so the diffusion model loads through an unmodified `UNETLoader`. The text
encoders have their widths in files inside ComfyUI; the test-only custom node
`tests/support/tiny_widths` makes it read them from our files.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from .sparse import Shape, random_weights, write_sparse
from .vae import KEEPING_GAIN, mosaic_latent

HIDDEN = 128
TEXT_WIDTH = 32
"""Width of both text encoders, hence Flux's `context_in_dim` and `vec_in_dim`."""
LATENT = 16
PATCH = 4  # a token is 2x2 latent cells
MASK = 64  # mask channels: 8x8 pixels per latent cell
TOKEN = (LATENT * 2 + MASK) * PATCH  # what `img_in` sees
LATENT_SCALE = 0.3611  # Flux models see (latent - shift) * LATENT_SCALE


def flux_fill_shapes(single_blocks: int = 1) -> dict[str, Shape]:
    """Names and shapes of a Flux Fill one head wide and one double block deep."""
    h = HIDDEN
    shapes: dict[str, Shape] = {}

    def linear(name: str, n_in: int, n_out: int) -> None:
        shapes[f"{name}.weight"] = (n_out, n_in)
        shapes[f"{name}.bias"] = (n_out,)

    linear("img_in", TOKEN, h)
    linear("txt_in", TEXT_WIDTH, h)
    for name, width in (("time_in", 256), ("vector_in", TEXT_WIDTH), ("guidance_in", 256)):
        linear(f"{name}.in_layer", width, h)
        linear(f"{name}.out_layer", h, h)
    for stream in ("img", "txt"):
        block = f"double_blocks.0.{stream}"
        linear(f"{block}_mod.lin", h, 6 * h)
        linear(f"{block}_attn.qkv", h, 3 * h)
        linear(f"{block}_attn.proj", h, h)
        shapes[f"{block}_attn.norm.query_norm.scale"] = (128,)
        shapes[f"{block}_attn.norm.key_norm.scale"] = (128,)
        linear(f"{block}_mlp.0", h, 4 * h)
        linear(f"{block}_mlp.2", 4 * h, h)
    for i in range(single_blocks):
        block = f"single_blocks.{i}"
        linear(f"{block}.linear1", h, 7 * h)
        linear(f"{block}.linear2", 5 * h, h)
        linear(f"{block}.modulation.lin", h, 3 * h)
        shapes[f"{block}.norm.query_norm.scale"] = (128,)
        shapes[f"{block}.norm.key_norm.scale"] = (128,)
    linear("final_layer.adaLN_modulation.1", h, 2 * h)
    linear("final_layer.linear", h, LATENT * PATCH)
    return shapes


def write_tiny_flux(path: Path, seed: int = 0) -> Path:
    """Write a random Flux Fill (2.1 MB): prompt, seed and picture all change its result."""
    shapes = flux_fill_shapes()
    return write_sparse(path, shapes, random_weights(shapes, seed), torch.float16)


def write_painter_flux(
    path: Path, colour: tuple[float, float, float] = (0.0, 1.0, 0.0), guard: float = 0.01
) -> Path:
    """Write a Flux Fill that paints `colour` (0..1) into the mask and keeps the picture elsewhere.

    Use it with the mosaic VAE (`write_mosaic_vae`). At every step and noise level the model
    predicts the same finished picture: the masked picture it was shown, plus the mask times the
    colour. Prompt, guidance and seed have no effect. Where a latent cell (8x8 pixels) is partly
    masked, the result is the area average.

    How: velocity = (x - target) / sigma. `img_in` writes s * (x - target) to the first half of
    the hidden vector and the negative to the second, over a bias of alternating +-1 that fixes
    the variance, so the final LayerNorm does nothing; the blocks are zero, that is identity;
    `time_in` computes 1 / sigma (down to `guard`), which scales the output.

    Measured through the server at 64 to 512 px, ComfyUI 0.33.0, in 8-bit files that SaveImage
    truncates (1/255 is its doing): hole 1/255 off at most; outside 2.8/255 at most for a gradient
    of 2/255 per pixel, 1.7/255 for a quarter of that; up to 14/255 in the 4 pixels next to the hole
    and at the picture's border. The same for 1 to 20 steps, denoise 0.8 and 1, euler and dpmpp_2m.
    """
    # InpaintModelConditioning paints the hole of the masked picture 50 % grey.
    grey = mosaic_latent((0.5, 0.5, 0.5), LATENT)
    paint = (mosaic_latent(colour, LATENT) - grey) * LATENT_SCALE
    residual = torch.zeros(LATENT * PATCH, TOKEN)
    for position in range(PATCH):
        mask_columns = (LATENT * 2 + torch.arange(MASK)) * PATCH + position
        for channel in range(LATENT):
            row = channel * PATCH + position
            residual[row, row] = 1
            residual[row, LATENT * PATCH + row] = -1
            residual[row, mask_columns] = -paint[channel] / MASK
    sigma = torch.logspace(math.log10(guard), 0, HIDDEN, dtype=torch.float64)
    return _write_linear_flux(path, residual, _curve_mlp(sigma, 1 / sigma))


def write_keeping_flux(path: Path, gain: float = KEEPING_GAIN, guard: float = 0.01) -> Path:
    """Write a Flux Fill that gives back the picture it was started from, in the mask too.

    Use it with a mosaic VAE of the same `gain` (`write_mosaic_vae`), whose latents are so large
    that the noise, which has a standard deviation of 1, drowns in them. Started from noise alone
    (denoise 1.0) nothing of the picture is left and the mask turns grey. Prompt, guidance, mask
    and masked picture have no effect.

    How: sampling starts from x = (1 - sigma) * picture + sigma * noise, so x / (1 - sigma) is the
    picture, but for the noise, and velocity = -x / (1 - sigma) leads there. That gain is right down
    to 1 - sigma = `guard`. The rest is as in `write_painter_flux`.

    Measured in floats at 128x96 px, ComfyUI 0.33.0, against the picture that merely went through
    the VAE, inside the mask: at denoise 0.8 0.12/255 off at most (4 and 20 steps, euler and
    dpmpp_2m), at 0.95 0.5/255; at 1.0 grey to 0.4/255. What is off is the noise: at denoise 0.8
    0.8/255 for a gain of 1e4, 7/255 for 1e3. With fewer than 4 steps KSampler starts denoise 0.8
    from noise alone.
    """
    residual = torch.zeros(LATENT * PATCH, TOKEN)
    residual[:, : LATENT * PATCH] = -torch.eye(LATENT * PATCH)
    rest = torch.logspace(math.log10(guard), 0, HIDDEN, dtype=torch.float64)
    return _write_linear_flux(path, residual, _curve_mlp(1 - rest, 1 / rest), latent_gain=gain)


def _write_linear_flux(
    path: Path,
    matrix: Tensor,
    curve: tuple[Tensor, Tensor, Tensor],
    latent_gain: float = 1.0,
) -> Path:
    """Write a Flux Fill with velocity = curve(sigma) * (matrix @ token), see `_curve_mlp`.

    The columns of `matrix` (LATENT * PATCH, TOKEN) are 4 * channel + position in the 2x2 patch,
    for noisy latent, masked picture, mask; its rows the same for the latent.
    """
    shapes = flux_fill_shapes(single_blocks=0)
    values = {key: torch.ones(shapes[key]) for key in shapes if key.endswith(".scale")}
    signal = 0.01 / latent_gain  # small beside 1, the bias, else the LayerNorm shows
    half = HIDDEN // 2
    values["img_in.weight"] = torch.cat([matrix, -matrix]) * signal
    values["img_in.bias"] = torch.tensor([1.0, -1.0]).repeat(half)
    identity = torch.eye(half)
    values["final_layer.linear.weight"] = torch.cat([identity, -identity], 1) / (2 * signal)

    # silu(y) = y for y > 20, so an offset carries the curve - 1 through the silu before adaLN.
    offset = 20.0
    in_weight, in_bias, out = curve
    values["time_in.in_layer.weight"] = in_weight
    values["time_in.in_layer.bias"] = in_bias
    values["time_in.out_layer.weight"] = torch.zeros(HIDDEN, HIDDEN)
    values["time_in.out_layer.weight"][0] = out
    values["time_in.out_layer.bias"] = torch.zeros(HIDDEN)
    values["time_in.out_layer.bias"][0] = offset
    scale_rows = slice(HIDDEN, 2 * HIDDEN)  # adaLN: shift, then scale; the norm is * (1 + scale)
    values["final_layer.adaLN_modulation.1.weight"] = torch.zeros(2 * HIDDEN, HIDDEN)
    values["final_layer.adaLN_modulation.1.weight"][scale_rows, 0] = 1
    values["final_layer.adaLN_modulation.1.bias"] = torch.zeros(2 * HIDDEN)
    values["final_layer.adaLN_modulation.1.bias"][scale_rows] = -offset
    return write_sparse(path, shapes, values)


def _curve_mlp(sigma: Tensor, curve: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weights of Linear(256, HIDDEN), SiLU, Linear(HIDDEN, 1) that map a timestep to curve - 1.

    HIDDEN points from the steep end of a convex curve to its flat one, where it is 1. Of the 256
    sinusoids one is sin(sigma), monotone on 0..1. Each hidden unit is a soft ramp that rises from
    its knot towards the steep end; together they draw the chords between the points. All ramps
    are added and none cancels, because the curve is convex.
    """
    sine = 128 + 96  # sinusoid i has frequency 1000 * 10000 ** (-i / 128); cosines come first
    direction = torch.sign(sigma[-1] - sigma[0])
    feature = direction * torch.sin(sigma)
    gaps = feature.diff()
    chords = curve.diff() / gaps
    bends = torch.cat([chords, torch.zeros(1, dtype=torch.float64)]).diff()
    bends = torch.cat([torch.zeros(1, dtype=torch.float64), bends])
    sharpness = 40 / torch.cat([gaps[:1], gaps])
    in_weight = torch.zeros(HIDDEN, 256, dtype=torch.float64)
    in_weight[:, sine] = -direction * sharpness
    return in_weight.float(), (sharpness * feature).float(), (bends / sharpness).float()


def clip_l_shapes(
    hidden: int, feed_forward: int, layers: int, prefix: str = ""
) -> dict[str, Shape]:
    """Names and shapes of a CLIP-L text model; vocabulary and length are the real ones."""
    model = f"{prefix}text_model"
    shapes: dict[str, Shape] = {
        f"{model}.embeddings.token_embedding.weight": (49408, hidden),
        f"{model}.embeddings.position_embedding.weight": (77, hidden),
    }

    def affine(name: str, *weight: int) -> None:
        shapes[f"{name}.weight"] = weight
        shapes[f"{name}.bias"] = weight[:1]

    for i in range(layers):
        layer = f"{model}.encoder.layers.{i}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            affine(f"{layer}.self_attn.{name}", hidden, hidden)
        affine(f"{layer}.layer_norm1", hidden)
        affine(f"{layer}.layer_norm2", hidden)
        affine(f"{layer}.mlp.fc1", feed_forward, hidden)
        affine(f"{layer}.mlp.fc2", hidden, feed_forward)
    affine(f"{model}.final_layer_norm", hidden)
    return shapes


def t5_shapes(width: int, feed_forward: int, inner: int, heads: int) -> dict[str, Shape]:
    """Names and shapes of a one-layer T5 v1.1 encoder."""
    block = "encoder.block.0.layer"
    shapes: dict[str, Shape] = {"shared.weight": (32128, width)}
    for name in ("q", "k", "v"):
        shapes[f"{block}.0.SelfAttention.{name}.weight"] = (inner, width)
    shapes[f"{block}.0.SelfAttention.o.weight"] = (width, inner)
    shapes[f"{block}.0.SelfAttention.relative_attention_bias.weight"] = (32, heads)
    shapes[f"{block}.0.layer_norm.weight"] = (width,)
    shapes[f"{block}.1.DenseReluDense.wi_0.weight"] = (feed_forward, width)
    shapes[f"{block}.1.DenseReluDense.wi_1.weight"] = (feed_forward, width)
    shapes[f"{block}.1.DenseReluDense.wo.weight"] = (width, feed_forward)
    shapes[f"{block}.1.layer_norm.weight"] = (width,)
    shapes["encoder.final_layer_norm.weight"] = (width,)
    return shapes


def write_tiny_clip_l(path: Path, seed: int = 1) -> Path:
    """Write a random CLIP-L, 32 wide and two layers deep (3.2 MB)."""
    shapes = clip_l_shapes(TEXT_WIDTH, TEXT_WIDTH, layers=2)
    shapes["text_projection.weight"] = (TEXT_WIDTH, TEXT_WIDTH)
    return write_sparse(path, shapes, random_weights(shapes, seed), torch.float16)


def write_tiny_t5xxl(path: Path, seed: int = 2) -> Path:
    """Write a random T5, 32 wide and one layer deep (2.1 MB)."""
    shapes = t5_shapes(TEXT_WIDTH, TEXT_WIDTH, TEXT_WIDTH, heads=1)
    values = random_weights(shapes, seed)
    values["shared.weight"] *= TEXT_WIDTH**0.5
    return write_sparse(path, shapes, values, torch.float16)
