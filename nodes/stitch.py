"""StitchBack."""

from __future__ import annotations

from collections.abc import Sequence

from comfy_api.latest import io
from torch import Tensor

from ..cleanplate.colour import DEFAULT_MODE, MODES
from ..cleanplate.stitch import Seam, Stitch, full_mask, same_pictures, stitch_all
from .shared import StitchType, finished

_SEAMS: list[Seam] = ["feather", "multi-band", "whole crop"]


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
            search_aliases=[
                "inpaint stitch",
                "uncrop",
                "paste crop",
                "crop and stitch",
                "colour match",
                "color match",
                "되붙이기",
                "색상 맞추기",
                "貼り戻し",
                "色合わせ",
                "贴回",
                "颜色匹配",
            ],
            is_input_list=True,
            inputs=[
                StitchType.Input("stitch", tooltip="From CropAroundMask."),
                io.Image.Input(
                    "image",
                    tooltip="The crop after the change, at any resolution but the same aspect. "
                    "Several variants of one crop give one result each.",
                ),
                io.Combo.Input(
                    "colour_match",
                    options=list(MODES),
                    default=DEFAULT_MODE,
                    optional=True,
                    tooltip="Undo the shift in colour that VAE and sampler leave, as it shows "
                    "around the mask, where nothing should have changed. smooth field: also one "
                    "that varies over the crop. gain and offset: the same all over. none: keep "
                    "the colours of the crop, for instance when their change is wanted.",
                ),
                io.Float.Input(
                    "colour_strength",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    optional=True,
                    advanced=True,
                    tooltip="How much of the shift in colour is undone.",
                ),
                io.Combo.Input(
                    "seam",
                    options=_SEAMS,
                    default=_SEAMS[0],
                    optional=True,
                    advanced=True,
                    tooltip="feather: fade the crop in around the mask. multi-band: fade fine "
                    "detail over a short way and colours over a long one, for textures. whole "
                    "crop: paste all of it, without the mask.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="image", tooltip="The whole pictures.", is_output_list=True
                ),
                io.Mask.Output(
                    display_name="mask",
                    tooltip="The blend weights on the whole picture: where it is black, not a "
                    "single bit has changed.",
                    is_output_list=True,
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        stitch: list[Stitch],
        image: list[Tensor],
        colour_match: Sequence[str] = (DEFAULT_MODE,),
        colour_strength: Sequence[float] = (1.0,),
        seam: Sequence[Seam] = ("feather",),
    ) -> io.NodeOutput:
        results, weights = [], []
        for stitches, images in _pictures(stitch, image):
            result = stitch_all(
                stitches,
                images,
                colour=colour_match[0],
                strength=colour_strength[0],
                seam=seam[0],
            )
            results.append(finished(result))
            weights.append(finished(full_mask(stitches)))
        return io.NodeOutput(results, weights)


def _pictures(
    stitches: list[Stitch], images: list[Tensor]
) -> list[tuple[list[Stitch], list[Tensor]]]:
    """What gives one result each."""
    if len(stitches) == 1:
        return [(stitches, [image]) for image in images]
    if len(images) == 1 and len(images[0]) == len(stitches):
        # The crops were made one batch, which crops of one size can be.
        images = list(images[0].split(1))
    if len(images) != len(stitches):
        raise ValueError(
            f"stitch holds {len(stitches)} crops but image holds {len(images)}: connect what "
            "became of every crop, in the same order."
        )
    pictures, start = [], 0
    for group in same_pictures(stitches):
        pictures.append((group, images[start : start + len(group)]))
        start += len(group)
    return pictures


NODES: list[type[io.ComfyNode]] = [StitchBack]
