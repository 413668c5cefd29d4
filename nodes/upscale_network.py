"""Upscale networks in ComfyUI: its memory, its progress bar, its cancel button."""

from __future__ import annotations

import logging
from typing import Any

import comfy.model_management as management
import comfy.utils
import torch
import torch.nn.functional as F
from torch import Tensor

from ..cleanplate.geometry import Box, Size
from ..cleanplate.upscale.tiled import Surroundings, TiledNetwork, ran_out
from .shared import PREVIEW_SIDE, bring_in, preview_of, show_text, stop_if_interrupted

_log = logging.getLogger(__name__)

_RESERVED = 512 * 512 * 13_000
"""Bytes to free for the work of a network: a tile of the hungriest that was measured (DAT)."""


class TileWatch:
    """A bar over all tiles, "tile 7 of 24", and a picture that fills as they are finished."""

    def __init__(self) -> None:
        self._bar = comfy.utils.ProgressBar(1)
        self._picture: Tensor | None = None

    def begin(self, image: Tensor) -> None:
        """The next image ``[H, W, 3 or 4]``."""
        height, width = image.shape[:2]
        scale = min(1.0, PREVIEW_SIDE / max(height, width))
        size = max(1, round(height * scale)), max(1, round(width * scale))
        planes = image[..., :3].movedim(-1, 0)[None].float()
        self._picture = F.interpolate(planes, size, mode="area")[0].movedim(0, -1).cpu()

    def step(self, done: int, total: int) -> None:
        """A tile comes next. Raises ComfyUI's interrupt if the user has cancelled."""
        stop_if_interrupted()
        if total <= 1:
            self._bar.update_absolute(done, 1)
            return
        self._show(done, total)
        if done < total:
            show_text(f"tile {done + 1} of {total}")

    def seen(self, tile: Tensor, box: Box, whole: Size) -> None:
        """A tile ``[h, w, 3]`` is finished; it lies at `box` in an image of the size `whole`."""
        if self._picture is None:
            return
        height, width = self._picture.shape[:2]
        rows = _covered(box.y, box.bottom, whole.height, height)
        columns = _covered(box.x, box.right, whole.width, width)
        if not rows or not columns:
            return
        # A sixteenth of the pixels is enough for a preview.
        step = max(1, whole.height // height // 4)
        top, bottom = (i * whole.height // height - box.y for i in (rows.start, rows.stop))
        left, right = (i * whole.width // width - box.x for i in (columns.start, columns.stop))
        part = tile[top:bottom:step, left:right:step].movedim(-1, 0)[None].float()
        small = F.interpolate(part, (len(rows), len(columns)), mode="area")[0].movedim(0, -1)
        self._picture[rows.start : rows.stop, columns.start : columns.stop] = small.cpu()

    def end(self, picture: Tensor) -> None:
        """The last result ``[H, W, 3]``, shown as it is."""
        self.begin(picture)
        self._show(1, 1)

    def _show(self, done: int, total: int) -> None:
        preview = None if self._picture is None else preview_of(self._picture)
        self._bar.update_absolute(done, total, preview)


def _covered(start: int, stop: int, whole: int, small: int) -> range:
    """Pixels of the small picture that begin within these pixels of the whole."""
    return range(-(-start * small // whole), min(stop * small // whole, small))


def network_of(model: Any, tile: int, watch: TileWatch, result: int = 0) -> TiledNetwork:
    """Bring an upscale model in, ready to run in tiles.

    Args:
        model: from a loader; `check_upscaler` has let it pass.
        tile: see `Surroundings`.
        watch: is told of the tiles.
        result: bytes that the result will take in main memory.
    """
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
    if not management.is_oom(error) and not ran_out(error):
        return False
    _log.info("Memory ran out: going on with smaller tiles.")
    management.soft_empty_cache()
    return True
