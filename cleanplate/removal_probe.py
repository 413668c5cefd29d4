"""What a network trained on photographs sees in a hole, and how much of it speaks of an object.

Statistics of patches (see `removal_features`) cannot tell an object from a background of large
parts where the removal was smooth: both are new there, and neither is found around. A network that
knows things from surfaces can. Its features are pooled over the hole and weighed by a logistic
regression, as linear probes do (Alain and Bengio, ICLR workshop 2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from .efficientnet import CHANNELS, PACKAGE, EfficientNetLite, load_efficientnet, weights_file
from .removal_features import Features
from .removal_view import SIDE, Array, View, rgb

POOLS = 4
LENGTH = POOLS * sum(CHANNELS)
"""Numbers that `describe` gives."""

_FITTED = Path(__file__).with_suffix(".safetensors")
"""Written by ``python benchmarks/removal.py check --fit``, which looks at tuning photos only."""

_COVERED = 0.6
_CLEAR = 0.02
_SMALLEST = 32

MISSING = (
    "Checked without the network that knows things from surfaces, so more good refinements fail: "
    f"run `pip install {PACKAGE}` where ComfyUI runs."
)


@dataclass(frozen=True, eq=False)
class Probe:
    """A network, and what its features and those of patches are worth.

    Attributes:
        network: see `load_efficientnet`.
        intercept: of the log odds that an object came back.
        features: the weight of each of the measured ones.
        seen: the weight of each number of `describe`: ``[LENGTH]``.
        typical: what these add to the log odds of good refinements on average.
    """

    network: EfficientNetLite
    intercept: float
    features: Features
    seen: Array
    typical: float

    def odds(self, features: Features, view: View) -> tuple[float, float]:
        """The log odds that an object came back, and what of them the network has added.

        The second is what it adds beyond what it adds to good refinements on average.
        """
        added = float(describe(self.network, view) @ self.seen)
        known = features.weighed(self.features)
        return self.intercept + known + added, added - self.typical


def load_probe() -> Probe | None:
    """The probe with the weights that are installed; None where they are not.

    Raises:
        ValueError: the installed weights are damaged.
    """
    path = weights_file()
    if path is None:
        return None
    fitted = load_file(_FITTED)
    return Probe(
        load_efficientnet(path),
        float(fitted["intercept"]),
        Features(*fitted["features"].tolist()),
        fitted["seen"].numpy(),
        float(fitted["typical"]),
    )


def describe(network: EfficientNetLite, view: View) -> Array:
    """The features of a hole against its surroundings and against what was there before.

    Returns:
        ``[LENGTH]``: for each of the network's three resolutions the mean over the hole less that
        around it, the same less that before, the highest in the hole, and the mean change in the
        hole less that around it.
    """
    pictures, covered = _prepared(view)
    with torch.inference_mode():
        found = network(pictures)
    return np.concatenate([_pooled(level, covered) for level in found])


def _prepared(view: View) -> tuple[Tensor, Array]:
    """The view before and after ``[2, 3, h, w]``, small ones enlarged, and its hole ``[h, w]``."""
    height, width = view.hole.shape
    rows, columns = np.nonzero(view.hole)
    side = np.sqrt(float((np.ptp(rows) + 1) * (np.ptp(columns) + 1)))
    # of the hole's own bounding box only: what is thin keeps its shape
    factor = max(1.0, SIDE / side)
    size = max(_SMALLEST, round(width * factor)), max(_SMALLEST, round(height * factor))
    cut = [rgb(view.before), rgb(view.after), view.hole.astype(np.float32)]
    if size != (width, height):
        cut = [cv2.resize(x, size, interpolation=cv2.INTER_LINEAR) for x in cut]
    before, after, covered = cut
    return torch.from_numpy(np.stack((before, after))).permute(0, 3, 1, 2), covered


def _pooled(level: Tensor, covered: Array) -> Array:
    before, after = level.numpy()
    size = after.shape[2], after.shape[1]
    covered = cv2.resize(covered, size, interpolation=cv2.INTER_AREA)
    inside = np.where(covered > min(_COVERED, 0.999 * covered.max()), covered, 0)
    around = (covered < _CLEAR).astype(np.float32)
    if around.sum() < 4:
        around = np.maximum(1 - covered, 1e-3)
    mean, change = _mean(after, inside), abs(after - before)
    return np.concatenate(
        (
            mean - _mean(after, around),
            mean - _mean(before, inside),
            after[:, inside > 0].max(axis=1),
            _mean(change, inside) - _mean(change, around),
        )
    )


def _mean(values: Array, weights: Array) -> Array:
    mean: Array = (values * weights).sum(axis=(1, 2)) / weights.sum()
    return mean
