"""Memory for large results."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_NUMPY = {torch.float32: np.float32, torch.float16: np.float16, torch.float64: np.float64}
_LARGE = 1 << 20

KEPT = 64 << 20
"""Bytes that the C library holds ready once `keep_freed` was called, in blocks of half that."""

_BLOCK = (1 << 15) // 3
_LARGE_BLOCK = 1 << 23
"""Pixels that are worked on at once. With three channels the smaller stays below what torch wakes
its threads for: to wake them for each step takes longer than such steps, and steps on larger blocks
leave the processor's cache. A GPU would rather have many."""


def empty(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """A tensor of any content.

    In main memory, NumPy asks the system for large pages from 4 MiB on (``MADV_HUGEPAGE``, in its
    ``alloc.c``), which torch does not: to write a fresh tensor then takes a third of the time.
    """
    count = int(np.prod(shape))
    if device.type != "cpu" or dtype not in _NUMPY or count < _LARGE:
        return torch.empty(tuple(shape), dtype=dtype, device=device)
    return torch.from_numpy(np.empty(shape, _NUMPY[dtype]))


def copy_of(tensor: Tensor) -> Tensor:
    """A contiguous copy, in memory of `empty`."""
    return empty(tensor.shape, tensor.dtype, tensor.device).copy_(tensor)


def zeros(shape: Sequence[int], device: torch.device) -> Tensor:
    """A float32 tensor of zeros; in main memory, what nobody writes to takes no room."""
    if device.type != "cpu":
        return torch.zeros(tuple(shape), device=device)
    return torch.from_numpy(np.zeros(shape, np.float32))


def keep_freed() -> None:
    """Let what is freed serve whoever asks next, as far as `KEPT` goes.

    glibc gives freed blocks back to the system if they are larger than any that was freed before,
    or than 32 MiB; to get such memory anew, page by page, takes a network's layers a quarter of
    their time. Freeing one block of that size raises the limit, and that of all it holds to twice
    as much (malloc/malloc.c, "dynamic mmap threshold"). Nothing is written to it: it costs nothing.
    """
    # The library adds a head and rounds up to pages: with these it must not be larger.
    torch.empty(KEPT // 2 - (1 << 14), dtype=torch.uint8)


def rows_at_once(width: int, device: torch.device) -> int:
    """How many rows of a picture to work on at once, in several steps."""
    return max(1, (_BLOCK if device.type == "cpu" else _LARGE_BLOCK) // max(1, width))
