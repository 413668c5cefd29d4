"""Numbers that came from anywhere, and the order they give to pictures."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

_SEPARATORS = re.compile(r"[\s,;]+")


def numbers_of(value: object, name: str = "scores") -> list[float]:
    """Flatten what another node gave: a number, a text of numbers, a tensor, or lists of these.

    Args:
        value: what came. A text holds numbers separated by blanks, commas, semicolons or lines, or
            a JSON list of them.
        name: what the input is called in messages.

    Raises:
        ValueError: something else, or a number that is not finite.
    """
    found = list(_flat(value, name))
    for number in found:
        if not math.isfinite(number):
            raise ValueError(f"{name} holds {number}: look at the node it comes from.")
    return found


def _flat(value: object, name: str) -> list[float]:
    if isinstance(value, str):
        return _from_text(value, name)
    if isinstance(value, (int, float, np.number)):
        return [float(value)]
    if isinstance(value, (Tensor, np.ndarray)):
        if getattr(value, "ndim", 0) > 2:
            raise ValueError(
                f"{name} has shape {list(value.shape)}, which is no list of numbers: connect one "
                "number for each image."
            )
        return [float(number) for number in value.reshape(-1).tolist()]
    if isinstance(value, Sequence):
        return [number for item in value for number in _flat(item, name)]
    raise ValueError(
        f"{name} holds a {type(value).__name__}: connect numbers, a list of them, or a text with "
        "one for each image."
    )


def _from_text(text: str, name: str) -> list[float]:
    stripped = text.strip()
    if stripped.startswith("["):
        try:
            return _flat(json.loads(stripped), name)
        except json.JSONDecodeError:
            stripped = stripped.strip("[]")
    found = []
    for word in _SEPARATORS.split(stripped):
        if not word:
            continue
        try:
            found.append(float(word))
        except ValueError:
            raise ValueError(
                f"{name} holds the text '{word[:40]}': give numbers only, one for each image."
            ) from None
    return found


@dataclass(frozen=True)
class Ranking:
    """Pictures in their order.

    Attributes:
        order: their numbers, counted from 0, the best first; of equal ones the first comes first.
        scores: by the number of the picture.
    """

    order: tuple[int, ...]
    scores: tuple[float, ...]

    def __str__(self) -> str:
        """One line for each picture with its score, see `lines`."""
        return self.lines([f"{score:.4g}" for score in self.scores])

    def lines(self, texts: Sequence[object]) -> str:
        """One line for each picture, the best first; pictures are counted from 1.

        Args:
            texts: what to say of each, by the number of the picture.
        """
        return "\n".join(
            f"{place}. image {number + 1}: {texts[number]}"
            for place, number in enumerate(self.order, 1)
        )


def rank(scores: Sequence[float], images: int, *, lowest: bool = False) -> Ranking:
    """Order pictures by their scores.

    Args:
        scores: one for each picture.
        images: how many there are.
        lowest: the lowest score is the best.

    Raises:
        ValueError: another number of scores than of pictures.
    """
    if len(scores) != images:
        raise ValueError(
            f"scores holds {_count(len(scores), 'number')} for {_count(images, 'image')}: give one "
            "for each image."
        )
    order = sorted(range(images), key=lambda i: scores[i] if lowest else -scores[i])
    return Ranking(tuple(order), tuple(scores))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
