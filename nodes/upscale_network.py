"""Upscale networks in ComfyUI: its memory, its progress bar, its cancel button."""

from __future__ import annotations

import logging
from typing import Any

import comfy.model_management as management
import comfy.utils
import torch
from PIL import Image
from torch import Tensor

from ..cleanplate.geometry import Box, Size
from ..cleanplate.upscale.tiled import Surroundings, TiledNetwork, check_upscaler
from .shared import bring_in, show_text, stop_if_interrupted

_log = logging.getLogger(__name__)

_RESERVED = 512 * 512 * 13_000
"""Bytes to free for the work of a network: a tile of the hungriest that was measured (DAT)."""

_PREVIEW = 512


class TileWatch:
    """A bar over all tiles, "tile 7 of 24", and a picture that fills as they are finished."""

    def __init__(self) -> None:
        self._bar = comfy.utils.ProgressBar(1)
        self._picture: Tensor | None = None

    def begin(self, image: Tensor) -> None:
        """The next image ``[H, W, 3 or 4]``."""
        stride = -(-max(image.shape[:2]) // _PREVIEW)
        self._picture = image[::stride, ::stride, :3].float().cpu().clone()

    def step(self, done: int, total: int) -> None:
        """A tile comes next. Raises ComfyUI's interrupt if the user has cancelled."""
        stop_if_interrupted()
        preview = None
        if self._picture is not None and total > 1:
            pixels = self._picture.clamp(0, 1).mul(255).round().byte().numpy()
            preview = ("JPEG", Image.fromarray(pixels), _PREVIEW)
        self._bar.update_absolute(done, max(total, 1), preview)
        if total > 1 and done < total:
            show_text(f"tile {done + 1} of {total}")

    def seen(self, tile: Tensor, box: Box, whole: Size) -> None:
        """A tile ``[h, w, 3]`` is finished; it lies at `box` in an image of the size `whole`."""
        if self._picture is None:
            return
        height, width = self._picture.shape[:2]
        rows = _middles(box.y, box.bottom, whole.height, height)
        columns = _middles(box.x, box.right, whole.width, width)
        part = tile[
            (rows * whole.height // height - box.y).to(tile.device)[:, None],
            (columns * whole.width // width - box.x).to(tile.device),
        ]
        self._picture[rows[:, None], columns] = part.float().cpu()


def _middles(start: int, stop: int, whole: int, small: int) -> Tensor:
    """Pixels of the small picture that are taken from these pixels of the whole."""
    return torch.arange(-(-start * small // whole), -(-stop * small // whole))


def network_of(model: Any, tile: int, watch: TileWatch, result: int = 0) -> TiledNetwork:
    """Bring an upscale model in, ready to run in tiles.

    Args:
        model: from a loader.
        tile: see `Surroundings`.
        watch: is told of the tiles.
        result: bytes that the result will take in main memory.

    Raises:
        ValueError: the model does not upscale colour images.
    """
    check_upscaler(model)
    patcher = bring_in(model, _RESERVED)
    device = patcher.load_device
    free = management.get_free_memory(device)
    if management.is_device_cpu(device):
        free -= result
    around = Surroundings(
        device=device,
        dtype=_dtype(model, device),
        # The other half is for what else is running, and for what an estimate may be wrong by.
        memory=max(int(free) // 2, 1),
        tile=tile,
        step=watch.step,
        seen=watch.seen,
        ran_out=_ran_out,
    )
    return TiledNetwork(model, around)


def _dtype(model: Any, device: torch.device) -> torch.dtype:
    if model.supports_half and management.should_use_fp16(device):
        return torch.float16
    if model.supports_bfloat16 and management.should_use_bf16(device):
        return torch.bfloat16
    return torch.float32


def _ran_out(error: RuntimeError) -> bool:
    if not management.is_oom(error) and "DefaultCPUAllocator" not in str(error):
        return False
    _log.info("Memory ran out: going on with smaller tiles.")
    management.soft_empty_cache()
    return True
