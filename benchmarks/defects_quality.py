"""How the quality score falls with damage.

    python benchmarks/defects.py quality [--photos FOLDER] [--choosing] [--longest PIXELS]
        [--out FILE]

Damage of growing strength is put into clean photos (`defect_photos.py`, `defect_damage.py`); for
each step the table says for how many photos the score fell. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from defect_damage import Degrade, blur, enlarged, jpeg, motion, noise, stops
from defect_photos import Picture, clean

_LADDERS: tuple[tuple[str, tuple[tuple[str, Degrade], ...]], ...] = (
    ("blur, sigma", tuple((f"{s}", blur(s)) for s in (0.5, 0.8, 1.2, 2, 3, 4))),
    ("motion, pixels", tuple((f"{n}", motion(n)) for n in (3, 5, 9, 15))),
    ("enlarged, times", tuple((f"{n}", enlarged(n)) for n in (2, 3, 4, 6))),
    ("noise, sigma", tuple((f"{s}", noise(s)) for s in (2, 4, 7, 10, 15, 20, 30))),
    ("JPEG quality", tuple((f"{q}", jpeg(q)) for q in (95, 90, 80, 70, 50, 30, 20, 10))),
    ("darker, stops", tuple((f"{s:g}", stops(-s)) for s in (0.5, 1, 1.5, 2, 3))),
    ("brighter, stops", tuple((f"{s:g}", stops(s)) for s in (0.5, 1, 1.5, 2, 3))),
)


def _score(photo: Picture) -> float:
    from cleanplate.quality import judge

    return judge(torch.from_numpy(np.ascontiguousarray(photo)).float() / 255).score


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--photos", type=Path, help="folder of the photos in defect_photos.py")
    parser.add_argument("--choosing", action="store_true", help="the photos for thresholds")
    parser.add_argument("--longest", type=int, default=768, help="pixels of the longer side")
    parser.add_argument("--out", type=Path, help="write the table there, too")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    photos = list(clean(not options.choosing, options.photos, options.longest))
    start = time.process_time()
    usual = np.array([_score(photo) for _, photo in photos])
    pixels = sum(photo.shape[0] * photo.shape[1] for _, photo in photos)
    cost = (time.process_time() - start) / pixels * 1e6
    low, middle, high = np.percentile(usual, (10, 50, 90))
    text = [
        f"{len(photos)} clean photos: median {middle:.2f}, eight in ten from {low:.2f} to "
        f"{high:.2f}; {cost:.2f} CPU seconds a megapixel.",
        "",
        "| damage | strength: median score (photos whose score fell from the step before) |",
        "|---|---|",
    ]
    for title, steps in _LADDERS:
        before, cells = usual, []
        for name, damage in steps:
            after = np.array([_score(damage(photo, 1)) for _, photo in photos])
            cells.append(f"{name}: {np.median(after):.2f} ({np.mean(after < before):.0%})")
            before = after
        text.append(f"| {title} | {'; '.join(cells)} |")
    print("\n".join(text), flush=True)
    if options.out:
        options.out.write_text("\n".join(text) + "\n", encoding="utf-8")
