"""What TiledRefine does besides sampling, and whether it costs more on larger images.

    python benchmarks/tiled_refine.py [--sides 2048 4096 8192] [--tile 1024] [--overlap 128]
                                      [--channels 16] [--repeat 3] [--threads 1] [--out F]
                                      [--peer PATH --comfyui PATH]

A refiner that changes nothing stands for the model, so that all that is left is glue: cutting the
tile out, its part of the noise, adding what changed with its ramps. Each figure comes from a
process of its own. CPU seconds are the best of some repeats, for each tile; "all else" is planning
the tiles and copying the image once, shared out among the tiles. All tiles of an image have one
size, below the given one where full ones do not fit a whole number of times: hence the cost by a
tile's area. Memory is the peak above the input.

With `--peer` (a checkout of UltimateSDUpscale with its submodule) and `--comfyui` the last rows are
its node "no upscale" at tile 512 and padding 32, in ComfyUI, with a sampler and a VAE that change
nothing: CPU seconds of all it does, for each tile.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import torch
from library import load_library
from torch import Tensor


def picture(side: int) -> Tensor:
    """A photo of scikit-image, repeated; a little noise, so that it is not of 8 bits."""
    from skimage import data

    photo = torch.from_numpy(data.astronaut()).float() / 255
    noise = torch.rand(photo.shape, generator=torch.Generator().manual_seed(side)) - 0.5
    tile = (photo + noise / 255).clamp(0, 1)
    image = torch.empty(1, side, side, 3)
    for y in range(0, side, 512):
        for x in range(0, side, 512):
            image[0, y : y + 512, x : x + 512] = tile
    return image


def status(name: str) -> int:
    """A figure of this process in bytes, from Linux."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


