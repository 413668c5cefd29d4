import io
import os
import pickle
import struct

import numpy as np
import pytest
import torch

from cleanplate.faces import mtcnn_weights
from cleanplate.faces.mtcnn import Output, Proposal, Refine, load_mtcnn
from cleanplate.faces.mtcnn_weights import read_arrays, weights_folder

frame = pytest.importorskip("lz4.frame", reason="needs lz4: pip install mtcnn lz4")


@pytest.fixture(scope="module")
def folder():
    try:
        return weights_folder()
    except ValueError as error:
        pytest.skip(str(error))


def packed(path, content):
    path.write_bytes(frame.compress(content))
    return path


def stored(*arrays):
    """A list of arrays as joblib writes it: after each description, its bytes."""

    class Wrapper:
        def __init__(self, array):
            self.state = {
                "subclass": np.ndarray,
                "shape": array.shape,
                "order": "C",
                "dtype": array.dtype,
                "allow_mmap": True,
                "numpy_array_alignment_bytes": 16,
            }

    out = io.BytesIO()
    out.write(pickle.PROTO + b"\x04" + pickle.EMPTY_LIST + pickle.MARK)
    for array in arrays:
        out.write(pickle.GLOBAL + b"joblib.numpy_pickle\nNumpyArrayWrapper\n")
        out.write(pickle.EMPTY_TUPLE + pickle.NEWOBJ)
        # A pickle without its header and its end is the code that makes the state.
        out.write(pickle.dumps(Wrapper(array).state, protocol=2)[2:-1] + pickle.BUILD)
        out.write(bytes([5]) + b"\xff" * 5 + array.tobytes())
    out.write(pickle.APPENDS + pickle.STOP)
    return out.getvalue()


def test_arrays_come_back_as_they_were_written(tmp_path):
    arrays = [np.arange(24, dtype="<f4").reshape(2, 3, 4), np.array([-1.5], "<f4")]
    read = read_arrays(packed(tmp_path / "a.lz4", stored(*arrays)))
    assert [item.tolist() for item in read] == [item.tolist() for item in arrays]
    assert all(item.dtype == np.float32 and item.flags.writeable for item in read)


def test_the_reader_agrees_with_joblib(folder):
    joblib = pytest.importorskip("joblib")
    for name in ("pnet", "rnet", "onet"):
        ours, theirs = read_arrays(folder / f"{name}.lz4"), joblib.load(folder / f"{name}.lz4")
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


class _Calls:
    def __init__(self, function, *arguments):
        self._what = function, arguments

    def __reduce__(self):
        return self._what


@pytest.mark.parametrize(
    ("function", "argument"),
    [(os.mkdir, "made"), (eval, "1"), (np.load, "made"), (getattr, "made")],
)
def test_a_pickle_that_asks_for_code_is_refused(tmp_path, function, argument):
    place = tmp_path / argument
    for value in (_Calls(function, str(place)), [_Calls(function, str(place))]):
        file = packed(tmp_path / "bad.lz4", pickle.dumps(value))
        with pytest.raises(ValueError, match=r"bad\.lz4 holds something else than arrays"):
            read_arrays(file)
        assert not place.exists()


OBJECTS = stored(np.zeros(2, "<f4")).replace(b"f4", b"O8")
HUGE = stored(np.zeros(7, "<f4")).replace(b"K\x07", b"J" + struct.pack("<i", 2**30))


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(["no array"]),
        pickle.dumps({"a": 1}),
        stored(np.zeros(5, "<f8")),
        stored(np.zeros(50, "<f4"))[:-60],
        OBJECTS,
        HUGE,
        b"",
        b"\x80\x04garbage",
    ],
    ids=["text", "dict", "float64", "cut off", "objects", "more than there is", "empty", "garbage"],
)
def test_anything_else_is_refused_by_name(tmp_path, content):
    with pytest.raises(ValueError, match=r"^weights\.lz4 (is damaged|holds something else)"):
        read_arrays(packed(tmp_path / "weights.lz4", content))


