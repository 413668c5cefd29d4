"""Models made on the spot, so that the real loaders and samplers run without downloads."""

from .broken import (
    write_esrgan,
    write_malicious_pickle,
    write_text,
    write_truncated_safetensors,
)
from .flux import (
    write_keeping_flux,
    write_painter_flux,
    write_tiny_clip_l,
    write_tiny_flux,
    write_tiny_t5xxl,
)
from .lama import write_lama_ckpt, write_lama_safetensors, write_lama_torchscript
from .library import PAINTED, write_models
from .sd15 import write_sd15
from .upscale import dat_path, write_blurring_upscaler, write_nearest_upscaler
from .vae import write_mosaic_vae, write_tiny_vae

__all__ = [
    "PAINTED",
    "dat_path",
    "write_blurring_upscaler",
    "write_esrgan",
    "write_keeping_flux",
    "write_lama_ckpt",
    "write_lama_safetensors",
    "write_lama_torchscript",
    "write_malicious_pickle",
    "write_models",
    "write_mosaic_vae",
    "write_nearest_upscaler",
    "write_painter_flux",
    "write_sd15",
    "write_text",
    "write_tiny_clip_l",
    "write_tiny_flux",
    "write_tiny_t5xxl",
    "write_tiny_vae",
    "write_truncated_safetensors",
]
