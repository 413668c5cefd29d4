"""CropAroundMask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..cleanplate.canvas import Outside
from ..cleanplate.checks import size_of
from ..cleanplate.crop import Crop, CropSettings, crops_around_mask
from ..cleanplate.crop_plan import OnePer
from .crop_view import KEY, Reference, has_viewer, save_overview, views_of
from .shared import StitchType, finished, say, says_empty

_BOUNDS: dict[str, tuple[bool, Outside]] = {
    "keep inside the image": (True, "edge"),
    "extend beyond the image": (False, "edge"),
    "extend with a mirror image": (False, "mirror"),
    "extend with grey": (False, "grey"),
}
_INSIDE = next(iter(_BOUNDS))
_ONE_PER: list[OnePer] = ["image", "moving frame", "batch", "object"]
_SIDES = ("left", "top", "right", "bottom")
_FIELDS = {"multiple_of": "multiple", "one_crop_per": "one_per", "invert_mask": "invert"}
"""What the settings are called where the widgets have another name."""


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
                "outpaint",
                "video crop",
                "one crop per object",
                "마스크 자르기",
                "인페인트 크롭",
                "マスクで切り抜き",
                "クロップ",
                "按遮罩裁剪",
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
                    options=list(_BOUNDS),
                    default=_INSIDE,
                    advanced=True,
                    tooltip="At the border of the image: shift the crop inwards, or keep the mask "
                    "in the middle and show something beyond the image: its edge repeated, its "
                    "mirror image, or grey. The same is shown where the image is extended.",
                ),
                *_further_settings(),
                io.Mask.Input(
                    "context_mask",
                    optional=True,
                    tooltip="More of the picture that the crop has to show, for instance what "
                    "casts the shadow. It is not changed.",
                ),
            ],
            outputs=[
                StitchType.Output(
                    display_name="stitch",
                    tooltip="For StitchBack: where the crop came from.",
                    is_output_list=True,
                ),
                io.Image.Output(
                    display_name="image",
                    tooltip="The crops, RGB. All crops of a batch have one size.",
                    is_output_list=True,
                ),
                io.Mask.Output(
                    display_name="mask",
                    tooltip="The masks on the crops, grown: for the model.",
                    is_output_list=True,
                ),
                io.Mask.Output(
                    display_name="painted_mask",
                    tooltip="The masks on the crops as they were given.",
                    is_output_list=True,
                ),
                io.Mask.Output(
                    display_name="blend_mask",
                    tooltip="How much of the changed crop StitchBack will take.",
                    is_output_list=True,
                ),
                io.BoundingBox.Output(
                    display_name="box",
                    tooltip="Where the crops lie: for each image a list of one box.",
                    is_output_list=True,
                ),
                io.Boolean.Output(
                    display_name="is_empty",
                    tooltip="Whether the mask is empty, so that a model need not run at all.",
                    is_output_list=True,
                ),
            ],
        )

    @classmethod
    def execute(
        cls, image: Tensor, mask: Tensor, context_mask: Tensor | None = None, **widgets: Any
    ) -> io.NodeOutput:
        settings = settings_of(widgets)
        crops = crops_around_mask(image, mask, settings, context_mask)

        def picture(number: int) -> Reference | None:
            # Nobody looks at a run that no page has asked for.
            return save_overview(image, mask, number, settings) if has_viewer() else None

        size = size_of(image)
        plans = [crop.plan for crop in crops]
        views = views_of(plans, size, settings.frame(size).bounds, picture)
        empty = [crop.stitch.is_empty for crop in crops]
        if all(empty) and not says_empty(mask):
            say("Nothing of the image is selected: it passes through unchanged.")
        return io.NodeOutput(
            [crop.stitch for crop in crops],
            [finished(crop.image) for crop in crops],
            [finished(crop.mask) for crop in crops],
            [finished(crop.painted) for crop in crops],
            [finished(crop.blend) for crop in crops],
            [_boxes(crop) for crop in crops],
            empty,
            ui={KEY: views},
        )


def settings_of(widgets: Mapping[str, Any]) -> CropSettings:
    """The settings that the node's widgets say; those that are missing have their defaults."""
    given = {_FIELDS.get(name, name): value for name, value in widgets.items()}
    inside, outside = _BOUNDS[given.pop("bounds", _INSIDE)]
    extend = tuple(given.pop(f"extend_{side}", 0) for side in _SIDES)
    return CropSettings(**given, keep_inside=inside, outside=outside, extend=extend)


def _further_settings() -> list[io.Input]:
    """Widgets that graphs made before they existed need not have."""
    return [
        io.Int.Input(
            "width",
            default=CropSettings.width,
            min=0,
            max=16384,
            step=8,
            optional=True,
            advanced=True,
            tooltip="Resize the crop to this width, and show what gives it that aspect. 0 follows "
            "from the height, or leaves the size as it is: Upscale to Model Resolution finds a "
            "good one.",
        ),
        io.Int.Input(
            "height",
            default=CropSettings.height,
            min=0,
            max=16384,
            step=8,
            optional=True,
            advanced=True,
            tooltip="Resize the crop to this height. 0 follows from the width.",
        ),
        io.Combo.Input(
            "one_crop_per",
            options=_ONE_PER,
            default=CropSettings.one_per,
            optional=True,
            advanced=True,
            tooltip="What gets a crop of its own. image: each image. moving frame: the same, for a "
            "video, with a smooth path. batch: all images at one place, for a video with a still "
            "object. object: each separate object of the mask, as a list, one after the other.",
        ),
        io.Boolean.Input(
            "fill_holes",
            default=CropSettings.fill_holes,
            optional=True,
            advanced=True,
            tooltip="Also change what the mask encloses, for instance when it is only an outline.",
        ),
        io.Float.Input(
            "threshold",
            default=CropSettings.threshold,
            min=0.01,
            max=1.0,
            step=0.01,
            optional=True,
            advanced=True,
            tooltip="Mask values from this on count. Lower it for a faint mask.",
        ),
        io.Boolean.Input(
            "invert_mask",
            default=CropSettings.invert,
            optional=True,
            advanced=True,
            tooltip="Change everything but the mask.",
        ),
        *(
            io.Int.Input(
                f"extend_{side}",
                default=0,
                min=0,
                max=8192,
                step=8,
                optional=True,
                advanced=True,
                tooltip=f"Outpaint: pixels to add to the image at its {side} side. They are "
                "masked, and StitchBack gives the larger image.",
            )
            for side in _SIDES
        ),
    ]


def _boxes(crop: Crop) -> list[list[dict[str, object]]]:
    """The boxes in ComfyUI's form."""
    return [
        [
            {
                "x": box.x,
                "y": box.y,
                "width": box.width,
                "height": box.height,
                "label": "crop",
                "score": 1.0,
            }
        ]
        for box in crop.stitch.boxes
    ]


NODES: list[type[io.ComfyNode]] = [CropAroundMask]
