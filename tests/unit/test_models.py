import logging
import os
import pickle
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from standins.broken import (
    write_esrgan,
    write_malicious_pickle,
    write_text,
    write_truncated_safetensors,
)
from standins.lama import write_lama_ckpt, write_lama_safetensors, write_lama_torchscript
from standins.upscale import dat_path, write_nearest_upscaler

from cleanplate.fill.lama import LamaFill
from cleanplate.models import (
    _MAT,
    BIG_LAMA_SHA256,
    _keep_as_safetensors,
    file_sha256,
    load_removal_model,
    load_upscale_model,
    read_tensors,
)

GREY = (0.25, 0.5, 0.75)


class _Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
        self.last = torch.nn.Linear(6, 2).half()

    def forward(self, planes):
        return self.inner(planes)


def write_small_torchscript(path: Path) -> dict[str, torch.Tensor]:
    """Write a TorchScript archive of nested modules; return what it should be read as."""
    module = _Small().eval()
    torch.jit.trace(module, torch.zeros(1, 3, 8, 8)).save(str(path))
    return module.state_dict()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("lama")


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("big-lama.safetensors", write_lama_safetensors),
        ("best.ckpt", write_lama_ckpt),
        ("big-lama.pt", write_lama_torchscript),
    ],
)
def test_every_published_form_of_lama_fills(folder: Path, name, write, caplog):
    path = write(folder / name.replace("big", f"{write.__name__}"), GREY)
    with caplog.at_level(logging.INFO):
        model = load_removal_model(path)
    assert not model.model.training
    assert next(model.model.parameters()).dtype == torch.float32
    image = torch.full((1, 37, 50, 3), 0.9)
    hole = torch.zeros(1, 37, 50)
    hole[:, 10:20, 15:30] = 1
    with torch.inference_mode():
        filled = LamaFill(model)(image, hole)
    assert torch.equal(filled[0][hole[0] == 0], image[0][hole[0] == 0])
    assert torch.allclose(filled[0, 15, 20], torch.tensor(GREY), atol=1e-3)


def test_torchscript_is_read_without_its_code_and_kept_as_safetensors(
    tmp_path, caplog, monkeypatch
):
    path = tmp_path / "big-lama.pt"
    expected = write_small_torchscript(path)

    def never(*args, **kwargs):
        raise AssertionError("the archive's code was loaded")

    monkeypatch.setattr(torch.jit, "load", never)
    with caplog.at_level(logging.INFO):
        first = read_tensors(path)
        _keep_as_safetensors(path, first)
    assert f"is not the published big-lama.pt: its SHA-256 is {file_sha256(path)}" in caplog.text
    copy = tmp_path / "big-lama.safetensors"
    assert copy.is_file()
    assert list(tmp_path.iterdir()) != [path]
    assert not list(tmp_path.glob("*.partial"))

    caplog.clear()
    before = copy.stat().st_mtime_ns
    second = read_tensors(path)
    _keep_as_safetensors(path, second)
    assert copy.stat().st_mtime_ns == before
    assert "wrote" not in caplog.text
    assert first.keys() == second.keys() == expected.keys()
    for key, tensor in expected.items():
        for read in (first[key], second[key]):
            assert read.dtype == tensor.dtype
            assert torch.equal(read, tensor)


def test_the_published_file_is_recognised(tmp_path, caplog, monkeypatch):
    path = tmp_path / "big-lama.pt"
    write_small_torchscript(path)
    monkeypatch.setattr("cleanplate.models.file_sha256", lambda _: BIG_LAMA_SHA256)
    with caplog.at_level(logging.INFO):
        read_tensors(path)
    assert f"big-lama.pt is the published big-lama.pt (SHA-256 {BIG_LAMA_SHA256})" in caplog.text


def test_a_safetensors_of_that_name_from_elsewhere_is_left_alone(tmp_path):
    path = tmp_path / "big-lama.pt"
    write_small_torchscript(path)
    other = tmp_path / "big-lama.safetensors"
    save_file({"other": torch.ones(1)}, other)
    assert "inner.0.weight" in read_tensors(path)
    assert list(read_tensors(other)) == ["other"]


def test_a_folder_that_takes_no_files_is_no_obstacle(tmp_path, caplog, monkeypatch):
    path = tmp_path / "big-lama.pt"
    write_small_torchscript(path)

    # Where a folder stands in the way, the file system itself refuses, also root.
    (tmp_path / f"big-lama.{os.getpid()}.partial").mkdir()
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    _keep_as_safetensors(path, read_tensors(path))
    assert "could not be written" in caplog.text
    assert not (tmp_path / "big-lama.safetensors").exists()


def test_a_damaged_copy_is_passed_over(tmp_path, caplog):
    path = tmp_path / "big-lama.pt"
    expected = write_small_torchscript(path)
    (tmp_path / "big-lama.safetensors").write_bytes(b"garbage")
    assert read_tensors(path).keys() == expected.keys()
    assert "big-lama.safetensors cannot be read" in caplog.text


