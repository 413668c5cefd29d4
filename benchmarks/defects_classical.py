"""Precision, recall, AUC and cost of the detectors that need no weights.

    python benchmarks/defects.py classical [--photos FOLDER] [--choosing] [--part NAME]
        [--out FILE] [--pictures FILE]

Damage of known kind, place and strength (`defect_damage.py`) is put into clean photos
(`defect_photos.py`); each counts in two sizes, at most 1024 and at most 512 pixels. Thresholds were
chosen on the photos that `--choosing` shows. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import cv2
import defect_sheet
import numpy as np
import torch
from defect_damage import (
    Degrade,
    blur,
    enlarged,
    half_blurred,
    jpeg,
    motion,
    noise,
    stops,
    then,
    with_highlights,
)
from defect_photos import Picture, clean


@dataclass(frozen=True)
class Row:
    name: str
    degrade: Degrade
    kinds: tuple[str, ...]
    statistic: str
    aim: str = ""


_SOFT = ("blur", "motion_blur", "upscaled")
_ROWS = (
    Row("blur sigma 0.8", blur(0.8), _SOFT, "re-blur"),
    Row("blur sigma 1.2", blur(1.2), _SOFT, "re-blur"),
    Row("blur sigma 2", blur(2), _SOFT, "re-blur", "≥ 95 %"),
    Row("blur sigma 4", blur(4), _SOFT, "re-blur"),
    Row("blur sigma 8", blur(8), _SOFT, "re-blur"),
    Row("blur sigma 2, noise 3", then(blur(2), noise(3)), _SOFT, "re-blur"),
    Row("blur sigma 2, JPEG 75", then(blur(2), jpeg(75)), _SOFT, "re-blur"),
    Row("motion by 9 pixels", motion(9), _SOFT, "re-blur, worst direction"),
    Row("motion by 15 pixels", motion(15), _SOFT, "re-blur, worst direction"),
    Row("… told as motion", motion(15), ("motion_blur",), "re-blur, worst direction"),
    Row("enlarged 2 times", enlarged(2), _SOFT, "re-blur"),
    Row("enlarged 4 times", enlarged(4), _SOFT, "re-blur", "≥ 95 %"),
    Row("… told as enlarged", enlarged(4), ("upscaled",), "re-blur"),
    Row("JPEG 10", jpeg(10), ("compression",), "corner cross"),
    Row("JPEG 30", jpeg(30), ("compression",), "corner cross", "≥ 95 %"),
    Row("JPEG 30, cropped by (3, 5)", jpeg(30, (3, 5)), ("compression",), "corner cross"),
    Row("JPEG 50", jpeg(50), ("compression",), "corner cross"),
    Row("JPEG 70", jpeg(70), ("compression",), "corner cross"),
    Row("JPEG 85", jpeg(85), ("compression",), "corner cross"),
    Row("noise sigma 5", noise(5), ("noise",), "grain"),
    Row("noise sigma 10", noise(10), ("noise",), "grain", "≥ 95 %"),
    Row("noise sigma 10, grey", noise(10, True), ("noise",), "grain"),
    Row("noise sigma 10, JPEG 90", then(noise(10), jpeg(90)), ("noise",), "grain"),
    Row("noise sigma 20", noise(20), ("noise",), "grain"),
    Row("-1 stop", stops(-1), ("too_dark",), "luma, 99 %"),
    Row("-2 stops", stops(-2), ("too_dark",), "luma, 99 %", "≥ 95 %"),
    Row("-3 stops", stops(-3), ("too_dark",), "luma, 99 %"),
    Row("+1 stop", stops(1), ("too_bright",), "burnt"),
    Row("+2 stops", stops(2), ("too_bright",), "burnt", "≥ 80 %"),
    Row("+3 stops", stops(3), ("too_bright",), "burnt"),
)


def _tensor(photo: Picture) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(photo)).float() / 255


@cache
def _detectors() -> dict[str, Callable]:
    from cleanplate.defects.compression import find_compression
    from cleanplate.defects.exposure import find_exposure
    from cleanplate.defects.noise import find_noise
    from cleanplate.defects.sharpness import find_blur

    return {
        "blur": find_blur,
        "compression": find_compression,
        "noise": find_noise,
        "exposure": find_exposure,
    }


@cache
def _suggestions() -> dict[str, Callable]:
    from cleanplate.defects.highlights import find_highlights
    from cleanplate.defects.sharpness import find_blurred_regions

    return {"highlights": find_highlights, "blur map": find_blurred_regions}


_NAMES = {"re-blur": "blur", "corner cross": "compression", "grain": "noise"}


def _kinds(photo: Picture, statistic: str) -> set[str]:
    """What the detector that uses a statistic finds."""
    name = _NAMES.get(statistic.split(",")[0], "exposure")
    return {defect.kind for defect in _detectors()[name](_tensor(photo))}


def _statistic(name: str, photo: Picture) -> float:
    """A number that grows with the defect."""
    from cleanplate.defects import compression, exposure, luma, noise, sharpness

    image = _tensor(photo)
    if name in ("luma, 99 %", "burnt"):
        light = exposure.measure_light(image)
        return light.burnt if name == "burnt" else -light.peak
    plane = luma.luma(image)
    if name == "corner cross":
        return compression.corner_cross(plane)[0]
    if name == "grain":
        measured = noise.grain(plane)
        return noise.evidence(*measured) if measured else 0.0
    ratios = sharpness.reblur_ratios(plane)
    if ratios is None:
        return -10.0
    return -ratios[0] if name == "re-blur" else -min(ratios[1])


def auc(positive: list[float], negative: list[float]) -> float:
    """The chance that one of the first is above one of the second."""
    first, second = np.array(positive)[:, None], np.array(negative)[None]
    return float((first > second).mean() + 0.5 * (first == second).mean())


Photos = list[tuple[str, Picture]]


def recalls(photos: Photos) -> list[str]:
    names = {row.statistic for row in _ROWS}
    flagged = {name: [_kinds(photo, name) for _, photo in photos] for name in names}
    usual = {name: [_statistic(name, photo) for _, photo in photos] for name in names}
    lines = [
        "| put in | found | aim | precision | AUC | clean photos flagged as that |",
        "|---|---|---|---|---|---|",
    ]
    for row in _ROWS:
        worse = [row.degrade(photo, seed) for seed, (_, photo) in enumerate(photos)]
        found = sum(bool(_kinds(photo, row.statistic) & set(row.kinds)) for photo in worse)
        wrong = sum(bool(kinds & set(row.kinds)) for kinds in flagged[row.statistic])
        area = auc([_statistic(row.statistic, p) for p in worse], usual[row.statistic])
        lines.append(
            f"| {row.name} | {found / len(photos):.1%} | {row.aim} "
            f"| {found / max(found + wrong, 1):.1%} | {area:.3f} | {wrong / len(photos):.1%} |"
        )
    return lines


def false_alarms(photos: Photos) -> list[str]:
    lines = ["| detector | clean photos flagged | which |", "|---|---|---|"]
    every: dict[str, set[int]] = {}
    for name, find in {**_detectors(), **_suggestions()}.items():
        every[name] = {i for i, (_, photo) in enumerate(photos) if find(_tensor(photo))}
    for name, numbers in every.items():
        which = ", ".join(sorted({photos[i][0] for i in numbers}))
        if len(which) > 160:
            which = f"{which[:160].rsplit(',', 1)[0]}, …"
        lines.append(f"| {name} | {len(numbers)} of {len(photos)} | {which} |")
    for title, names in (("any of the first four", _detectors()), ("any", every)):
        numbers = set().union(*(every[name] for name in names))
        share = len(numbers) / len(photos)
        lines.append(f"| **{title}** | {len(numbers)} of {len(photos)} ({share:.1%}) | |")
    return lines


def highlight_spots(photos: Photos) -> list[str]:
    from cleanplate.defects.highlights import find_highlights
    from cleanplate.defects.report import union_mask
    from cleanplate.geometry import Size

    planted = seen = right = found = inside = covered = truth_pixels = outside = 0
    overlaps = []
    for seed, (_, photo) in enumerate(photos):
        worse, truth = with_highlights(photo, seed)
        defects = find_highlights(_tensor(worse))
        mask = union_mask(defects, Size(photo.shape[1], photo.shape[0])).numpy() > 0
        old = find_highlights(_tensor(photo))
        before = union_mask(old, Size(photo.shape[1], photo.shape[0])).numpy() > 0
        count = int(truth.max())
        planted += count
        hits = np.bincount(truth[mask], minlength=count + 1)[1:] if count else np.zeros(0)
        seen += int((hits > 0).sum())
        found += len(defects)
        for defect in defects:
            place = truth[defect.box.rows, defect.box.columns]
            right += bool(place[defect.mask.numpy() > 0].any())
        covered += int((mask & (truth > 0)).sum())
        truth_pixels += int((truth > 0).sum())
        near = cv2.dilate((truth > 0).view(np.uint8), np.ones((7, 7), np.uint8)) > 0
        inside += int((mask & near).sum())
        outside += int((mask & ~near & ~before).sum())
        union = (mask & ~before) | (truth > 0)
        overlaps.append((mask & (truth > 0)).sum() / max(union.sum(), 1))
    return [
        "| spots planted | found (aim ≥ 85 %) | right ones of those found (aim ≥ 70 %) "
        "| pixels right, without what photos had | pixels found | IoU |",
        "|---|---|---|---|---|---|",
        f"| {planted} | {seen / planted:.1%} | {right / max(found, 1):.1%} "
        f"| {inside / max(inside + outside, 1):.1%} | {covered / truth_pixels:.1%} "
        f"| {np.mean(overlaps):.2f} |",
    ]


def blur_maps(photos: Photos) -> list[str]:
    from cleanplate.defects.luma import luma
    from cleanplate.defects.report import union_mask
    from cleanplate.defects.sharpness import BlurMapSettings, blur_map, find_blurred_regions
    from cleanplate.geometry import Size

    settings = BlurMapSettings()
    lines = [
        "| half of the photo blurred | AUC of the pixels (aim ≥ 0.9 at 3) | of textured ones "
        "| of the blurred, found | of the found, right | IoU |",
        "|---|---|---|---|---|---|",
    ]
    for sigma in (1.5, 2, 3, 5):
        areas, textured, scores = [], [], []
        for _, photo in photos:
            height, width = photo.shape[:2]
            worse, truth = half_blurred(photo, sigma)
            ratio, texture = blur_map(luma(_tensor(worse)), settings.window)
            lots = np.random.default_rng(0).choice(ratio.size, 4000)
            inside, value = truth.ravel()[lots] > 0, -ratio.ravel()[lots]
            areas.append(auc(list(value[inside]), list(value[~inside])))
            shown = texture.ravel()[lots] > settings.texture
            if (inside & shown).sum() > 50 and (~inside & shown).sum() > 50:
                textured.append(auc(list(value[inside & shown]), list(value[~inside & shown])))
            mask = union_mask(find_blurred_regions(_tensor(worse)), Size(width, height)) > 0
            hit = (mask.numpy() & (truth > 0)).sum()
            scores.append((hit, mask.sum().item(), truth.sum(), (mask.numpy() | (truth > 0)).sum()))
        hit, marked, there, union = np.sum(scores, axis=0)
        lines.append(
            f"| sigma {sigma} | {np.mean(areas):.3f} | {np.mean(textured):.3f} "
            f"| {hit / there:.1%} | {hit / max(marked, 1):.1%} | {hit / union:.2f} |"
        )
    return lines


def costs(photos: Photos) -> list[str]:
    """CPU seconds of one thread for each megapixel, and memory as multiples of the image."""
    tile = max((photo for _, photo in photos), key=lambda photo: photo.size)
    image = _tensor(cv2.resize(tile, (4096, 4096), interpolation=cv2.INTER_CUBIC))
    image += 0.01 * torch.randn(4096, 4096, 1, generator=torch.Generator().manual_seed(0))
    image.clamp_(0, 1)
    megapixels = image.shape[0] * image.shape[1] / 1e6
    lines = [
        "| detector, on 4096x4096 | CPU s a megapixel (aim: 1 for all) "
        "| memory beside the image, in images (aim: 6) |",
        "|---|---|---|",
    ]
    total = most = 0.0
    for name, find in {**_detectors(), **_suggestions()}.items():
        find(image[:256, :256])
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before, start = _resident("VmRSS"), time.process_time()
        find(image)
        cost = (time.process_time() - start) / megapixels
        memory = (_resident("VmHWM") - before) / (image.nbytes / 1024)
        total, most = total + cost, max(most, memory)
        lines.append(f"| {name} | {cost:.3f} | {memory:.1f} |")
    return [*lines, f"| **all** | {total:.3f} | {most:.1f} |"]


def _resident(field: str) -> int:
    """A size of this process in KiB; Linux only."""
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith(field)).split()[1])


def sheet(photos: Photos, path: Path) -> None:
    """Photos as they are, with highlights, and blurred in the middle; with what is found."""
    from cleanplate.defects.report import union_mask
    from cleanplate.geometry import Size

    finders = {**_detectors(), **_suggestions()}
    cells = []
    for seed, (name, photo) in list(enumerate(photos))[:24:2]:
        soft = half_blurred(photo, 3)[0]
        for title, shown in (
            (name, photo),
            ("highlights", with_highlights(photo, seed)[0]),
            ("blurred in the middle", soft),
        ):
            found = [defect for find in finders.values() for defect in find(_tensor(shown))]
            mask = union_mask(found, Size(shown.shape[1], shown.shape[0]))
            kinds = ", ".join(sorted({defect.kind for defect in found})) or "nothing"
            cells.append(defect_sheet.cell(shown, mask, f"{title}: {kinds}"))
    defect_sheet.write(cells, path)


_PARTS = {
    "recall": ("Put in and found", recalls),
    "clean": ("False alarms on clean photos", false_alarms),
    "highlights": ("Highlights", highlight_spots),
    "blur_map": ("Where it is blurred", blur_maps),
    "cost": ("Cost", costs),
}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--photos", type=Path, help="folder of the photos in defect_photos.py")
    parser.add_argument("--choosing", action="store_true", help="show the photos for thresholds")
    parser.add_argument("--part", choices=[*_PARTS], action="append", help="only that table")
    parser.add_argument("--out", type=Path, help="write the tables there, too")
    parser.add_argument("--pictures", type=Path, help="write a sheet of pictures there (.png)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    photos: Photos = []
    for name, photo in [
        item
        for longest in (1024, 512)
        for item in clean(not options.choosing, options.photos, longest)
    ]:
        if not any(name == other and photo.shape == seen.shape for other, seen in photos):
            photos.append((name, photo))
    split = "for choosing thresholds" if options.choosing else "for scoring"
    names = list(dict.fromkeys(name for name, _ in photos))
    text = [f"{len(photos)} pictures of {len(names)} photos {split}: {', '.join(names)}."]
    emit = partial(print, flush=True)
    emit(text[0])
    for part in options.part or _PARTS:
        title, measure = _PARTS[part]
        lines = ["", f"**{title}**", "", *measure(photos)]
        emit("\n".join(lines))
        text += lines
    if options.pictures:
        sheet(photos, options.pictures)
    if options.out:
        options.out.write_text("\n".join(text) + "\n", encoding="utf-8")
