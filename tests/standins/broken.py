"""Weight files that must be refused in words."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch

from .sparse import Shape, random_weights, write_sparse
from .upscale import compact_shapes


def write_truncated_safetensors(path: Path) -> Path:
    """Write a safetensors file that ends before its data does, like an aborted download."""
    shapes = compact_shapes(2)
    write_sparse(path, shapes, random_weights(shapes, 0))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 100)
    return path


def write_text(path: Path) -> Path:
    """Write a web page under the name of a weight file, like a download that needed a login."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("<!DOCTYPE html><html><body>Sign in to download this file</body></html>\n")
    return path


class _Exploit:
    """Creates `marker` when unpickled without restriction."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.marker,)


def write_malicious_pickle(path: Path, marker: Path, zipped: bool = False) -> Path:
    """Write a pickle that creates the file `marker` if anybody unpickles it without care.

    Otherwise it looks like LaMa. `zipped` writes torch's own file format instead of a bare pickle.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {
        "generator.model.1.bn_l.running_mean": torch.zeros(64),
        "callback": _Exploit(marker),
    }
    if zipped:
        torch.save(weights, path)
    else:
        with path.open("wb") as file:
            pickle.dump({"callback": _Exploit(marker)}, file)
    return path


def esrgan_shapes(features: int = 4, blocks: int = 1, growth: int = 32) -> dict[str, Shape]:
    """Names and shapes of a small ESRGAN x4 in its newer key layout."""
    shapes: dict[str, Shape] = {}

    def conv(name: str, n_in: int, n_out: int) -> None:
        shapes[f"{name}.weight"] = (n_out, n_in, 3, 3)
        shapes[f"{name}.bias"] = (n_out,)

    conv("conv_first", 3, features)
    for i in range(blocks):
        for j in (1, 2, 3):
            for k in range(1, 6):
                last = features if k == 5 else growth
                conv(f"body.{i}.rdb{j}.conv{k}", features + growth * (k - 1), last)
    conv("conv_body", features, features)
    conv("conv_up1", features, features)
    conv("conv_up2", features, features)
    conv("conv_hr", features, features)
    conv("conv_last", features, 3)
    return shapes


def write_esrgan(path: Path) -> Path:
    """Write an upscale model (ESRGAN x4), to be offered where another kind is wanted."""
    shapes = esrgan_shapes()
    return write_sparse(path, shapes, random_weights(shapes, 0))
