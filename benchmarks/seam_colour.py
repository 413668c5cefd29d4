"""How well StitchBack undoes a colour shift of the patch: colour differences across the seam.

    python benchmarks/seam_colour.py [--photos 10] [--size 512] [--out table.md]

Crops of real photos are repainted under a mask with another photo, and the whole crop is shifted
as a VAE or a sampler would. The shift is measured on the ring and undone; what is left is compared
with the same crop before the shift, in CIEDE2000, on pixels that the shift did not clip:

    seam    the fade around the mask (16 pixels), before it is faded, so the whole step counts
    inside  the mask

Mean: over all cases; worst: the case with the highest mean; max: the highest pixel of all cases
(the 99.9th percentile of each case). "none" is what Inpaint-CropAndStitch does. The last rows are
not shifted: there, what a mode changes by mistake is given, mean over the pixels that are written,
in levels of 1/255.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from library import ROOT, load_library
from photos import PHOTOS, TEXTURES, free_form, photo
from torch import Tensor

FADE = 16
PIXELS = 5000


def demo_photo() -> Tensor:
    from PIL import Image

    with Image.open(ROOT / "workflows" / "demo" / "photo.jpg") as picture:
        pixels = np.array(picture.convert("RGB"))
    return torch.from_numpy(pixels).float()[None] / 255


def crops(count: int, size: int) -> list[Tensor]:
    """Square crops of photos ``[size, size, 3]``; a smaller photo is mirrored."""
    pictures = [demo_photo(), *(photo(name) for name in (*PHOTOS, *TEXTURES))]
    return [cut(picture[0], size, seed) for seed, picture in enumerate(pictures[:count])]


def cut(picture: Tensor, size: int, seed: int) -> Tensor:
    generator = np.random.default_rng(seed)
    while min(picture.shape[:2]) < size:
        picture = torch.cat((picture, picture.flip(0)), dim=0)
        picture = torch.cat((picture, picture.flip(1)), dim=1)
    top, left = (int(generator.integers(0, side - size + 1)) for side in picture.shape[:2])
    return picture[top : top + size, left : left + size].contiguous()


def holes(size: int) -> dict[str, Tensor]:
    """Masks ``[size, size]`` of several shapes, and the places that the crop holds around them."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    middle = size / 2
    return {
        "ellipse": ((y - middle) / 0.22 / size) ** 2 + ((x - middle) / 0.3 / size) ** 2 < 1,
        "free form": free_form(size, size, 0.2, 4)[0] > 0,
        "strokes": free_form(size, size, 0.15, 2)[0] > 0,
        "at the border": (y > 0.4 * size) & (x > 0.25 * size) & (x < 0.7 * size),
        "large, thin ring": ((y - middle).abs() < middle - 24) & ((x - middle).abs() < middle - 26),
        "ring on one side": y > 0.3 * size,
    }


@dataclass(frozen=True)
class Shifted:
    """A patch before and after its colours shifted."""

    wanted: Tensor
    got: Tensor


def gain(patch: Tensor, seed: int) -> Tensor:
    return patch * uniform(0.9, 1.1, seed)


def small_gain(patch: Tensor, seed: int) -> Tensor:
    return patch * uniform(0.97, 1.03, seed)


def offset(patch: Tensor, seed: int) -> Tensor:
    return patch + uniform(-0.05, 0.05, seed)


def gain_and_offset(patch: Tensor, seed: int) -> Tensor:
    return offset(gain(patch, seed), seed + 1)


def linear_field(patch: Tensor, seed: int) -> Tensor:
    y, x = plane(patch)
    angle = uniform(0, 6.28, seed)
    return patch + 0.05 * (x * angle.cos() + y * angle.sin()) / math.sqrt(2)


def quadratic_field(patch: Tensor, seed: int) -> Tensor:
    y, x = plane(patch)
    a, b, c = (uniform(-0.05, 0.05, seed + k) for k in range(3))
    return patch + a * (2 * x * x - 1) + b * (2 * y * y - 1) * 0.5 + c * x * y


