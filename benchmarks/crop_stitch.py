"""What cropping and stitching cost, beside Inpaint-CropAndStitch and beside what cannot be less.

    python benchmarks/crop_stitch.py [--peer FOLDER --comfyui FOLDER] [--sides 1024 4096]
                                     [--batch 16] [--shares 0.01 0.05 0.25] [--repeat 3] [--out F]

One irregular mask on noise, cropped to 1024x1024 with a context of 1.2, a blend of 32 pixels and
holes filled (the peer's defaults but for the size), and stitched back. Every figure comes from a
process of its own: wall and CPU seconds of the best of some repeats, and the peak of memory above
what the inputs took, in one run.

    ours          colours matched (the default)
    ours, plain   without matching colours, as the peer does
    peer          its defaults, "cpu (compatible)", which is the faster of its modes without a GPU
    peer, no fill without filling holes, its fastest setting
    bound         one read of the mask, one copy of the image, the crop resized there and back with
                  torch's bicubic filter

How well colours are matched is measured by seam_colour.py.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from library import load_library
from photos import free_form
from torch import Tensor

TARGET = 1024
BLEND = 32
CONTEXT = 1.2
WHO = ("ours", "ours, plain", "peer", "peer, no fill", "bound")

Job = Callable[[Tensor, Tensor], tuple[Callable[[], object], Callable[[object], Tensor]]]


def inputs(side: int, batch: int, share: float) -> tuple[Tensor, Tensor]:
    """Images on the 8-bit grid and one mask for each."""
    generator = torch.Generator().manual_seed(side)
    tile = torch.randint(0, 256, (512, 512, 3), generator=generator).float() / 255
    image = torch.empty(batch, side, side, 3)
    for y in range(0, side, 512):
        for x in range(0, side, 512):
            image[:, y : y + 512, x : x + 512] = tile
    blob = free_form(512, 512, share, 0)[0] > 0
    mask = blob.repeat_interleave(side // 512, 0).repeat_interleave(side // 512, 1)
    return image, mask.float()[None].repeat(batch, 1, 1)


def ours(colour: str) -> Job:
    load_library()
    from cleanplate.crop import CropSettings, crop_around_mask
    from cleanplate.stitch import stitch_back

    settings = CropSettings(
        context_factor=CONTEXT,
        context_pixels=0,
        minimum_size=0,
        multiple=32,
        feather=BLEND,
        fill_holes=True,
        width=TARGET,
        height=TARGET,
    )

    def job(image: Tensor, mask: Tensor) -> tuple[Callable, Callable]:
        def crop() -> tuple:
            return crop_around_mask(image, mask, settings)

        def stitch(made: tuple) -> Tensor:
            return stitch_back(made[0], made[1], colour=colour)

        return crop, stitch

    return job


def peer(folder: Path, comfyui: Path, fill: bool) -> Job:
    sys.argv = ["main.py", "--cpu"]
    sys.path[:0] = [str(comfyui), str(folder)]
    import comfy.options

    comfy.options.enable_args_parsing()
    import inpaint_cropandstitch as theirs

    values = {}
    declared = theirs.InpaintCropImproved.INPUT_TYPES()["required"]
    for name, (kind, *options) in declared.items():
        given = options[0] if options else {}
        values[name] = given.get("default", kind[0] if isinstance(kind, list) else None)
    values |= {
        "mask_fill_holes": fill,
        "output_target_width": TARGET,
        "output_target_height": TARGET,
        "device_mode": "cpu (compatible)",
    }
    del values["image"]

    def job(image: Tensor, mask: Tensor) -> tuple[Callable, Callable]:
        def crop() -> tuple:
            return theirs.InpaintCropImproved().inpaint_crop(image=image, mask=mask, **values)

        def stitch(made: tuple) -> Tensor:
            return theirs.InpaintStitchImproved().inpaint_stitch(made[0], made[1])[0]

        return crop, stitch

    return job


def bound(image: Tensor, mask: Tensor) -> tuple[Callable, Callable]:
    rows = mask[0].amax(dim=1).nonzero()
    columns = mask[0].amax(dim=0).nonzero()
    middle = [(int(part[0]) + int(part[-1])) // 2 for part in (rows, columns)]
    longer = max(int(part[-1]) - int(part[0]) + 1 for part in (rows, columns))
    half = min(round(longer * CONTEXT / 2) + 1, image.shape[1] // 2)
    top, left = (min(max(0, at - half), image.shape[1] - 2 * half) for at in middle)
    box = (slice(None), slice(top, top + 2 * half), slice(left, left + 2 * half))

    def scaled(part: Tensor, side: int) -> Tensor:
        planes = part.movedim(-1, 1)
        return F.interpolate(planes, (side, side), mode="bicubic", antialias=True).movedim(1, -1)

    def crop() -> tuple:
        mask.amax(dim=2)
        return None, scaled(image[box], TARGET)

    def stitch(made: tuple) -> Tensor:
        result = image.clone()
        for i in range(len(result)):
            result[i : i + 1][box].copy_(scaled(made[1][i : i + 1], 2 * half))
        return result

    return crop, stitch


def status(name: str) -> int:
    """A figure of this process in bytes, from Linux."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def peak(work: Callable[[], object]) -> tuple[object, int]:
    """The result of a call, and how far it raised the memory of this process."""
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    result = work()
    return result, status("VmHWM") - before


