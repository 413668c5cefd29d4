"""Networks that restore aligned faces, called in the range they were trained in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from .align import SIDE

_Call = Callable[[torch.nn.Module, Tensor, float], Tensor]


def _gfpgan(network: torch.nn.Module, faces: Tensor, fidelity: float) -> Tensor:
    return network(faces, return_rgb=False, randomize_noise=False)[0]


def _restoreformer(network: torch.nn.Module, faces: Tensor, fidelity: float) -> Tensor:
    return network(faces)[0]


def _codeformer(network: torch.nn.Module, faces: Tensor, fidelity: float) -> Tensor:
    # It is called w in the paper; spandrel's network swallows a `w` and ignores it.
    return network(faces, weight=fidelity)[0]


_CALLS: Mapping[str, _Call] = {
    "GFPGAN": _gfpgan,
    "RestoreFormer": _restoreformer,
    "CodeFormer": _codeformer,
}

# What the code of networks raises. Not Exception: the caller's signal to stop must pass.
_FAILURES = (
    RuntimeError,
    TypeError,
    ValueError,
    ArithmeticError,
    LookupError,
    AttributeError,
    AssertionError,
)


class Restorer(Protocol):
    """Something that restores faces."""

    def __call__(self, crops: Tensor, fidelity: float) -> Tensor:
        """What it changes in aligned faces.

        Args:
            crops: ``[n, 512, 512, 3]`` float32 in 0..1.
            fidelity: 0 (best looking) to 1 (nearest to the input); not all can choose.

        Returns:
            ``[n, 512, 512, 3]`` float32, to be added to the crops; exactly 0 where nothing changes.
            NaN in a face that it failed on.

        Raises:
            RuntimeError: it cannot run at all.
        """
        ...


class FaceNetwork:
    """GFPGAN, RestoreFormer or CodeFormer as a `Restorer`.

    spandrel's descriptors of GFPGAN and CodeFormer feed them 0..1 and clamp what comes out, which
    loses all tones below the middle; so the network itself is called with what it was trained on:
    RGB in -1..1, 512x512, and without GFPGAN's random noise. Its weights' type is used, float32 or
    bfloat16.

    Args:
        model: spandrel's descriptor, on `device` already.
        device: where the network is.

    Raises:
        ValueError: another architecture.
    """

    def __init__(self, model: Any, device: torch.device | str = "cpu") -> None:
        self.name = face_architecture(model)
        self._network: torch.nn.Module = model.model.eval()
        self._device = device
        parameter = next(self._network.parameters(), None)
        self._dtype = parameter.dtype if parameter is not None else torch.float32

    @torch.no_grad()
    def __call__(self, crops: Tensor, fidelity: float) -> Tensor:
        fed = crops.movedim(-1, 1).to(self._device, self._dtype).mul(2).sub(1).contiguous()
        try:
            made = _CALLS[self.name](self._network, fed, fidelity)
        except torch.OutOfMemoryError:
            raise
        except _FAILURES as error:
            raise RuntimeError(
                f"The face model {self.name} failed on {SIDE}x{SIDE} faces: {error}"
            ) from error
        if made.shape != fed.shape:
            raise RuntimeError(
                f"The face model {self.name} made {list(made.shape)} of {list(fed.shape)}: "
                "it is not the network its file says it is."
            )
        # Against what the network was fed, so that rounding to its range and type is no change.
        change = made.float().clamp(-1, 1).sub(fed.float()).div(2)
        return change.movedim(1, -1).to("cpu").contiguous()


def face_architecture(model: Any) -> str:
    """The architecture of a face network.

    Args:
        model: what came as the face model, usually a spandrel descriptor.

    Raises:
        ValueError: it restores no faces; says what it is.
    """
    known = ", ".join(_CALLS)
    architecture = getattr(getattr(model, "architecture", None), "id", None)
    if architecture in _CALLS:
        return str(architecture)
    if architecture is None:
        raise ValueError(
            f"upscale_model is a {type(model).__name__}: connect Load Upscale Model with a face "
            f"restoration model ({known})."
        )
    scale = getattr(model, "scale", 1)
    purpose = getattr(model, "purpose", "")
    what = f"a {scale}x {architecture}" if scale != 1 else f"a {architecture}"
    if purpose == "SR" or scale != 1:
        what += " upscale model"
    raise ValueError(
        f"upscale_model is {what}, which does not restore faces: load one of {known} from "
        "models/upscale_models."
    )
