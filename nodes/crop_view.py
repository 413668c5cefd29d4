"""What the canvas shows of CropAroundMask: where crops lie, in numbers and as a picture."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import folder_paths
from PIL import Image
from server import PromptServer
from torch import Tensor

from ..cleanplate.checks import check_mask
from ..cleanplate.crop import CropSettings
from ..cleanplate.crop_plan import CropPlan
from ..cleanplate.geometry import Box, Size
from ..cleanplate.overview import overview

KEY = "cleanplate_crop"
"""Under this name ComfyUI hands the views of a run to the page."""

View = dict[str, Any]
Reference = dict[str, str]
"""A file of ComfyUI's: filename, subfolder and type."""

MOST_PICTURES = 16
"""How many images of a batch get a picture."""


def views_of(
    plans: Sequence[CropPlan],
    image: Size,
    bounds: Box,
    picture: Callable[[int], Reference | None],
) -> list[View]:
    """Where each crop lies, for js/crop_preview.js.

    Boxes are lists of x, y, width and height in pixels of the image.

    Args:
        plans: where the crops lie.
        image: size of the images.
        bounds: what stitching will give: larger than the image where it is extended.
        picture: the file that shows the image of that number.
    """
    show = cache(picture)
    return [
        {
            "number": number,
            "image": [image.width, image.height],
            "bounds": _numbers(bounds),
            "mask": view.mask and _numbers(view.mask),
            "changing": view.changing and _numbers(view.changing),
            "context": view.context and _numbers(view.context),
            "crop": _numbers(box),
            "size": [plan.size.width, plan.size.height],
            "picture": show(number) if number < MOST_PICTURES else None,
        }
        for plan in plans
        for number, (view, box) in enumerate(
            zip(plan.views, plan.boxes, strict=True), start=plan.first
        )
    ]


def _numbers(box: Box) -> list[int]:
    return [box.x, box.y, box.width, box.height]


def has_viewer() -> bool:
    """Whether a page has asked for the run; a script that did not look has no client id."""
    server = getattr(PromptServer, "instance", None)
    return getattr(server, "client_id", None) is not None


def save_overview(image: Tensor, mask: Tensor, number: int, settings: CropSettings) -> Reference:
    """Write a small picture of an image and its mask to ComfyUI's temporary folder.

    Args:
        image: ``[B, H, W, 3 or 4]``.
        mask: what `check_mask` takes.
        number: which of the images.
        settings: what of the mask counts.
    """
    plane = check_mask(mask, image, values=False)[number]
    pixels = overview(image[number], plane, threshold=settings.threshold, invert=settings.invert)
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    name = f"cleanplate-crop-{uuid.uuid4().hex}.jpg"
    Image.fromarray(pixels.numpy()).save(folder / name, quality=85)
    return {"filename": name, "subfolder": "", "type": "temp"}
