"""How well PrepareMask tells masks that are too tight, and finds cast shadows.

    python benchmarks/masks.py [--out results.md] [--pictures folder]

Everything was set on the cases called "tuning"; the held-out ones show other objects, other
grounds and other photos. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from cutouts import (
    Cutout,
    Mask,
    Picture,
    blob,
    cast_shadow,
    coins,
    contact_sheet,
    grounds,
    horse,
    letter,
    paste,
    photo,
    place,
    resized_mask,
    things,
)
from library import load_library
from photos import PHOTOS, TEXTURES, free_form

_OFFSETS = (-8, -4, -3, -2, 0, 2, 4, 8, 12, 16)
_TUNING = ("brick", "grass", "gravel", "chelsea", "coffee", "stereo_motorcycle")
_TUNING += ("hubble_deep_field", "retina", "astronaut", "immunohistochemistry")
_HELD_OUT = ("camera", "rocket", "moon", "clock", "microaneurysms", "cell")
_CONTENTS = ("chelsea", "astronaut", "retina", "coffee", "brick", "grass")


def objects(held_out: bool) -> Iterator[Cutout]:
    """Photos with the exact mask of one object."""
    if not held_out:
        yield from coins()
        yield from things()
    for i in range(90):
        generator = np.random.default_rng(1000 + i + 500 * held_out)
        names = _HELD_OUT if held_out else _TUNING
        name = names[generator.integers(len(names))]
        ground = photo(name)[:700, :900]
        content = _CONTENTS[generator.integers(len(_CONTENTS))]
        if content == name:
            continue
        if held_out:
            character = "CEHSTXZ"[generator.integers(7)]
            cutout = (horse(content), letter(character, content), blob(content, 700 + i))[i % 3]
        elif i % 3 < 2:
            group = (coins(), things())[i % 3]
            cutout = group[generator.integers(len(group))]
        else:
            cutout = blob(content, i)
        rows, columns = np.nonzero(cutout.mask)
        room = min(ground.shape[0] / (np.ptp(rows) + 13), ground.shape[1] / (np.ptp(columns) + 13))
        scale = min(0.62 * room, generator.uniform(1, 3) if cutout.mask.sum() < 4e3 else 1.0)
        scale *= generator.uniform(0.5, 1)
        x, y = generator.uniform(0.08, 0.92, 2)
        placed = place(cutout, ground.shape[:2], scale, x, y)
        image = paste(placed, ground, generator.uniform(0.6, 1.2), generator)
        yield Cutout(f"{cutout.name} on {name}", image, placed.mask)


def tight_masks(held_out: bool) -> dict[int, tuple[int, float, float]]:
    """For each offset: number of masks, share warned of, share of those told within 2 pixels."""
    from cleanplate.rim import rims

    found: dict[int, list[tuple[bool, int]]] = {offset: [] for offset in _OFFSETS}
    for case in objects(held_out):
        image = torch.from_numpy(case.image)
        for offset in _OFFSETS:
            mask = resized_mask(case.mask, offset)
            if mask.sum() < 200 or mask.mean() > 0.8:
                continue
            measured = rims(image, torch.from_numpy(mask))
            cut = [rim for rim in measured if rim.is_cut]
            # where the mask has fallen into pieces, the largest counts
            right = bool(cut) and abs(cut[0].pixels + offset) <= 2
            found[offset].append((bool(cut), right))
    return {
        offset: (
            len(cases),
            float(np.mean([cut for cut, _ in cases])),
            _share([right for cut, right in cases if cut]),
        )
        for offset, cases in found.items()
    }


def _share(cases: list[bool]) -> float:
    return sum(cases) / max(len(cases), 1)


def null_masks(held_out: bool) -> Iterator[tuple[str, Picture, Mask]]:
    """Masks on nothing in particular: no outline follows them, and nothing casts a shadow."""
    names = ("camera", "moon", "clock", "page", "cell", "immunohistochemistry")
    for name in names if held_out else (*PHOTOS, *TEXTURES):
        image = photo(name)
        for seed in range(6):
            shape = image.shape[:2]
            share = (0.01, 0.03, 0.06)[seed % 3]
            yield name, image, free_form(*shape, share, seed + 7)[0].numpy() > 0


def shadow_scenes(held_out: bool) -> Iterator[tuple[str, Picture, Picture, Mask, Picture, float]]:
    """Name, picture with the shadow and without, object, share of light, share in the umbra."""
    for g, (name, ground) in enumerate(grounds(held_out).items()):
        shape = ground.shape[:2]
        for i in range(6):
            generator = np.random.default_rng(100 * g + i + 5000 * held_out)
            if held_out:
                content = _CONTENTS[generator.integers(len(_CONTENTS))]
                pool = (horse(content), letter("TXE"[i % 3], content), *coins()[8:11])
            else:
                pool = (*things(), coins()[0], coins()[5])
            cutout = pool[generator.integers(len(pool))]
            rows, columns = np.nonzero(cutout.mask)
            tall = generator.uniform(0.2, 0.4) * shape[0] / (np.ptp(rows) + 12)
            scale = min(tall, 0.35 * shape[1] / (np.ptp(columns) + 12))
            x, y = generator.uniform((0.25, 0.3), (0.75, 0.65))
            placed = place(cutout, shape, scale, x, y)
            light, left = cast_shadow(placed.mask, generator)
            dark = paste(placed, ground * light, 0.7, generator)
            lit = paste(placed, ground, 0.7, generator)
            yield f"{cutout.name} on {name}", dark, lit, placed.mask, light[..., 1], left


def shadows(held_out: bool, folder: Path | None) -> list[str]:
    from cleanplate.shadow import grow_over_shadow

    def added(image: Picture, core: Mask) -> Mask:
        result = grow_over_shadow(torch.from_numpy(image), torch.from_numpy(core))
        return result.mask.numpy() & ~core

    taken, wrong, without, seconds, sheet = [], [], [], [], []
    for _, dark, lit, mask, light, left in shadow_scenes(held_out):
        core = resized_mask(mask, 4)
        strength = (1 - light) / (1 - left)
        truth = (strength > 0.5) & ~core
        start = time.process_time()
        more = added(dark, core)
        seconds.append(time.process_time() - start)
        if truth.sum() > 0.03 * core.sum():
            taken.append((more & truth).sum() / truth.sum())
        wrong.append((more & (strength < 0.1)).sum() / core.sum())
        without.append(added(lit, core).sum() / core.sum())
        sheet.append(_outlined(dark, core, truth, core | more))
    if folder is not None:
        name = "shadows_held_out.png" if held_out else "shadows_tuning.png"
        pixels = (contact_sheet(sheet, 6, 320) * 255).round().astype(np.uint8)
        cv2.imwrite(str(folder / name), pixels[..., ::-1])
    nothing = [added(image, mask).sum() / mask.sum() for _, image, mask in null_masks(held_out)]
    found = [share for share in taken if share > 0.5]
    return [
        f"{len(taken)}",
        f"{len(found) / len(taken):.0%}",
        f"{np.mean(found):.1%}",
        f"{np.mean(taken):.0%}",
        f"{np.mean(wrong):.1%}",
        f"{np.mean(np.array(without) > 0.03):.1%} ({np.mean(without):.1%})",
        f"{np.mean(np.array(nothing) > 0.03):.1%} ({np.mean(nothing):.1%})",
        f"{np.mean(seconds):.2f}",
    ]


def _outlined(image: Picture, *regions: Mask) -> Picture:
    drawn = np.ascontiguousarray(image)
    for region, colour in zip(regions, ((0, 0, 1), (0, 1, 0), (1, 0, 0)), strict=True):
        outline, _ = cv2.findContours(region.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, outline, -1, colour, 1)
    return drawn


def report(folder: Path | None) -> Iterator[str]:
    from cleanplate.rim import rims

    yield "### Masks too small or too large by so many pixels: share warned of"
    yield ""
    yield "| cases | " + " | ".join(f"{offset:+d}" for offset in _OFFSETS) + " | on nothing |"
    yield "|---" * (len(_OFFSETS) + 2) + "|"
    for held_out in (False, True):
        table = tight_masks(held_out)
        nothing = [
            any(rim.is_cut for rim in rims(torch.from_numpy(image), torch.from_numpy(mask)))
            for _, image, mask in null_masks(held_out)
        ]
        name = "held out" if held_out else "tuning"
        warned = " | ".join(f"{share:.1%}" for _, share, _ in table.values())
        yield f"| {name}, {table[0][0]} objects | {warned} | {np.mean(nothing):.1%} |"
        right = " | ".join(
            f"{right:.0%}" if offset <= 0 else "" for offset, (_, _, right) in table.items()
        )
        yield f"| … of these told within 2 pixels | {right} | |"
    yield ""
    yield "### Cast shadows"
    yield ""
    yield (
        "| cases | shadows | found | of a found one, taken | of all, taken | lit ground taken, in "
        "sizes of the object | same without its shadow: grew (by) | masks on nothing: grew (by) | "
        "CPU s |"
    )
    yield "|---" * 9 + "|"
    for held_out in (False, True):
        name = "held out" if held_out else "tuning"
        yield f"| {name} | " + " | ".join(shadows(held_out, folder)) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--pictures", type=Path, help="folder for sheets of the shadows")
    args = parser.parse_args()
    load_library()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    lines = []
    for line in report(args.pictures):
        print(line, flush=True)
        lines.append(line)
    if args.out:
        args.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
