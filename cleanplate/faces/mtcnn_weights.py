"""Read the weights that the package `mtcnn` ships, without importing it and without running code.

Its files are lists of arrays written by ``joblib.dump(compress="lz4")``: a pickle in which each
array's bytes follow the place where it is described. A pickle may name any function to be called;
here it may name only what a list of float arrays needs.
"""

from __future__ import annotations

import importlib.util
import io
import pickle
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

_LARGEST = 1 << 26
"""Bytes; the largest file holds 1.6 MB."""

MISSING = (
    "finding faces needs the Python packages mtcnn and lz4 (its weights, 2 MB): run "
    "`pip install mtcnn lz4` where ComfyUI runs, or connect face landmarks or boxes instead."
)


def weights_folder() -> Path:
    """Where the installed package `mtcnn` keeps its weights; the package is not imported.

    Importing it would pull in TensorFlow.

    Raises:
        ValueError: it is not installed.
    """
    spec = importlib.util.find_spec("mtcnn")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place) / "assets" / "weights"
        if (folder / "pnet.lz4").is_file():
            return folder
    raise ValueError(MISSING)


def read_arrays(path: Path) -> list[Array]:
    """The arrays of a file, in their order.

    Raises:
        ValueError: lz4 is not installed, or the file is missing, damaged, or holds anything else
            than float32 arrays.
    """
    try:
        import lz4.frame
    except ImportError as error:
        raise ValueError(MISSING) from error
    try:
        packed = path.read_bytes()
        content = lz4.frame.LZ4FrameDecompressor().decompress(packed, max_length=_LARGEST)
    except OSError as error:
        raise ValueError(f"{path.name} cannot be read: {error.strerror} ({path}).") from error
    except RuntimeError as error:
        raise ValueError(_damaged(path)) from error
    try:
        arrays = _Reader(io.BytesIO(content)).load()
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path.name} holds something else than arrays ({error}), which is never run: install "
            "the published package mtcnn again."
        ) from error
    except (EOFError, LookupError, TypeError, ValueError, AttributeError, MemoryError) as error:
        raise ValueError(_damaged(path)) from error
    if not isinstance(arrays, list) or not all(isinstance(item, _Stored) for item in arrays):
        raise ValueError(_damaged(path))
    return [item.values for item in arrays]


def _damaged(path: Path) -> str:
    return f"{path.name} is damaged or not complete: install the package mtcnn again."


class _Stored:
    """Stands for ``joblib.numpy_pickle.NumpyArrayWrapper``: describes an array whose bytes follow.

    Setting its state reads them, which moves the file to where the pickle goes on: joblib ends the
    pickle's frame before them, and `pickle` reads no byte before it needs it from a file that
    cannot be peeked into.
    """

    file: io.BytesIO
    values: Array

    def __setstate__(self, state: dict[str, Any]) -> None:
        kind, shape, order = state["dtype"], state["shape"], state["order"]
        if kind != np.dtype("<f4") or order not in ("C", "F"):
            raise pickle.UnpicklingError(f"an array of {kind} in order {order}")
        if state.get("numpy_array_alignment_bytes") is not None:
            self.file.read(self.file.read(1)[0])
        size = 4 * prod(shape)
        data = self.file.read(size) if 0 < size <= _LARGEST else b""
        if len(data) != size:
            raise EOFError
        self.values = np.frombuffer(data, "<f4").astype(np.float32).reshape(shape, order=order)


class _Ndarray:
    """Stands for the name ``numpy.ndarray``, which joblib writes down beside each array."""


class _Reader(pickle.Unpickler):
    """Knows three names; any other is refused before it is looked up."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self._known = {
            ("joblib.numpy_pickle", "NumpyArrayWrapper"): type(
                "_Stored", (_Stored,), {"file": file}
            ),
            ("numpy", "ndarray"): _Ndarray,
            ("numpy", "dtype"): np.dtype,
        }

    def find_class(self, module: str, name: str) -> Any:
        known = self._known.get((module, name))
        if known is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return known

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it asks for an object from elsewhere")