def vignette(patch: Tensor, seed: int) -> Tensor:
    y, x = plane(patch)
    return patch * (1 - uniform(0.05, 0.1, seed) * (x * x + y * y))


def tone_curve(patch: Tensor, seed: int) -> Tensor:
    return patch.clamp(min=0) ** uniform(0.95, 1.05, seed)


def uniform(low: float, high: float, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(3, generator=generator)


def plane(patch: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates -1..1, ``[h, w, 1]``."""
    height, width = patch.shape[:2]
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij"
    )
    return y[..., None], x[..., None]


def blurred(patch: Tensor, sigma: float) -> Tensor:
    import cv2

    return torch.from_numpy(cv2.GaussianBlur(patch.numpy(), (0, 0), sigma))


def round_trip(patch: Tensor, seed: int) -> Tensor:
    """What a VAE does besides its tone: noise in the means of 8x8 blocks, blur and fine noise."""
    generator = torch.Generator().manual_seed(seed)
    height, width = patch.shape[:2]
    blocks = torch.randn(1, 3, -(-height // 8), -(-width // 8), generator=generator) * 1.5 / 255
    coarse = F.interpolate(blocks, scale_factor=8, mode="bilinear")[0, :, :height, :width]
    fine = torch.randn(patch.shape, generator=generator) * 1.5 / 255
    return blurred(patch, 0.6) + coarse.movedim(0, -1) + fine


def sharpened(patch: Tensor, _: int) -> Tensor:
    return patch + 0.6 * (patch - blurred(patch, 2.0))


def moved(patch: Tensor, _: int) -> Tensor:
    """By 0.4 pixels, as resampling with another convention does."""
    before = F.pad(patch.movedim(-1, 0), (1, 0, 1, 0), mode="replicate")
    return 0.6 * patch + 0.4 * before[:, :-1, :-1].movedim(0, -1)


def repainted_ring(patch: Tensor, seed: int) -> Tensor:
    """A tenth of the crop really changed: a shadow the model drew beside the mask."""
    size = patch.shape[0]
    shade = free_form(size, size, 0.1, seed * 3)[0][..., None]
    return patch * (1 - 0.4 * shade)


_Change = Callable[[Tensor, int], Tensor]

# tone shift, and what else happened to the patch
SHIFTS: dict[str, tuple[_Change | None, _Change | None]] = {
    "gain 0.9..1.1": (gain, None),
    "gain 0.97..1.03": (small_gain, None),
    "offset ±0.05": (offset, None),
    "gain and offset": (gain_and_offset, None),
    "gain and offset, round trip": (gain_and_offset, round_trip),
    "gain and offset, 1/10 repainted": (gain_and_offset, repainted_ring),
    "linear field ±0.05": (linear_field, None),
    "quadratic field ±0.05": (quadratic_field, None),
    "vignette": (vignette, None),
    "vignette, round trip": (vignette, round_trip),
    "linear field, round trip": (linear_field, round_trip),
    "linear field, 1/10 repainted": (linear_field, repainted_ring),
    "round trip with tone curve": (tone_curve, round_trip),
}
UNSHIFTED: dict[str, _Change | None] = {
    "unchanged": None,
    "round trip": round_trip,
    "sharpened": sharpened,
    "moved by 0.4 px": moved,
    "round trip, sharpened": lambda patch, seed: sharpened(round_trip(patch, seed), seed),
    "1/10 repainted": repainted_ring,
}


def shifted(patch: Tensor, tone: _Change | None, other: _Change | None, seed: int) -> Shifted:
    wanted = other(patch, seed) if other else patch
    return Shifted(wanted.clamp(0, 1), (tone(wanted, seed) if tone else wanted).clamp(0, 1))


def difference(a: Tensor, b: Tensor) -> np.ndarray:
    """CIEDE2000 of some of the pixels ``[N, 3]``."""
    from skimage.color import deltaE_ciede2000, rgb2lab

    step = -(-len(a) // PIXELS)
    a, b = a[::step], b[::step]
    lab = [rgb2lab(v.clamp(0, 1).double().numpy()[None]) for v in (a, b)]
    return deltaE_ciede2000(*lab)[0]


@dataclass
class Score:
    """Differences of the cases of one row and mode."""

    seam: list[np.ndarray]
    inside: list[np.ndarray]
    change: list[float]

    def cells(self) -> list[str]:
        parts = []
        for values in (self.seam, self.inside):
            means = [float(v.mean()) for v in values]
            top = max(float(np.quantile(v, 0.999)) for v in values)
            parts.append(f"{np.mean(means):.2f} / {max(means):.2f} / {top:.1f}")
        return parts


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=10, help="how many photos")
    parser.add_argument("--size", type=int, default=512, help="side of the crop")
    parser.add_argument("--only", default="", help="rows whose name holds this")
    parser.add_argument("--cases", action="store_true", help="print each case")
    parser.add_argument("--out", type=Path, help="write the table here, too")
    options = parser.parse_args(argv)

    from cleanplate import masks
    from cleanplate.colour import DEFAULT_MODE, MODES, match_colour

    torch.set_num_threads(1)
    pictures = crops(options.photos, options.size)
    names = [f"{m} (default)" if m == DEFAULT_MODE else m for m in MODES]
    lines = [
        f"{len(pictures)} photos, {len(holes(options.size))} masks, crops of {options.size} px. "
        "CIEDE2000, mean / worst case / max.",
        "",
        "| shift | where | " + " | ".join(names) + " |",
        "|---|---|" + "---|" * len(names),
    ]
    unshifted = [
        "",
        "| not shifted, change in levels, mean / worst case | " + " | ".join(names[1:]),
    ]
    unshifted[-1] += " |"
    unshifted.append("|---|" + "---|" * (len(names) - 1))
    rows = {**SHIFTS, **{name: (None, other) for name, other in UNSHIFTED.items()}}
    for row, (tone, other) in rows.items():
        if options.only not in row:
            continue
        scores = {mode: Score([], [], []) for mode in MODES}
        for k, original in enumerate(pictures):
            filling = pictures[(k + 1) % len(pictures)]
            for n, (hole, core) in enumerate(holes(options.size).items()):
                alpha = masks.feather(core, FADE)
                seam, ring = (alpha > 0) & (alpha < 1), alpha == 0
                patch = torch.where(core[..., None], filling, original)
                case = shifted(patch, tone, other, 10 * k + n)
                held = ((case.got > 0.002) & (case.got < 0.998)).all(dim=-1)
                if not (held & seam).any() or not (held & core).any():
                    continue
                for mode, score in scores.items():
                    out = match_colour(case.got, original, ring, mode)
                    if tone:
                        s, i = ((p & held) for p in (seam, core))
                        score.seam.append(difference(out[s], case.wanted[s]))
                        score.inside.append(difference(out[i], case.wanted[i]))
                    written = alpha > 0
                    change = (out - case.got)[written].abs().mean() * 255
                    score.change.append(float(change))
                    if options.cases:
                        text = (
                            f"{score.seam[-1].mean():.3f} {score.inside[-1].mean():.3f}"
                            if tone
                            else ""
                        )
                        print(
                            f"  {row:32} photo {k} {hole:18} {mode:16} {text} change {change:.3f}"
                        )
        if tone:
            for where, index in (("seam", 0), ("inside", 1)):
                cells = " | ".join(score.cells()[index] for score in scores.values())
                lines.append(f"| {row if not index else ''} | {where} | {cells} |")
                print(lines[-1], flush=True)
        else:
            cells = " | ".join(
                f"{np.mean(score.change):.3f} / {max(score.change):.3f}"
                for mode, score in scores.items()
                if mode != "none"
            )
            unshifted.append(f"| {row} | {cells} |")
            print(unshifted[-1], flush=True)
    if options.out:
        options.out.write_text("\n".join((*lines, *unshifted)) + "\n")


if __name__ == "__main__":
    load_library()
    main()
