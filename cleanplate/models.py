"""Read model files safely: tensors only, never code."""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from spandrel import (
    ImageModelDescriptor,
    MaskedImageModelDescriptor,
    ModelDescriptor,
    ModelLoader,
    UnsupportedModelError,
)
from torch import Tensor

from .torchscript import is_torchscript, read_torchscript

_log = logging.getLogger(__name__)

BIG_LAMA_SHA256 = "344c77bbcb158f17dd143070d1e789f38a66c04202311ae3a258ef66667a9ea9"
"""Of the published TorchScript ``big-lama.pt`` (205,669,692 bytes)."""

SUFFIXES = (".safetensors", ".ckpt", ".pth", ".pt")

_MAT = "synthesis.first_stage.conv_first.conv.resample_filter"
"""A tensor that only MAT's weights have."""

_UNREADABLE = (SafetensorError, RuntimeError, EOFError, LookupError, TypeError, AttributeError)
"""What the readers raise for files that are cut off or whose structure makes no sense."""


def load_removal_model(path: str | Path) -> MaskedImageModelDescriptor[Any]:
    """Read a network that fills holes (LaMa), in float32 on the CPU and in evaluation mode.

    Also MAT (Li et al., CVPR 2022), where the package spandrel_extra_arches is installed; its code
    and weights are licensed for non-commercial use.

    Takes ``.safetensors``, ``.ckpt`` and ``.pth`` files, training checkpoints among them (only
    their generator is used), and the TorchScript archive ``big-lama.pt``: of that only the tensors
    are read, and written as a safetensors file beside it, which later calls read instead.

    Raises:
        ValueError: a file that is missing, damaged, no model, or a model of another kind.
    """
    path = Path(path)
    found = tensors = read_tensors(path)
    if any(key.startswith("generator.") for key in tensors):
        tensors = {k: v for k, v in tensors.items() if k.startswith("generator.")}
    model = _build(path, tensors, "a removal model such as LaMa")
    if not isinstance(model, MaskedImageModelDescriptor):
        raise ValueError(
            f"{path.name} is a model of type {model.architecture.name}, which does not fill holes: "
            "choose a removal model such as LaMa (upscale models belong in models/upscale_models)."
        )
    if is_torchscript(path):
        _keep_as_safetensors(path, found)
    if model.architecture.id == "MAT":
        _settle(model.model)
    return model.float().eval()