def test_an_archive_of_something_else_leaves_no_copy(tmp_path):
    path = tmp_path / "other.pt"
    write_small_torchscript(path)
    with pytest.raises(ValueError, match="belong to no network"):
        load_removal_model(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "entries",
    [
        {"x/constants.pkl": b""},
        {"x/constants.pkl": b"", "x/data.pkl": b"\x80\x5f."},
        {"x/constants.pkl": b"", "x/data.pkl": b"X\x04\x00\x00\x00\x88\x88\x88\x88."},
        {"x/constants.pkl": b"", "x/data.pkl": b"\x80\x02K\x01."},
    ],
)
def test_archives_that_make_no_sense(tmp_path, entries):
    with zipfile.ZipFile(tmp_path / "odd.pt", "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    with pytest.raises(ValueError, match=r"odd\.pt (is damaged|holds no named tensors)"):
        read_tensors(tmp_path / "odd.pt")


def test_a_suffix_in_capitals(tmp_path):
    path = write_lama_safetensors(tmp_path / "big-lama.safetensors")
    load_removal_model(path.rename(tmp_path / "BIG-LAMA.SAFETENSORS"))


def test_code_in_a_torchscript_tree_is_refused(tmp_path):
    marker = tmp_path / "ran"
    path = tmp_path / "evil.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("evil/data.pkl", pickle.dumps(_Touch(marker)))
        archive.writestr("evil/constants.pkl", b"")
    with pytest.raises(ValueError, match=r"evil\.pt holds Python code"):
        read_tensors(path)
    assert not marker.exists()


class _Touch:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.mark.parametrize(
    ("write", "name", "parts"),
    [
        (lambda p: p, "absent.safetensors", ["absent.safetensors does not exist"]),
        (write_truncated_safetensors, "half.safetensors", ["half.safetensors is damaged", "again"]),
        (write_text, "page.safetensors", ["page.safetensors is a text file", "download"]),
        (write_text, "page.pt", ["page.pt is a text file", "download"]),
        (write_text, "page.ckpt", ["page.ckpt is a text file", "download"]),
        (write_esrgan, "esrgan.safetensors", ["type ESRGAN", "does not fill holes", "LaMa"]),
    ],
)
def test_files_that_are_no_removal_model(tmp_path, write, name, parts):
    path = write(tmp_path / name)
    with pytest.raises(ValueError) as error:
        load_removal_model(path)
    message = str(error.value)
    for part in parts:
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize("write", [write_lama_ckpt, write_small_torchscript])
@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.99])
def test_a_checkpoint_that_was_cut_off(tmp_path, write, kept):
    path = tmp_path / "half.pt"
    write(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept if kept > 1 else kept * len(whole))])
    with pytest.raises(ValueError, match=r"half\.pt is damaged or not complete"):
        load_removal_model(path)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("suffix", [".pt", ".ckpt", ".pth"])
def test_a_pickle_with_code_is_refused_and_never_run(tmp_path, zipped, suffix):
    marker = tmp_path / "ran"
    path = write_malicious_pickle(tmp_path / f"evil{suffix}", marker, zipped)
    with pytest.raises(ValueError, match="holds Python code or objects"):
        load_removal_model(path)
    assert not marker.exists()


def test_a_removal_model_given_as_upscale_model_is_named(tmp_path):
    path = write_lama_safetensors(tmp_path / "big-lama.safetensors")
    with pytest.raises(ValueError, match="does not enlarge images"):
        load_upscale_model(path)


def test_tensors_of_no_known_network(tmp_path):
    save_file({"a": torch.zeros(1), "b": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match="its 2 tensors"):
        load_removal_model(tmp_path / "x.safetensors")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="holds no named tensors"):
        load_removal_model(tmp_path / "list.pth")


def test_lama_of_another_depth_says_what_does_not_fit(tmp_path):
    tensors = read_tensors(write_lama_safetensors(tmp_path / "whole.safetensors"))
    shallow = {k: v for k, v in tensors.items() if ".model.20." not in k and ".20." not in k}
    save_file(shallow, tmp_path / "shallow.safetensors")
    with pytest.raises(ValueError, match="weights do not fit"):
        load_removal_model(tmp_path / "shallow.safetensors")


def test_upscale_models(tmp_path):
    model = load_upscale_model(write_nearest_upscaler(tmp_path / "x2.safetensors", 2))
    assert model.scale == 2
    if dat := dat_path(2):
        assert load_upscale_model(dat).scale == 2


def test_mat_without_the_package_that_reads_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "spandrel_extra_arches", None)
    save_file({_MAT: torch.zeros(4, 4)}, tmp_path / "mat.safetensors")
    with pytest.raises(ValueError, match=r"mat\.safetensors is a MAT network.*non-commercial"):
        load_removal_model(tmp_path / "mat.safetensors")


@pytest.mark.slow
def test_mat_fills_the_same_each_time(tmp_path):
    """At its true shape, with random weights."""
    pytest.importorskip("spandrel_extra_arches")
    from spandrel_extra_arches.architectures.MAT import MAT

    from cleanplate.fill.capped import CappedFill
    from cleanplate.fill.lama import fixed_side
    from cleanplate.fill.regions import fill_regions

    weights = {
        name.removeprefix("model."): tensor.half().contiguous()
        for name, tensor in MAT().state_dict().items()
    }
    path = tmp_path / "MAT_Places512_fp16.safetensors"
    save_file(weights, path)
    image, mask = torch.rand(1, 700, 600, 3), torch.zeros(1, 700, 600)
    mask[:, 50:600, 200:300] = 1
    results = []
    for _ in range(2):
        model = load_removal_model(path)
        assert fixed_side(model) == 512
        random = torch.get_rng_state()
        fill = CappedFill(LamaFill(model), fixed_side(model))
        results.append(fill_regions(image, mask, fill))
        assert torch.equal(torch.get_rng_state(), random)
    (one, changed), (other, _) = results
    assert torch.equal(one, other)
    assert torch.equal(one[changed == 0], image[changed == 0])
    assert not torch.equal(one[changed > 0], image[changed > 0])