def test_a_file_that_is_no_lz4_or_missing_is_refused_by_name(tmp_path):
    (tmp_path / "raw.lz4").write_bytes(b"<html>not found</html>")
    with pytest.raises(ValueError, match=r"raw\.lz4 is damaged"):
        read_arrays(tmp_path / "raw.lz4")
    with pytest.raises(ValueError, match=r"gone\.lz4 cannot be read"):
        read_arrays(tmp_path / "gone.lz4")


def test_without_the_package_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(mtcnn_weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install mtcnn lz4"):
        load_mtcnn()


def test_the_package_is_not_imported(folder):
    import sys

    load_mtcnn(folder)
    assert "mtcnn" not in sys.modules


def test_another_network_under_that_name_is_refused(folder, tmp_path):
    for name, source in (("pnet", "pnet"), ("rnet", "onet"), ("onet", "onet")):
        (tmp_path / f"{name}.lz4").write_bytes((folder / f"{source}.lz4").read_bytes())
    with pytest.raises(ValueError, match=r"rnet\.lz4 is not the network that its name says"):
        load_mtcnn(tmp_path)


def keras(layer, x):
    """What Keras computes for ``[H, W, C]``, written out: `layer` is the name and its arrays."""
    name, *arrays = layer
    if name == "conv":
        kernel, bias = arrays
        side = kernel.shape[0]
        high, wide = x.shape[0] - side + 1, x.shape[1] - side + 1
        patches = np.stack(
            [x[i : i + high, j : j + wide] for i in range(side) for j in range(side)], axis=2
        )
        return np.tensordot(patches, kernel.reshape(side * side, *kernel.shape[2:]), 2) + bias
    if name == "prelu":
        return np.where(x > 0, x, x * arrays[0].reshape(-1))
    if name == "pool":
        side, same = arrays
        count = [-(-n // 2) if same else (n - side) // 2 + 1 for n in x.shape[:2]]
        pad = [max(0, (c - 1) * 2 + side - n) for c, n in zip(count, x.shape[:2], strict=True)]
        edges = [(p // 2, p - p // 2) for p in pad] + [(0, 0)]
        x = np.pad(x, edges, constant_values=-np.inf)
        return np.array(
            [
                [x[2 * i : 2 * i + side, 2 * j : 2 * j + side].max((0, 1)) for j in range(count[1])]
                for i in range(count[0])
            ]
        )
    if name == "flatten":
        return x.transpose(1, 0, 2).reshape(-1)
    weight, bias = arrays
    return x @ weight + bias


PLANS = {
    "pnet": (Proposal, 12, "cp(2s)cpcp|cc"),
    "rnet": (Refine, 24, "cp(3s)cp(3v)cpfdp|dd"),
    "onet": (Output, 48, "cp(3s)cp(3v)cp(2s)cpfdp|ddd"),
}


@pytest.mark.parametrize("name", PLANS)
def test_the_networks_compute_what_keras_does(folder, name):
    kind, side, plan = PLANS[name]
    arrays = iter(read_arrays(folder / f"{name}.lz4"))
    x = np.random.default_rng(0).uniform(-1, 1, (side, side, 3)).astype(np.float32)
    planes = torch.from_numpy(x).permute(2, 0, 1)[None]
    trunk, heads = plan.split("|")
    while trunk:
        step, trunk = trunk[0], trunk[1:]
        if step == "(":
            x = keras(("pool", int(trunk[0]), trunk[1] == "s"), x)
            trunk = trunk[3:]
        elif step in "cd":
            x = keras(("conv" if step == "c" else "dense", next(arrays), next(arrays)), x)
        else:
            x = keras(("prelu", next(arrays)) if step == "p" else ("flatten",), x)
    wanted = [
        keras(("dense", next(arrays), next(arrays)), x.reshape(-1))
        if kind is not Proposal
        else keras(("conv", next(arrays), next(arrays)), x).reshape(-1)
        for _ in heads
    ]
    box, score, *landmarks = getattr(
        load_mtcnn(folder), {"pnet": "proposal", "rnet": "refine", "onet": "output"}[name]
    )(planes)
    none, face = np.exp(wanted[-1])
    assert np.allclose(box.flatten(), wanted[0], atol=2e-5)
    assert np.allclose(score.flatten(), face / (none + face), atol=2e-5)
    if landmarks:
        assert np.allclose(landmarks[0][0].T.flatten(), wanted[1], atol=2e-5)
