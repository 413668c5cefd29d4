"""The command line: ``python -m cleanplate remove | run | demo``.

Results (paths) go to stdout, all else to stderr. Exit codes: 0 done, 1 failed (one sentence on
stderr that starts with ``cleanplate: ``), 2 wrong usage, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from .comfyui.client import (
    DEFAULT_SERVER,
    Client,
    ServerError,
    Setting,
    load_workflow,
    parse_setting,
)
from .files import check_new_folder

if TYPE_CHECKING:
    import torch

    from .fill import Fill
    from .flux import FluxFill
    from .upscale.target import Upscaler

_STEP = 0.1


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments after the program's name; None: those of the process.

    Returns:
        the exit code: 0, 1 or 130.

    Raises:
        SystemExit: with 2 for wrong usage, with 0 after ``--help``.
    """
    args = _parser().parse_args(argv)
    console = Console(sys.stdout, sys.stderr)
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions:  # They are for programmers; python -W shows them.
                warnings.simplefilter("ignore")
            args.command(args, console)
    except KeyboardInterrupt:
        console.fail("stopped.")
        return 130
    except (ValueError, OSError, ServerError) as error:
        console.fail(_sentence(error))
        return 1
    finally:
        console.close()
    return 0


class Console:
    """The only place that writes to the terminal.

    Progress is a bar where stderr is a terminal, else a line now and then: when a stage begins,
    each tenth of it, and its end.
    """

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out = out
        self._err = err
        self._tqdm: Any = _tqdm() if err.isatty() else None
        self._bar: Any = None
        self._stage: str | None = None
        self._shown = 0.0

    def result(self, path: Path) -> None:
        """One path that the command made, for a program to read."""
        self.close()
        self._out.write(f"{path}\n")
        self._out.flush()

    def note(self, text: str) -> None:
        """One line for the person."""
        self.close()
        self._err.write(f"{text}\n")
        self._err.flush()

    def fail(self, sentence: str) -> None:
        """The one sentence of a failed command."""
        self.note(f"cleanplate: {sentence}")

    def progress(self, stage: str, done: int, total: int) -> None:
        """`done` of `total` steps of a stage; a total of 0 is not known."""
        if self._tqdm is not None:
            self._draw(stage, done, total)
            return
        share = done / total if total else 0.0
        fresh = stage != self._stage or share < self._shown
        if fresh or share - self._shown >= _STEP or (share == 1.0 and self._shown < 1.0):
            self._stage, self._shown = stage, share
            count = f" {done}/{total}" if total else ""
            self._err.write(f"{stage}{count}\n")
            self._err.flush()

    def close(self) -> None:
        """End the bar that is drawn, if any."""
        if self._bar is not None:
            self._bar.close()
        self._bar = self._stage = None
        self._shown = 0.0

    def _draw(self, stage: str, done: int, total: int) -> None:
        if self._bar is None or stage != self._stage:
            self.close()
            self._stage = stage
            self._bar = self._tqdm(desc=stage, total=total or None, file=self._err)
        self._bar.total = total or None
        self._bar.n = done
        self._bar.refresh()


def _remove(args: argparse.Namespace, console: Console) -> None:
    import torch

    from . import images, masks
    from .pipeline import remove_object

    written = [p for p in (args.output, args.before_after, args.save_mask) if p is not None]
    for path in written:
        images.check_output(path)
        if any(_same_file(path, given) for given in (args.image, args.mask)):
            raise ValueError(f"{path} is what is read: give the result another name.")
    if len({path.absolute() for path in written}) < len(written):
        raise ValueError("two results have one name: give each its own.")
    picture, mask = images.read_image(args.image), images.read_mask(args.mask)
    images.check_same_size(picture.image, mask, args.image, args.mask)
    # A picture whose own transparency is the mask shall not keep the hole in it.
    alpha = None if _same_file(args.image, args.mask) else picture.alpha
    images.check_keeps_alpha(args.output, alpha)
    core = masks.core(mask)
    if core.all():
        raise ValueError(
            f"the mask {args.mask} covers the whole picture, so nothing is left to fill from: "
            "white marks what shall go, black what stays."
        )
    if args.flux_fill is None:
        ignored = [name for name in ("upscaler", "prompt") if getattr(args, name)]
        if ignored:
            console.note(f"--{' and --'.join(ignored)} ignored: only used with --flux-fill.")
    device = _device(args.device)

    if not core.any():
        console.note(f"The mask {args.mask} is empty: nothing to remove, written as it was.")
        result, blended = picture.image, mask.new_zeros(mask.shape)
    else:
        console.note(f"Removing {100 * core.float().mean():.2g} % of {args.image}.")
        fill, upscaler, refiner = _models(args, device, console)
        try:
            removal = remove_object(
                picture.image,
                mask,
                fill=fill,
                upscaler=upscaler,
                refiner=refiner,
                grow=args.grow,
                feather=args.feather,
                progress=console.progress,
            )
        except torch.OutOfMemoryError as error:
            raise ValueError(
                f"{device} ran out of memory: close other programs or use --device cpu."
            ) from error
        result, blended = removal.image, removal.mask

    keep: dict[str, Any] = {"bits": picture.bits, "profile": picture.profile}
    console.result(images.write_image(args.output, result, alpha=alpha, **keep))
    if args.save_mask is not None:
        console.result(images.write_image(args.save_mask, blended[..., None]))
    if args.before_after is not None:
        both = images.side_by_side(picture.image, result)
        console.result(images.write_image(args.before_after, both, **keep))


