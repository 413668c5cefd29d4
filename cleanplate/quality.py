"""How good a picture is without anything to compare it with: one number from what was measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod

from torch import Tensor

from .defects.compression import CompressionSettings, corner_cross, count_blocks
from .defects.exposure import measure_light
from .defects.luma import Plane, luma
from .defects.noise import evidence, grain
from .defects.sharpness import reblur_ratios

LEAST = 0.01
"""What a part counts at least: 0 would make all that have one such part alike."""

WANTED_SIDE = 512
"""Pixels that the shorter side has to have, for a picture to be large enough."""


@dataclass(frozen=True)
class Part:
    """One thing by which a picture is judged.

    Attributes:
        name: what.
        value: 0..1, 1 for nothing to find fault with.
        reason: the number behind it, in words.
        weight: the power to which the value counts: 0 for not at all, 1 in full, 2 twice.
    """

    name: str
    value: float
    reason: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError(f"the weight of {self.name} is {self.weight:g}: give 0 or more.")


@dataclass(frozen=True)
class Quality:
    """How good a picture is.

    Attributes:
        parts: of the judgement.
    """

    parts: tuple[Part, ...]

    @property
    def score(self) -> float:
        """0..1: the product of the parts, each to the power of its weight."""
        return prod(max(part.value, LEAST) ** part.weight for part in self.parts)

    def weighted(self, **weights: float) -> Quality:
        """The same with other weights, by the names of the parts.

        Raises:
            ValueError: a weight below 0.
        """
        parts = (replace(p, weight=weights.get(p.name, p.weight)) for p in self.parts)
        return Quality(tuple(parts))

    def with_parts(self, parts: Iterable[Part]) -> Quality:
        """The same with further parts."""
        return Quality((*self.parts, *parts))

    def __str__(self) -> str:
        """The score, and the parts from the worst."""
        counted = [part for part in self.parts if part.weight > 0]
        ordered = sorted(counted, key=lambda part: part.value**part.weight)
        parts = ", ".join(f"{part.name} {part.value:.2f} ({part.reason})" for part in ordered)
        return f"{self.score:.3f}: {parts}" if parts else f"{self.score:.3f}"


def judge(image: Tensor, wanted_side: int = WANTED_SIDE) -> Quality:
    """Judge a picture by what `defects` measures of it.

    Each part halves at one amount of damage and never stops falling: ``1 / (1 + (x / half)^2)``,
    with x

    - sharpness: the spread of the edges in pixels, as a Gaussian; half at 2. From the re-blur ratio
      R of the worst of eight directions, for a step edge ``1 / sqrt(R^2 - 1)``: Zhuo and Sim,
      *Defocus map estimation from a single image*, Pattern Recognition 2011. A picture without an
      edge counts as blurred without end.
    - noise: its standard deviation in levels of 255, less what is texture; half at 10.
    - compression: what the corners of 8x8 blocks stand out by; half at 1, near JPEG quality 30.
    - light: how far the 99th percentile of luma is below 220 (half at 100), times the part of the
      pixels that is burnt out (half at a quarter), times how far the median is above 210 (half at
      40).

    and resolution, the share of `wanted_side` that the shorter side has, at most 1.

    Args:
        image: ``[H, W, 3 or 4]`` in 0..1, finite; alpha plays no part.
        wanted_side: pixels wanted on the shorter side.

    Raises:
        ValueError: `wanted_side` is below 1.
    """
    if wanted_side < 1:
        raise ValueError(f"wanted_side is {wanted_side}: give the pixels wanted, 1 or more.")
    plane = luma(image)
    return Quality(
        (
            _sharpness(plane),
            _noise(plane),
            _compression(plane),
            _light(image),
            _resolution(image, wanted_side),
        )
    )


def _falling(amount: float, half: float) -> float:
    return 1 / (1 + (max(amount, 0.0) / half) ** 2)


def _sharpness(plane: Plane) -> Part:
    ratios = reblur_ratios(plane)
    if ratios is None:
        return Part("sharpness", 0.0, "no edges")
    excess = min(ratios[1]) ** 2 - 1
    if excess <= 0:
        return Part("sharpness", 0.0, "edges without end")
    spread = excess**-0.5
    return Part("sharpness", _falling(spread, 2), f"edges of {spread:.1f} pixels")


def _noise(plane: Plane) -> Part:
    measured = grain(plane)
    if measured is None:
        return Part("noise", 1.0, "no even area to judge by")
    return Part("noise", _falling(evidence(*measured), 10), f"grain of {measured[0]:.1f} levels")


def _compression(plane: Plane) -> Part:
    if count_blocks(plane.shape) < CompressionSettings().least_blocks:
        return Part("compression", 1.0, "too small for blocks")
    ratio, _ = corner_cross(plane)
    return Part("compression", _falling(ratio - 1, 1), f"blocks at {ratio:.2f}")


def _light(image: Tensor) -> Part:
    light = measure_light(image)
    value = _falling(220 - light.peak, 100) * _falling(light.burnt, 0.25)
    value *= _falling(light.middle - 210, 40)
    reason = f"99 % below {light.peak:.0f}, half below {light.middle:.0f}, {light.burnt:.0%} burnt"
    return Part("light", value, reason)


def _resolution(image: Tensor, wanted_side: int) -> Part:
    short = min(image.shape[:2])
    return Part("resolution", min(short / wanted_side, 1.0), f"{short} pixels")


def given(value: float, worst: float, best: float) -> Part:
    """The part of a judgement for a score from elsewhere.

    Args:
        value: the score.
        worst: what counts as 0.
        best: what counts as 1; below `worst` where less is better.

    Raises:
        ValueError: `worst` and `best` are the same.
    """
    if worst == best:
        raise ValueError(f"worst and best are both {best:g}: give the ends of the scores' range.")
    share = (value - worst) / (best - worst)
    return Part("given", min(max(share, 0.0), 1.0), f"score {value:.4g}")
