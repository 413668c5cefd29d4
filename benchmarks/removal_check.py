"""How well RemovalCheck sees that an object came back, on photos that it was not tuned on.

Its coefficients come from `--fit`, which looks at the tuning split (`check_tuning`) only.
"""

from __future__ import annotations

import argparse
import functools
import math
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import check_cases
import cv2
import numpy as np
import torch
from safetensors.torch import save_file

if TYPE_CHECKING:
    from cleanplate.efficientnet import EfficientNetLite
    from cleanplate.removal_probe import Probe

RECALL = 0.95


@dataclass(frozen=True, eq=False)
class Row:
    """One case and what was found in it; `seen` by the network, `plain` the score without it."""

    seed: int
    photo: str
    cutout: str | None
    how: str
    features: tuple[float, ...]
    seen: np.ndarray
    score: float
    plain: float
    seconds: float

    @property
    def positive(self) -> bool:
        return self.cutout is not None


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="removal.py check", description=__doc__)
    parser.add_argument("--cases", type=int, default=480, help="how many; half hold an object")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--fit", action="store_true", help="fit the coefficients and keep them")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument(
        "--photos", type=Path, help="folder of the photos that come with no package"
    )
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    parser.add_argument("--sheet", type=Path, help="draw the cases that it is worst at")
    args = parser.parse_args(argv)
    _begin(args.photos)
    split = "tuning" if args.fit else "held-out"
    seeds = range(args.first, args.first + args.cases)
    with ProcessPoolExecutor(args.jobs, initializer=_begin, initargs=(args.photos,)) as pool:
        looked = pool.map(functools.partial(look, split=split), seeds, chunksize=4)
        rows = [row for row in looked if row]
    text = fitted(rows) if args.fit else table(rows, args.cases - len(rows))
    print(text)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")
    if args.sheet:
        rows.sort(key=lambda row: -abs(row.score - row.positive))
        sheet(args.sheet, rows[:30], split)


def _begin(photos: Path | None) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    check_cases.folder = photos


@functools.cache
def _network() -> EfficientNetLite:
    from cleanplate.efficientnet import PACKAGE, load_efficientnet, weights_file

    path = weights_file()
    if path is None:
        raise SystemExit(f"This needs the package {PACKAGE}: install it.")
    return load_efficientnet(path)


@functools.cache
def _probe() -> Probe | None:
    from cleanplate.removal_probe import load_probe

    return load_probe()


def look(seed: int, split: str) -> Row | None:
    """Check one case; None if it is held out and its photo is not installed."""
    from cleanplate.masks import bounding_box
    from cleanplate.removal_check import check_removal
    from cleanplate.removal_probe import describe
    from cleanplate.removal_view import view

    try:
        case = check_cases.case(seed, split)
    except FileNotFoundError:
        if split == "tuning":
            raise
        return None
    before, after, mask = (torch.from_numpy(x)[None] for x in (case.before, case.after, case.mask))
    network = _network()
    # what is fitted need not exist yet
    probe = _probe() if split == "held-out" else None
    start = time.process_time()
    verdict = check_removal(before, after, mask, probe)
    spent = time.process_time() - start
    plain = check_removal(before, after, mask).score if probe else verdict.score
    hole = case.mask >= 0.5
    found = bounding_box(torch.from_numpy(hole))
    seen = describe(network, view(case.before, case.after, hole, found))
    what = case.photo, case.cutout, case.how
    return Row(seed, *what, verdict.features.values, seen, verdict.score, plain, spent)


def auc(scores: np.ndarray, truth: np.ndarray) -> float:
    """Area under the ROC curve: how often an object scores more than none."""
    more = scores[truth][:, None] - scores[~truth][None]
    return float(((more > 0) + 0.5 * (more == 0)).mean())


def false_alarms(scores: np.ndarray, truth: np.ndarray, recall: float = RECALL) -> float:
    """Share of cases without an object above the score that `recall` of the objects reach."""
    return float((scores[~truth] >= np.quantile(scores[truth], 1 - recall)).mean())


