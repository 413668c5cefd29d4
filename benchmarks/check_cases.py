"""Cases for RemovalCheck: crops before and after a refinement, with and without a new object."""

from __future__ import annotations

import functools
import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from check_splits import HELD_OUT, HELD_OUT_CUTOUTS, Place
from check_tuning import TUNING, TUNING_CUTOUTS

folder: Path | None = None
"""Where the photos lie that come with no Python package."""

_LONG = 640
"""Pixels that the longer side of those is shrunk to."""

BEFORES = ("lama-like", "lama-like", "telea", "navier_stokes", "biharmonic", "patches")
AFTERS = ("truth", "truth", "truth", "patches", "textured before", "before")


@dataclass(frozen=True, eq=False)
class Case:
    """`before` and `after` ``[H, W, 3]`` float32 in 0..1, `mask` ``[H, W]``."""

    before: np.ndarray
    after: np.ndarray
    mask: np.ndarray
    photo: str
    cutout: str | None
    how: str


@functools.cache
def picture(name: str) -> np.ndarray:
    """A photo ``[H, W, 3]`` float32 in 0..1: of a package, or of `folder` and then shrunk.

    Raises FileNotFoundError where it is not installed.
    """
    pixels = _read(name, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(pixels[..., ::-1]).astype(np.float32) / 255


def _read(name: str, flags: int) -> np.ndarray:
    if (found := _file(name)) is None:
        raise FileNotFoundError(f"{name} is neither in an installed package nor in --photos")
    path, packaged = found
    pixels = cv2.imread(str(path), flags)
    factor = _LONG / max(pixels.shape[:2])
    if factor < 1 and not packaged:
        size = round(pixels.shape[1] * factor), round(pixels.shape[0] * factor)
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return pixels


def _file(name: str) -> tuple[Path, bool] | None:
    """Where a photo lies, and whether a package brings it."""
    for package, inner in (("skimage", "data"), ("sklearn", "datasets/images")):
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            continue
        for path in sorted((Path(spec.origin).parent / inner).glob(f"{name}*")):
            if path.suffix in (".png", ".jpg"):
                return path, True
    if folder is not None:
        for path in sorted(folder.glob(f"{name}.*")):
            return path, False
    return None


@functools.cache
def cutout(place: Place) -> np.ndarray:
    """A cut-out ``[H, W, 4]`` float32 in 0..1, alpha last, cropped to what is visible."""
    name, way, numbers = place
    if way == "face":
        import skimage.data

        face = skimage.data.lfw_subset()[numbers[0]].astype(np.float32)
        face = cv2.resize(face, (100, 100), interpolation=cv2.INTER_CUBIC).clip(0, 1)
        pixels, alpha = np.repeat(face[..., None], 3, 2), _ellipse(100, 100, (50, 50, 36, 46))
    elif way == "alpha":
        pixels = picture(name)
        alpha = _read(name, cv2.IMREAD_UNCHANGED)[..., 3].astype(np.float32) / 255
    else:
        pixels = picture(name)
        alpha = _cut(pixels, way, numbers)
    rows, columns = np.nonzero(alpha > 0.5)
    box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    return np.dstack((pixels[box], cv2.GaussianBlur(alpha, (0, 0), 0.8)[box]))


def _cut(pixels: np.ndarray, way: str, numbers: tuple[int, ...]) -> np.ndarray:
    height, width = pixels.shape[:2]
    if way == "ellipse":
        return _ellipse(height, width, numbers)
    left, top, right, bottom = numbers
    inside = np.zeros((height, width), np.float32)
    box = slice(top, bottom), slice(left, right)
    grey = pixels.mean(2)
    if way == "dark":
        inside[box] = grey[box] < 0.5
    elif way == "ink":
        paper = cv2.GaussianBlur(cv2.dilate(grey, np.ones((15, 15))), (0, 0), 7)
        inside[box] = ((paper - grey - 0.12) / 0.12).clip(0, 1)[box]
    else:
        cv2.setRNGSeed(0)
        marks = np.zeros((height, width), np.uint8)
        rectangle = (left, top, right - left, bottom - top)
        models = np.zeros((1, 65)), np.zeros((1, 65))
        image = np.ascontiguousarray((pixels * 255).astype(np.uint8))
        cv2.grabCut(image, marks, rectangle, *models, 5, cv2.GC_INIT_WITH_RECT)
        found = np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(found)
        inside[labels == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()] = 1
    return inside


def _ellipse(height: int, width: int, numbers: tuple[int, ...]) -> np.ndarray:
    x, y, a, b = numbers
    rows, columns = np.mgrid[:height, :width]
    return (((columns - x) / a) ** 2 + ((rows - y) / b) ** 2 <= 1).astype(np.float32)


def case(seed: int, split: str) -> Case:
    """The case with that number; split is `tuning` or `held-out`. Even numbers hold an object.

    Raises FileNotFoundError where it needs a photo of a package that is not installed.
    """
    photos, places = (TUNING, TUNING_CUTOUTS) if split == "tuning" else (HELD_OUT, HELD_OUT_CUTOUTS)
    generator = np.random.default_rng((seed, 7 if split == "tuning" else 11))
    photo = list(photos)[seed // 2 % len(photos)]
    boxes = photos[photo]
    box = boxes[generator.integers(len(boxes))]
    scene, mask, truth_box = _crop(picture(photo), box, generator)
    if np.ptp(scene, axis=2).max() < 0.01:
        # a grey photo; a tint keeps the check from learning that grey is the background
        scene = (scene * generator.uniform(0.85, 1.15, 3)).clip(0, 1).astype(np.float32)
        tint = True
    else:
        tint = False
    hole = mask >= 0.5
    how_before = BEFORES[generator.integers(len(BEFORES))]
    how_after = AFTERS[generator.integers(len(AFTERS))]
    before = _FILLS[how_before](scene, hole, truth_box, generator)
    if how_after == "before":
        after = before
    elif how_after == "textured before":
        after = _textured(before, hole, generator)
    else:
        after = _FILLS[how_after](scene, hole, truth_box, generator)
    pasted = None
    if seed % 2 == 0:
        candidates = [name for name, place in places.items() if place[0] != photo]
        pasted = candidates[generator.integers(len(candidates))]
        after = _paste(after, mask, cutout(places[pasted]), tint, generator)
    before, after, mask = _to_model(before, after, mask, generator)
    after = _degraded(after, mask, generator)
    return Case(before, after, mask, photo, pasted, f"{how_before} > {how_after}")


def _crop(
    pixels: np.ndarray, box: tuple[int, int, int, int], generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, tuple[int, int, int, int]]:
    """A crop of the photo, a hole somewhere inside the box, and the box, both on the crop."""
    left, top, right, bottom = box
    longest = min(150, 0.95 * max(right - left, bottom - top))
    side = generator.uniform(min(60, longest), longest)
    width = min(side, right - left)
    height = min(side * generator.uniform(0.55, 1.0), bottom - top)
    if generator.random() < 0.5 and side <= bottom - top:
        width, height = min(height, right - left), side
    x = generator.uniform(left + width / 2, right - width / 2)
    y = generator.uniform(top + height / 2, bottom - height / 2)
    around = max(width, height) * generator.uniform(0.4, 1.0)
    rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    kind = generator.integers(3)
    if kind == 0:
        inside = np.maximum(abs(columns - x) / (width / 2), abs(rows - y) / (height / 2))
    else:
        radius = np.hypot((columns - x) / (width / 2), (rows - y) / (height / 2))
        angle = np.arctan2((rows - y) / height, (columns - x) / width)
        wobble = 0.0 if kind == 1 else 0.15
        waves = [np.cos(n * angle + generator.uniform(0, 6.3)) / n for n in (2, 3, 5)]
        inside = radius * (1 + wobble * (1 + sum(waves)))
    mask = (inside <= 1).astype(np.float32)
    if generator.random() < 0.3:
        mask = cv2.GaussianBlur(mask, (0, 0), 2)
    x0, y0 = max(0, int(x - width / 2 - around)), max(0, int(y - height / 2 - around))
    x1 = min(pixels.shape[1], int(x + width / 2 + around))
    y1 = min(pixels.shape[0], int(y + height / 2 + around))
    view = slice(y0, y1), slice(x0, x1)
    place = max(left, x0) - x0, max(top, y0) - y0, min(right, x1) - x0, min(bottom, y1) - y0
    return pixels[view].copy(), mask[view].copy(), place


def _within(filled: np.ndarray, scene: np.ndarray, hole: np.ndarray) -> np.ndarray:
    return np.where(hole[..., None], filled, scene).astype(np.float32).clip(0, 1)


Box = tuple[int, int, int, int]


def _truth(scene: np.ndarray, hole: np.ndarray, box: Box, _: np.random.Generator) -> np.ndarray:
    return scene


def _like_lama(
    scene: np.ndarray, hole: np.ndarray, box: Box, generator: np.random.Generator
) -> np.ndarray:
    """The truth, blurred the more the deeper in the hole, plus a smooth error."""
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5)
    depth = depth / depth.max()
    extent = math.sqrt(hole.sum())
    strengths = np.array((0.0, 0.03, 0.08, 0.2)) * extent * generator.uniform(0.6, 1.4)
    levels = [scene] + [cv2.GaussianBlur(scene, (0, 0), max(0.3, s)) for s in strengths[1:]]
    position = (depth * generator.uniform(2.5, 4.0)).clip(0, 2.999)
    blurred = np.zeros_like(scene)
    for i, level in enumerate(levels):
        blurred += (1 - abs(position - i)).clip(0, 1)[..., None] * level
    small = generator.normal(0, 1, (5, 5, 3)).astype(np.float32)
    error = cv2.resize(small, scene.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    error *= generator.uniform(0.0, 0.04) * depth[..., None]
    return _within(blurred + error, scene, hole)


def _telea(
    scene: np.ndarray, hole: np.ndarray, box: Box, generator: np.random.Generator
) -> np.ndarray:
    return _opencv(scene, hole, cv2.INPAINT_TELEA)


def _navier_stokes(
    scene: np.ndarray, hole: np.ndarray, box: Box, generator: np.random.Generator
) -> np.ndarray:
    return _opencv(scene, hole, cv2.INPAINT_NS)


def _opencv(scene: np.ndarray, hole: np.ndarray, method: int) -> np.ndarray:
    filled = cv2.inpaint((scene * 255).astype(np.uint8), hole.astype(np.uint8), 3, method)
    return _within(filled.astype(np.float32) / 255, scene, hole)


def _biharmonic(
    scene: np.ndarray, hole: np.ndarray, box: Box, generator: np.random.Generator
) -> np.ndarray:
    from skimage.restoration import inpaint_biharmonic

    # at a third of the size: the result is as smooth, and a hole of 150 pixels takes no minute
    size = scene.shape[1] // 3, scene.shape[0] // 3
    small = cv2.resize(scene, size, interpolation=cv2.INTER_AREA)
    where = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    filled = inpaint_biharmonic(small, where, channel_axis=-1).astype(np.float32)
    filled = cv2.resize(filled, scene.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return _within(filled, scene, hole)


def _patches(
    scene: np.ndarray, hole: np.ndarray, box: Box, generator: np.random.Generator
) -> np.ndarray:
    """An exemplar fill: cleanplate's patchmatch, copying from the box only: no thing lies in it."""
    import torch

    from cleanplate.fill.patchmatch import PatchMatch

    left, top, right, bottom = box
    place = slice(top, bottom), slice(left, right)
    if hole[place].mean() > 0.6:
        # too little to copy from
        return _like_lama(scene, hole, box, generator)
    fill = PatchMatch(seed=int(generator.integers(1 << 30)))
    part, inside = torch.from_numpy(scene[place].copy()), torch.from_numpy(hole[place].copy())
    filled = scene.copy()
    filled[place] = fill(part[None], inside[None].float())[0].numpy()
    return _within(filled, scene, hole)


_FILLS: dict[str, Callable[..., np.ndarray]] = {
    "truth": _truth,
    "lama-like": _like_lama,
    "telea": _telea,
    "navier_stokes": _navier_stokes,
    "biharmonic": _biharmonic,
    "patches": _patches,
}


def _textured(before: np.ndarray, hole: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Sharpened, with grain as strong as the surroundings' details."""
    detail = before - cv2.GaussianBlur(before, (0, 0), 2)
    # the median leaves out the edges, which are no grain
    strength = 1.5 * np.median(abs(detail[~hole])) * generator.uniform(0.6, 1.2)
    grain = generator.normal(0, 1, before.shape[:2]).astype(np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), generator.uniform(0.5, 1.5))
    grain *= strength / grain.std()
    sharper = before + generator.uniform(0, 1.5) * detail + grain[..., None]
    return _within(sharper, before, hole)


def _paste(
    scene: np.ndarray,
    mask: np.ndarray,
    cut: np.ndarray,
    grey: bool,
    generator: np.random.Generator,
) -> np.ndarray:
    """Put a cut-out into the hole: turned, scaled, flipped, its light drawn towards the scene's."""
    hole = mask >= 0.5
    rows, columns = np.nonzero(hole)
    extent = np.array((np.ptp(columns) + 1, np.ptp(rows) + 1))
    height, width = cut.shape[:2]
    fit = min(extent[0] / width, extent[1] / height)
    # of what is thin or open enough shall show: a twentieth of the hole
    least = math.sqrt(0.05 * hole.sum() / cut[..., 3].sum())
    scale = min(max(generator.uniform(0.25, 0.9) * fit, least), 1.2 * fit)
    angle = generator.normal(0, 20)
    centre = np.array((columns.mean(), rows.mean()))
    reach = (extent - scale * np.array((width, height))).clip(0) / 2
    centre = centre + generator.uniform(-1, 1, 2) * reach
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
    turn[:, 2] += centre - np.array((width, height)) / 2
    if generator.random() < 0.5:
        cut = cut[:, ::-1]
    if scale < 1:
        # the antialiasing that warpAffine lacks
        cut = cv2.GaussianBlur(cut, (0, 0), max(0.01, 0.45 * (1 / scale - 1) + 0.01))
    cut = cut.copy()
    cut[..., :3] *= cut[..., 3:]
    placed = cv2.warpAffine(cut, turn, scene.shape[1::-1], flags=cv2.INTER_LINEAR)
    alpha = placed[..., 3].clip(0, 1) * mask
    thing = placed[..., :3] / placed[..., 3:].clip(1e-3)
    if grey:
        thing = thing.mean(2, keepdims=True) * scene.mean((0, 1)) / scene.mean()
    where = alpha > 0.5
    if not where.any():
        where = alpha >= alpha.max()
    away = thing[where].mean(0) - scene[where].mean(0)
    thing = thing - away * generator.uniform(0, 0.7)
    if generator.random() < 0.25:
        middle = thing[where].mean(0)
        thing = middle + (thing - middle) * generator.uniform(0.3, 0.7)
    # What nobody notices is no object: blurred by a twentieth of the hole, it must still differ
    # from what it covers, the more so where a texture around hides it.
    blur = 0.05 * math.sqrt(hole.sum())
    around = scene[cv2.dilate(mask, np.ones((9, 9))) > 0]
    least = max(0.06, float(around.std(0).mean()))
    for _ in range(4):
        change = alpha[..., None] * (thing.clip(0, 1) - scene)
        seen = cv2.GaussianBlur(change, (0, 0), blur)[where]
        contrast = math.sqrt((seen**2).mean())
        if contrast >= least:
            break
        thing = scene + (thing - scene) * min(2.0, 1.05 * least / max(contrast, 1e-3))
    result = scene + alpha[..., None] * (thing.clip(0, 1) - scene)
    return result.astype(np.float32).clip(0, 1)


def _to_model(
    before: np.ndarray, after: np.ndarray, mask: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At the photo's own size or enlarged, as UpscaleToModelRes does before a refinement."""
    longest = (0, 0, 384, 512)[generator.integers(4)]
    factor = longest / max(mask.shape)
    if factor <= 1:
        return before, after, mask
    size = round(mask.shape[1] * factor), round(mask.shape[0] * factor)
    up = cv2.INTER_LANCZOS4
    before, after = (cv2.resize(x, size, interpolation=up).clip(0, 1) for x in (before, after))
    return before, after, cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR)


def _degraded(after: np.ndarray, mask: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """What sampling and the VAE do to the whole crop: blur, blocks, noise, and tone."""
    height, width = mask.shape
    if generator.random() < 0.5:
        after = cv2.GaussianBlur(after, (0, 0), generator.uniform(0.3, 1.2))
    if generator.random() < 0.5:
        quality = int(generator.integers(55, 96))
        data = cv2.imencode(
            ".jpg", (after[..., ::-1] * 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality]
        )[1]
        after = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / 255
    latent = generator.normal(0, 1, (height // 8 + 2, width // 8 + 2, 3)).astype(np.float32)
    latent = cv2.resize(latent, (width, height), interpolation=cv2.INTER_LINEAR)
    white = generator.normal(0, 1, after.shape).astype(np.float32)
    after = after + generator.uniform(0, 0.012) * latent + generator.uniform(0, 0.025) * white
    after = after * generator.uniform(0.94, 1.06, 3) + generator.uniform(-0.03, 0.03, 3)
    soft = cv2.GaussianBlur(mask, (0, 0), max(1.0, 0.1 * math.sqrt(mask.sum())))
    after = after + soft[..., None] * generator.uniform(-0.025, 0.025, 3)
    return after.astype(np.float32).clip(0, 1)
