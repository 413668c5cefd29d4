"""Clean photos for the defect benchmarks: one half to choose thresholds, the other to score.

All of scikit-image's that are clean (moon is enlarged, cell out of focus, clock shows motion,
immunohistochemistry the blocks of a JPEG from column 5, row 3) and stored without loss, or large
enough to shrink by 2; and those of a folder, by these names: pictures of the Debian packages
mate-backgrounds, lomiri-wallpapers-16.04, lomiri-wallpapers-20.04 and opencv-doc (less drawings;
Storm, which shows motion; and free_by_Peter_Nerlich, a fifth of which is burnt out), china and
flower of scikit-learn, grace_hopper of matplotlib, portraits and multiface of facenet-pytorch. Any
other file counts for scoring.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

CHOOSING = {
    *("astronaut", "chelsea", "brick", "gravel", "coins", "rocket"),
    *("Bridge_by_Sander_Klootwijk", "Kleiber_by_Lukas_Baubkus", "Picture_1A_by_freespace"),
    *("aitzgorri_by_Aitzol_Berasategi", "friends_by_Aitzol_Berasategi", "Aqua", "Dune"),
    *("greentock_by_Peter_Nerlich", "seeding_by_Clements_Engelhardt", "Garden", "LadyBird"),
    *("TwoWings", "portrait_angelina_jolie", "portrait_paul_rudd", "aloeL", "baboon", "messi5"),
    *("home", "apple", "graf1"),
}
"""Everything else is for scoring."""

_NOT_CLEAN = {"Storm", "free_by_Peter_Nerlich"}

_SKIMAGE = (
    *("astronaut", "chelsea", "brick", "gravel", "coins", "rocket", "coffee", "camera", "grass"),
    *("stereo_motorcycle", "retina", "hubble_deep_field"),
)
_LOSSY = ("rocket", "retina", "hubble_deep_field")
_LONG = 1024
_ENDINGS = (".jpg", ".jpeg", ".png", ".webp")


def clean(scoring: bool, folder: Path | None, long: int = _LONG) -> Iterator[tuple[str, Picture]]:
    """Name and RGB picture of every photo of one half, at most `long` pixels on the longer side."""
    for name in _SKIMAGE:
        if (name not in CHOOSING) == scoring:
            yield name, _shrink(_skimage(name), 2 if name in _LOSSY else 1, long)
    files = sorted(folder.iterdir(), key=lambda path: path.name) if folder else []
    for path in files:
        if path.stem in _NOT_CLEAN:
            continue
        if path.suffix.lower() in _ENDINGS and (path.stem not in CHOOSING) == scoring:
            pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
            lossy = path.suffix.lower() != ".png"
            yield path.stem, _shrink(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), 1 + lossy, long)


def _skimage(name: str) -> Picture:
    import skimage.data

    pixels = getattr(skimage.data, name)()
    pixels = np.asarray(pixels[0] if isinstance(pixels, tuple) else pixels)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    return np.ascontiguousarray(pixels[..., :3])


def _shrink(pixels: Picture, least: int, long: int) -> Picture:
    """Shrunk by at least that much: what JPEG did to a photo is gone after 2."""
    height, width = pixels.shape[:2]
    factor = max(least, max(height, width) / long)
    if factor == 1:
        return pixels
    size = (math.ceil(width / factor), math.ceil(height / factor))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
