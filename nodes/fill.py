"""ContentAwareFill."""

from __future__ import annotations

from collections.abc import Callable

from comfy_api.latest import io
from torch import Tensor

from ..cleanplate.checks import check_image, check_mask
from ..cleanplate.fill.methods import METHODS
from ..cleanplate.fill.patchmatch import PatchMatch
from ..cleanplate.fill.regions import fill_regions
from .shared import (
    cleaned_pictures,
    finished,
    grow_and_feather,
    pictures_to_clean,
    progress_steps,
    say,
    says_empty,
)

_PARTS = 1000


class ContentAwareFill(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ContentAwareFill",
            display_name="Content-Aware Fill",
            category="CleanPlate/removal",
            description="Removes what the mask covers without any model: the surroundings are "
            "continued into the hole. patchmatch copies texture and goes on with straight edges; "
            "it does not know what things are, there LamaRemove is better. Every pixel outside "
            "the returned mask stays exactly as it was.",
            search_aliases=[
                "remove object",
                "erase",
                "fill masked area",
                "inpaint",
                "patchmatch",
                "clone stamp",
                "texture synthesis",
                "telea",
                "navier-stokes",
                "opencv inpaint",
                "content aware fill",
                "지우기",
                "내용 인식 채우기",
                "コンテンツに応じた塗りつぶし",
                "消しゴム",
                "内容识别填充",
                "消除",
            ],
            inputs=[
                *pictures_to_clean(),
                io.Combo.Input(
                    "method",
                    options=list(METHODS),
                    default="patchmatch",
                    tooltip="patchmatch copies patches of the surroundings, so texture and "
                    "straight edges go on; telea marches from the rim inwards and navier_stokes "
                    "continues lines of equal brightness: quick, smooth, for scratches and small "
                    "spots.",
                ),
                *grow_and_feather(),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    optional=True,
                    tooltip="Another seed, another fill; only patchmatch uses it.",
                ),
                io.Mask.Input(
                    "source_mask",
                    optional=True,
                    tooltip="White where patchmatch may copy from. Without it, from all around the "
                    "hole. One mask for all images, or one for each.",
                ),
            ],
            outputs=cleaned_pictures(),
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        mask: Tensor,
        method: str,
        grow: int,
        feather: int,
        seed: int = 0,
        source_mask: Tensor | None = None,
    ) -> io.NodeOutput:
        check_image(image)
        mask = check_mask(mask, image)
        says_empty(mask)
        step, on_scale = _progress()
        fill = METHODS[method]
        if isinstance(fill, PatchMatch):
            fill = PatchMatch(seed, on_scale)
        elif source_mask is not None:
            say(f"source_mask is ignored: {method} does not copy. Set method to patchmatch.")
            source_mask = None
        result, changed = fill_regions(
            image,
            mask,
            fill,
            grow=grow,
            feather=feather,
            source=source_mask,
            step=step,
        )
        return io.NodeOutput(finished(result), finished(changed))


def _progress() -> tuple[Callable[[int, int], None], Callable[[int, int], None]]:
    """Progress over the crops, and within one; either raises when the user cancels."""
    show = progress_steps()
    crop, crops = 0, 1

    def step(done: int, total: int) -> None:
        nonlocal crop, crops
        crop, crops = done, total
        show(done * _PARTS, total * _PARTS)

    def within(done: int, total: int) -> None:
        show(crop * _PARTS + _PARTS * done // total, crops * _PARTS)

    return step, within


NODES: list[type[io.ComfyNode]] = [ContentAwareFill]
