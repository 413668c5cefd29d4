"""What LamaRemove costs beside LaMa on the whole image, and what the crops cost in detail.

    python benchmarks/removal.py cost                    CPU seconds and memory, 1 to 67 megapixels
    python benchmarks/removal.py cost --part frames      memory of 100 frames and of one
    python benchmarks/removal.py cost --part context     how far around a hole the fill looks
    python benchmarks/removal.py cost --part recovery    what cropping and capping lose
    python benchmarks/removal.py cost --part refine      one step of the feature refinement

big-LaMa at its true size with random weights: cost, not quality. Each row runs in a process of its
own with one thread; memory is the most that the process held beyond the loaded network, the image
and the mask. The largest whole image takes 15 GiB and ten minutes: `--whole 2048` leaves it out and
extrapolates from the largest that ran by the number of pixels (marked ~).
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

SIDES = (1024, 2048, 4096, 8192)
SHARES = (0.01, 0.05, 0.2)
PHOTOS = ("astronaut", "coffee", "hubble_deep_field", "brick", "chelsea", "retina")


def disc(side: int, share: float) -> Tensor:
    """A mask ``[1, side, side]`` whose disc covers that share of the image."""
    away = torch.arange(side) - side / 2
    return (away[:, None].square() + away.square() <= share * side * side / math.pi).float()[None]


def random_lama() -> Any:
    """spandrel's descriptor of big-LaMa with PyTorch's initial weights."""
    from spandrel import ModelLoader
    from spandrel.architectures.LaMa import LaMa

    torch.manual_seed(0)
    return ModelLoader().load_from_state_dict(LaMa(in_nc=4, out_nc=3).state_dict()).float().eval()


def measured(work: Callable[[], object]) -> dict[str, float]:
    """CPU seconds of a call, and GiB that the process held at most beyond what it held before."""
    status = Path("/proc/self/clear_refs")
    if status.exists():
        status.write_text("5")  # forget the peak of loading the network
    before = _peak()
    cpu = time.process_time()
    work()
    return {"cpu": time.process_time() - cpu, "gb": (_peak() - before) / 2**20}


def _peak() -> int:
    """In KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def row_whole(side: int) -> dict[str, float]:
    model = random_lama().model
    image, mask = torch.rand(1, 3, side, side), disc(side, 0.05)[None]
    return measured(lambda: model(image, mask))


