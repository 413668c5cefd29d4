"""What several nodes need of ComfyUI: texts, progress, results, model management."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import comfy.model_management
import comfy.model_patcher
import comfy.utils
from comfy_api.latest import io
from comfy_execution.utils import get_executing_context
from PIL import Image
from server import PromptServer
from torch import Tensor

from ..cleanplate import masks

_log = logging.getLogger(__name__)

RemovalModel = io.Custom("INPAINT_MODEL")
StitchType = io.Custom("CLEANPLATE_STITCH")
DefectsType = io.Custom("CLEANPLATE_DEFECTS")

PREVIEW_SIDE = 512
"""Most pixels of a side of the pictures that are shown while a node runs."""


def say(text: str) -> None:
    """Tell the user something that is no error: in the log, and as text under the running node."""
    context = get_executing_context()
    _log.info("%s: %s", context.node_id if context else "CleanPlate", text)
    show_text(text)


def show_text(text: str) -> None:
    """Show a text under the running node."""
    context = get_executing_context()
    server = getattr(PromptServer, "instance", None)
    if context and server:
        server.send_progress_text(text, context.node_id)


def says_empty(mask: Tensor) -> bool:
    """Whether a mask marks nothing; says so to the user."""
    if bool(masks.core(mask).any()):
        return False
    strongest = float(mask.max())
    if strongest > 0:
        say(
            f"The mask is nowhere stronger than {strongest:.2f}, and counts from "
            f"{masks.THRESHOLD}: the image passes through unchanged."
        )
    else:
        say("The mask is empty: the image passes through unchanged.")
    return True


def stop_if_interrupted() -> None:
    """Raise ComfyUI's interrupt if the user has cancelled."""
    comfy.model_management.throw_exception_if_processing_interrupted()


def progress_steps() -> Callable[[int, int], None]:
    """A ``step(done, total)`` that shows progress and raises when the user cancels."""
    bar = comfy.utils.ProgressBar(1)

    def step(done: int, total: int) -> None:
        stop_if_interrupted()
        bar.update_absolute(done, max(total, 1))

    return step


def preview_of(picture: Tensor) -> tuple[str, Image.Image, int]:
    """A small picture ``[h, w, 3]`` as a progress bar shows it."""
    pixels = picture.clamp(0, 1).mul(255).round().byte().cpu().numpy()
    return "JPEG", Image.fromarray(pixels), PREVIEW_SIDE


def finished(tensor: Tensor) -> Tensor:
    """A result on the device and in the type that ComfyUI keeps between nodes."""
    management = comfy.model_management
    moved = tensor.to(management.intermediate_device(), management.intermediate_dtype())
    return moved.contiguous()


def patcher_of(model: Any) -> comfy.model_patcher.ModelPatcher:
    """The patcher by which ComfyUI manages the memory of a spandrel model.

    A model from another pack's loader may have none; it gets one, which then stays with it.
    """
    if getattr(model, "patcher", None) is None:
        model.patcher = comfy.model_patcher.ModelPatcher(
            model.model,
            load_device=comfy.model_management.get_torch_device(),
            offload_device=comfy.model_management.unet_offload_device(),
        )
    return model.patcher


def bring_in(model: Any, memory: int) -> comfy.model_patcher.ModelPatcher:
    """Load a spandrel model where it computes, with `memory` bytes free for its work."""
    patcher = patcher_of(model)
    comfy.model_management.load_models_gpu([patcher], memory_required=memory, force_full_load=True)
    # Other nodes move models by hand, of which the manager knows nothing.
    patcher.model.to(patcher.load_device)
    return patcher


def pictures_to_clean() -> list[io.Input]:
    """The inputs `image` and `mask` of a node that removes."""
    return [
        io.Image.Input("image", tooltip="The picture or pictures to clean."),
        io.Mask.Input(
            "mask",
            tooltip="What to remove: one mask for all images, or one for each. Counts "
            "from 0.5 upwards.",
        ),
    ]


def grow_and_feather() -> list[io.Input]:
    """The inputs `grow` and `feather` of a node that removes."""
    return [
        io.Int.Input(
            "grow",
            default=8,
            min=0,
            max=256,
            tooltip="Pixels to add around the mask. A rim of the object that stays "
            "outside makes the fill continue it: rather too much than too little.",
        ),
        io.Int.Input(
            "feather",
            default=4,
            min=0,
            max=256,
            advanced=True,
            tooltip="Pixels over which the fill fades into the image, outside the grown mask.",
        ),
    ]


def cleaned_pictures() -> list[io.Output]:
    """The outputs of a node that removes."""
    return [
        io.Image.Output(display_name="image", tooltip="The pictures without the objects."),
        io.Mask.Output(
            display_name="mask",
            tooltip="What was changed, and how much. For CropAroundMask, to refine it.",
        ),
    ]
