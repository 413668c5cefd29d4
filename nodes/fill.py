"""ContentAwareFill."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..cleanplate.checks import check_image, check_mask
from ..cleanplate.fill.classical import METHODS
from ..cleanplate.fill.regions import fill_regions
from .shared import (
    cleaned_pictures,
    finished,
    grow_and_feather,
    pictures_to_clean,
    progress_steps,
    says_empty,
)


class ContentAwareFill(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ContentAwareFill",
            display_name="Content-Aware Fill",
            category="CleanPlate/removal",
            description="Removes what the mask covers without any model: the surroundings are "
            "continued into the hole. Quick, and good for small objects on smooth backgrounds; "
            "patterns and large holes smear, there LamaRemove is better. Every pixel outside the "
            "returned mask stays exactly as it was.",
            search_aliases=[
                "remove object",
                "erase",
                "fill masked area",
                "inpaint",
                "telea",
                "navier-stokes",
                "opencv inpaint",
                "content aware fill",
                "지우기",
            ],
            inputs=[
                *pictures_to_clean(),
                io.Combo.Input(
                    "method",
                    options=list(METHODS),
                    default="telea",
                    tooltip="telea marches from the rim inwards; navier_stokes continues lines of "
                    "equal brightness, a little smoother.",
                ),
                *grow_and_feather(),
            ],
            outputs=cleaned_pictures(),
        )

    @classmethod
    def execute(
        cls, image: Tensor, mask: Tensor, method: str, grow: int, feather: int
    ) -> io.NodeOutput:
        check_image(image)
        mask = check_mask(mask, image)
        says_empty(mask)
        result, changed = fill_regions(
            image, mask, METHODS[method], grow=grow, feather=feather, step=progress_steps()
        )
        return io.NodeOutput(finished(result), finished(changed))


NODES: list[type[io.ComfyNode]] = [ContentAwareFill]
