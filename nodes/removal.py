"""LoadRemovalModel and LamaRemove."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import io
from spandrel import MaskedImageModelDescriptor
from torch import Tensor

from ..cleanplate.checks import check_image, check_mask
from ..cleanplate.fill.capped import MAX_SIDE
from ..cleanplate.fill.lama import fixed_side
from ..cleanplate.fill.refine import MAX_SIDE as REFINED_SIDE
from ..cleanplate.fill.refine import MAX_STEPS
from ..cleanplate.fill.regions import fill_regions
from ..cleanplate.models import SUFFIXES, load_removal_model
from .managed_fill import ManagedFill
from .shared import (
    RemovalModel,
    cleaned_pictures,
    finished,
    grow_and_feather,
    patcher_of,
    pictures_to_clean,
    progress_steps,
    says_empty,
)

_FOLDERS = ("inpaint", "lama")
_WHERE = (
    "put LaMa's big-lama.pt or big-lama.safetensors into ComfyUI/models/inpaint; it is published "
    "at https://github.com/Sanster/models/releases/tag/add_big_lama (Apache-2.0)"
)
_NO_CAP = 16384

for _folder in _FOLDERS:
    folder_paths.add_model_folder_path(_folder, os.path.join(folder_paths.models_dir, _folder))


def _files() -> list[str]:
    names: list[str] = []
    for folder in _FOLDERS:
        for name in folder_paths.get_filename_list(folder):
            if name.lower().endswith(SUFFIXES) and name not in names:
                names.append(name)
    return names


def _find(name: str) -> str | None:
    paths = (folder_paths.get_full_path(folder, name) for folder in _FOLDERS)
    return next((path for path in paths if path), None)


class LoadRemovalModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LoadRemovalModel",
            display_name="Load Removal Model",
            category="CleanPlate/removal",
            description="Loads a network that fills holes, such as LaMa, from models/inpaint or "
            "models/lama; MAT too, where the Python package spandrel_extra_arches is installed "
            "(non-commercial). Of a TorchScript file (big-lama.pt) only the weights are read, "
            "never its code; they are kept beside it as safetensors.",
            search_aliases=[
                "lama",
                "big-lama",
                "load inpaint model",
                "eraser model",
                "inpaint",
                "제거 모델",
                "除去モデル",
                "移除模型",
            ],
            inputs=[
                io.Combo.Input(
                    "model_name",
                    options=_files(),
                    tooltip="A file in models/inpaint or models/lama: .safetensors, .ckpt, .pth, "
                    "or the published big-lama.pt.",
                ),
            ],
            outputs=[
                RemovalModel.Output(
                    display_name="removal_model",
                    tooltip="For LamaRemove, and for other packs' nodes that take INPAINT_MODEL.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, model_name: str | None = None) -> bool | str:
        # A name that another node gives is known only once that node has run.
        if isinstance(model_name, str) and _find(model_name) is None:
            return f"the file {model_name!r} is in neither models/inpaint nor models/lama: {_WHERE}"
        return True

    @classmethod
    def execute(cls, model_name: str) -> io.NodeOutput:
        path = _find(model_name)
        if path is None:
            raise ValueError(f"{model_name!r} is not in models/inpaint any more: {_WHERE}.")
        model = load_removal_model(Path(path))
        patcher_of(model)
        return io.NodeOutput(model)


class LamaRemove(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LamaRemove",
            display_name="Remove Object (LaMa)",
            category="CleanPlate/removal",
            description="Removes what the mask covers and fills the place with its surroundings. "
            "Works on a crop around each masked object, at full resolution; every pixel outside "
            "the returned mask stays exactly as it was.",
            search_aliases=[
                "remove object",
                "erase",
                "eraser",
                "clean up",
                "inpaint",
                "lama",
                "big lama remover",
                "object removal",
                "지우기",
                "지우개",
                "객체 제거",
                "消しゴム",
                "オブジェクト除去",
                "物体除去",
                "消除",
                "擦除",
                "移除物体",
            ],
            inputs=[
                *pictures_to_clean(),
                RemovalModel.Input(
                    "removal_model", tooltip="From Load Removal Model; big-LaMa is the usual one."
                ),
                *grow_and_feather(),
                io.Float.Input(
                    "context_factor",
                    default=1.4,
                    min=1.0,
                    max=10.0,
                    step=0.1,
                    advanced=True,
                    tooltip="How much longer the crop is than the masked object: 1.4 shows the "
                    "network a fifth of the object's longer side on each side of it.",
                ),
                io.Int.Input(
                    "context_pixels",
                    default=128,
                    min=0,
                    max=2048,
                    step=8,
                    advanced=True,
                    tooltip="Least number of pixels that the network sees on each side of the "
                    "mask. 64 beyond what is filled are always seen.",
                ),
                io.Int.Input(
                    "max_side",
                    default=MAX_SIDE,
                    min=256,
                    max=_NO_CAP,
                    step=64,
                    optional=True,
                    advanced=True,
                    tooltip="Crops longer than this are filled reduced and enlarged again, inside "
                    "the mask only: LaMa repeats textures at sizes far from those it has learned, "
                    f"and its cost grows with the pixels. {_NO_CAP} switches it off.",
                ),
                io.Boolean.Input(
                    "same_crop_for_all",
                    default=False,
                    optional=True,
                    advanced=True,
                    tooltip="Crop all images at the same places, those of all masks together. For "
                    "frames of a video: crops that move with the mask make the fill flicker.",
                ),
                io.Int.Input(
                    "refine",
                    default=0,
                    min=0,
                    max=MAX_STEPS,
                    optional=True,
                    advanced=True,
                    tooltip="Steps by which LaMa's fill of a large hole is corrected with a fill "
                    "at half the size: 0 is off, 15 what its authors use. For crops from 512 "
                    f"pixels, which are capped at {REFINED_SIDE}; takes about 30 times as long "
                    "and up to 9 GB.",
                ),
            ],
            outputs=cleaned_pictures(),
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        mask: Tensor,
        removal_model: Any,
        grow: int,
        feather: int,
        context_factor: float,
        context_pixels: int,
        max_side: int = MAX_SIDE,
        same_crop_for_all: bool = False,
        refine: int = 0,
    ) -> io.NodeOutput:
        check_image(image)
        mask = check_mask(mask, image)
        if not isinstance(removal_model, MaskedImageModelDescriptor):
            raise ValueError(
                f"removal_model is a {type(removal_model).__name__}, which LamaRemove cannot run: "
                "connect Load Removal Model."
            )
        fill = ManagedFill(removal_model, max_side, refine)
        says_empty(mask)
        result, changed = fill_regions(
            image,
            mask,
            fill,
            grow=grow,
            feather=feather,
            context_factor=context_factor,
            # A network of one size sees picture in all of it rather than its reflection.
            context_pixels=max(context_pixels, (fixed_side(removal_model) or 0) // 2),
            shared_crops=same_crop_for_all,
            step=progress_steps(),
        )
        return io.NodeOutput(finished(result), finished(changed))


NODES: list[type[io.ComfyNode]] = [LoadRemovalModel, LamaRemove]
