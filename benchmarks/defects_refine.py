"""Whether RefineDefects removes what was planted, in ComfyUI, with ContentAwareFill alone.

    python benchmarks/defects.py refine --comfyui PATH [--images 50] [--out FILE]

Photos of scikit-image, cut to at most 512 pixels, mirrored by turns, in which DefectDetect finds
neither text nor highlights. Into each 1 to 6 defects are planted that do not touch: words, white
spots of mirrored light, and stains. Words and lights are found by the detectors; stains, for which
there is none, come as a mask. A place at which something planted is not found is given up for
another: this is about the repair. Then RefineDefects runs with its defaults, which are two repairs
in a round; it succeeds when DefectDetect's detectors find nothing more, after as many rounds as it
takes to repair each defect once.

That alone would believe the detectors. So the result is also compared with the photo as it was:
`left` is how much of what was planted can still be seen, as the factor by which the planted
difference has to be multiplied to come nearest to the difference that is left (least squares over
the pixels that were planted); 1 is all of it, and 0 none. In a texture another piece of it gives
some such factor, too, by chance: what exceeds a tenth and what 95 of 100 other places of the photo
would give in its stead counts as still to be seen.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from library import ROOT
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

PHOTOS = (
    *("chelsea", "rocket", "brick", "grass", "gravel", "camera", "coins", "stereo_motorcycle"),
    *("retina", "immunohistochemistry", "moon"),
)
WORDS = ("Sample", "Holiday", "Preview", "Garden", "COPYRIGHT", "Summer 2024", "Studio North")
TEXT, LIGHT, STAIN = "text", "light", "stain"
MOST = 6
SIDE = 512
APART = 28
"""Pixels around each planted defect that stay free of others."""

_TRIES = 5
_AT_ONCE = 8
_OTHER_PLACES = 100
_BARELY = 0.1
_VISIBLE = 0.04
_WIDGETS = {
    "max_rounds": 5,
    "per_round": 2,
    "repair": "by kind",
    "scene": "",
    "seed": 0,
    "steps": 20,
    "guidance": 30.0,
    "cfg": 7.0,
    "megapixels": 0.0,
}

Pixels = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Planted:
    """Something that does not belong there.

    Attributes:
        sort: `TEXT`, `LIGHT` or `STAIN`.
        alpha: how much it covers each pixel of the picture, 0..1.
        colour: of it, 0..1.
    """

    sort: str
    alpha: Pixels
    colour: tuple[float, float, float]


def plant(photo: Pixels, count: int, generator: np.random.Generator) -> list[Planted]:
    """Defects that fit to the photo and do not come near each other."""
    taken = np.zeros(photo.shape[:2], bool)
    light = cv2.GaussianBlur(photo.mean(2), (0, 0), 4)
    sorts = [(TEXT, LIGHT, STAIN)[(k + generator.integers(3)) % 3] for k in range(count)]
    made: list[Planted] = []
    for sort in sorts:
        for _ in range(400):
            alpha = _letters(photo, generator) if sort == TEXT else _blob(photo, generator, sort)
            seen = alpha > _VISIBLE
            if not seen.any() or _touches_border(seen):
                continue
            around = cv2.dilate(seen.view(np.uint8), np.ones((2 * APART + 1,) * 2, np.uint8)) > 0
            level = float(light[seen].mean())
            if (around & taken).any() or (sort == LIGHT and not 0.1 < level < 0.62):
                continue
            taken |= seen
            made.append(Planted(sort, alpha, _colour(sort, level, generator)))
            break
    return made


def _letters(photo: Pixels, generator: np.random.Generator) -> Pixels:
    height, width = photo.shape[:2]
    layer = Image.new("L", (width, height))
    words = WORDS[generator.integers(len(WORDS))]
    letters = _font(int(generator.integers(16, 31)))
    left, top, right, bottom = letters.getbbox(words)
    x = int(generator.integers(12, max(13, width - right - 12)))
    y = int(generator.integers(12, max(13, height - bottom - 12)))
    ImageDraw.Draw(layer).text((x - left, y - top), words, font=letters, fill=255)
    return np.asarray(layer, np.float32) / 255


def _blob(photo: Pixels, generator: np.random.Generator, sort: str) -> Pixels:
    """Irregular, with a soft rim; lights as in `defect_damage.with_highlights`."""
    height, width = photo.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    radius = generator.uniform(0.005, 0.013) * SIDE * (1.0 if sort == LIGHT else 1.4)
    slim, angle = generator.uniform(0.45, 1), generator.uniform(0, np.pi)
    cx, cy = generator.uniform(40, width - 40), generator.uniform(40, height - 40)
    along = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
    across = ((y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)) / slim
    phases = generator.uniform(0, 2 * np.pi, 2)
    turn = np.arctan2(across, along)
    wobble = 1 + 0.15 * np.cos(2 * turn + phases[0]) + 0.12 * np.cos(3 * turn + phases[1])
    away = np.hypot(along, across) / (radius * wobble)
    return np.clip(1.8 * np.exp(-(away**2) / 2), 0, 1).astype(np.float32)


def _colour(sort: str, level: float, generator: np.random.Generator) -> tuple[float, float, float]:
    if sort == LIGHT:
        return (1.0, 1.0, 0.98)
    if sort == TEXT:
        return (0.0, 0.0, 0.0) if level > 0.5 else (1.0, 1.0, 1.0)
    base = 0.12 if level > 0.45 else 0.75
    red, green, blue = (float(base + generator.uniform(-0.1, 0.1)) for _ in range(3))
    return (red, green, blue)


def _touches_border(seen: NDArray[np.bool_]) -> bool:
    rim = np.concatenate((seen[:10].ravel(), seen[-10:].ravel(), seen[:, :10].ravel()))
    return bool(rim.any() or seen[:, -10:].any())


def damaged(photo: Pixels, planted: list[Planted]) -> Pixels:
    """The photo with all of them, in 8 bits."""
    picture = photo.copy()
    for one in planted:
        share = one.alpha[..., None]
        picture = picture * (1 - share) + np.array(one.colour, np.float32) * share
    return (picture * 255).round().clip(0, 255).astype(np.float32) / 255


def stains(planted: list[Planted], shape: tuple[int, ...]) -> torch.Tensor:
    """The mask that a user would paint over the stains, ``[1, H, W]``."""
    mask = np.zeros(shape[:2], np.uint8)
    for one in planted:
        if one.sort == STAIN:
            mask |= cv2.dilate((one.alpha > _VISIBLE).view(np.uint8), np.ones((5, 5), np.uint8))
    return torch.from_numpy(mask.astype(np.float32))[None]


def left_of(one: Planted, photo: Pixels, before: Pixels, after: Pixels) -> tuple[float, float]:
    """How much of it can still be seen, and what of that texture alone would give, see above."""
    seen = one.alpha > _VISIBLE
    rows, columns = (np.flatnonzero(seen.any(axis)) for axis in (1, 0))
    top, left = rows[0], columns[0]
    height, width = rows[-1] + 1 - top, columns[-1] + 1 - left
    part = seen[top : top + height, left : left + width]

    def at(picture: Pixels, y: int, x: int) -> Pixels:
        found: Pixels = picture[y : y + height, x : x + width][part]
        return found

    clean = at(photo, top, left)
    put = at(before, top, left) - clean

    def share(pixels: Pixels) -> float:
        return float((put * (pixels - clean)).sum() / (put * put).sum())

    generator = np.random.default_rng(0)
    places = zip(
        generator.integers(photo.shape[0] - height + 1, size=_OTHER_PLACES),
        generator.integers(photo.shape[1] - width + 1, size=_OTHER_PLACES),
        strict=True,
    )
    by_chance = np.percentile([share(at(photo, y, x)) for y, x in places], 95)
    return share(at(after, top, left)), float(by_chance)


def cuts(name: str, generator: np.random.Generator) -> Iterator[Pixels]:
    """Parts of a photo, some mirrored."""
    import skimage.data

    pixels = getattr(skimage.data, name)()
    pixels = np.asarray(pixels[0] if isinstance(pixels, tuple) else pixels)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if name == "retina":
        pixels = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    height, width = (min(side, SIDE) for side in pixels.shape[:2])
    while True:
        top = int(generator.integers(pixels.shape[0] - height + 1))
        left = int(generator.integers(pixels.shape[1] - width + 1))
        part = pixels[top : top + height, left : left + width, :3]
        part = part[:, ::-1] if generator.integers(2) else part
        yield np.ascontiguousarray(part, np.float32) / 255


@cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size)


class Bench:
    """A ComfyUI in this process with the pack, and the two nodes."""

    def __init__(self, comfyui: Path, base: Path) -> None:
        sys.path.insert(0, str(ROOT / "tests"))
        from support.inprocess import ComfyProcess

        self._comfy = ComfyProcess.start(comfyui, base, packs=[ROOT])
        logging.disable(logging.INFO)

    def detect(self, picture: Pixels, mask: torch.Tensor | None) -> tuple[dict[str, Any], Any]:
        """A graph that looks for text and highlights, and what was found."""
        switches = dict.fromkeys(("sharpness", "compression", "noise", "exposure", "faces"), False)
        looks = {"image": ["image", 0], **switches, "text": True, "highlights": True}
        looks |= {"short_side": 0, "mask_kind": "spot"}
        graph = {
            "image": self._comfy.source(torch.from_numpy(picture)[None]),
            "detect": {"class_type": "DefectDetect", "inputs": looks},
        }
        if mask is not None and mask.any():
            graph["mask"] = self._comfy.source(mask)
            looks["mask"] = ["mask", 0]
        run = self._comfy.execute_graph(graph, want=["detect"]).check()
        return graph, run.results["detect"][0].images[0].defects

    def refine(self, graph: dict[str, Any]) -> tuple[Pixels, dict[str, Any], Pixels, int]:
        """Picture, report, mask and rounds."""
        links = {"image": ["image", 0], "defects": ["detect", 0]}
        graph["fix"] = {"class_type": "RefineDefects", "inputs": {**links, **_WIDGETS}}
        run = self._comfy.execute_graph(graph, want=["fix"]).check()
        image, report, mask, _, rounds, _ = run.results["fix"]
        return image[0].numpy(), json.loads(report)[0], mask[0].numpy(), rounds

    def case(self, number: int) -> dict[str, Any] | None:
        """One picture, from the photo to the result; None where no place was found."""
        generator = np.random.default_rng(number)
        count = number % MOST + 1
        name = PHOTOS[number % len(PHOTOS)]
        parts = cuts(name, generator)
        for _ in range(_TRIES):
            photo = next(parts)
            if self.detect(photo, None)[1]:
                continue
            planted = plant(photo, count, generator)
            before = damaged(photo, planted)
            graph, found = self.detect(before, stains(planted, photo.shape))
            if len(planted) == count and _each_found_once(planted, found):
                break
        else:
            return None
        start = time.process_time()
        after, report, mask, rounds = self.refine(graph)
        cpu = time.process_time() - start
        unchanged = bool((after[mask == 0] == before[mask == 0]).all())
        results = [one["result"] for done in report["rounds"] for one in done["repairs"]]
        return {
            "number": number,
            "photo": name,
            "planted": count,
            "sorts": [one.sort for one in planted],
            "rounds": rounds,
            "expected": -(-count // _WIDGETS["per_round"]),
            "left": len(report["left"]),
            "repairs": len(results),
            "taken_back": results.count("no better, taken back"),
            "left_of_each": [
                [round(value, 3) for value in left_of(one, photo, before, after)] for one in planted
            ],
            "unchanged": unchanged,
            "cpu": round(cpu, 1),
            "summary": report["summary"],
            "pictures": [photo, before, after],
        }


def _each_found_once(planted: list[Planted], found: Any) -> bool:
    hits = [0] * len(planted)
    for defect in found:
        for k, one in enumerate(planted):
            part = one.alpha[defect.box.rows, defect.box.columns] > _VISIBLE
            hits[k] += bool(part.sum() > 0.5 * (one.alpha > 0.5).sum())
    return hits == [1] * len(planted) and len(found) == len(planted)


def table(cases: list[dict[str, Any]]) -> list[str]:
    """What came of them, as Markdown."""
    lines = [
        "| planted | pictures | nothing found any more | in the expected rounds (aim 90 %) |",
        "|---|---|---|---|",
    ]
    for count in (*range(1, MOST + 1), None):
        some = [case for case in cases if count in (None, case["planted"])]
        if some:
            clean = [case for case in some if not case["left"]]
            timely = sum(case["rounds"] <= case["expected"] for case in clean)
            title = f"**{count or f'1 to {MOST}'}**" if count is None else str(count)
            lines.append(f"| {title} | {len(some)} | {len(clean)} | {timely / len(some):.0%} |")
    lines += ["", "| planted | defects | left, median | still to be seen |", "|---|---|---|---|"]
    for sort in (TEXT, LIGHT, STAIN):
        some_left = [
            left
            for case in cases
            for left, its in zip(case["left_of_each"], case["sorts"], strict=True)
            if its == sort
        ]
        if some_left:
            middle = np.median([abs(value) for value, _ in some_left])
            seen = sum(value > max(_BARELY, chance) for value, chance in some_left)
            lines.append(f"| {sort} | {len(some_left)} | {middle:.3f} | {seen} |")
    repairs = sum(case["repairs"] for case in cases)
    back = sum(case["taken_back"] for case in cases)
    exact = sum(case["unchanged"] for case in cases)
    cpu = sum(case["cpu"] for case in cases) / max(1, sum(case["rounds"] for case in cases))
    lines += [
        "",
        f"{repairs} repairs, {back} of them taken back; outside the returned mask bit by bit the "
        f"input in {exact} of {len(cases)} pictures; {cpu:.1f} CPU seconds a round.",
    ]
    return lines


def single(options: argparse.Namespace) -> None:
    """A few pictures, each printed as JSON."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as base:
        bench = Bench(options.comfyui, Path(base))
        for number in range(options.single, options.single + _AT_ONCE):
            case = bench.case(number)
            if case is None:
                print(f"# {number}: given up", flush=True)
                continue
            pictures = case.pop("pictures")
            if options.pictures:
                options.pictures.mkdir(parents=True, exist_ok=True)
                side = (np.concatenate(pictures, 1) * 255).round().astype(np.uint8)
                Image.fromarray(side).save(options.pictures / f"{number:03}.png")
            print(json.dumps(case, ensure_ascii=False), flush=True)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--comfyui", type=Path, required=True)
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--pictures", type=Path, help="write photo, damage and result there")
    parser.add_argument("--cases", type=Path, help="keep what came of each there, and go on there")
    parser.add_argument("--single", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="write the table there, too")
    options = parser.parse_args(arguments)
    if options.single is not None:
        single(options)
        return
    cases: list[dict[str, Any]] = []
    if options.cases and options.cases.is_file():
        cases = [json.loads(line) for line in options.cases.read_text("utf-8").splitlines()]
    number = max((case["number"] + 1 for case in cases), default=0)
    # A process of its own for a few: all tensors of a process are kept until it ends.
    while len(cases) < options.images:
        command = [sys.executable, sys.argv[0], "refine", "--comfyui", str(options.comfyui)]
        command += ["--single", str(number)]
        command += ["--pictures", str(options.pictures)] if options.pictures else []
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("{") and len(cases) < options.images:
                    cases.append(json.loads(line))
                    if options.cases:
                        with options.cases.open("a", encoding="utf-8") as file:
                            file.write(line)
                    print("#", line, end="", flush=True)
        if process.returncode:
            raise SystemExit(process.returncode)
        number += _AT_ONCE
    lines = table(cases)
    print("\n".join(lines))
    if options.out:
        options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
