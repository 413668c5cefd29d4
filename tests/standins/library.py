"""A ComfyUI `models` folder full of stand-ins, under the names that the shipped workflows use."""

from __future__ import annotations

from pathlib import Path

from .faces import write_restoreformer
from .flux import (
    write_keeping_flux,
    write_painter_flux,
    write_tiny_clip_l,
    write_tiny_flux,
    write_tiny_t5xxl,
)
from .lama import write_lama_ckpt, write_lama_safetensors, write_lama_torchscript
from .sd15 import write_sd15
from .upscale import dat_path, write_blurring_upscaler, write_nearest_upscaler
from .vae import KEEPING_GAIN, write_mosaic_vae, write_tiny_vae

PAINTED = (0.0, 1.0, 0.0)
"""What the stand-in for Flux Fill paints into every hole."""


def write_models(models: Path) -> Path:
    """Write every stand-in below `models` and return it.

    The real names hold the predictable models (painter Flux, mosaic VAE, LaMa that fills from the
    surroundings); the random ones have "random" in their names, the Flux that keeps the picture it
    was started from and its VAE "keeping".
    """
    flux = models / "diffusion_models"
    write_painter_flux(flux / "flux1-fill-dev.safetensors", PAINTED)
    write_keeping_flux(flux / "flux1-fill-keeping.safetensors")
    write_tiny_flux(flux / "flux1-fill-random.safetensors")
    write_tiny_clip_l(models / "text_encoders/clip_l.safetensors")
    write_tiny_t5xxl(models / "text_encoders/t5xxl_fp16.safetensors")
    write_mosaic_vae(models / "vae/ae.safetensors")
    write_mosaic_vae(models / "vae/ae-keeping.safetensors", gain=KEEPING_GAIN)
    write_tiny_vae(models / "vae/ae-random.safetensors")
    write_lama_torchscript(models / "inpaint/big-lama.pt")
    write_lama_safetensors(models / "lama/big-lama.safetensors")
    write_lama_ckpt(models / "lama/best.ckpt")
    write_sd15(models / "checkpoints/sd15.safetensors")
    write_sd15(models / "checkpoints/sd15-inpainting.safetensors", in_channels=9)
    write_sd15(models / "checkpoints/sd_xl_base_1.0.safetensors")
    upscale = models / "upscale_models"
    write_nearest_upscaler(upscale / "2x-AnimeSharpV2_MoSR_Sharp.pth", 2)
    write_nearest_upscaler(upscale / "RealESRGAN_x4plus.pth", 4)
    write_restoreformer(upscale / "GFPGANv1.4.pth", channels=32)
    write_nearest_upscaler(upscale / "2x-nearest.safetensors", 2)
    write_nearest_upscaler(upscale / "4x-nearest.safetensors", 4)
    write_blurring_upscaler(upscale / "2x-blurring.safetensors", 2)
    for scale in (2, 4):
        if dat := dat_path(scale):
            (upscale / f"{scale}x-DAT-light.pth").symlink_to(dat)
    return models