def load_upscale_model(path: str | Path) -> ImageModelDescriptor[Any]:
    """Read a network that enlarges images (ESRGAN, DAT, Compact and others spandrel knows).

    Raises:
        ValueError: a file that is missing, damaged, no model, or a model of another kind.
    """
    path = Path(path)
    model = _build(path, read_tensors(path), "an upscale model")
    if not isinstance(model, ImageModelDescriptor):
        raise ValueError(
            f"{path.name} is a model of type {model.architecture.name}, which does not enlarge "
            "images: choose an upscale model (removal models belong in models/inpaint)."
        )
    return model.float().eval()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All named tensors of a safetensors file, a PyTorch checkpoint or a TorchScript archive.

    Raises:
        ValueError: the file is missing, damaged, not a model, or a pickle that asks for code.
    """
    if not path.is_file():
        raise ValueError(f"{path.name} does not exist: no such file {path}.")
    try:
        if path.suffix.lower() == ".safetensors":
            return _read_safetensors(path)
        if is_torchscript(path):
            loaded: Any = _read_archive(path)
        elif _is_pickle(path):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
        else:
            raise ValueError(_damaged(path))
    except pickle.UnpicklingError as error:
        raise ValueError(_pickle_refusal(path, error)) from error
    except _UNREADABLE as error:
        raise ValueError(_damaged(path)) from error
    if isinstance(loaded, dict):
        loaded = loaded.get("state_dict", loaded.get("params_ema", loaded.get("params", loaded)))
    tensors = (
        {k: v for k, v in loaded.items() if isinstance(v, Tensor)}
        if isinstance(loaded, dict)
        else {}
    )
    if not tensors:
        raise ValueError(f"{path.name} holds no named tensors: it is not a model's weights.")
    return tensors


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _build(path: Path, tensors: dict[str, Tensor], wanted: str) -> ModelDescriptor:
    try:
        try:
            return ModelLoader().load_from_state_dict(tensors)
        except UnsupportedModelError:
            if not _learn_more_networks():
                raise
            return ModelLoader().load_from_state_dict(tensors)
    except UnsupportedModelError as error:
        if any(key.endswith(_MAT) for key in tensors):
            raise ValueError(
                f"{path.name} is a MAT network, which needs the Python package "
                "spandrel_extra_arches (for non-commercial use): install it where ComfyUI runs."
            ) from error
        some = ", ".join(list(tensors)[:3])
        raise ValueError(
            f"{path.name} is not {wanted}: its {len(tensors)} tensors ({some}, ...) belong to no "
            "network that spandrel knows."
        ) from error
    except (RuntimeError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{path.name} looks like {wanted} but its weights do not fit the network ({reason}): "
            "use the published file."
        ) from error


def _learn_more_networks() -> bool:
    """Let spandrel read what spandrel_extra_arches adds, where that is installed."""
    try:
        import spandrel_extra_arches
    except ImportError:
        return False
    return bool(spandrel_extra_arches.install(ignore_duplicates=True))


def _settle(mat: Any) -> None:
    """Give MAT a fixed style, which follows it to its device.

    spandrel draws the style at every load from NumPy's global state, so that the same picture came
    out differently each time, and leaves it on the CPU.
    """
    generator = torch.Generator().manual_seed(0)
    for name, value in (
        ("z", torch.randn(1, mat.model.z_dim, generator=generator)),
        ("label", torch.zeros(1, mat.model.c_dim)),
    ):
        delattr(mat, name)
        mat.register_buffer(name, value, persistent=False)


def _damaged(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(512)
    if head and head.isascii() and b"\0" not in head and not head.startswith(b"PK"):
        return (
            f"{path.name} is a text file, not a model (it begins {head[:24].decode()!r}): a web "
            "page or a pointer was saved in its place, download the file itself."
        )
    return (
        f"{path.name} is damaged or not complete ({path.stat().st_size:,} bytes): download it "
        "again."
    )


def _pickle_refusal(path: Path, error: pickle.UnpicklingError) -> str:
    if "truncated" in str(error):
        return _damaged(path)
    return (
        f"{path.name} holds Python code or objects besides tensors, which are never run: use the "
        ".safetensors of this model."
    )


def _is_pickle(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(1) == pickle.PROTO or zipfile.is_zipfile(path)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def _read_archive(path: Path) -> dict[str, Tensor]:
    """An archive's tensors, from the safetensors file made of it before if there is one."""
    digest = file_sha256(path)
    if digest == BIG_LAMA_SHA256:
        _log.info("%s is the published big-lama.pt (SHA-256 %s)", path.name, digest)
    else:
        _log.warning(
            "%s is not the published big-lama.pt: its SHA-256 is %s. Only its tensors are read.",
            path.name,
            digest,
        )
    copy = _copy_of(path)
    try:
        if copy.is_file() and _source_of(copy) == digest:
            return _read_safetensors(copy)
    except (SafetensorError, OSError) as error:
        _log.warning("%s cannot be read (%s), so %s is", copy.name, error, path.name)
    return read_torchscript(path)


def _copy_of(path: Path) -> Path:
    return path.with_suffix(".safetensors")


def _source_of(copy: Path) -> str | None:
    """SHA-256 of the archive that a safetensors file was made from, if it was."""
    with safe_open(copy, framework="pt") as file:
        return (file.metadata() or {}).get("source_sha256")


def _keep_as_safetensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write an archive's tensors beside it, once, for the next time."""
    copy = _copy_of(path)
    if copy.exists():
        return
    partial_copy = copy.with_suffix(f".{os.getpid()}.partial")
    metadata = {"source_sha256": file_sha256(path), "format": "pt"}
    try:
        save_file(tensors, partial_copy, metadata=metadata)
        partial_copy.replace(copy)
    except (OSError, SafetensorError) as error:
        partial_copy.unlink(missing_ok=True)
        _log.warning("%s could not be written (%s)", copy.name, error)
    else:
        _log.info("wrote the tensors to %s, which loads faster and holds no code", copy.name)
