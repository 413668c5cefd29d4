"""Too few pixels, and pixels that were interpolated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from .catalogue import kind
from .defect import Defect
from .luma import Level, Plane

_LOWEST = 0.2
"""Cycles for each pixel from where to look: below, the lines of a picture give peaks, too."""

_PEAK = 10.0
"""How far above the median of the spectrum the peak of an interpolation rises."""

_CAP = 30.0
"""Levels of 255: edges shall not outweigh what is regular."""


@dataclass(frozen=True)
class ResolutionSettings:
    """How large a picture has to be.

    Attributes:
        short_side: pixels wanted on the shorter side; 0 for any.
    """

    short_side: int = 512


def find_low_resolution(
    image: Tensor, settings: ResolutionSettings = ResolutionSettings()
) -> list[Defect]:
    """A picture with fewer pixels than wanted; `find_blur` finds one without the detail for them.

    Args:
        image: ``[H, W, 3 or 4]`` in 0..1.
        settings: what is wanted.
    """
    short = min(image.shape[:2])
    if short >= settings.short_side:
        return []
    share = short / settings.short_side
    entry = kind("low_resolution")
    reason = f"the short side has {short} pixels, {settings.short_side} are wanted"
    score = Level(1.0, 0.5).score(share)
    return [Defect(entry.name, score, entry.severity(share), "resolution", reason)]


def resampled(plane: Plane) -> float | None:
    """The period in pixels at which a plane was interpolated, None where that does not show.

    The second differences of what was interpolated vary in step with the distance to the old
    pixels: Gallagher, *Detection of linear and cubic interpolation in JPEG compressed images*, CRV
    2005. Cubic enlargement by exactly 2 treats all pixels alike and does not show. A peak as 8x8
    blocks give it does not count.

    Args:
        plane: luma ``[H, W]``, 0..255.
    """
    strongest, period = _PEAK, None
    for lines in (plane, plane.T):
        spectrum = _spectrum(lines)
        if spectrum is None:
            continue
        frequency = np.arange(len(spectrum)) / (2 * (len(spectrum) - 1))
        usable = (frequency >= _LOWEST) & (np.abs(frequency - 0.375) > 0.004)
        eighths = spectrum[np.abs(frequency - 0.375) <= 0.004]
        quarter = np.abs(frequency - 0.25) <= 0.004
        if eighths.size and quarter.any() and eighths.max() > 0.7 * spectrum[quarter].max():
            usable &= ~quarter
        if not usable.any():
            continue
        peak = int(np.argmax(np.where(usable, spectrum, 0)))
        if spectrum[peak] > strongest:
            strongest, period = float(spectrum[peak]), 1 / float(frequency[peak])
    return period


def _spectrum(lines: Plane) -> np.ndarray | None:
    """Of the mean second difference along the rows, in medians of itself; None where too short."""
    length = (lines.shape[1] - 2) // 2 * 2
    if length < 64:
        return None
    total = np.zeros(length)
    for row in range(0, lines.shape[0], 256):
        part = lines[row : row + 256]
        bent = np.abs(part[:, 2:] - 2 * part[:, 1:-1] + part[:, :-2])[:, :length]
        total += np.minimum(bent, _CAP).sum(0)
    total -= np.convolve(np.pad(total, 4, "edge"), np.full(9, 1 / 9), "valid")
    spectrum = np.abs(np.fft.rfft(total * np.hanning(length)))
    usual = np.median(spectrum[round(0.1 * length) :])
    return spectrum / usual if usual > 0 else None
