"""Cases for RemovalCheck: crops before and after a refinement, with and without a new object.

Every photo and every cut-out belongs to the tuning or to the held-out split, never to both, and a
cut-out comes from a photo of its own split.

A hole lies inside one of the hand-drawn boxes of `TUNING` or `HELD_OUT`: background, texture, or
structure that runs on outside (planks, a flag's stripes, a coat against the sky, branching
vessels). No box holds a whole thing of its own, because a refinement that shows one has painted an
object, even if the photographer had seen it there.
"""

from __future__ import annotations

import functools
import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

Boxes = tuple[tuple[int, int, int, int], ...]
"""left, top, right, bottom in pixels of the photo."""

TUNING: dict[str, Boxes] = {
    "astronaut": (
        (72, 0, 146, 130),
        (300, 20, 368, 230),
        (0, 100, 66, 370),
        (66, 230, 130, 480),
        (120, 265, 235, 350),
    ),
    "motorcycle_left": (
        (0, 400, 200, 500),
        (340, 415, 540, 500),
        (0, 290, 115, 420),
        (80, 0, 165, 100),
        (225, 15, 305, 145),
    ),
    "camera": (
        (130, 0, 512, 70),
        (340, 250, 512, 420),
        (150, 300, 230, 490),
        (20, 190, 140, 350),
        (30, 50, 140, 210),
    ),
    "brick": ((0, 0, 512, 512),),
    "grass": ((0, 0, 512, 512),),
    "ihc": ((0, 0, 250, 230), (290, 0, 440, 250), (130, 230, 240, 512), (380, 250, 512, 512)),
}
HELD_OUT: dict[str, Boxes] = {
    "coffee": (
        (0, 150, 78, 400),
        (430, 20, 600, 200),
        (480, 170, 600, 400),
        (80, 250, 190, 360),
        (330, 320, 480, 400),
    ),
    "chelsea": ((0, 100, 110, 300), (150, 15, 285, 80), (365, 140, 451, 300), (85, 180, 225, 260)),
    "rocket": (
        (210, 10, 300, 350),
        (330, 10, 430, 350),
        (5, 30, 95, 340),
        (555, 0, 640, 340),
        (160, 150, 225, 340),
    ),
    "gravel": ((0, 0, 512, 512),),
    "moon": ((10, 150, 220, 500), (330, 200, 500, 500), (190, 200, 280, 460)),
    "retina": ((200, 200, 1200, 450), (300, 900, 1200, 1250), (850, 450, 1300, 950)),
    # these two come with scikit-learn; without it their cases are left out
    "china.jpg": (
        (250, 10, 640, 180),
        (360, 160, 550, 270),
        (10, 350, 330, 427),
        (350, 290, 545, 427),
        (555, 180, 640, 400),
        (85, 150, 320, 350),
    ),
    "flower.jpg": ((10, 10, 170, 420), (455, 60, 630, 380), (185, 95, 285, 335)),
}

Place = tuple[str, str, tuple[int, ...]]
"""How to cut: photo, way, numbers. See `_cut`."""

TUNING_CUTOUTS: dict[str, Place] = {
    "astronaut": ("astronaut", "grab", (130, 10, 320, 200)),
    "badge": ("astronaut", "ellipse", (171, 385, 38, 38)),
    "helmet": ("astronaut", "grab", (275, 345, 505, 511)),
    "wheel": ("motorcycle_left", "ellipse", (192, 317, 68, 80)),
    "tank": ("motorcycle_left", "grab", (240, 140, 520, 290)),
    "cameraman": ("camera", "grab", (100, 55, 350, 310)),
    "coin 1": ("coins", "ellipse", (334, 42, 29, 29)),
    "coin 2": ("coins", "ellipse", (270, 119, 25, 25)),
    "coin 3": ("coins", "ellipse", (345, 186, 31, 31)),
    "coin 4": ("coins", "ellipse", (45, 258, 28, 28)),
    "handwriting 1": ("text", "ink", (112, 65, 212, 120)),
    "handwriting 2": ("text", "ink", (0, 30, 75, 85)),
    "horse": ("horse", "dark", (0, 0, 400, 328)),
    **{f"face {i}": ("lfw_subset", "face", (i,)) for i in range(6)},
}
HELD_OUT_CUTOUTS: dict[str, Place] = {
    "cat": ("chelsea", "grab", (100, 5, 375, 290)),
    "cat's eye": ("chelsea", "ellipse", (172, 117, 34, 32)),
    "cup": ("coffee", "grab", (160, 10, 430, 320)),
    "cup and saucer": ("coffee", "ellipse", (280, 205, 195, 185)),
    "spoon": ("coffee", "ellipse", (365, 285, 40, 42)),
    "rocket": ("rocket", "grab", (295, 115, 350, 415)),
    "crater": ("moon", "ellipse", (120, 86, 27, 27)),
    "words 1": ("page", "ink", (0, 5, 150, 35)),
    "words 2": ("page", "ink", (0, 45, 120, 110)),
    "snake": ("logo", "ellipse", (248, 248, 244, 244)),
    "bead": ("cell", "ellipse", (428, 372, 70, 70)),
    "flower": ("flower.jpg", "grab", (165, 80, 450, 360)),
    "pagoda": ("china.jpg", "grab", (70, 25, 350, 390)),
    **{f"face {i}": ("lfw_subset", "face", (i,)) for i in range(50, 56)},
}

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
    """A photo of scikit-image's or scikit-learn's package, ``[H, W, 3]`` float32 in 0..1."""
    package = "sklearn" if name in ("china.jpg", "flower.jpg") else "skimage"
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"{name} comes with {package}")
    root = Path(spec.origin).parent
    folder = root / "datasets" / "images" if package == "sklearn" else root / "data"
    path = next(p for p in sorted(folder.glob(f"{name}*")) if p.suffix in (".png", ".jpg"))
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    return np.ascontiguousarray(pixels[..., ::-1]).astype(np.float32) / 255


@functools.cache
def cutout(place: Place) -> np.ndarray:
    """A cut-out ``[H, W, 4]`` float32 in 0..1, alpha last, cropped to what is visible."""
    name, way, numbers = place
    if way == "face":
        import skimage.data

        face = skimage.data.lfw_subset()[numbers[0]].astype(np.float32)
        face = cv2.resize(face, (100, 100), interpolation=cv2.INTER_CUBIC).clip(0, 1)
        pixels, alpha = np.repeat(face[..., None], 3, 2), _ellipse(100, 100, (50, 50, 36, 46))
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
