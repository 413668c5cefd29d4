"""TiledUpscale and SaveTiledUpscale."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import comfy.model_management as management
import folder_paths
import torch
from comfy.cli_args import args
from comfy_api.latest import io, ui
from torch import Tensor

from ..cleanplate.checks import check_image, size_of
from ..cleanplate.geometry import Box, Size
from ..cleanplate.memory import empty
from ..cleanplate.upscale.enlarge import Target, count_tiles, enlarge, enlarge_rows, memory_needed
from ..cleanplate.upscale.files import FORMATS, saved, suffix
from ..cleanplate.upscale.rows import Plain, Resizer
from ..cleanplate.upscale.tiled import TiledNetwork, check_upscaler
from .shared import finished, say
from .upscale_network import TileWatch, network_of

_MEGAPIXEL = 1024 * 1024
_MOST = 65536
_PREVIEW = 2048

Options = Mapping[str, Any]

_TARGETS: dict[str, Callable[[Size, int, Options], Target]] = {
    "the model's own factor": lambda size, scale, _: Target.own(size, scale),
    "factor": lambda size, scale, o: Target.factor(size, o["factor"], scale),
    "4K (longest side 3840)": lambda size, scale, _: Target.longest_side(size, 3840, scale),
    "8K (longest side 7680)": lambda size, scale, _: Target.longest_side(size, 7680, scale),
    "longest side": lambda size, scale, o: Target.longest_side(size, o["longest_side"], scale),
    "fit into width x height": lambda size, scale, o: Target.fit(
        size, Size(o["width"], o["height"]), scale
    ),
    "fill width x height": lambda size, scale, o: Target.fill(
        size, Size(o["width"], o["height"]), scale
    ),
    "megapixels": lambda size, scale, o: Target.pixels(size, o["megapixels"] * _MEGAPIXEL, scale),
}


def _side(name: str, default: int, tooltip: str) -> io.Int.Input:
    return io.Int.Input(name, default=default, min=1, max=_MOST, tooltip=tooltip)


def _inputs() -> list[io.Input]:
    """What both nodes take."""
    bounds = [
        _side("width", 3840, "Pixels of the result at most, or exactly when filling."),
        _side("height", 2160, "Pixels of the result at most, or exactly when filling."),
    ]
    more: dict[str, list[io.Input]] = {
        "factor": [
            io.Float.Input(
                "factor",
                default=2.0,
                min=0.05,
                max=32.0,
                step=0.05,
                tooltip="How many times wider and higher.",
            )
        ],
        "longest side": [_side("longest_side", 4096, "Pixels of the longer side of the result.")],
        "fit into width x height": bounds,
        "fill width x height": bounds,
        "megapixels": [
            io.Float.Input(
                "megapixels",
                default=16.0,
                min=0.01,
                max=4096.0,
                step=0.1,
                tooltip="Area of the result, in units of 1024x1024 pixels.",
            )
        ],
    }
    return [
        io.Image.Input("image", tooltip="The picture or pictures to enlarge."),
        io.UpscaleModel.Input(
            "upscale_model",
            tooltip="From Load Upscale Model: ESRGAN, Compact, DAT, SwinIR, HAT and what else "
            "spandrel reads.",
        ),
        io.DynamicCombo.Input(
            "target",
            options=[io.DynamicCombo.Option(name, more.get(name, [])) for name in _TARGETS],
            tooltip="The size of the result. The model runs as often as is needed and no more; "
            "what is left is an antialiased resize, band by band. 'Fill' cuts off what is too "
            "much, equally on both sides.",
        ),
        io.Float.Input(
            "strength",
            default=1.0,
            min=0.0,
            max=1.0,
            step=0.05,
            tooltip="How much of the model's detail is taken; the rest is the plainly resized "
            "picture. 0.4 to 0.6 is subtle and keeps invented detail down.",
        ),
        io.Int.Input(
            "tile",
            default=0,
            min=0,
            max=8192,
            step=32,
            advanced=True,
            tooltip="Most pixels of a side that the model sees at once. 0 chooses by the model "
            "and the free memory. The result does not depend on it beyond what is invisible.",
        ),
    ]


class TiledUpscale(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TiledUpscale",
            display_name="Upscale in Tiles",
            category="CleanPlate/upscale",
            description="Enlarges with an upscale model to exactly the size you ask for: 4K, 8K, a "
            "factor, any width and height. Tiles leave no seams, because each sees as much around "
            "itself as the model needs; the memory is little more than the result's own.",
            search_aliases=[
                "upscale image using model",
                "4k",
                "8k",
                "super resolution",
                "enlarge",
                "esrgan",
                "ultimate upscale",
                "upscale to size",
                "업스케일",
                "고해상도",
                "アップスケール",
                "高解像度",
                "放大",
                "超分辨率",
            ],
            inputs=_inputs(),
            outputs=[io.Image.Output(display_name="image", tooltip="The enlarged pictures.")],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        upscale_model: Any,
        target: dict[str, Any],
        strength: float,
        tile: int,
    ) -> io.NodeOutput:
        check_image(image)
        check_upscaler(upscale_model)
        goal = _goal(image, upscale_model, target)
        dtype = management.intermediate_dtype()
        needed = memory_needed([goal] * len(image), image.shape[3]) * dtype.itemsize // 4
        _check_memory(needed, goal)
        watch = TileWatch()
        network = _network(image, upscale_model, goal, strength, tile, watch, needed)
        shape = (len(image), goal.part.height, goal.part.width, image.shape[3])
        result = empty(shape, dtype, management.intermediate_device())
        for source, place in zip(image, result, strict=True):
            watch.begin(source)
            enlarge(source, goal, network, place, strength)
        return io.NodeOutput(finished(result))


class SaveTiledUpscale(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SaveTiledUpscale",
            display_name="Upscale in Tiles to File",
            category="CleanPlate/upscale",
            description="As Upscale in Tiles, but the result goes row by row into a PNG or TIFF in "
            "the output folder and never has to fit into memory: 16K and more, 8 or 16 bits.",
            search_aliases=[
                "save upscaled image",
                "16k",
                "gigapixel",
                "save tiff",
                "16 bit png",
                "huge image",
                "고해상도 저장",
                "高解像度で保存",
                "保存大图",
            ],
            inputs=[
                *_inputs(),
                io.String.Input(
                    "filename_prefix",
                    default="upscaled/CleanPlate",
                    tooltip="Folder within the output folder, and beginning of the file's name; "
                    "%date:yyyy-MM-dd% and the like work as in Save Image.",
                ),
                io.Combo.Input(
                    "format",
                    options=list(FORMATS),
                    default=FORMATS[0],
                    tooltip="PNG carries the workflow. 16 bits keep gradients smooth for editing.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="preview",
                    tooltip="The result, at most 2048 pixels a side.",
                ),
                io.String.Output(
                    display_name="path", is_output_list=True, tooltip="Each file's full path."
                ),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        upscale_model: Any,
        target: dict[str, Any],
        strength: float,
        tile: int,
        filename_prefix: str,
        format: str,
    ) -> io.NodeOutput:
        check_image(image)
        check_upscaler(upscale_model)
        # Rows go to the disk from main memory.
        image = image.cpu()
        goal = _goal(image, upscale_model, target)
        size = goal.part.size
        folder, name, counter, _, _ = folder_paths.get_save_image_path(
            filename_prefix, folder_paths.get_output_directory(), size.width, size.height
        )
        watch = TileWatch()
        network = _network(image, upscale_model, goal, strength, tile, watch)
        small = Target.fit(size, Size(_PREVIEW, _PREVIEW), 1).size
        if small.area > size.area:
            small = size
        previews = torch.empty(len(image), small.height, small.width, 3)
        paths = []
        for i, (source, preview) in enumerate(zip(image, previews, strict=True)):
            watch.begin(source)
            path = Path(folder) / f"{name}_{counter + i:05}_{suffix(format)}"
            with saved(path, size, image.shape[3], format, cls._texts()) as writer:
                into = _Preview(preview, size)
                alpha = Plain(
                    source[goal.source.rows, goal.source.columns, 3:].contiguous(),
                    goal.size,
                    goal.part,
                )

                def take(rows: Tensor, writer=writer, into=into, alpha=alpha) -> None:
                    if image.shape[3] == 3:
                        writer.write(rows)
                    else:
                        for part, plane in alpha.take(len(rows)):
                            writer.write(torch.cat((rows[part], plane.clamp_(0, 1)), dim=2))
                    into(rows)

                enlarge_rows(source[..., :3], goal, network, take, strength)
            # The last live preview hides what the node shows at the end.
            watch.end(preview)
            paths.append(str(path))
        return io.NodeOutput(finished(previews), paths, ui=ui.PreviewImage(previews, cls=cls))

    @classmethod
    def _texts(cls) -> dict[str, str]:
        """What Save Image writes into its PNGs."""
        if args.disable_metadata:
            return {}
        values = {"prompt": cls.hidden.prompt, **(cls.hidden.extra_pnginfo or {})}
        return {name: json.dumps(value) for name, value in values.items() if value is not None}


class _Preview:
    """A picture that gets the rows of a much larger one."""

    def __init__(self, picture: Tensor, size: Size) -> None:
        self._picture = picture
        self._done = 0
        self._resizer = Resizer(
            size, size_of(picture[None]), Box.of(size_of(picture[None])), self._take, picture.device
        )

    def __call__(self, rows: Tensor) -> None:
        self._resizer(rows)

    def _take(self, rows: Tensor) -> None:
        self._picture[self._done : self._done + len(rows)] = rows
        self._done += len(rows)


def _goal(image: Tensor, model: Any, target: Options) -> Target:
    goal = _TARGETS[target["target"]](size_of(image), model.scale, target)
    if goal.passes == 0:
        say(
            f"The target {goal.size} is hardly larger than the image {goal.source.size}, or "
            "smaller: it is only resized, the model does not run."
        )
    return goal


def _network(
    image: Tensor,
    model: Any,
    goal: Target,
    strength: float,
    tile: int,
    watch: TileWatch,
    result: int = 0,
) -> TiledNetwork | None:
    """The network with its count of tiles; None where it is not needed."""
    if goal.passes == 0 or strength == 0:
        return None
    network = network_of(model, tile, watch, result)
    network.expect(len(image) * count_tiles(goal, network))
    return network


def _check_memory(needed: int, goal: Target) -> None:
    there = management.get_total_memory(torch.device("cpu"))
    if needed > there:
        raise ValueError(
            f"target is {goal.part.size}, which takes {needed / 2**30:,.0f} GiB, but this machine "
            f"has {there / 2**30:,.0f}: choose a smaller one, or Upscale in Tiles to File, which "
            "writes to the disk as it goes."
        )


NODES: list[type[io.ComfyNode]] = [TiledUpscale, SaveTiledUpscale]