def table(rows: list[Row], skipped: int) -> str:
    """A table in Markdown: all cases, then by photo, and by what the refinement started from."""
    from cleanplate.removal_check import THRESHOLD

    lines = [
        f"{len(rows)} held-out cases, {skipped} left out because their photos are not installed, "
        f"{np.mean([row.seconds for row in rows]):.2f} CPU-s for each check.",
        "",
        f"| | objects | none | AUC | false alarms at {RECALL:.0%} recall "
        f"| seen at {THRESHOLD} | false alarms at {THRESHOLD} |",
        "|---|---|---|---|---|---|---|",
        _line("**all**", rows, THRESHOLD),
        _line("all, without the network", rows, THRESHOLD, [row.plain for row in rows]),
    ]
    groups: tuple[tuple[str, Callable[[Row], str]], ...] = (
        ("photo", lambda row: row.photo),
        ("before", lambda row: row.how.split(" > ")[0]),
        ("after", lambda row: row.how.split(" > ")[1]),
    )
    for title, group in groups:
        for name in sorted({group(row) for row in rows}):
            found = [row for row in rows if group(row) == name]
            lines.append(_line(f"{title}: {name}", found, THRESHOLD))
    return "\n".join(lines)


def _line(name: str, rows: list[Row], threshold: float, found: list[float] | None = None) -> str:
    scores = np.array(found or [row.score for row in rows])
    truth = np.array([row.positive for row in rows])
    if truth.all() or not truth.any():
        return f"| {name} | {truth.sum()} | {(~truth).sum()} | | | | |"
    seen, alarms = scores[truth] > threshold, scores[~truth] > threshold
    return (
        f"| {name} | {truth.sum()} | {(~truth).sum()} | {auc(scores, truth):.4f} "
        f"| {false_alarms(scores, truth):.1%} | {seen.sum()} ({seen.mean():.1%}) "
        f"| {alarms.sum()} ({alarms.mean():.1%}) |"
    )


def fitted(rows: list[Row]) -> str:
    """The coefficients, and how well such fits do on photos and cut-outs unseen.

    Those of the network's features go to the file that `load_probe` reads.
    """
    from cleanplate import removal_probe
    from cleanplate.removal_features import Features

    values = np.array([row.features for row in rows])
    truth = np.array([row.positive for row in rows])
    spread = values.std(0)
    intercept, weights = logistic(values / spread, truth)
    weights = weights / spread
    names = [field.name for field in fields(Features)]
    typical = values[~truth].mean(0)
    lines = [
        f"{len(rows)} tuning cases of {len({row.photo for row in rows})} photos and "
        f"{len({row.cutout for row in rows}) - 1} cut-outs; leaving out a quarter of both at a "
        f"time: {_unseen(rows, values / spread, truth)}",
        f"_INTERCEPT = {intercept:.3f}",
        f"_WEIGHTS = Features({', '.join(f'{w:.3f}' for w in weights)})",
        f"_TYPICAL = Features({', '.join(f'{t:.3f}' for t in typical)})",
    ]
    for k, name in enumerate(names):
        lines.append(f"AUC of {name} alone: {auc(values[:, k], truth):.4f}")

    seen = np.array([row.seen for row in rows], np.float64)
    middle, directions = principal(seen)
    both = np.c_[values / spread, (seen - middle) @ directions]
    penalty = np.r_[np.ones(values.shape[1]), np.full(directions.shape[1], _SEEN_PENALTY)]
    lines.append(f"With the network: {_unseen(rows, both, truth, penalty)}")
    intercept, weights = logistic(both, truth, penalty)
    known, found = weights[: len(spread)] / spread, directions @ weights[len(spread) :]
    kept = {
        "intercept": intercept - middle @ found,
        "features": known,
        "seen": found,
        "typical": (seen[~truth] @ found).mean(),
    }
    tensors = {name: torch.tensor(np.asarray(x), dtype=torch.float32) for name, x in kept.items()}
    path = Path(removal_probe.__file__).with_suffix(".safetensors")
    save_file(tensors, path)
    lines.append(f"Written to {path.name}, features {known.round(3).tolist()}.")
    return "\n".join(lines)


_SEEN_PENALTY = 0.05
_DIRECTIONS = 300


