"""Stand-ins for Stable Diffusion 1.5 checkpoints, as small as ComfyUI's detection allows."""

from __future__ import annotations

from pathlib import Path

import torch

from .flux import clip_l_shapes
from .sparse import Shape, random_weights, write_sparse
from .vae import mosaic_vae_weights, taesd_shapes

_CHANNELS = 320  # this and the context width of 768 say "SD 1.5"
_TIME = 4 * _CHANNELS
_CONTEXT = 768


def sd15_unet_shapes(in_channels: int, prefix: str = "model.diffusion_model.") -> dict[str, Shape]:
    """Names and shapes of a UNet of one level with one transformer and no middle block."""
    c = _CHANNELS
    shapes: dict[str, Shape] = {}

    def affine(name: str, *weight: int) -> None:
        shapes[f"{prefix}{name}.weight"] = weight
        shapes[f"{prefix}{name}.bias"] = weight[:1]

    def res_block(name: str, n_in: int) -> None:
        affine(f"{name}.in_layers.0", n_in)
        affine(f"{name}.in_layers.2", c, n_in, 3, 3)
        affine(f"{name}.emb_layers.1", c, _TIME)
        affine(f"{name}.out_layers.0", c)
        affine(f"{name}.out_layers.3", c, c, 3, 3)
        if n_in != c:
            affine(f"{name}.skip_connection", c, n_in, 1, 1)

    affine("time_embed.0", _TIME, c)
    affine("time_embed.2", _TIME, _TIME)
    affine("input_blocks.0.0", c, in_channels, 3, 3)
    res_block("input_blocks.1.0", c)
    attention = "input_blocks.1.1"
    affine(f"{attention}.norm", c)
    affine(f"{attention}.proj_in", c, c, 1, 1)
    block = f"{attention}.transformer_blocks.0"
    for name, width in (("attn1", c), ("attn2", _CONTEXT)):
        shapes[f"{prefix}{block}.{name}.to_q.weight"] = (c, c)
        shapes[f"{prefix}{block}.{name}.to_k.weight"] = (c, width)
        shapes[f"{prefix}{block}.{name}.to_v.weight"] = (c, width)
        affine(f"{block}.{name}.to_out.0", c, c)
    affine(f"{block}.ff.net.0.proj", 8 * c, c)
    affine(f"{block}.ff.net.2", c, 4 * c)
    for name in ("norm1", "norm2", "norm3"):
        affine(f"{block}.{name}", c)
    affine(f"{attention}.proj_out", c, c, 1, 1)
    res_block("output_blocks.0.0", 2 * c)
    res_block("output_blocks.1.0", 2 * c)
    affine("out.0", c)
    affine("out.2", 4, c, 3, 3)
    return shapes


def write_sd15(path: Path, in_channels: int = 4, seed: int = 0) -> Path:
    """Write a checkpoint: random UNet (9 channels for inpaint), mosaic VAE, CLIP-L full of holes.

    278 MB apparent, 29 MB on disk. The text encoder is all zero, so prompts have no effect.
    """
    unet = sd15_unet_shapes(in_channels)
    clip = clip_l_shapes(768, 3072, layers=12, prefix="cond_stage_model.transformer.")
    vae_prefix = "first_stage_model."
    shapes = {**unet, **taesd_shapes(4, vae_prefix), **clip}
    values = random_weights(unet, seed)
    values |= mosaic_vae_weights(4, vae_prefix)
    values |= {key: torch.ones(clip[key]) for key in clip if "norm" in key and "weight" in key}
    return write_sparse(path, shapes, values, torch.float16)
