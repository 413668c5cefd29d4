"""How many faces the built-in detector finds, how exact its landmarks are, and what it costs.

Needs the packages mtcnn and lz4 for its weights, and scikit-image for photos; those of scikit-learn
and matplotlib are used where these are installed. Add photos of your own with `--photos FOLDER`:
each file's name ends with the number of its faces, as in beach-3.jpg.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, sqrt
from pathlib import Path

import cv2
import numpy as np
import photos
import torch
from library import seconds
from numpy.typing import NDArray
from torch import Tensor

EMPTY = (
    *("chelsea", "coffee", "rocket", "brick", "grass", "gravel", "hubble_deep_field", "retina"),
    *("coins", "moon", "page", "text", "clock", "immunohistochemistry", "horse", "logo"),
)
SKIMAGE = {"astronaut": 1, "camera": 1, **dict.fromkeys(EMPTY, 0)}
PACKAGED = {
    "skimage": {"data/motorcycle_left.png": 0, "data/motorcycle_right.png": 0},
    "sklearn": {"datasets/images/china.jpg": 0, "datasets/images/flower.jpg": 0},
    "matplotlib": {"mpl-data/sample_data/grace_hopper.jpg": 1},
}
POSES = (
    *((degrees, 1.0) for degrees in (-30, -20, -10, 10, 20, 30)),
    *((0, scale) for scale in (0.5, 0.7, 1.4, 2.0, 4.0)),
    (30, 0.5),
    (-30, 2.0),
)
LEAST_EYES = 8
"""Distance of the eyes, in pixels, below which a pose is left out."""

SIDES = (512, 1024, 2048, 4096)
BAR = 0.02


@dataclass(frozen=True, eq=False)
class Photo:
    name: str
    image: Tensor
    faces: int


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="faces.py detect", description=__doc__)
    parser.add_argument("--photos", type=Path, help="a folder of further photos, see above")
    parser.add_argument("--lfw", type=int, default=20, help="faces of LFW to tilt and scale")
    parser.add_argument("--only", choices=("found", "landmarks", "cost"), help="just this table")
    parser.add_argument("--out", type=Path, help="also write the tables to this file")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    finder = Finder()
    everything = [*packaged(), *(own(args.photos) if args.photos else ())]
    parts = {
        "found": lambda: found(finder, everything),
        "landmarks": lambda: landmarks(finder, everything, args.lfw),
        "cost": lambda: cost(finder),
    }
    text = "\n\n".join(part() for name, part in parts.items() if args.only in (None, name))
    print(text)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")


class Finder:
    """The detector with its default settings."""

    def __init__(self) -> None:
        from cleanplate.faces.mtcnn import load_mtcnn

        self._networks = load_mtcnn()

    def __call__(self, image: Tensor, confidence: float | None = None, max_side: int | None = None):
        from cleanplate.faces import detect

        return detect.detect_faces(
            image,
            self._networks,
            confidence=detect.CONFIDENCE if confidence is None else confidence,
            max_side=max_side or detect.MAX_SIDE,
        )[0]


def packaged() -> Iterator[Photo]:
    """Photos that come inside Python packages."""
    for name, faces in SKIMAGE.items():
        yield Photo(name, photos.photo(name), faces)
    for package, files in PACKAGED.items():
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or ())[:1] if spec else ():
            for name, faces in files.items():
                yield Photo(Path(name).name, picture(Path(place) / name), faces)


def own(folder: Path) -> Iterator[Photo]:
    for path in sorted(folder.iterdir()):
        if match := re.search(r"-(\d+)$", path.stem):
            yield Photo(path.name, picture(path), int(match[1]))


def picture(path: Path) -> Tensor:
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    return torch.from_numpy(np.ascontiguousarray(pixels[..., ::-1])).float()[None] / 255


def lfw() -> tuple[list[Tensor], list[Tensor]]:
    """scikit-image's part of Labeled Faces in the Wild: 100 faces of 25x25, and 100 others.

    Enlarged fourfold and mirrored outwards, since they show nothing but the face.
    """
    from skimage import data

    def prepared(pixels: NDArray[np.float64]) -> Tensor:
        large = cv2.resize(
            pixels.astype(np.float32), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC
        )
        wide = cv2.copyMakeBorder(large, 50, 50, 50, 50, cv2.BORDER_REFLECT)
        return torch.from_numpy(wide.clip(0, 1))[None, ..., None].repeat(1, 1, 1, 3)

    every = [prepared(pixels) for pixels in data.lfw_subset()]
    return every[:100], every[100:]


def found(finder: Finder, everything: list[Photo]) -> str:
    from cleanplate.faces.detect import CONFIDENCE

    lines = ["photo | size | faces | found | false | lowest score of a face, highest other"]
    lines.append("---|---|---|---|---|---")
    totals = np.zeros(3, int)
    for photo in everything:
        scores = [face.score for face in finder(photo.image, confidence=0.3)]
        real = [score for score in scores if score >= CONFIDENCE]
        hits, false = min(len(real), photo.faces), max(0, len(real) - photo.faces)
        totals += (photo.faces, hits, false)
        height, width = photo.image.shape[1:3]
        least = f"{scores[photo.faces - 1]:.3f}" if 0 < photo.faces <= len(scores) else "-"
        other = f"{scores[photo.faces]:.3f}" if len(scores) > photo.faces else "-"
        lines.append(
            f"{photo.name} | {width}x{height} | {photo.faces} | {hits} | {false} | {least}, {other}"
        )
    lines.append(f"**all** | | {totals[0]} | {totals[1]} | {totals[2]} |")
    faces, others = lfw()
    seen = sum(bool(finder(face)) for face in faces)
    wrong = sum(bool(finder(other)) for other in others)
    lines.append(f"LFW, 25x25 enlarged fourfold | | 100 | {seen} | {wrong} of 100 |")
    return "\n".join(lines)


def landmarks(finder: Finder, everything: list[Photo], many: int) -> str:
    """Landmarks of a face in another pose beside those of the face as it was, moved likewise."""
    sources = {
        "photos": [crop for photo in everything if photo.faces for crop in heads(finder, photo)],
        "LFW": [face[0].numpy() for face in lfw()[0][:many]],
    }
    lines = [
        "faces | poses | found | within 2 % (mean of five) | within 2 % (worst of five) | median | "
        "95th percentile",
        "---|---|---|---|---|---|---",
    ]
    for name, crops in sources.items():
        errors = np.array([error for crop in crops for error in moved(finder, crop)])
        if not len(errors):
            continue
        mean, worst = errors.T
        lines.append(
            f"{name}, {len(crops)} | {len(errors)} | {np.mean(np.isfinite(mean)):.1%} | "
            f"{np.mean(mean < BAR):.1%} | {np.mean(worst < BAR):.1%} | {np.median(mean):.2%} | "
            f"{np.quantile(mean, 0.95, method='lower'):.2%}"
        )
    return "\n".join(lines)


def heads(finder: Finder, photo: Photo) -> Iterator[NDArray[np.float32]]:
    """The surroundings of each face; large ones shrunk to a box of 160 pixels."""
    for face in finder(photo.image)[: photo.faces]:
        left, top, right, bottom = face.box
        side = max(right - left, bottom - top)
        x, y = (left + right) / 2, (top + bottom) / 2
        rows = slice(max(0, int(y - 1.6 * side)), int(y + 1.6 * side))
        columns = slice(max(0, int(x - 1.6 * side)), int(x + 1.6 * side))
        head = photo.image[0, rows, columns].numpy()
        if side > 160:
            shrink = 160 / side
            head = cv2.resize(head, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        yield head


def moved(finder: Finder, head: NDArray[np.float32]) -> Iterator[tuple[float, float]]:
    """Mean and worst error of the five landmarks in each pose, in distances of the eyes."""
    middle = np.array(head.shape[1::-1]) / 2
    faces = finder(torch.from_numpy(np.ascontiguousarray(head))[None])
    if not faces:
        return
    places = [np.array(face.landmarks) for face in faces]
    upright = min(places, key=lambda points: np.linalg.norm(points.mean(0) - middle))
    eyes = np.linalg.norm(upright[0] - upright[1])
    for degrees, scale in POSES:
        if eyes * scale < LEAST_EYES:
            continue
        image, matrix, shift = posed(head, degrees, scale)
        wanted = upright @ matrix.T + shift
        errors = [
            np.linalg.norm(np.array(face.landmarks) - wanted, axis=1) / (eyes * scale)
            for face in finder(torch.from_numpy(image)[None])
        ]
        best = min(errors, key=np.mean, default=np.array((np.inf,)))
        # Farther than half the distance of the eyes it is another face.
        yield (best.mean(), best.max()) if best.mean() < 0.5 else (np.inf, np.inf)


def posed(
    head: NDArray[np.float32], degrees: float, scale: float
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """An image turned and scaled, and where its positions go: ``matrix @ position + shift``."""
    height, width = head.shape[:2]
    turn = np.deg2rad(degrees)
    matrix = scale * np.array(((np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))))
    size = [ceil(side) for side in np.abs(matrix) @ (width, height)]
    shift = np.array(size) / 2 - matrix @ (width / 2, height / 2)
    if scale < 1:
        head = cv2.GaussianBlur(head, (0, 0), 0.5 * sqrt(1 / scale**2 - 1))
    # OpenCV counts from the centre of the first pixel.
    centred = np.column_stack((matrix, shift + matrix @ (0.5, 0.5) - 0.5))
    border = cv2.BORDER_REFLECT
    out = cv2.warpAffine(head, centred, size, flags=cv2.INTER_CUBIC, borderMode=border)
    return out.clip(0, 1), matrix, shift


def cost(finder: Finder) -> str:
    lines = ["photo | image | searched at | CPU-s | CPU-s per megapixel", "---|---|---|---|---"]
    for name in ("astronaut", "coffee", "gravel"):
        small = photos.photo(name).movedim(-1, 1)
        for side in SIDES:
            image = torch.nn.functional.interpolate(
                small, (side, side), mode="bicubic", antialias=True
            )
            image = image.movedim(1, -1).clamp(0, 1).contiguous()
            for most in sorted({min(side, 1024), min(side, 2048)}):
                spent = min(seconds(lambda: finder(image, max_side=most))[1] for _ in range(2))  # noqa: B023
                lines.append(
                    f"{name} | {side}² | {most} | {spent:.2f} | {spent / (side * side / 1e6):.2f}"
                )
    return "\n".join(lines)
