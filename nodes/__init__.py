"""ComfyUI nodes: schemas, and translation between ComfyUI and the library.

The only place that imports ComfyUI. One file for each capability.
"""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io
from server import PromptServer

from . import (
    check,
    compare,
    crop,
    crop_route,
    defects,
    faces,
    fill,
    prepare,
    quality,
    refine,
    refine_defects,
    removal,
    stitch,
    tiled_refine,
    tiled_upscale,
    upscale,
)


class CleanPlateExtension(ComfyExtension):
    async def on_load(self) -> None:
        crop_route.add_route(PromptServer.instance)

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [
            *removal.NODES,
            *fill.NODES,
            *prepare.NODES,
            *crop.NODES,
            *stitch.NODES,
            *upscale.NODES,
            *tiled_upscale.NODES,
            *tiled_refine.NODES,
            *refine.NODES,
            *faces.NODES,
            *check.NODES,
            *defects.NODES,
            *refine_defects.NODES,
            *quality.NODES,
            *compare.NODES,
        ]
