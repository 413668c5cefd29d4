"""Real objects with exact masks, pasted onto photos, and the shadows they would cast there."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

Picture = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Cutout:
    """An object of a photo: the photo ``[H, W, 3]`` in 0..1 and the object's exact mask."""

    name: str
    image: Picture
    mask: Mask


@functools.cache
def photo(name: str) -> Picture:
    import skimage.data

    made = getattr(skimage.data, name)()
    pixels = np.asarray(made[0] if name == "stereo_motorcycle" else made)
    if pixels.dtype != np.uint8:
        pixels = (pixels * 255).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    return np.ascontiguousarray(pixels[..., :3]).astype(np.float32) / 255


@functools.cache
def coins() -> tuple[Cutout, ...]:
    """The coins of `skimage.data.coins` that lie free, cut out by a watershed."""
    from skimage.filters import sobel
    from skimage.segmentation import watershed

    image = photo("coins")
    grey = (image[..., 0] * 255).astype(np.uint8)
    seeds = np.where(grey < 30, 1, np.where(grey > 150, 2, 0))
    found = ndimage.binary_fill_holes(watershed(sobel(grey), seeds) - 1)
    labels, count = ndimage.label(ndimage.binary_opening(found, iterations=3))
    whole = []
    for i in range(1, count + 1):
        mask = labels == i
        frame = mask.copy()
        frame[3:-3, 3:-3] = False
        if mask.sum() > 600 and not frame.any():
            whole.append(Cutout(f"coin {i}", image, mask))
    return tuple(whole)


@functools.cache
def things() -> tuple[Cutout, ...]:
    """A cup with its real shadow, a cameraman and a rocket, cut out by GrabCut, checked by eye."""
    boxes = {
        "coffee": (70, 10, 420, 385),
        "camera": (2, 60, 340, 450),
        "rocket": (305, 120, 35, 306),
    }
    return tuple(Cutout(name, photo(name), _grab(photo(name), box)) for name, box in boxes.items())


