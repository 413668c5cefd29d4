"""What LamaRemove costs on a large image, beside the network on its context crop alone.

    python benchmarks/lama.py [--side 4096] [--share 0.05] [--whole 1024]

big-LaMa at its true size with random weights: cost, not quality. Both sides of each ratio are
measured in this one run. The last line shows why: the same removal with the whole image as the
crop, as other packs run it, at a side that still fits (`--whole`).
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent


def load_library() -> None:
    spec = importlib.util.spec_from_file_location(
        "cleanplate",
        ROOT / "cleanplate" / "__init__.py",
        submodule_search_locations=[str(ROOT / "cleanplate")],
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["cleanplate"] = module
    spec.loader.exec_module(module)


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def disc(side: int, share: float) -> torch.Tensor:
    """A mask whose disc covers that share of the image."""
    radius = math.sqrt(share * side * side / math.pi)
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return (((y - side / 2) ** 2 + (x - side / 2) ** 2) <= radius**2).float()[None]


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--whole", type=int, default=1024)
    args = parser.parse_args()
    load_library()
    from spandrel import ModelLoader
    from spandrel.architectures.LaMa import LaMa

    from cleanplate.fill.lama import LamaFill
    from cleanplate.fill.regions import fill_regions

    torch.manual_seed(0)
    network = LaMa(in_nc=4, out_nc=3)
    model = ModelLoader().load_from_state_dict(network.state_dict()).eval()
    lama = LamaFill(model)
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def fill(image: torch.Tensor, hole: torch.Tensor) -> torch.Tensor:
        seen.append((image, hole))
        return lama(image, hole)

    lama(torch.rand(1, 64, 64, 3), torch.ones(1, 64, 64))
    image, mask = torch.rand(1, args.side, args.side, 3), disc(args.side, args.share)
    ours = seconds(lambda: fill_regions(image, mask, fill))
    crop, hole = seen[0]
    alone = seconds(lambda: lama(crop, hole))
    print(
        f"{args.side}x{args.side}, mask {float(mask.mean()):.1%}, {torch.get_num_threads()} threads"
    )
    print(f"the network sees {len(seen)} crop of {crop.shape[2]}x{crop.shape[1]}", end="")
    print(f" = {crop.shape[1] * crop.shape[2] / args.side**2:.1%} of the pixels")
    print(f"LamaRemove      {ours[0]:8.2f} s wall {ours[1]:8.2f} s CPU")
    print(f"network on crop {alone[0]:8.2f} s wall {alone[1]:8.2f} s CPU")
    print(
        f"ratio           {ours[0] / alone[0]:8.2f}        {ours[1] / alone[1]:8.2f}   (target 1.3)"
    )

    side = args.whole
    image, mask = torch.rand(1, side, side, 3), disc(side, args.share)
    ours = seconds(lambda: fill_regions(image, mask, lama))
    whole = seconds(lambda: lama(image, (mask > 0).float()))
    print(
        f"{side}x{side}: whole image as the crop {whole[1]:.2f} s CPU, LamaRemove {ours[1]:.2f} s",
        end="",
    )
    print(f" = {whole[1] / ours[1]:.1f} times less")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory of the process {peak:.1f} GiB")


if __name__ == "__main__":
    main()
