"""CropAroundMask and StitchBack."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..cleanplate.checks import check_image, check_mask
from ..cleanplate.crop import CropSettings, crop_around_mask
from ..cleanplate.stitch import Stitch, stitch_back
from .shared import StitchType, finished, says_empty

_INSIDE = "keep inside the image"
_EXTEND = "extend beyond the image"


class CropAroundMask(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CropAroundMask",
            display_name="Crop Around Mask",
            category="CleanPlate/crop & stitch",
            description="Cuts the surroundings of the mask out of the image, so that a model works "
            "on them at its own resolution. StitchBack puts the changed crop back: only the "
            "masked part changes.",
            search_aliases=[
                "inpaint crop",
                "crop and stitch",
                "crop by mask",
                "mask bounding box",
                "inpaint only masked",
            ],
            inputs=[
                io.Image.Input("image", tooltip="The picture or pictures to crop."),
                io.Mask.Input(
                    "mask",
                    tooltip="What shall change: one mask for all images, or one for each. Counts "
                    "from 0.5 upwards.",
                ),
                io.Float.Input(
                    "context_factor",
                    default=CropSettings.context_factor,
                    min=1.0,
                    max=20.0,
                    step=0.05,
                    tooltip="How much longer the crop is than the mask: 1.5 adds a quarter of the "
                    "mask's longer side on each of the four sides.",
                ),
                io.Int.Input(
                    "context_pixels",
                    default=CropSettings.context_pixels,
                    min=0,
                    max=4096,
                    step=8,
                    tooltip="Least surroundings on each side, in pixels of the image.",
                ),
                io.Int.Input(
                    "grow",
                    default=CropSettings.grow,
                    min=0,
                    max=256,
                    tooltip="Pixels to add around the mask. LamaRemove's mask has grown already.",
                ),
                io.Int.Input(
                    "feather",
                    default=CropSettings.feather,
                    min=0,
                    max=256,
                    tooltip="Pixels of the image over which StitchBack fades the crop in, outside "
                    "the mask. The mask itself is replaced completely.",
                ),
                io.Int.Input(
                    "minimum_size",
                    default=CropSettings.minimum_size,
                    min=0,
                    max=4096,
                    step=8,
                    advanced=True,
                    tooltip="Least width and height of the crop, so that a tiny mask is not blown "
                    "up to the model's size without surroundings.",
                ),
                io.Int.Input(
                    "multiple_of",
                    default=CropSettings.multiple,
                    min=1,
                    max=128,
                    advanced=True,
                    tooltip="Width and height of the crop become a multiple of this where the "
                    "image is large enough.",
                ),
                io.Combo.Input(
                    "bounds",
                    options=[_INSIDE, _EXTEND],
                    default=_INSIDE,
                    advanced=True,
                    tooltip="At the border of the image: shift the crop inwards, or keep the mask "
                    "in the middle and repeat the edge beyond the image.",
                ),
                io.Mask.Input(
                    "context_mask",
                    optional=True,
                    tooltip="More of the picture that the crop has to show, for instance what "
                    "casts the shadow. It is not changed.",
                ),
            ],
            outputs=[
                StitchType.Output(
                    display_name="stitch", tooltip="For StitchBack: where the crop came from."
                ),
                io.Image.Output(
                    display_name="image",
                    tooltip="The crops, RGB. All crops of a batch have one size.",
                ),
                io.Mask.Output(display_name="mask", tooltip="The masks on the crops."),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        mask: Tensor,
        context_factor: float,
        context_pixels: int,
        grow: int,
        feather: int,
        minimum_size: int,
        multiple_of: int,
        bounds: str,
        context_mask: Tensor | None = None,
    ) -> io.NodeOutput:
        check_image(image)
        mask = check_mask(mask, image)
        says_empty(mask)
        settings = CropSettings(
            context_factor=context_factor,
            context_pixels=context_pixels,
            minimum_size=minimum_size,
            multiple=multiple_of,
            keep_inside=bounds == _INSIDE,
            grow=grow,
            feather=feather,
        )
        stitch, crop, crop_mask = crop_around_mask(image, mask, settings, context_mask)
        return io.NodeOutput(stitch, finished(crop), finished(crop_mask))


class StitchBack(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StitchBack",
            display_name="Stitch Back",
            category="CleanPlate/crop & stitch",
            description="Puts a changed crop back where CropAroundMask took it from: resized to "
            "its place and blended over the feathered mask. Every other pixel stays exactly as it "
            "was.",
            search_aliases=["inpaint stitch", "uncrop", "paste crop", "crop and stitch"],
            inputs=[
                StitchType.Input("stitch", tooltip="From CropAroundMask."),
                io.Image.Input(
                    "image",
                    tooltip="The crop after the change, at any resolution but the same aspect. "
                    "Several variants of one crop give one result each.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The whole pictures."),
                io.Mask.Output(
                    display_name="mask",
                    tooltip="The blend weights on the whole picture: where it is black, not a "
                    "single bit has changed.",
                ),
            ],
        )

    @classmethod
    def execute(cls, stitch: Stitch, image: Tensor) -> io.NodeOutput:
        return io.NodeOutput(finished(stitch_back(stitch, image)), finished(stitch.mask()))


NODES: list[type[io.ComfyNode]] = [CropAroundMask, StitchBack]
