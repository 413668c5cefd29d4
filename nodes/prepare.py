"""PrepareMask."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..cleanplate.prepare import PrepareSettings, prepare_mask
from .shared import finished, progress_steps, say


class PrepareMask(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PrepareMask",
            display_name="Prepare Mask",
            category="CleanPlate/removal",
            description="Makes a mask ready for removal: fills its holes, grows it beyond the "
            "object's edge, follows the cast shadow if wanted, and warns of masks that will fail, "
            "such as one that cuts through the object.",
            search_aliases=[
                "grow mask",
                "expand mask",
                "dilate mask",
                "fill mask holes",
                "feather mask",
                "blur mask",
                "remove shadow",
                "shadow mask",
                "마스크 확장",
                "그림자",
                "マスク拡張",
                "影",
                "扩展遮罩",
                "阴影",
            ],
            inputs=[
                io.Mask.Input(
                    "mask",
                    tooltip="What to remove: one mask for all images, or one for each. Counts "
                    "from 0.5 upwards.",
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="The picture that the mask belongs to. Needed to follow shadows and "
                    "to tell whether the mask cuts through the object.",
                ),
                io.Boolean.Input(
                    "fill_holes",
                    default=PrepareSettings.fill_holes,
                    tooltip="Mask what the mask encloses: gaps between brush strokes, or the "
                    "inside of a ring that is drawn around the object.",
                ),
                io.Int.Input(
                    "grow",
                    default=PrepareSettings.grow,
                    min=0,
                    max=256,
                    tooltip="Pixels to add around the mask and its shadow. 4 takes the soft edge "
                    "of an exact mask; the nodes that remove add their own 8.",
                ),
                io.Int.Input(
                    "feather",
                    default=PrepareSettings.feather,
                    min=0,
                    max=256,
                    advanced=True,
                    tooltip="Pixels over which the mask fades out, outside of it. Other nodes "
                    "count from 0.5, so they see a mask that is larger by half of it; and they "
                    "feather by themselves.",
                ),
                io.Boolean.Input(
                    "shadow",
                    default=PrepareSettings.shadow,
                    label_on="follow the cast shadow",
                    label_off="off",
                    tooltip="Extend the mask over what adjoins the object, is darker than the "
                    "ground and has its colour and texture. Where none is certain, the mask stays.",
                ),
                io.Float.Input(
                    "shadow_reach",
                    default=PrepareSettings.shadow_reach,
                    min=0.25,
                    max=4.0,
                    step=0.25,
                    advanced=True,
                    tooltip="How far from the object to look for its shadow, in lengths of the "
                    "object's longer side.",
                ),
            ],
            outputs=[
                io.Mask.Output(
                    display_name="mask",
                    tooltip="The prepared masks: one for each image if shadows were followed, "
                    "else as many as came in.",
                ),
                io.String.Output(
                    display_name="text",
                    tooltip="What was done with each mask, and warnings. Also shown under the "
                    "node while it runs.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        mask: Tensor,
        fill_holes: bool,
        grow: int,
        feather: int,
        shadow: bool,
        shadow_reach: float,
        image: Tensor | None = None,
    ) -> io.NodeOutput:
        settings = PrepareSettings(fill_holes, grow, feather, shadow, shadow_reach)
        prepared = prepare_mask(mask, image, settings, step=progress_steps())
        say(prepared.text)
        return io.NodeOutput(finished(prepared.mask), prepared.text)


NODES: list[type[io.ComfyNode]] = [PrepareMask]