def _grab(image: Picture, box: tuple[int, int, int, int]) -> Mask:
    kinds = np.zeros(image.shape[:2], np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    pixels = (image[..., ::-1] * 255).round().astype(np.uint8)
    cv2.grabCut(np.ascontiguousarray(pixels), kinds, box, *models, 6, cv2.GC_INIT_WITH_RECT)
    labels, count = ndimage.label((kinds == cv2.GC_FGD) | (kinds == cv2.GC_PR_FGD))
    largest = 1 + np.argmax(ndimage.sum(labels > 0, labels, range(1, count + 1)))
    filled = ndimage.binary_fill_holes(labels == largest)
    return cv2.medianBlur(filled.astype(np.uint8), 7) > 0


def blob(content: str, seed: int) -> Cutout:
    """A wobbly piece of a photo: an object without any prior edge."""
    image = photo(content)
    height, width = image.shape[:2]
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    angle = np.arctan2(y - height / 2, x - width / 2)
    wobble = sum(
        generator.uniform(0, 0.45 / n) * np.cos(n * angle + generator.uniform(0, 6.3))
        for n in (2, 3, 5, 7)
    )
    inside = np.hypot(y - height / 2, x - width / 2) <= min(height, width) * 0.33 * (1 + wobble)
    return Cutout(f"blob of {content}", image, inside)


def horse(content: str) -> Cutout:
    """The silhouette of `skimage.data.horse`, filled with a photo."""
    import skimage.data

    mask = ~np.asarray(skimage.data.horse()).astype(bool)
    image = cv2.resize(photo(content), (mask.shape[1], mask.shape[0]))
    return Cutout(f"horse of {content}", image, mask)


def letter(character: str, content: str) -> Cutout:
    """A thick letter, filled with a photo."""
    drawn = np.zeros((400, 400), np.uint8)
    cv2.putText(drawn, character, (60, 340), cv2.FONT_HERSHEY_DUPLEX, 13, 1, 50)
    image = cv2.resize(photo(content), (400, 400))
    return Cutout(f"letter {character} of {content}", image, drawn > 0)


def place(cutout: Cutout, shape: tuple[int, int], scale: float, x: float, y: float) -> Cutout:
    """The object scaled and moved onto an empty picture of that shape.

    `x` and `y` in 0..1 say where, from the left and from the top. The object's inner colours are
    continued beyond its border, so that none of its old background comes along.
    """
    rows, columns = np.nonzero(cutout.mask)
    pad = 6
    top, left = max(0, rows.min() - pad), max(0, columns.min() - pad)
    part = np.s_[top : rows.max() + pad, left : columns.max() + pad]
    size = [max(8, round(n * scale)) for n in cutout.mask[part].shape[::-1]]
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(cutout.image[part], size, interpolation=mode)
    inside = cv2.resize(cutout.mask[part].astype(np.float32), size) >= 0.5
    down, right = int(y * (shape[0] - size[1])), int(x * (shape[1] - size[0]))
    target = np.s_[down : down + size[1], right : right + size[0]]
    mask = np.zeros(shape, bool)
    mask[target] = inside
    image = np.zeros((*shape, 3), np.float32)
    image[target] = small
    core = ndimage.binary_erosion(mask, iterations=2)
    nearest = ndimage.distance_transform_edt(~core, return_indices=True)[1]
    return Cutout(cutout.name, image[tuple(nearest)], mask)


def paste(placed: Cutout, ground: Picture, soft: float, generator: np.random.Generator) -> Picture:
    """The placed object on a ground of its size, with a soft edge and a little noise."""
    alpha = cv2.GaussianBlur(placed.mask.astype(np.float32), (0, 0), soft)[..., None]
    mixed = alpha * placed.image + (1 - alpha) * ground
    noisy = (mixed + generator.normal(0, 0.007, mixed.shape)).clip(0, 1)
    return (noisy * 255).round().astype(np.float32) / 255


def cast_shadow(mask: Mask, generator: np.random.Generator) -> tuple[Picture, float]:
    """How much light the object leaves on the ground, ``[H, W, 3]``, and in the umbra.

    Its silhouette, sheared and flattened about its foot, keeps 0.4 to 0.75 of the stored values,
    slightly more of the blue, under a penumbra that widens away from the foot.
    """
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    tall = int(np.ptp(rows)) + 1
    foot = rows.max() - 0.02 * tall
    shear = generator.uniform(0.5, 1.3) * generator.choice([-1, 1])
    flat = generator.uniform(0.12, 0.5) * generator.choice([-1, 1])
    transform = np.array([[1, -shear, shear * foot], [0, flat, foot * (1 - flat)]], np.float32)
    outline = cv2.warpAffine(mask.astype(np.float32), transform, (width, height))
    penumbra = generator.uniform(1.0, 3.5)
    sharp = cv2.GaussianBlur(outline, (0, 0), 0.6 * penumbra)
    blurred = cv2.GaussianBlur(outline, (0, 0), 2 * penumbra)
    y, x = np.mgrid[:height, :width]
    far = (np.hypot(x - columns.mean(), y - foot) / (1.2 * tall)).clip(0, 1)
    strength = (sharp * (1 - far) + blurred * far)[..., None]
    left, blue = generator.uniform(0.4, 0.75), generator.uniform(0, 0.06)
    colour = left * np.array([1 - blue, 1, 1 + blue])
    return (1 - strength * (1 - colour)).astype(np.float32), left


def grounds(held_out: bool) -> dict[str, Picture]:
    """Surfaces to cast shadows on: the ones used while tuning, or others."""

    def part(
        name: str, rows: slice, columns: slice, tint: tuple[float, ...] = (1, 1, 1)
    ) -> Picture:
        cut = photo(name)[rows, columns] * np.array(tint, np.float32)
        scale = max(1.0, 512 / max(cut.shape[:2]))
        size = round(cut.shape[1] * scale), round(cut.shape[0] * scale)
        return cv2.resize(cut, size, interpolation=cv2.INTER_CUBIC).clip(0, 1)

    whole = slice(None)
    if held_out:
        return {
            "lawn": part("camera", slice(380, 512), slice(380, 512), (0.9, 1.1, 0.7)),
            "table": part("coffee", slice(10, 120), slice(430, 600)),
            "moon": part("moon", slice(0, 300), slice(0, 400), (1.4, 1.35, 1.25)),
            "retina": part("retina", slice(500, 1000), slice(300, 900), (1.2, 1.2, 1.2)),
            "cloth": part("astronaut", slice(0, 100), slice(260, 400)),
            "pavement": part("brick", slice(256, 512), slice(0, 256), (1.1, 1.05, 0.95)),
            "pebbles": part("gravel", slice(200, 512), slice(200, 512), (1.1, 1.0, 0.9)),
        }
    sand = cv2.GaussianBlur(cv2.resize(photo("gravel"), None, fx=0.35, fy=0.35), (0, 0), 0.5)
    sand = (0.62 + 0.35 * (sand - 0.5)) * np.array([1.2, 1.05, 0.8], np.float32)
    y, x = np.mgrid[:480, :640].astype(np.float32)
    wall = np.stack([0.75 - x / 3200, 0.72 - x / 3200 + y / 9600, 0.66 - x / 3200], axis=2)
    return {
        "grass": photo("grass"),
        "green grass": part("grass", whole, whole, (0.85, 1.15, 0.5)),
        "gravel": photo("gravel"),
        "brick": photo("brick"),
        "red brick": part("brick", whole, whole, (1.4, 0.8, 0.65)),
        "sand": cv2.resize(sand, (540, 540), interpolation=cv2.INTER_CUBIC).clip(0, 1),
        "wood": part("coffee", slice(250, 395), slice(480, 598)),
        "floor": part("stereo_motorcycle", slice(430, 500), slice(0, 250)),
        "wall": wall.astype(np.float32),
    }


def resized_mask(mask: Mask, pixels: int) -> Mask:
    """The mask with so many pixels more on each side; with less where negative."""
    if pixels < 0:
        return ndimage.distance_transform_edt(mask) > -pixels
    return ndimage.distance_transform_edt(~mask) <= pixels


def contact_sheet(pictures: list[Picture], columns: int, side: int) -> Picture:
    tiles = [cv2.resize(p, (side, side * 3 // 4), interpolation=cv2.INTER_AREA) for p in pictures]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    ends = range(0, len(tiles) + 1, columns)
    return np.vstack([np.hstack(tiles[a:b]) for a, b in pairwise(ends)])
