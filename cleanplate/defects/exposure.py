"""Pictures that are too dark or too bright as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, sqrt

import numpy as np
from torch import Tensor

from .catalogue import kind
from .defect import Defect
from .luma import Level, luma

_PIXELS = 1 << 22
"""Of a larger picture every so many rows and columns are read: percentiles need no more."""

_BURNT = 250 / 255


@dataclass(frozen=True)
class ExposureSettings:
    """When light counts as wrong; all in levels of 255, or parts of the image.

    Attributes:
        dark_peak: 99th percentile of the luma.
        grey: median of the luma from which a picture is dull, not dark.
        burnt: part of the pixels that are burnt out, see `Light`.
        bright_middle: median of the luma.
        least_score: what is less sure is not reported.
    """

    dark_peak: Level = field(default_factory=lambda: Level(140, 70))
    grey: float = 125
    burnt: Level = field(default_factory=lambda: Level(0.11, 0.4))
    bright_middle: Level = field(default_factory=lambda: Level(212, 240))
    least_score: float = 0.5


@dataclass(frozen=True)
class Light:
    """What the light of a picture is like.

    Attributes:
        middle: median of the luma, 0..255.
        peak: 99th percentile of the luma, 0..255.
        burnt: part of the pixels with two channels or all at 250 or more. One alone is what a
            saturated colour does.
    """

    middle: float
    peak: float
    burnt: float


def find_exposure(image: Tensor, settings: ExposureSettings = ExposureSettings()) -> list[Defect]:
    """Too dark or too bright; a night scene without lamps and a white backdrop are found, too.

    Args:
        image: ``[H, W, 3 or 4]`` in 0..1.
        settings: when it counts.
    """
    light = measure_light(image)
    dark = settings.dark_peak.score(light.peak) if light.middle < settings.grey else 0.0
    bright = max(settings.burnt.score(light.burnt), settings.bright_middle.score(light.middle))
    least = max(settings.least_score, 0.01)
    if dark >= max(bright, least):
        entry, score, value = kind("too_dark"), dark, light.peak
        reason = (
            f"99 % of the pixels are below {light.peak:.0f} of 255, half below {light.middle:.0f}"
        )
    elif bright >= least:
        entry, score, value = kind("too_bright"), bright, light.burnt
        reason = (
            f"{light.burnt:.0%} of the image is burnt out, half is above {light.middle:.0f} of 255"
        )
    else:
        return []
    return [Defect(entry.name, score, entry.severity(value), "exposure", reason)]


def measure_light(image: Tensor) -> Light:
    """Percentiles of luma and share of burnt pixels of an image ``[H, W, 3 or 4]`` in 0..1."""
    step = ceil(sqrt(image.shape[0] * image.shape[1] / _PIXELS))
    image = image[::step, ::step, :3]
    middle, peak = np.percentile(luma(image), (50, 99))
    burnt = float(((image >= _BURNT).sum(dim=2) >= 2).float().mean())
    return Light(float(middle), float(peak), burnt)
