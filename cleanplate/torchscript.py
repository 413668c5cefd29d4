"""Read the tensors of a TorchScript archive without its code.

An archive is a zip of code, a pickle of the module tree, and one file of bytes for each tensor.
``torch.jit.load`` would compile the code; only the tree and the bytes are wanted here.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from functools import partial
from math import prod
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}

_SENSELESS = (
    zipfile.BadZipFile,
    RuntimeError,
    LookupError,
    TypeError,
    AttributeError,
    ValueError,
    StopIteration,
    MemoryError,
)


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """The tensors of an archive, named as in the state dict of its module.

    Raises:
        pickle.UnpicklingError: the tree asks for something that is no part of a module tree.
        EOFError: the archive is cut off, or its structure makes no sense.
    """
    tensors: dict[str, Tensor] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            tree = next(n for n in archive.namelist() if n.endswith("/data.pkl"))
            with archive.open(tree) as file:
                root = _ModuleTreeUnpickler(file, archive, tree.removesuffix("/data.pkl")).load()
        _collect(root, "", tensors)
    except _SENSELESS as error:
        raise EOFError(f"{path.name}: {error}") from error
    return tensors


class _Module:
    """Stands for any module class in an archive: an attribute dictionary without behaviour."""

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Storage:
    """Names a type of storage, as ``torch.FloatStorage`` does in a pickle."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype


class _ModuleTreeUnpickler(pickle.Unpickler):
    """Reads the module tree: classes become `_Module`, and no function but these is found."""

    def __init__(self, file: IO[bytes], archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(file)
        self._archive = archive
        self._root = root

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("__torch__"):
            return _Module
        if module == "torch" and name in _DTYPES:
            return _Storage(_DTYPES[name])
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return partial(_rebuild)  # a fresh object: a pickle can set attributes on what it gets
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch.jit._pickle":
            return partial(_first)
        raise pickle.UnpicklingError(f"GLOBAL {module}.{name} is not part of a module tree")

    def persistent_load(self, pid: Any) -> Tensor:
        _, storage, key, _, count = pid
        data = bytearray(self._archive.read(f"{self._root}/data/{key}"))
        flat = torch.frombuffer(data, dtype=storage.dtype) if data else torch.empty(0)
        if flat.numel() != count:
            raise EOFError(f"storage {key} is not complete")
        return flat


def _rebuild(
    storage: Tensor, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> Tensor:
    if prod(shape) > storage.numel():
        raise EOFError("a tensor is larger than its storage")
    return storage.as_strided(shape, stride, offset)


def _first(value: Any, *_: Any) -> Any:
    return value


def _collect(module: Any, prefix: str, into: dict[str, Tensor]) -> None:
    state = getattr(module, "state", None)
    if not isinstance(state, dict):
        return
    for name, value in state.items():
        if isinstance(value, Tensor):
            into[prefix + name] = value.contiguous().clone()
        elif isinstance(value, _Module):
            _collect(value, f"{prefix}{name}.", into)
