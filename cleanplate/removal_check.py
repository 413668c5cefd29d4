"""Did an object come back? Look whether a refinement painted something new into the hole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

import numpy as np
import torch
from torch import Tensor

from . import masks
from .checks import check_image, check_mask, size_of
from .geometry import Box
from .removal_features import Features, measure
from .removal_probe import Probe
from .removal_view import view

THRESHOLD = 0.5
"""The score up to which a refinement passes."""

_INTERCEPT = 11.652
_WEIGHTS = Features(2.471, 3.458, 1.561, 0.527, 0.848, 0.434, -3.603)
"""Of a logistic regression, printed by ``python benchmarks/removal.py check --fit --cases 3392
--photos FOLDER``. It looks at tuning photos only; results are reported on other photos and
cut-outs."""

_OBJECT = "what looks like a thing of its own"
_WORDS = {
    "pattern": "a pattern that the surroundings do not have",
    "shape": "shapes that the surroundings do not have",
    "texture": "a texture unlike any around it",
    "colour": "a colour unlike any around it",
    "enclosed": "a change that nothing outside continues",
    "change": "a large change",
}
_TYPICAL = Features(-1.240, -1.410, -2.665, -3.826, -3.484, -1.026, -0.027)
"""The mean features of good refinements, likewise."""


@dataclass(frozen=True)
class RemovalVerdict:
    """What was found in a hole.

    Attributes:
        score: 0: nothing new; 1: an object came back.
        box: around the newest structure, in pixels of the image; None where nothing counts as new.
        reason: in words, without a full stop.
        features: what the score was made of; None for an empty mask.
    """

    score: float
    box: Box | None
    reason: str
    features: Features | None = None


def check_removal(
    before: Tensor, after: Tensor, mask: Tensor, probe: Probe | None = None
) -> RemovalVerdict:
    """Measure whether a refinement holds structure that is new and that nothing explains.

    New is what the removal did not have; explained is what is found around the hole, at any place
    and mirrored. Sharper texture, noise, slight blur, a shift in tone, and edges that run on from
    outside do not count. The cost follows the hole and its surroundings, not the image, and hardly
    the resolution: both are looked at with the hole shrunk to about 96 pixels.

    Args:
        before: the removal's result, ``[1, H, W, 3 or 4]`` in 0..1; alpha plays no part.
        after: the same picture refined, of the same size.
        mask: ``[H, W]`` or ``[1, H, W]``, where it was removed; counted from 0.5.
        probe: see `load_probe`; without one more good refinements are refused.

    Raises:
        ValueError: sizes that differ, what `check_image` and `check_mask` refuse, or a mask that
            covers the whole image, which leaves no surroundings to compare with.
    """
    mask = check_refinements(before, after, mask)
    if len(before) != 1 or len(after) != 1:
        raise ValueError(
            f"before holds {len(before)} images and after {len(after)}: one pair is checked at a "
            "time."
        )
    hole = masks.core(mask[0])
    found = masks.bounding_box(hole)
    if found is None:
        strongest = float(mask.max())
        reason = "the mask is empty"
        if strongest > 0:
            reason = f"the mask is nowhere stronger than {strongest:.2f}, and counts from 0.5"
        return RemovalVerdict(0.0, None, reason)
    if bool(hole.all()):
        raise ValueError(
            "mask covers the whole image, so there are no surroundings to compare with: check the "
            "crop together with its surroundings, as CropAroundMask makes it."
        )
    seen = view(_array(before), _array(after), hole.cpu().numpy(), found)
    features, box = measure(seen)
    if probe is None:
        weights, odds, added = _WEIGHTS, _INTERCEPT + features.weighed(_WEIGHTS), 0.0
    else:
        weights, (odds, added) = probe.features, probe.odds(features, seen)
    score = 1 / (1 + exp(-min(max(odds, -50.0), 50.0)))
    if score <= THRESHOLD:
        reason = "nothing that the surroundings do not explain"
        return RemovalVerdict(score, None, reason, features)
    return RemovalVerdict(score, box, _reason(features, weights, added, box), features)


def check_refinements(before: Tensor, after: Tensor, mask: Tensor) -> Tensor:
    """Refuse pictures that are not refinements of others; the mask as `check_mask` gives it.

    Raises:
        ValueError: sizes that differ, and what `check_image` and `check_mask` refuse.
    """
    check_image(before, "before")
    check_image(after, "after")
    mask = check_mask(mask, before)
    if size_of(before) != size_of(after):
        raise ValueError(
            f"before is {size_of(before)} but after is {size_of(after)}: connect the image that "
            "went into the refinement, not one from before it was cropped or resized."
        )
    return mask


def best_of(verdicts: Sequence[RemovalVerdict], threshold: float = THRESHOLD) -> int | None:
    """The number of the lowest score, the first of equals; None if it is above the threshold."""
    best = min(range(len(verdicts)), key=lambda n: verdicts[n].score)
    return best if verdicts[best].score <= threshold else None


def _array(image: Tensor) -> np.ndarray:
    return image[0, ..., :3].to("cpu", torch.float32).clamp(0, 1).numpy()


def _reason(features: Features, weights: Features, added: float, box: Box | None) -> str:
    shares = {
        word: getattr(weights, name) * (getattr(features, name) - getattr(_TYPICAL, name))
        for name, word in _WORDS.items()
    }
    shares[_OBJECT] = added
    first, second = sorted(shares, key=lambda word: -shares[word])[:2]
    size = f", {box.width}x{box.height} px" if box else ""
    return f"{first} and {second}{size}"
