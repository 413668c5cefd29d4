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
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from .arguments import make_parser
from .comfyui.client import Client
from .comfyui.errors import ServerError
from .comfyui.workflow import load_workflow
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
    args = make_parser().parse_args(argv)
    command = {"remove": _remove, "run": _run, "demo": _demo}[args.command]
    console = Console(sys.stdout, sys.stderr)
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions:  # They are for programmers; python -W shows them.
                warnings.simplefilter("ignore")
            command(args, console)
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
    picture, own = images.read_image(args.image), _same_file(args.image, args.mask)
    mask = images.read_hole(args.mask) if own else images.read_mask(args.mask)
    images.check_same_size(picture.image, mask, args.image, args.mask)
    # A picture whose own transparency is the mask shall not keep the hole in it.
    alpha = None if own else picture.alpha
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
    from .fill.methods import METHODS

    lama = None if args.fill in METHODS else Path(args.fill)
    if args.flux_fill is not None:
        flux.check_source(args.flux_fill)
    for path in (lama, args.upscaler if args.flux_fill else None):
        if path is not None and not path.is_file():
            raise FileNotFoundError(f"there is no file {path}.")
    fill = _copying(args.seed, console) if args.fill == "patchmatch" else METHODS.get(args.fill)
    if fill is None:
        fill = _lama(Path(args.fill), device)
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


def _copying(seed: int, console: Console) -> Fill:
    from .fill.patchmatch import PatchMatch

    return PatchMatch(seed, lambda done, total: console.progress("copy", done, total))


def _lama(path: Path, device: torch.device) -> Fill:
    from .fill.capped import CappedFill
    from .fill.lama import LamaFill
    from .models import load_removal_model

    return CappedFill(LamaFill(load_removal_model(path).to(device), device))


def _upscaler(path: Path, device: torch.device, console: Console) -> Upscaler:
    from .models import load_upscale_model
    from .upscale.tiled import ModelUpscaler, Surroundings, TiledNetwork

    around = Surroundings(device, step=lambda done, total: console.progress("upscale", done, total))
    return ModelUpscaler(TiledNetwork(load_upscale_model(path).to(device), around))


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