def measure(args: argparse.Namespace) -> dict[str, float]:
    torch.set_num_threads(args.threads)
    if args.memory:
        # Freed blocks go back to the system, so that a peak does not hide in them. Times are taken
        # without: in ComfyUI's process, too, they are used again.
        ctypes.CDLL(None).mallopt(-3, 1 << 17)
    job: Job
    if args.one.startswith("ours"):
        job = ours("none" if "plain" in args.one else "smooth field")
    elif args.one == "bound":
        job = bound
    else:
        job = peer(args.peer, args.comfyui, "no fill" not in args.one)
    small = job(*inputs(512, 1, 0.05))
    small[1](small[0]())
    image, mask = inputs(args.side, args.batch, args.share)
    crop, stitch = job(image, mask)
    found: dict[str, float] = {}
    if args.memory:
        made, found["crop MB"] = peak(crop)
        _, found["stitch MB"] = peak(partial(stitch, made))
        return {name: value / 1e6 for name, value in found.items()}
    best = np.full((2, 2), np.inf)
    for _ in range(args.repeat):
        marks = [(time.perf_counter(), time.process_time())]
        made = crop()
        marks.append((time.perf_counter(), time.process_time()))
        result = stitch(made)
        marks.append((time.perf_counter(), time.process_time()))
        best = np.minimum(best, np.diff(np.array(marks), axis=0))
        del made, result
    (found["crop s"], found["crop CPU"]), (found["stitch s"], found["stitch CPU"]) = best.tolist()
    return found


def ask(args: argparse.Namespace, who: str, side: int, batch: int, share: float) -> dict:
    """One row: times and memory, each from a process of its own."""
    found: dict[str, float] = {}
    for memory in (False, True):
        command = [sys.executable, __file__, "--one", who, "--side", str(side)]
        command += ["--batch", str(batch), "--share", str(share), "--repeat", str(args.repeat)]
        command += ["--threads", str(args.threads)] + (["--memory"] if memory else [])
        if args.peer:
            command += ["--peer", str(args.peer), "--comfyui", str(args.comfyui)]
        environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
        output = subprocess.run(command, capture_output=True, text=True, env=environment)
        if output.returncode:
            raise SystemExit(output.stderr)
        found |= json.loads(output.stdout.splitlines()[-1])
    return found


def table(args: argparse.Namespace) -> list[str]:
    lines = [
        "| images | mask | | crop s | stitch s | both s | both CPU s | CPU, ours = 1 "
        "| crop MB | stitch MB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    cases = [(side, 1, share) for side in args.sides for share in args.shares]
    cases += [(1024, args.batch, share) for share in args.shares if args.batch > 1]
    who = [name for name in WHO if args.peer or not name.startswith("peer")]
    for side, batch, share in cases:
        reference = 0.0
        for name in who:
            if name == "peer" and side * side * batch > args.peer_limit:
                continue
            found = ask(args, name, side, batch, share)
            cpu = found["crop CPU"] + found["stitch CPU"]
            reference = reference or cpu
            both = found["crop s"] + found["stitch s"]
            images = f"{batch} x {side}²" if batch > 1 else f"{side}²"
            lines.append(
                f"| {images} | {share:.0%} | {name} | {found['crop s']:.3f} "
                f"| {found['stitch s']:.3f} | {both:.3f} | {cpu:.3f} | {cpu / reference:.2f} "
                f"| {found['crop MB']:.0f} | {found['stitch MB']:.0f} |"
            )
            print(lines[-1], flush=True)
    return lines


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--comfyui", type=Path)
    parser.add_argument("--sides", type=int, nargs="+", default=[1024, 2048, 4096, 8192])
    parser.add_argument("--shares", type=float, nargs="+", default=[0.01, 0.05, 0.25])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer-limit", type=int, default=1 << 30, help="pixels, for its defaults")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", choices=WHO, help=argparse.SUPPRESS)
    parser.add_argument("--side", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--share", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args)))
        return
    lines = table(args)
    if args.out:
        args.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