@torch.inference_mode()
def measure(args: argparse.Namespace) -> dict[str, float]:
    torch.set_num_threads(args.threads)
    if args.memory:
        # Freed blocks go back to the system, so that a peak does not hide in them. It takes time.
        ctypes.CDLL(None).mallopt(-3, 1 << 17)
    load_library()
    from cleanplate.geometry import Box, Size
    from cleanplate.upscale.noise import NoiseField
    from cleanplate.upscale.refine import Grid, refine_tiles, tiles_to_refine

    field = NoiseField(0, args.channels)
    image = picture(args.side)
    best: dict[str, float] = {}
    for _ in range(args.repeat):
        before = status("VmRSS")
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        noise, marks = [], []

        def same(pixels: Tensor, tile: object, noise: list = noise, marks: list = marks) -> Tensor:
            begin = time.process_time()
            b = tile.box
            field.part(Box(b.x // 8, b.y // 8, b.width // 8, b.height // 8))
            noise.append(time.process_time() - begin)
            marks.append(time.process_time())
            return pixels

        begin = time.process_time()
        grid = Grid.of(Size(args.side, args.side), args.tile, args.overlap)
        tiles = tiles_to_refine(image, grid)
        result = refine_tiles(image, tiles, same)
        total = time.process_time() - begin
        # From one tile's refiner to the next: placing one, cutting out the next.
        count = len(tiles)
        place = (marks[-1] - marks[0] - sum(noise[1:])) / (count - 1)
        found = {
            "tiles": count,
            "length": tiles[0].box.width,
            "total": total / count,
            "noise": sum(noise) / count,
            "place": place,
            "rest": total / count - sum(noise) / count - place,
            "MB": (status("VmHWM") - before) / 1e6,
        }
        if not best or found["total"] < best["total"]:
            found["MB"] = max(found["MB"], best.get("MB", 0))
            best = found
    most = mean = 0.0
    for row in range(0, args.side, 512):
        off = (result[0, row : row + 512] - image[0, row : row + 512]).double().abs()
        most = max(most, float(off.max()))
        mean += float(off.square().mean()) * off.shape[0] / args.side
    best["most"] = most
    best["psnr"] = -10 * math.log10(mean) if mean else math.inf
    return best


class Lossless:
    """A VAE whose latents are the pixels, eight times too many: shapes fit, nothing is lost."""

    def encode(self, pixels: Tensor) -> Tensor:
        self.pixels = pixels
        return torch.zeros(len(pixels), 4, pixels.shape[1] // 8, pixels.shape[2] // 8)

    def decode(self, latent: Tensor) -> Tensor:
        return self.pixels


class Unused:
    """A model that is cloned, and never asked for anything."""

    def clone(self) -> Unused:
        return self

    model_options: ClassVar[dict[str, Any]] = {}


@torch.inference_mode()
def measure_peer(args: argparse.Namespace) -> dict[str, float]:
    """UltimateSDUpscale's node, with a sampler that returns its latent."""
    torch.set_num_threads(args.threads)
    image = picture(args.side)
    sys.argv = ["main.py", "--cpu"]
    sys.path[:0] = [str(args.comfyui)]
    import comfy.options

    comfy.options.enable_args_parsing()
    import nodes

    calls = []

    def unchanged(model: object, seed: int, steps: int, cfg: float, *given: Any, **_: Any) -> Any:
        calls.append(1)
        return (given[4],)  # after the sampler, the scheduler and both prompts

    # Before it is imported from there.
    nodes.common_ksampler = unchanged
    spec = importlib.util.spec_from_file_location(
        "peer", args.peer / "__init__.py", submodule_search_locations=[str(args.peer)]
    )
    peer = importlib.util.module_from_spec(spec)
    sys.modules["peer"] = peer
    spec.loader.exec_module(peer)
    node = peer.NODE_CLASS_MAPPINGS["UltimateSDUpscaleNoUpscale"]
    begin = time.process_time()
    (result,) = node().upscale(
        image,
        Unused(),
        [],
        [],
        Lossless(),
        0,
        1,
        1.0,
        "euler",
        "normal",
        0.3,
        "Linear",
        512,
        512,
        8,
        32,
        "None",
        1.0,
        8,
        64,
        16,
        True,
        False,
    )
    total = time.process_time() - begin
    off = (result - image).double()
    return {
        "tiles": len(calls),
        "total": total / len(calls),
        "psnr": -10 * math.log10(float(off.square().mean())),
        "most": float(off.abs().max()),
    }


def table(args: argparse.Namespace) -> list[str]:
    lines = [
        "| | image | tiles | CPU s for each tile | for each megapixel of a tile | cut and blend "
        "| noise | all else | memory above the input, MB (the result is) | PSNR dB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    first = dense = theirs = 0.0
    for side in args.sides:
        command = [sys.executable, __file__, "--one", "--side", str(side)]
        for name in ("tile", "overlap", "channels", "repeat", "threads"):
            command += [f"--{name}", str(getattr(args, name))]
        environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
        found: dict[str, float] = {}
        for memory in (True, False):
            ask = [*command, "--memory"] if memory else command
            output = subprocess.run(ask, capture_output=True, text=True, env=environment)
            if output.returncode:
                raise SystemExit(output.stderr)
            answer = json.loads(output.stdout.splitlines()[-1])
            found = {**answer, "MB": found.get("MB", answer["MB"])}
        area = found["length"] ** 2 / 1e6
        first, dense = first or found["total"], dense or found["total"] / area
        lines.append(
            f"| TiledRefine | {side}² | {found['tiles']:.0f} of {found['length']:.0f}² "
            f"| {found['total']:.4f} ({found['total'] / first:.2f}x) "
            f"| {found['total'] / area:.4f} ({found['total'] / area / dense:.2f}x) "
            f"| {found['place']:.4f} | {found['noise']:.4f} "
            f"| {found['rest']:.4f} | {found['MB']:.0f} ({side * side * 12 / 1e6:.0f}) "
            f"| {found['psnr']:.0f}, off by {found['most']:.1e} at most |"
        )
        print(lines[-1], flush=True)
    for side in args.sides if args.peer else ():
        command = [sys.executable, __file__, "--one", "--side", str(side)]
        for name in ("peer", "comfyui", "threads"):
            command += [f"--{name}", str(getattr(args, name))]
        output = subprocess.run(command, capture_output=True, text=True)
        if output.returncode:
            raise SystemExit(output.stderr)
        found = json.loads(output.stdout.splitlines()[-1])
        theirs = theirs or found["total"]
        lines.append(
            f"| UltimateSDUpscale | {side}² | {found['tiles']:.0f} of 512² | {found['total']:.4f} "
            f"({found['total'] / theirs:.2f}x) | | | | | | {found['psnr']:.1f}, off by "
            f"{found['most']:.1e} at most |"
        )
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=[2048, 4096, 8192])
    parser.add_argument("--tile", type=int, default=1024)
    parser.add_argument("--overlap", type=int, default=128)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--comfyui", type=Path)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--side", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure_peer(args) if args.peer else measure(args)))
        return
    lines = table(args)
    if args.out:
        args.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
