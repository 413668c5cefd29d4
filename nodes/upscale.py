"""UpscaleToModelRes."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..cleanplate.checks import check_image, check_mask
from ..cleanplate.upscale.target import FAMILIES, ModelFamily, fit_to_model
from ..cleanplate.upscale.tiled import ModelUpscaler, check_upscaler
from .shared import finished, says_empty
from .upscale_network import TileWatch, network_of

_CUSTOM = "custom"


class UpscaleToModelRes(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="UpscaleToModelRes",
            display_name="Upscale to Model Resolution",
            category="CleanPlate/upscale",
            description="Brings a crop and its mask to the size a diffusion model works best at, "
            "keeping the aspect. The upscale model runs only when the crop is really smaller; a "
            "large crop is shrunk without aliasing.",
            search_aliases=[
                "resize to 1024",
                "scale to megapixels",
                "upscale crop",
                "multiple of 16",
                "model resolution",
                "모델 해상도",
                "モデル解像度",
                "模型分辨率",
            ],
            inputs=[
                io.Image.Input("image", tooltip="Usually the crop of CropAroundMask."),
                io.Mask.Input("mask", tooltip="Its mask, resized with it."),
                io.Combo.Input(
                    "model_family",
                    options=[*FAMILIES, _CUSTOM],
                    default="Flux",
                    tooltip="What refines the crop: Flux 1024x1024 pixels in multiples of 16, SDXL "
                    "1024x1024 and SD 1.5 512x512 in multiples of 8. The shape may differ, the "
                    "number of pixels stays.",
                ),
                io.Float.Input(
                    "megapixels",
                    default=1.0,
                    min=0.05,
                    max=16.0,
                    step=0.05,
                    advanced=True,
                    tooltip="With the family 'custom' only: the area, in units of 1024x1024 "
                    "pixels.",
                ),
                io.Int.Input(
                    "multiple_of",
                    default=16,
                    min=1,
                    max=64,
                    advanced=True,
                    tooltip="With the family 'custom' only: width and height are multiples of it.",
                ),
                io.UpscaleModel.Input(
                    "upscale_model",
                    optional=True,
                    tooltip="Enlarges with sharp detail, for instance 2x-AnimeSharpV2_MoSR_Sharp. "
                    "Without one the crop is only resized (Lanczos).",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="At the model's resolution."),
                io.Mask.Output(display_name="mask", tooltip="The mask at the same size."),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        mask: Tensor,
        model_family: str,
        megapixels: float,
        multiple_of: int,
        upscale_model: Any = None,
    ) -> io.NodeOutput:
        check_image(image)
        mask = check_mask(mask, image)
        if upscale_model is not None:
            check_upscaler(upscale_model)
        if says_empty(mask):
            return io.NodeOutput(image, finished(mask))
        family = family_of(model_family, megapixels, multiple_of)
        upscaler = _Managed(upscale_model) if upscale_model is not None else None
        large, large_mask = fit_to_model(image, mask, family, upscaler)
        return io.NodeOutput(finished(large), finished(large_mask))


def family_of(model_family: str, megapixels: float, multiple_of: int) -> ModelFamily:
    """What the node's widgets ask for."""
    if model_family == _CUSTOM:
        return ModelFamily(round(megapixels * 1024 * 1024), multiple_of)
    return FAMILIES[model_family]


class _Managed:
    """An upscaler that takes ComfyUI's memory only once it is really called."""

    def __init__(self, model: Any) -> None:
        self._model = model

    @property
    def scale(self) -> int:
        return self._model.scale

    def __call__(self, image: Tensor) -> Tensor:
        return ModelUpscaler(network_of(self._model, 0, TileWatch()))(image)


NODES: list[type[io.ComfyNode]] = [UpscaleToModelRes]
