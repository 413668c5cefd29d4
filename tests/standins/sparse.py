"""Weight files that are mostly holes.

Zero tensors take no room on disk: a safetensors file is a header followed by raw data, so the
header names every tensor, the file is extended to its full size, and only tensors that hold
something are written. Holes read back as 0.0.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Size, Tensor

Shape = tuple[int, ...] | Size

_DTYPE_NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
_BLOCK = 4096


def write_sparse(
    path: Path,
    shapes: Mapping[str, Shape],
    values: Mapping[str, Tensor],
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Write a safetensors file with the tensors `shapes`; those not in `values` are zero."""
    if unknown := values.keys() - shapes.keys():
        raise ValueError(f"values without a shape: {sorted(unknown)}")
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offsets: dict[str, int] = {}
    end = 0
    for key, shape in shapes.items():
        offsets[key] = end
        end += Size(shape).numel() * dtype.itemsize
        header[key] = {
            "dtype": _DTYPE_NAMES[dtype],
            "shape": list(shape),
            "data_offsets": [offsets[key], end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        start = file.tell()
        file.truncate(start + end)
        for key, value in values.items():
            if value.shape != Size(shapes[key]):
                raise ValueError(f"{key}: {tuple(value.shape)} is not {tuple(shapes[key])}")
            file.seek(start + offsets[key])
            raw = value.detach().to(dtype).reshape(-1).view(torch.uint8)
            _copy_skipping_zeros(BytesIO(raw.numpy().tobytes()), file)
    return path


def dig_holes(path: Path) -> Path:
    """Rewrite `path` so that its blocks of zeros take no room on disk."""
    sparse = path.with_name(path.name + ".sparse")
    with path.open("rb") as source, sparse.open("wb") as target:
        _copy_skipping_zeros(source, target)
        target.truncate(source.tell())
    sparse.replace(path)
    return path


def _copy_skipping_zeros(source: BinaryIO, target: BinaryIO) -> None:
    # Blocks end where the target's disk blocks do, else no hole would cover a whole one.
    size = _BLOCK - target.tell() % _BLOCK
    while block := source.read(size):
        if any(block):
            target.write(block)
        else:
            target.seek(len(block), 1)
        size = _BLOCK


def random_weights(shapes: Mapping[str, Shape], seed: int, gain: float = 0.7) -> dict[str, Tensor]:
    """Random values for every matrix and kernel, 1 for norms, nothing (zero) for biases."""
    generator = torch.Generator().manual_seed(seed)
    values: dict[str, Tensor] = {}
    for key, shape in shapes.items():
        if key.endswith(".scale") or (len(shape) == 1 and key.endswith(".weight")):
            values[key] = torch.ones(shape)
        elif len(shape) > 1:
            fan_in = Size(shape[1:]).numel()
            values[key] = torch.randn(shape, generator=generator) * (gain / fan_in**0.5)
    return values