def principal(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The middle of what the network saw, and its main directions as columns, by their spread."""
    middle, spread = seen.mean(0), seen.std(0) + 1e-6
    scaled = (seen - middle) / spread / math.sqrt(seen.shape[1])
    _, _, directions = np.linalg.svd(scaled, full_matrices=False)
    return middle, directions[:_DIRECTIONS].T / spread[:, None] / math.sqrt(seen.shape[1])


def _unseen(
    rows: list[Row], values: np.ndarray, truth: np.ndarray, penalty: np.ndarray | None = None
) -> str:
    left_out = unseen(rows, values, truth, penalty)
    return (
        f"AUC {auc(left_out, truth):.4f}, {false_alarms(left_out, truth):.1%} false alarms at "
        f"{RECALL:.0%} recall, {(left_out[truth] > 0).mean():.1%} seen and "
        f"{(left_out[~truth] > 0).mean():.1%} false alarms at score 0.5"
    )


_PARTS = 4


def unseen(
    rows: list[Row], values: np.ndarray, truth: np.ndarray, penalty: np.ndarray | None = None
) -> np.ndarray:
    """For each case the log odds that fits without its photo and without its cut-out give."""
    photo = _parts([row.photo for row in rows])
    cutout = _parts([row.cutout for row in rows])
    total, count = np.zeros(len(rows)), np.zeros(len(rows))
    for i in range(_PARTS):
        for j in range(_PARTS):
            other = (photo != i) & ((cutout != j) | ~truth)
            intercept, weights = logistic(values[other], truth[other], penalty)
            # a case without a cut-out is left out by its photo alone
            tested = (photo == i) & ((cutout == j) | ~truth)
            total[tested] += intercept + values[tested] @ weights
            count[tested] += 1
    return total / count


def _parts(names: list[str | None]) -> np.ndarray:
    """Deal the names into equal parts, always alike."""
    distinct = sorted({name for name in names if name is not None})
    dealt = np.random.default_rng(3).permutation(len(distinct)) % _PARTS
    part = dict(zip(distinct, dealt, strict=True))
    return np.array([part.get(name, -1) for name in names])


def logistic(
    values: np.ndarray, truth: np.ndarray, penalty: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """Intercept and weights of a logistic regression with an L2 penalty, 1 if none is given."""
    middle = values.mean(0)
    design = np.c_[np.ones(len(values)), values - middle]
    ridge = np.diag(np.r_[0, np.ones(values.shape[1]) if penalty is None else penalty])
    found = np.zeros(design.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-(design @ found).clip(-50, 50)))
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design + ridge
        step = np.linalg.solve(curvature, design.T @ (chance - truth) + ridge @ found)
        found -= step
        if abs(step).max() < 1e-6:
            break
    return float(found[0] - found[1:] @ middle), found[1:]


def sheet(path: Path, rows: list[Row], split: str) -> None:
    """Each case as before (the hole outlined) and after, with its score."""
    tiles = []
    for row in rows:
        pair = []
        case = check_cases.case(row.seed, split)
        for image in (case.before, case.after):
            factor = 150 / max(image.shape[:2])
            size = round(image.shape[1] * factor), round(image.shape[0] * factor)
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            tile = np.zeros((168, 152, 3), np.uint8)
            tile[16 : 16 + size[1], : size[0]] = (small * 255).astype(np.uint8)
            if image is case.before:
                hole = (cv2.resize(case.mask, size) >= 0.5).astype(np.uint8)
                outline, _ = cv2.findContours(hole, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
                cv2.drawContours(tile[16:], outline, -1, (0, 255, 0), 1)
                text = f"{row.seed} {row.cutout}"
            else:
                text = f"{row.score:.2f} {row.how}"
            cv2.putText(tile, text, (1, 11), cv2.FONT_HERSHEY_SIMPLEX, 0.3, (255, 255, 255), 1)
            pair.append(tile)
        tiles.append(np.hstack(pair))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 5)
    picture = np.vstack([np.hstack(tiles[k : k + 5]) for k in range(0, len(tiles), 5)])
    cv2.imwrite(str(path), picture[..., ::-1])