def hungry(crop: Tensor, hole: Tensor) -> Tensor:
    """A fill that takes as much memory as LaMa, and no time."""
    torch.ones(crop.shape[:3].numel() * 1050 // 4)
    return torch.full_like(crop, 0.5)


def row_ours(side: int, share: float, frames: int = 1, stand_in: bool = False) -> dict[str, float]:
    from cleanplate.fill.capped import CappedFill
    from cleanplate.fill.lama import LamaFill
    from cleanplate.fill.regions import fill_regions

    fill = CappedFill(hungry if stand_in else LamaFill(random_lama()))
    image, mask = torch.rand(frames, side, side, 3), disc(side, share)
    seen: list[Tensor] = []

    def watched(crop: Tensor, hole: Tensor) -> Tensor:
        seen.append(torch.tensor(crop.shape[:3]))
        return fill(crop, hole)

    watched.batch_pixels = fill.batch_pixels  # type: ignore[attr-defined]
    row = measured(lambda: fill_regions(image, mask, watched))
    pixels = sum(int(shape.prod()) for shape in seen)
    outputs = frames * side * side * 4 * 4 / 2**30
    return row | {"crop": pixels / (frames * side * side), "calls": len(seen), "outputs": outputs}


def row_refine(side: int, steps: int) -> dict[str, float]:
    from cleanplate.fill.lama import LamaFill
    from cleanplate.fill.refine import RefinedFill

    model = random_lama()
    image, hole = torch.rand(1, side, side, 3), disc(side, 0.1)
    if steps:
        return measured(lambda: RefinedFill(model, steps=steps)(image, hole))
    return measured(lambda: LamaFill(model)(image, hole))


ROWS: dict[str, Callable[..., dict[str, float]]] = {
    "whole": row_whole,
    "ours": row_ours,
    "refine": row_refine,
}


def in_its_own_process(row: str, *arguments: float) -> dict[str, float]:
    script = Path(__file__).with_name("removal.py")
    command = [sys.executable, str(script), "cost", "--row", row, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def print_cost(largest_whole: int) -> None:
    print(
        "| image | mask | LaMa on the whole image: CPU s, GiB | LamaRemove: CPU s, GiB | ratios |"
    )
    print("|---|---|---|---|---|")
    whole: dict[str, float] = {}
    before = 0
    for side in SIDES:
        if side <= largest_whole:
            whole, before, sign = in_its_own_process("whole", side), side, ""
        else:
            growth = (side / before) ** 2
            whole, before, sign = {k: v * growth for k, v in whole.items()}, side, "~"
        for share in SHARES:
            ours = in_its_own_process("ours", side, share)
            print(
                f"| {side}x{side} | {share:.0%} | {sign}{whole['cpu']:.0f}, {sign}{whole['gb']:.1f}"
                f" | {ours['cpu']:.1f}, {ours['gb']:.2f} | {whole['cpu'] / ours['cpu']:.1f}, "
                f"{whole['gb'] / ours['gb']:.1f} |",
                flush=True,
            )


def print_frames(network: bool) -> None:
    """With the network this takes ten minutes; what grows with the frames shows without it too."""
    print("| frames of 1024x1024, mask 5 % | calls | CPU s | GiB | of which results | beyond |")
    print("|---|---|---|---|---|---|")
    for frames in (1, 100):
        row = in_its_own_process("ours", 1024, 0.05, frames, int(not network))
        print(
            f"| {frames} | {row['calls']} | {row['cpu']:.0f} | {row['gb']:.2f} | "
            f"{row['outputs']:.2f} | {row['gb'] - row['outputs']:.2f} |",
            flush=True,
        )


def print_refine() -> None:
    print("| crop of 512x512 | CPU s | GiB |")
    print("|---|---|---|")
    for steps in (0, 1, 3):
        row = in_its_own_process("refine", 512, steps)
        print(f"| {steps} steps | {row['cpu']:.1f} | {row['gb']:.2f} |", flush=True)


@torch.no_grad()
def print_context() -> None:
    """The change inside a hole when more of the surroundings is shown.

    In shares of how much the fill varies inside the hole. The norms of the random network are set
    on the photo first, so that its signals neither die nor explode.
    """
    from photos import photo

    from cleanplate.fill.lama import LamaFill

    model = random_lama()
    network = model.model
    print("| hole | surroundings on each side | change of the fill against the most shown |")
    print("|---|---|---|")
    for name, side, margins in (
        ("astronaut", 96, (16, 32, 64, 96, 128, 208)),
        ("hubble_deep_field", 192, (16, 32, 64, 96, 128, 192, 256, 320)),
    ):
        image = photo(name)
        y, x = ((length // 2 - side // 2) // 8 * 8 for length in image.shape[1:3])
        for layer in network.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.reset_running_stats()
                layer.momentum = None
        hole = torch.zeros(image.shape[:3])
        hole[:, y : y + side, x : x + side] = 1
        patch = slice(y - 128, y + side + 128), slice(x - 128, x + side + 128)
        network.train()
        planes = image[:, *patch].movedim(-1, 1)
        network(planes, hole[:, *patch][None])
        fill = LamaFill(model)
        fills = {}
        for around in margins:
            rows, columns = (slice(at - around, at + side + around) for at in (y, x))
            filled = fill(image[:, rows, columns], hole[:, rows, columns])
            inner = slice(around, around + side)
            fills[around] = filled[:, inner, inner]
        most = fills.pop(margins[-1])
        spread = most.std(dim=(1, 2), correction=0).mean()
        for around, filled in fills.items():
            change = (filled - most).square().mean().sqrt() / spread
            print(f"| {side}x{side} | {around} of {margins[-1]} | {change:.0%} |", flush=True)


@torch.no_grad()
def print_recovery() -> None:
    """A network that gives the truth at the size it is shown, behind our crops and cap."""
    from photos import free_form, photo

    from cleanplate.checks import size_of
    from cleanplate.fill.capped import MAX_SIDE, CappedFill
    from cleanplate.fill.regions import fill_regions
    from cleanplate.upscale.resize import resize

    caps = (MAX_SIDE, 512, 256)
    print("| photo | crop | " + " | ".join(f"max_side {cap}" for cap in caps) + " |")
    print("|---|---|" + "---|" * len(caps))
    for name in PHOTOS:
        truth = photo(name)
        mask = free_form(*truth.shape[1:3], 0.05, 0)
        spoilt = torch.where(mask.unsqueeze(-1) > 0, torch.tensor([1.0, 0.0, 1.0]), truth)
        crops: list[Tensor] = []
        fill_regions(truth, mask, lambda crop, _, kept=crops: kept.append(crop) or crop)
        found = []
        for cap in caps:
            remaining = iter(crops)

            def perfect(crop: Tensor, hole: Tensor, remaining: Any = remaining) -> Tensor:
                return resize(next(remaining), size_of(crop))

            result, changed = fill_regions(spoilt, mask, CappedFill(perfect, cap))
            assert torch.equal(result[changed == 0], spoilt[changed == 0])
            error = float((result - truth)[changed > 0].square().mean())
            found.append("exact" if error == 0 else f"{-10 * math.log10(error):.1f} dB")
        sizes = ", ".join(str(size_of(crop)) for crop in crops)
        print(f"| {name} {size_of(truth)} | {sizes} | " + " | ".join(found) + " |", flush=True)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="removal.py cost",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = ("cost", "frames", "context", "recovery", "refine")
    parser.add_argument("--part", choices=parts, default="cost")
    parser.add_argument("--whole", type=int, default=4096, help="largest whole image to run")
    parser.add_argument("--network", action="store_true", help="frames: run LaMa itself")
    parser.add_argument("--row", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    if args.row:
        numbers = [float(a) if "." in a else int(a) for a in args.row[1:]]
        with torch.inference_mode():
            print(json.dumps(ROWS[args.row[0]](*numbers)))
    elif args.part == "cost":
        print_cost(args.whole)
    else:
        {
            "frames": lambda: print_frames(args.network),
            "context": print_context,
            "recovery": print_recovery,
            "refine": print_refine,
        }[args.part]()
