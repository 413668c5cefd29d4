"""Width and height that do not suit."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .catalogue import kind
from .defect import Defect


@dataclass(frozen=True)
class AspectSettings:
    """The shape that is wanted.

    Attributes:
        ratio: width divided by height; 0 for any.
        tolerance: factor by which it may differ, less 1.
        multiple: of which width and height have to be multiples; 1 for any.
    """

    ratio: float = 0.0
    tolerance: float = 0.01
    multiple: int = 1


def find_wrong_aspect(image: Tensor, settings: AspectSettings = AspectSettings()) -> list[Defect]:
    """A picture of another shape than wanted.

    Args:
        image: ``[H, W, 3 or 4]``.
        settings: what is wanted; nothing by default.

    Raises:
        ValueError: a ratio below 0, or a multiple below 1.
    """
    if settings.ratio < 0 or settings.multiple < 1:
        raise ValueError(
            f"ratio is {settings.ratio:g} and multiple {settings.multiple}: give a ratio of at "
            "least 0 and a multiple of at least 1."
        )
    height, width = image.shape[:2]
    factor, reasons = 1.0, []
    if settings.ratio:
        factor = width / height / settings.ratio
        factor = max(factor, 1 / factor)
        if factor > 1 + settings.tolerance:
            reasons.append(
                f"{width}x{height} is off the ratio {settings.ratio:.3g} by {factor:.2f}"
            )
    if width % settings.multiple or height % settings.multiple:
        reasons.append(f"{width}x{height} is no multiple of {settings.multiple}")
    if not reasons:
        return []
    entry = kind("wrong_aspect")
    severity = entry.severity(factor)
    return [Defect(entry.name, 1.0, severity, "aspect", " and ".join(reasons))]