def _models(
    args: argparse.Namespace, device: torch.device, console: Console
) -> tuple[Fill, Upscaler | None, FluxFill | None]:
    """What `remove_object` works with: cheap checks of all first, then the small models."""
    from . import flux

    if args.flux_fill is not None:
        flux.check_source(args.flux_fill)
    for path in (args.fill, args.upscaler if args.flux_fill else None):
        if isinstance(path, Path) and not path.is_file():
            raise FileNotFoundError(f"there is no file {path}.")
    fill = _fill(args.fill, device)
    if args.flux_fill is None:
        return fill, None, None
    upscaler = None if args.upscaler is None else _upscaler(args.upscaler, device, console)
    console.note(f"Loading Flux Fill from {args.flux_fill}.")
    refiner = flux.FluxFill.load(
        args.flux_fill,
        device=device,
        prompt=args.prompt,
        seed=args.seed,
        steps=args.steps,
        guidance=args.guidance,
        denoise=args.denoise,
        progress=lambda done, total: console.progress("flux fill", done, total),
    )
    return fill, upscaler, refiner


def _fill(choice: str | Path, device: torch.device) -> Fill:
    if isinstance(choice, str):
        from .fill.classical import METHODS

        return METHODS[choice]
    from .fill.lama import LamaFill
    from .models import load_removal_model

    return LamaFill(load_removal_model(choice).to(device), device)


def _upscaler(path: Path, device: torch.device, console: Console) -> Upscaler:
    from .models import load_upscale_model
    from .upscale.tiled import ModelUpscaler

    return ModelUpscaler(
        load_upscale_model(path).to(device),
        device,
        lambda done, total: console.progress("upscale", done, total),
    )


def _device(name: str) -> torch.device:
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"the device {name!r} is not usable here: try --device cpu.") from error
    return device


def _run(args: argparse.Namespace, console: Console) -> None:
    check_new_folder(args.output)
    workflow = load_workflow(args.workflow)
    client = Client(args.server)
    workflow = client.prepare(workflow, args.set)
    outcome = client.run(workflow, progress=console.progress, timeout=args.timeout)
    for warning in outcome.warnings:
        console.note(f"The server left out a part of the workflow: {warning}.")
    if not outcome.files:
        console.note("The workflow ran and saved nothing: has it a Save Image node?")
    for path in client.download(outcome.files, args.output):
        console.result(path)


def _demo(args: argparse.Namespace, console: Console) -> None:
    from .demo import run_demo

    made = run_demo(
        args.output,
        comfyui=args.comfyui,
        models=args.models,
        say=console.note,
        progress=console.progress,
    )
    for path in made:
        console.result(path)


def _parser() -> argparse.ArgumentParser:
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
        "exactly as it is; 16-bit PNG and TIFF, transparency and colour profiles are kept.",
    )
    parser.add_argument("image", type=Path, metavar="IMAGE", help="the picture")
    parser.add_argument(
        "mask", type=Path, metavar="MASK", help="a picture of the same size: white marks what goes"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT",
        help="the result: .png, .jpg, .webp or .tif",
    )  # fmt: skip
    parser.add_argument(
        "--fill", type=_fill_choice, default="telea", metavar="telea|navier_stokes|FILE",
        help="how to remove: OpenCV's methods, good for small things on plain ground (default: "
        "telea), or a LaMa model file",
    )  # fmt: skip
    refine = parser.add_argument_group("refinement with Flux Fill")
    refine.add_argument(
        "--flux-fill", metavar="DIR_OR_ID",
        help="Flux Fill in the diffusers layout: a folder or a Hugging Face id "
        "(needs pip install 'cleanplate[flux]')",
    )  # fmt: skip
    refine.add_argument(
        "--upscaler", type=Path, metavar="FILE",
        help="upscale model that sharpens the crop before Flux Fill sees it",
    )  # fmt: skip
    refine.add_argument("--prompt", default="", help="what is behind the object (default: empty)")
    refine.add_argument("--seed", type=_integer(0, 2**63 - 1), default=0, help="default: 0")
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
    parser.set_defaults(command=_remove)


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
    parser.set_defaults(command=_run)


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
    parser.set_defaults(command=_demo)


def _fill_choice(text: str) -> str | Path:
    return text if text in ("telea", "navier_stokes") else Path(text)


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


def _same_file(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and os.path.samefile(one, other)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    else:
        text = str(error) or type(error).__name__
    text = " ".join(text.split())
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _tqdm() -> Any:
    try:
        return importlib.import_module("tqdm").tqdm
    except ImportError:
        return None
