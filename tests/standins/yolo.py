"""Detectors of the YOLO kind as ONNX files, written byte by byte, whose answers are known."""

from __future__ import annotations

import numpy as np

SIDE = 64
"""Pixels of the input's sides."""


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    """One field of a Protocol Buffers message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(name, values):
    """TensorProto, of float32 or int64."""
    kind = 7 if values.dtype == np.int64 else 1
    dims = b"".join(field(1, size) for size in values.shape)
    return field(5, dims + field(2, kind) + field(8, name) + field(9, values.tobytes()))


def node(kind, inputs, output):
    parts = [field(1, name) for name in inputs] + [field(2, output), field(4, kind)]
    return field(1, b"".join(parts))


def value_info(number, name, shape):
    dims = b"".join(
        field(1, field(1, size) if isinstance(size, int) else field(2, "any")) for size in shape
    )
    return field(number, field(1, name) + field(2, field(1, field(1, 1) + field(2, dims))))


def network(*outputs, names=None, side=SIDE):
    """An ONNX file that answers with these arrays whatever it is shown.

    Its input is averaged, multiplied by nothing, and the answer is added.
    """
    graph = node("GlobalAveragePool", ["images"], "mean") + node("Flatten", ["mean"], "flat")
    for number, output in enumerate(outputs):
        flat = np.ascontiguousarray(output, np.float32).reshape(-1)
        graph += tensor(f"w{number}", np.zeros((3, flat.size), np.float32))
        graph += tensor(f"b{number}", flat)
        graph += tensor(f"s{number}", np.array(output.shape, np.int64))
        graph += node("Gemm", ["flat", f"w{number}", f"b{number}"], f"g{number}")
        graph += node("Reshape", [f"g{number}", f"s{number}"], f"output{number}")
    graph += field(2, "known") + value_info(11, "images", (1, 3, side, side))
    for number, output in enumerate(outputs):
        graph += value_info(12, f"output{number}", output.shape)
    model = field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 12))
    if names is not None:
        model += field(14, field(1, "names") + field(2, names))
    return model


def v8(rows, count=20):
    """``[1, 4 + classes, N]``."""
    table = np.zeros((count, len(rows[0])), np.float32)
    table[: len(rows)] = rows
    return table.T[None]
