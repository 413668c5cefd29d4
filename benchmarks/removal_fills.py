"""The fills that need no weights, side by side.

python benchmarks/removal.py fills                       scores on photos
python benchmarks/removal.py fills --sheet fills.jpg     pictures of ten cases
python benchmarks/removal.py fills --lines               straight edges across a hole
python benchmarks/removal.py fills --cost                one hole in 1024² and in 8192²
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from library import ROOT, seconds
from photos import PHOTOS, TEXTURES, free_form, photo
from torch import Tensor

SHARES = (0.01, 0.05, 0.10, 0.20)
ANGLES = (0, 15, 30, 45, 60, 75, 90)
# textured parts of the photos: top, left, height, width
CROPS = {
    "coffee table": ("coffee", (170, 400, 230, 200)),
    "cat's fur": ("chelsea", (0, 130, 130, 190)),
    "tissue": ("immunohistochemistry", (100, 100, 300, 300)),
}
# name, share, seed; the seed draws the mask
SHEET = (
    ("brick", 0.10, 0),
    ("grass", 0.10, 1),
    ("gravel", 0.10, 2),
    ("rocket", 0.0, 0),
    ("coffee table", 0.10, 0),
    ("cat's fur", 0.10, 3),
    ("tissue", 0.10, 0),
    ("hubble_deep_field", 0.05, 1),
    ("retina", 0.05, 3),
    ("astronaut", 0.05, 2),
)
TILE = 230

_Fill = Callable[[Tensor, Tensor], Tensor]


def picture(name: str) -> Tensor:
    """A photo, at most 512 pixels on a side, or a textured part of one."""
    if name in CROPS:
        whole, (top, left, height, width) = CROPS[name]
        return photo(whole)[:, top : top + height, left : left + width].contiguous()
    image = photo(name)
    height, width = (min(512, side) for side in image.shape[1:3])
    top, left = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
    return image[:, top : top + height, left : left + width].contiguous()


def demo() -> tuple[Tensor, Tensor]:
    """The picture of the demo, and the mask of the rocket in it."""
    import PIL.Image

    folder = ROOT / "workflows" / "demo"
    image = np.array(PIL.Image.open(folder / "photo.jpg").convert("RGB"))
    mask = np.array(PIL.Image.open(folder / "mask.png").convert("L"))
    return torch.from_numpy(image).float()[None] / 255, torch.from_numpy(mask > 127).float()[None]


def fills() -> dict[str, _Fill]:
    from cleanplate.fill.methods import METHODS

    found: dict[str, _Fill] = {
        "telea": METHODS["telea"],
        "navier_stokes": METHODS["navier_stokes"],
        "biharmonic": biharmonic,
    }
    import cv2

    if hasattr(cv2, "xphoto"):
        found["xphoto FSR"] = frequency_selective
    return {**found, "patchmatch": METHODS["patchmatch"]}


def biharmonic(image: Tensor, hole: Tensor) -> Tensor:
    from skimage.restoration import inpaint_biharmonic

    filled = inpaint_biharmonic(image[0].numpy(), hole[0].numpy() > 0, channel_axis=-1)
    return torch.from_numpy(filled).float()[None]


def frequency_selective(image: Tensor, hole: Tensor) -> Tensor:
    import cv2

    levels = (image[0].numpy() * 255).round().astype(np.uint8)
    known = (hole[0].numpy() == 0).astype(np.uint8) * 255
    result = np.zeros_like(levels)
    cv2.xphoto.inpaint(
        cv2.cvtColor(levels, cv2.COLOR_RGB2BGR), known, result, cv2.xphoto.INPAINT_FSR_FAST
    )
    return torch.from_numpy(result[..., ::-1].copy()).float()[None] / 255


def run(fill: _Fill, image: Tensor, mask: Tensor) -> tuple[Tensor, float]:
    """The filled picture, and the CPU seconds it took."""
    from cleanplate.fill.regions import fill_regions

    spoilt = torch.where(mask[..., None] > 0, 0.5, image)
    done: list[Tensor] = []
    _, cpu = seconds(lambda: done.append(fill_regions(spoilt, mask, fill, grow=0, feather=0)[0]))
    return done[0], cpu


def scores(result: Tensor, truth: Tensor, mask: Tensor) -> tuple[float, float, float, float]:
    """PSNR, SSIM, distance of gradient histograms (in 1/255) and detail ratio, in the hole."""
    from skimage.metrics import structural_similarity

    hole = mask[0].numpy() > 0
    got, meant = result[0].numpy(), truth[0].numpy()
    psnr = -10 * math.log10(max(1e-12, float(((got - meant)[hole] ** 2).mean())))
    _, similar = structural_similarity(got, meant, channel_axis=-1, data_range=1, full=True)
    slopes = [np.sort(_gradient(p.mean(-1))[hole]) for p in (got, meant)]
    distance = 255 * float(np.abs(slopes[0] - slopes[1]).mean())
    return psnr, float(similar.mean(-1)[hole].mean()), distance, detail(result, truth, mask)


def detail(result: Tensor, truth: Tensor, mask: Tensor) -> float:
    import cv2

    # not at the rim, where the seam itself would count as detail
    hole = cv2.erode((mask[0].numpy() > 0).astype(np.uint8), np.ones((3, 3))) > 0
    got, meant = (
        cv2.Laplacian(p[0].mean(-1).numpy(), cv2.CV_32F)[hole].std() for p in (result, truth)
    )
    return float(got / max(meant, 1e-9))


def _gradient(plane: np.ndarray) -> np.ndarray:
    down, aside = np.gradient(plane)
    return np.hypot(down, aside)


def show_scores() -> None:
    names = (*TEXTURES, *CROPS, *PHOTOS)
    tables: dict[str, list[list[float]]] = {}
    ratios: dict[str, dict[str, list[float]]] = {}
    for n, name in enumerate(names):
        truth = picture(name)
        for s, share in enumerate(SHARES):
            mask = free_form(*truth.shape[1:3], share, seed=n + s)
            for method, fill in fills().items():
                result, cpu = run(fill, truth, mask)
                found = [*scores(result, truth, mask), cpu]
                kind = "photos" if name in PHOTOS else "textures"
                tables.setdefault(f"{kind} | {method}", []).append(found)
                ratios.setdefault(name, {}).setdefault(method, []).append(found[3])
    print("\n| pictures | fill | PSNR | SSIM | gradient distance | detail | CPU s | most CPU s |")
    print("|---|---|---|---|---|---|---|---|")
    for key, rows in sorted(tables.items()):
        psnr, ssim, distance, ratio, cpu = (sum(c) / len(rows) for c in zip(*rows, strict=True))
        most = max(row[4] for row in rows)
        print(
            f"| {key} | {psnr:.1f} | {ssim:.2f} | {distance:.1f} | {ratio:.2f} | {cpu:.2f} "
            f"| {most:.2f} |"
        )
    print("\nDetail in the hole / truth at 1, 5, 10, 20 %:\n")
    print(f"| picture | {' | '.join(fills())} |")
    print("|---|" + "---|" * len(fills()))
    for name, row in ratios.items():
        cells = (" ".join(f"{value:.2f}" for value in values) for values in row.values())
        print(f"| {name} | {' | '.join(cells)} |")


def structures(seed: int) -> Iterator[tuple[str, int, Tensor, Tensor]]:
    """Lines, step edges and grids at several angles with a blob over them."""
    import cv2

    fine = 4
    for kind in ("line", "edge", "grid"):
        for i, angle in enumerate(ANGLES):
            generator = np.random.default_rng(100 * seed + i)
            size, across = int(generator.integers(256, 385)), generator.uniform(60, 120)
            y, x = (np.mgrid[: size * fine, : size * fine] + 0.5) / fine - size / 2
            turn, aside = math.radians(angle), generator.uniform(-5, 5)
            u = y * math.cos(turn) - x * math.sin(turn) + aside
            v = x * math.cos(turn) + y * math.sin(turn)
            if kind == "line":
                dark = abs(u) < 2.5
            elif kind == "edge":
                dark = u > 0
            else:
                dark = (u % 40 < 4) | (v % 40 < 4)
            dark = cv2.resize(dark.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
            ground = np.array((0.75, 0.7, 0.6)) - dark[..., None] * np.array((0.5, 0.4, 0.3))
            ground = ground + generator.normal(0, 0.01, ground.shape)
            y, x = np.mgrid[:size, :size] - size / 2
            around = np.arctan2(y, x)
            wobble = sum(
                generator.uniform(0, 0.3 / n) * np.cos(n * around + generator.uniform(0, 6.3))
                for n in (2, 3, 5)
            )
            hole = np.hypot(y, x) <= across / 2 * (1 + wobble)
            image = torch.from_numpy(ground).float()[None]
            yield kind, angle, image, torch.from_numpy(hole).float()[None]


def off_by(result: Tensor, truth: Tensor, mask: Tensor) -> float:
    """How far the border between dark and light lies from where it should, in pixels."""
    from cleanplate.masks import distance

    middle = (truth.mean(-1).max() + truth.mean(-1).min()) / 2
    dark, meant = (p[0].mean(-1) < middle for p in (result, truth))
    wrong = (dark != meant) & (mask[0] > 0)
    if not wrong.any():
        return 0.0
    return float(torch.maximum(distance(meant), distance(~meant))[wrong].max())


def show_lines(rounds: int) -> None:
    print("\nHow far a straight edge is off where it crosses the hole, in pixels (worst place):\n")
    print("| fill | structure | " + " | ".join(f"{angle}°" for angle in ANGLES) + " |")
    print("|---|---|" + "---|" * len(ANGLES))
    colours: dict[str, list[float]] = {}
    for method, fill in fills().items():
        found: dict[str, dict[int, list[float]]] = {}
        for seed in range(rounds):
            for kind, angle, image, mask in structures(seed):
                result = run(fill, image, mask)[0]
                error = off_by(result, image, mask)
                found.setdefault(kind, {}).setdefault(angle, []).append(error)
                away = (result - image)[mask > 0].abs().mean()
                colours.setdefault(method, []).append(255 * float(away))
        for kind, row in found.items():
            cells = (" ".join(f"{error:.1f}" for error in errors) for errors in row.values())
            print(f"| {method} | {kind} | {' | '.join(cells)} |", flush=True)
    print("\nHow far colours in the hole are off, in levels of 255, mean and worst case:\n")
    print("| fill | mean | worst |\n|---|---|---|")
    for method, errors in colours.items():
        print(f"| {method} | {sum(errors) / len(errors):.1f} | {max(errors):.1f} |")


def show_cost() -> None:
    import cv2

    from cleanplate.memory import empty

    print("\nThe same hole, 5 % of 1024²; least of three:\n")
    print("| image | copy CPU s | patchmatch CPU s | without the copy |\n|---|---|---|---|")
    base = picture("gravel")[0].numpy()
    mask = free_form(1024, 1024, 0.05, seed=0)
    for side in (1024, 8192):
        times = -(-side // 512)
        image = torch.from_numpy(np.tile(cv2.flip(base, 1), (times, times, 1)))[None, :side, :side]
        image = image.contiguous()
        whole = torch.zeros(1, side, side)
        start = (side - 1024) // 2
        whole[:, start : start + 1024, start : start + 1024] = mask
        image[whole > 0] = 0.5
        copies, fillings = [], []
        for _ in range(3):
            # A virtual machine counts the first touch of main memory as time of whoever touches it:
            # so once before, at both sizes.
            empty(image.shape, image.dtype, image.device).fill_(0)
            copies.append(seconds(lambda pixels=image: duplicate(pixels))[1])
            empty(image.shape, image.dtype, image.device).fill_(0)
            fillings.append(seconds(lambda pixels=image, hole=whole: fill_one(pixels, hole))[1])
        copy, filling = min(copies), min(fillings)
        print(f"| {side}² | {copy:.2f} | {filling:.2f} | {filling - copy:.2f} |", flush=True)
    crop = picture("gravel")
    cpu = run(fills()["patchmatch"], crop, free_form(512, 512, 0.10, seed=0))[1]
    print(f"| 512², 10 % | | {cpu:.2f} | |")


def duplicate(image: Tensor) -> Tensor:
    """A copy in fresh memory, as every node that leaves its input alone makes one."""
    from cleanplate.memory import empty

    return empty(image.shape, image.dtype, image.device).copy_(image)


def fill_one(image: Tensor, mask: Tensor) -> None:
    from cleanplate.fill.regions import fill_regions

    fill_regions(image, mask, fills()["patchmatch"], grow=0, feather=0)


def write_sheet(path: Path) -> None:
    import cv2

    rows = []
    for name, share, seed in SHEET:
        if share:
            truth = picture(name)
            mask = free_form(*truth.shape[1:3], share, seed)
        else:
            truth, mask = demo()
        view = _view(mask)
        shown = {"": torch.where(mask[..., None] > 0, torch.tensor((1.0, 0.0, 1.0)), truth)}
        for method, fill in fills().items():
            shown[method] = run(fill, truth, mask)[0]
        shown["photo"] = truth
        tiles = []
        for title, image in shown.items():
            tile = cv2.resize(image[0].numpy()[view], (TILE, TILE), interpolation=cv2.INTER_AREA)
            tile = (tile.clip(0, 1) * 255).round().astype(np.uint8)
            tiles.append(
                np.pad(
                    _titled(tile, title or (f"{name} {share:.0%}" if share else "demo")),
                    ((0, 4), (0, 4), (0, 0)),
                )
            )
        rows.append(np.concatenate(tiles, axis=1))
    sheet = np.concatenate(rows, axis=0)
    cv2.imwrite(str(path), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])


def _view(mask: Tensor) -> tuple[slice, slice]:
    """A square around the hole."""
    y, x = mask[0].nonzero(as_tuple=True)
    height, width = mask.shape[1:]
    side = int(1.25 * max(y.max() - y.min(), x.max() - x.min()))
    side = min(max(side, 100), height, width)
    top = min(max(int(y.min() + y.max()) // 2 - side // 2, 0), height - side)
    left = min(max(int(x.min() + x.max()) // 2 - side // 2, 0), width - side)
    return slice(top, top + side), slice(left, left + side)


def _titled(tile: np.ndarray, title: str) -> np.ndarray:
    import cv2

    tile = np.ascontiguousarray(tile)
    for colour, thick in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(tile, title, (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, thick, cv2.LINE_AA)
    return tile


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="removal.py fills",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="write the pictures")
    parser.add_argument("--lines", type=int, nargs="?", const=1, metavar="ROUNDS")
    parser.add_argument("--cost", action="store_true")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    if args.sheet:
        write_sheet(args.sheet)
    if args.lines:
        show_lines(args.lines)
    if args.cost:
        show_cost()
    if not (args.sheet or args.lines or args.cost):
        show_scores()
