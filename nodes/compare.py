"""CompareImages."""

from __future__ import annotations

import uuid
from typing import Any

from comfy_api.latest import io, ui
from comfy_execution.utils import get_executing_context
from torch import Tensor

from ..cleanplate.checks import check_image, check_mask, size_of
from ..cleanplate.comparison import change_where, pairs
from ..cleanplate.masks import core
from ..cleanplate.outline import outline, svg_path
from .shared import progress_steps

_COMPRESSION = 1
"""PNG's quickest: the files live as long as the server."""


class CompareImages(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CompareImages",
            display_name="Compare Before / After",
            category="CleanPlate/compare",
            description="Shows two pictures in one place, with a slider between them: zoom into "
            "both together, look at what differs, step through a batch.",
            search_aliases=[
                "compare images",
                "image comparer",
                "before after slider",
                "image compare",
                "difference",
                "ab test",
                "what changed",
                "비교",
                "比較",
                "对比",
            ],
            is_output_node=True,
            inputs=[
                io.Image.Input("before", tooltip="The pictures on the left of the slider."),
                io.Image.Input(
                    "after",
                    tooltip="The pictures on the right of the slider. Of two batches, the shorter "
                    "one starts over. Another size is scaled to the same place.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="What was meant to change: drawn as an outline, and the view can be "
                    "limited to it. Of the size of before; counts from 0.5 upwards.",
                ),
            ],
            outputs=[],
        )

    @classmethod
    def execute(cls, before: Tensor, after: Tensor, mask: Tensor | None = None) -> io.NodeOutput:
        check_image(before, "before")
        check_image(after, "after")
        if mask is not None:
            # Load Image's mask of a picture without transparency is empty, and of another size.
            mask = check_mask(mask, before) if mask.any() else None
        shown = pairs(len(before), len(after))
        step = progress_steps()
        total = len(before) + len(after) + len(shown)
        step(0, total)
        files_before = _saved(before, "before")
        step(len(before), total)
        files_after = _saved(after, "after")
        view: dict[str, list[Any]] = {key: [] for key in ("before", "after", "outline", "outside")}
        for number, (i, k) in enumerate(shown):
            step(total - len(shown) + number, total)
            view["before"].append(files_before[i])
            view["after"].append(files_after[k])
            if mask is not None:
                view["outline"].append(svg_path(outline(core(mask[i])), size_of(before)))
                change = change_where(before[i : i + 1], after[k : k + 1], mask[i] <= 0)
                view["outside"].append(-1 if change is None else change)
        step(total, total)
        # By these the page finds the view again after a reload.
        context = get_executing_context()
        run = [context.prompt_id, context.node_id] if context else []
        return io.NodeOutput(ui={**view, "run": run})


def _saved(images: Tensor, name: str) -> list[ui.SavedResult]:
    # A name never used before: browsers keep pictures of a server that has been restarted.
    prefix = f"cleanplate_{name}_{uuid.uuid4().hex[:12]}"
    return ui.ImageSaveHelper.save_images(
        images.float(), prefix, io.FolderType.temp, cls=None, compress_level=_COMPRESSION
    )


NODES: list[type[io.ComfyNode]] = [CompareImages]
