"""The arguments of the command line: what is accepted, and how it is explained.

Nothing here imports torch, so that ``--help`` and wrong usage answer at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .comfyui.connection import DEFAULT_SERVER
from .comfyui.settings import Setting, parse_setting


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command line; `command` of its result is the command's name."""
    parser = argparse.ArgumentParser(
        prog="cleanplate",
        description="Remove objects from pictures so that nothing else changes.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_remove(commands)
    _add_run(commands)
    _add_demo(commands)
    return parser


def _add_remove(commands: Any) -> None:
    parser = commands.add_parser(
        "remove",
        help="remove what a mask marks from a picture, without ComfyUI",
        description="Remove what a mask marks from a picture. Every pixel away from the mask stays "
        "exactly as it is (a JPEG is compressed again); 16-bit PNG and TIFF, transparency and "
        "colour profiles are kept.",
    )
    parser.add_argument("image", type=Path, metavar="IMAGE", help="the picture")
    parser.add_argument(
        "mask",
        type=Path,
        metavar="MASK",
        help="a picture of the same size: white marks what goes; "
        "or the picture itself, when what goes is transparent in it",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT",
        help="the result: .png, .jpg, .webp or .tif",
    )  # fmt: skip
    parser.add_argument(
        "--fill", default="patchmatch", metavar="patchmatch|telea|navier_stokes|FILE",
        help="how to remove: by copying from around (default: patchmatch), by OpenCV's quick "
        "methods, good for small things on plain ground, or with a LaMa model file",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=_integer(0, 2**63 - 1), default=0,
        help="of patchmatch and Flux Fill: another seed, another result (default: 0)",
    )  # fmt: skip
    refine = parser.add_argument_group("refinement with Flux Fill")
    refine.add_argument(
        "--flux-fill", metavar="DIR_OR_ID",
        help="Flux Fill in the diffusers layout: a folder or a Hugging Face id "
        "(needs pip install diffusers transformers accelerate sentencepiece protobuf)",
    )  # fmt: skip
    refine.add_argument(
        "--upscaler", type=Path, metavar="FILE",
        help="upscale model that sharpens the crop before Flux Fill sees it",
    )  # fmt: skip
    refine.add_argument("--prompt", default="", help="what is behind the object (default: empty)")
    refine.add_argument("--steps", type=_integer(1), default=20, help="default: 20")
    refine.add_argument("--guidance", type=_number(0), default=30.0, help="default: 30")
    refine.add_argument(
        "--denoise", type=_number(0, 1, open_below=True), default=0.8,
        help="how far Flux Fill may leave the first fill, above 0 to 1 (default: 0.8)",
    )  # fmt: skip
    parser.add_argument(
        "--grow", type=_integer(0), default=8, metavar="PIXELS",
        help="how far beyond the mask to remove (default: 8)",
    )  # fmt: skip
    parser.add_argument(
        "--feather", type=_integer(0), default=16, metavar="PIXELS",
        help="width of the blend around the refined place (default: 16)",
    )  # fmt: skip
    parser.add_argument(
        "--device", default="auto", help="cpu, cuda, cuda:1, ... (default: the GPU if there is one)"
    )
    parser.add_argument(
        "--before-after", type=Path, metavar="FILE", help="also write both pictures side by side"
    )
    parser.add_argument(
        "--save-mask", type=Path, metavar="FILE",
        help="also write the mask of what was changed: black pixels are exactly as before",
    )  # fmt: skip
    parser.set_defaults(command="remove")


def _add_run(commands: Any) -> None:
    parser = commands.add_parser(
        "run",
        help="run a workflow on a ComfyUI server and save what it makes",
        description="Run a workflow in API format on a ComfyUI server and save what it makes.",
        epilog="example:\n  python -m cleanplate run workflows/api/object_removal.json "
        "-o results \\\n    --set LoadImage.image=photo.png FluxFillRefine.seed=7",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("workflow", type=Path, metavar="WORKFLOW", help="JSON in API format")
    parser.add_argument(
        "--server", default=DEFAULT_SERVER, metavar="URL", help=f"default: {DEFAULT_SERVER}"
    )
    parser.add_argument(
        "--set", type=_setting, nargs="+", action="extend", default=[],
        metavar="NODE.INPUT=VALUE",
        help="set an input; NODE is an id, a title or a class type that occurs once; a picture on "
        "this computer is uploaded",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(), metavar="DIR",
        help="where to save, made if missing (default: the current folder)",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", type=_number(0, open_below=True), metavar="SECONDS",
        help="give up and stop the run after this long (default: never)",
    )  # fmt: skip
    parser.set_defaults(command="run")


def _add_demo(commands: Any) -> None:
    parser = commands.add_parser(
        "demo",
        help="remove an object from the photo that comes with CleanPlate",
        description="Remove an object from the photo that comes with CleanPlate: with the best "
        "workflow a ComfyUI here has the models for, else without ComfyUI.",
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("demo-output"), metavar="DIR",
        help="where to save, made if missing (default: demo-output)",
    )  # fmt: skip
    parser.add_argument(
        "--comfyui", type=Path, metavar="PATH",
        help="ComfyUI's folder (default: COMFYUI_PATH, the ComfyUI this pack is installed in, or "
        "~/comfy/ComfyUI)",
    )  # fmt: skip
    parser.add_argument(
        "--models", type=Path, metavar="DIR",
        help="another folder of models, laid out like ComfyUI's models/",
    )  # fmt: skip
    parser.set_defaults(command="demo")


def _setting(text: str) -> Setting:
    try:
        return parse_setting(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _integer(least: int, most: int | None = None) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from error
        if value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"{text} is out of range: {_range(least, most)}")
        return value

    return parse


def _number(
    least: float, most: float | None = None, *, open_below: bool = False
) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number") from error
        fits = (value > least if open_below else value >= least) and value < float("inf")
        if not fits or (most is not None and value > most):
            above = "above " if open_below else ""
            raise argparse.ArgumentTypeError(
                f"{text} is out of range: {above}{_range(least, most)}"
            )
        return value

    return parse


def _range(least: float, most: float | None) -> str:
    return f"{least} or more" if most is None else f"{least} to {most}"
