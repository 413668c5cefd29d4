"""A route of the server: where CropAroundMask would crop, before anything runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import folder_paths
from aiohttp import web
from comfy_api.latest import io
from server import PromptServer
from torch import Tensor

from nodes import LoadImage, LoadImageMask

from ..cleanplate.checks import size_of
from ..cleanplate.crop import CropSettings, find_marked
from ..cleanplate.crop_plan import Marked, plan_crops
from ..cleanplate.geometry import Box, Size
from ..cleanplate.upscale.target import target_size
from .crop import CropAroundMask, settings_of
from .crop_view import MOST_PICTURES, Reference, View, save_overview, views_of
from .upscale import UpscaleToModelRes, family_of

PATH = "/cleanplate/crop"
_MOST_PIXELS = 1 << 27
_MOST_IMAGES = 4096


@dataclass(frozen=True)
class _File:
    """A picture that LoadImage or LoadImageMask would load.

    Attributes:
        name: as their widget has it, for instance "photo.png [input]".
        channel: which one LoadImageMask takes; None for what LoadImage gives.
        state: changes when the file does.
    """

    name: str
    channel: str | None
    state: tuple[int, int]


def add_route(server: PromptServer) -> None:
    """Let the page ask where a crop will be."""
    one_at_a_time = asyncio.Lock()

    @server.routes.post(PATH)
    async def crop(request: web.Request) -> web.Response:
        try:
            asked = await request.json()
            async with one_at_a_time:
                views = await asyncio.to_thread(planned, asked)
        except PermissionError as error:
            return web.json_response({"error": str(error)}, status=403)
        except (ValueError, OSError) as error:
            # Not a failure: a picture may have no mask yet, or lie on another computer.
            return web.json_response({"error": str(error)})
        return web.json_response({"crops": views})


def planned(asked: Mapping[str, Any]) -> list[View]:
    """Where the crops would lie.

    Args:
        asked: `widgets` with the node's values by name, and either `image`, `mask` and, if there is
            one, `context_mask`, each with the `file` and, for LoadImageMask, the `channel`; or,
            of a node that has run, `size`, `masks` and `contexts`. If UpscaleToModelRes follows,
            its values as `fit`: then views tell as `model` what size that makes of the crop.

    Raises:
        ValueError: a value or a file that the nodes would refuse.
        PermissionError: a file that is none of ComfyUI's pictures.
    """
    settings = settings_of(_checked(asked["widgets"], CropAroundMask))
    if "size" in asked:
        size, marked, pictures = _known(asked)
    else:
        size, marked, pictures = _look(
            _file(asked["image"]),
            _file(asked["mask"]),
            _file(asked["context_mask"]) if asked.get("context_mask") else None,
            settings.threshold,
            settings.invert,
            settings.extend,
            settings.one_per == "object",
        )
    frame = settings.frame(size)
    plans = plan_crops(marked, frame, settings.one_per)
    views = views_of(plans, size, frame.bounds, dict(enumerate(pictures)).get)
    if asked.get("fit") and any(marked.masks):
        family = family_of(**_checked(asked["fit"], UpscaleToModelRes))
        for view in views:
            target = target_size(Size(*view["size"]), family)
            view["model"] = [target.width, target.height]
    return views


def _checked(widgets: Mapping[str, Any], node: type[io.ComfyNode]) -> dict[str, Any]:
    """The widgets' values; what is no widget of the node is left out."""
    checked = {}
    for widget in node.define_schema().inputs:
        value = widgets.get(widget.id)
        if value is None or not isinstance(widget, io.WidgetInput):
            continue
        match widget:
            case io.Combo.Input():
                fits = value in widget.options
            case io.Boolean.Input():
                fits = isinstance(value, bool)
            case io.Int.Input():
                fits = isinstance(value, int) and widget.min <= value <= widget.max
            case _:
                fits = isinstance(value, int | float) and widget.min <= value <= widget.max
        if not fits:
            raise ValueError(f"{widget.id} is {value!r}, which the node would not take.")
        checked[widget.id] = value
    return checked


def _known(asked: Mapping[str, Any]) -> tuple[Size, Marked, Sequence[Reference]]:
    """What a run has told about its masks."""
    width, height = (int(value) for value in asked["size"])
    masks, contexts = (
        tuple(box and Box(*(int(value) for value in box)) for box in asked[name])
        for name in ("masks", "contexts")
    )
    if not masks or len(masks) > _MOST_IMAGES or min(width, height) < 1:
        raise ValueError(f"{len(masks)} images of {width}x{height} cannot be planned for.")
    return Size(width, height), Marked(masks, contexts), ()


def _file(asked: Mapping[str, Any]) -> _File:
    """Raise PermissionError for what is no picture in ComfyUI's own folders."""
    name = str(asked["file"])
    channel = asked.get("channel")
    bare, folder = folder_paths.annotated_filepath(name)
    folder = os.path.abspath(folder or folder_paths.get_input_directory())
    path = os.path.abspath(os.path.join(folder, bare))
    inside = os.path.commonpath((path, folder)) == folder
    if not inside or not folder_paths.filter_files_content_types([bare], ["image"]):
        raise PermissionError(f"{name!r} is no picture in ComfyUI's folders.")
    if not os.path.isfile(path):
        raise ValueError(f"{name} is not there.")
    status = os.stat(path)
    return _File(name, channel and str(channel), (status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=32)
def _look(
    image: _File,
    mask: _File,
    context: _File | None,
    threshold: float,
    invert: bool,
    extend: tuple[int, int, int, int],
    objects: bool,
) -> tuple[Size, Marked, Sequence[Reference]]:
    """What is marked in files, found as the nodes would, and what shows it.

    Kept for when other widgets change; only numbers and names, no pictures.
    """
    settings = CropSettings(
        threshold=threshold,
        invert=invert,
        extend=extend,
        one_per="object" if objects else "image",
    )
    pictures, own_mask = LoadImage().load_image(image.name)
    size = size_of(pictures)
    if settings.frame(size).bounds.size.area > _MOST_PIXELS:
        raise ValueError("The image is too large to be shown before it runs.")
    plane = own_mask if (mask.name, mask.channel) == (image.name, None) else _mask(mask)
    shown = _mask(context) if context else None
    marked = find_marked(pictures, plane, settings, shown)
    count = min(len(pictures), MOST_PICTURES)
    return (
        size,
        marked,
        tuple(save_overview(pictures, plane, number, settings) for number in range(count)),
    )


def _mask(file: _File) -> Tensor:
    if file.channel is None:
        return LoadImage().load_image(file.name)[1]
    return LoadImageMask().load_image_mask(file.name, file.channel)[0]
