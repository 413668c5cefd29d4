"""Read what an ONNX file says about itself, and run it with OpenCV: no `onnx`, no onnxruntime.

The layout is that of onnx.proto (ONNX, Apache-2.0) in Protocol Buffers' wire format.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_GRAPH, _METADATA = 7, 14
_INITIALIZER, _INPUT = 5, 11
_INITIALIZER_NAME = 8
_NETWORKS = {".pt", ".pth", ".ckpt", ".safetensors", ".engine", ".tflite", ".torchscript"}

Array = NDArray[np.float32]
Shape = tuple[int | None, ...]


@dataclass(frozen=True, eq=False)
class OnnxFile:
    """A network and what its file says about it.

    Attributes:
        name: of the file.
        input_shape: of its first input; None for a length that the file leaves open.
        metadata: what its exporter noted.
    """

    name: str
    input_shape: Shape
    metadata: dict[str, str]
    _network: Any

    def run(self, values: Array) -> list[Array]:
        """The outputs for one input, in the file's order.

        Raises:
            ValueError: OpenCV cannot run the network on values of that shape.
        """
        try:
            self._network.setInput(np.ascontiguousarray(values, np.float32))
            outputs: Sequence[Array] = self._network.forward(
                self._network.getUnconnectedOutLayersNames()
            )
        except cv2.error as error:
            raise ValueError(
                f"{self.name} cannot be run by OpenCV {cv2.__version__} on an input of "
                f"{list(values.shape)} ({_short(error)}): export it with opset 12 and a fixed size."
            ) from error
        return [np.asarray(output) for output in outputs]


def read_onnx(path: Path, fixed: tuple[int, ...] = ()) -> OnnxFile:
    """Read a network.

    Args:
        path: an ``.onnx`` file.
        fixed: shape of its first input, where the file leaves it open: OpenCV 4 cannot work out
            some layers otherwise.

    Raises:
        ValueError: the file is missing, of another format, damaged, or a network that OpenCV does
            not read.
    """
    if path.suffix.lower() in _NETWORKS:
        raise ValueError(
            f"{path.name} is not an ONNX file, and reading it could run code: export it once with "
            f"`yolo export model={path.name} format=onnx opset=12` where it was made, and choose "
            f"{path.stem}.onnx."
        )
    try:
        # Not the path: OpenCV cannot open one with letters beyond ASCII on Windows.
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path.name} cannot be read: {error.strerror} ({path}).") from error
    try:
        if fixed:
            content = with_input_shape(content, fixed)
        shape, metadata = described(content)
    except (IndexError, ValueError) as error:
        raise ValueError(f"{path.name} is not an ONNX file, or is not complete.") from error
    try:
        network = cv2.dnn.readNetFromONNX(np.frombuffer(content, np.uint8))
    except cv2.error as error:
        raise ValueError(
            f"{path.name} is not a network that OpenCV {cv2.__version__} reads ({_short(error)}): "
            "export it with opset 12 and a fixed size."
        ) from error
    return OnnxFile(path.name, shape, metadata, network)


def with_input_shape(content: bytes, shape: tuple[int, ...]) -> bytes:
    """An ONNX file whose inputs have that shape; weights are not listed among the inputs.

    Raises:
        IndexError, ValueError: it is no ONNX file.
    """
    dims = b"".join(_field(1, _field(1, length)) for length in shape)
    kind = _field(2, _field(1, _field(1, 1) + _field(2, dims)))
    parts = []
    for number, value in _fields(content):
        if number == _GRAPH:
            inner = []
            for field, part in _fields(_bytes(value)):
                if field == _INPUT:
                    part = _field(1, dict(_fields(_bytes(part))).get(1, b"")) + kind
                inner.append(_field(field, part))
            value = b"".join(inner)
        parts.append(_field(number, value))
    return b"".join(parts)


def _field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return _number(number << 3) + _number(value)
    return _number(number << 3 | 2) + _number(len(value)) + value


def _number(value: int) -> bytes:
    out = []
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _short(error: cv2.error) -> str:
    """The cause without OpenCV's file names and line numbers."""
    return str(error).strip().splitlines()[0].split("error: ")[-1][:120]


def described(content: bytes) -> tuple[Shape, dict[str, str]]:
    """Shape of the first input, and the metadata, of an ONNX file.

    Raises:
        IndexError, ValueError: it is none.
    """
    graph, metadata = None, {}
    for field, value in _fields(content):
        if field == _GRAPH:
            graph = _bytes(value)
        elif field == _METADATA:
            pair = dict(_fields(_bytes(value)))
            metadata[_text(pair.get(1, b""))] = _text(pair.get(2, b""))
    if graph is None:
        raise ValueError("no graph")
    inputs, constants = [], set()
    for field, value in _fields(graph):
        if field == _INPUT:
            inputs.append(dict(_fields(_bytes(value))))
        elif field == _INITIALIZER:
            # Its values are not looked at: dict() would hold all of them.
            name = next((v for f, v in _fields(_bytes(value)) if f == _INITIALIZER_NAME), b"")
            constants.add(name)
    # Old exporters list weights among the inputs.
    real = [entry for entry in inputs if entry.get(1) not in constants]
    return (_shape(real[0]) if real else ()), metadata


def _shape(value_info: dict[int, bytes | int]) -> Shape:
    """ValueInfoProto.type.tensor_type.shape.dim."""
    kind = dict(_fields(_bytes(value_info.get(2, b""))))
    tensor = dict(_fields(_bytes(kind.get(1, b""))))
    lengths: list[int | None] = []
    for field, value in _fields(_bytes(tensor.get(2, b""))):
        if field == 1:
            length = dict(_fields(_bytes(value))).get(1)
            lengths.append(length if isinstance(length, int) and length > 0 else None)
    return tuple(lengths)


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Number and value of each field; those of fixed length are passed over."""
    view, place = memoryview(message), 0
    while place < len(view):
        key, place = _varint(view, place)
        kind = key & 7
        if kind == 0:
            number, place = _varint(view, place)
            yield key >> 3, number
            continue
        if kind == 2:
            length, place = _varint(view, place)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if place + length > len(view):
            raise ValueError("cut short")
        if kind == 2:
            yield key >> 3, bytes(view[place : place + length])
        place += length


def _varint(view: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = view[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
        if shift > 63:
            raise ValueError("a number too long")


def _bytes(value: bytes | int) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a number where a message belongs")
    return value


def _text(value: bytes | int) -> str:
    return _bytes(value).decode("utf-8", "replace")
