"""Where crops go, from boxes alone: no picture is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from .framing import Frame, View, apart, steady, together
from .geometry import Box, Size

OnePer = Literal["image", "moving frame", "batch", "object"]
"""What gets a crop of its own: each image; each image, with the crop's middle moving smoothly from
one to the next; all images together, at one place; each separate object of each mask."""


@dataclass(frozen=True)
class Marked:
    """What the masks of a batch mark, in pixels of the image; each field has an entry per image.

    Attributes:
        masks: the box of what shall change; None where nothing shall.
        contexts: the box of what the crop has to show besides; None without.
        objects: the boxes of the separate objects; none unless each gets a crop of its own.
    """

    masks: tuple[Box | None, ...]
    contexts: tuple[Box | None, ...]
    objects: tuple[tuple[Box, ...], ...] = ()


@dataclass(frozen=True)
class CropPlan:
    """Where crops of one size go: one of each image from `first` on.

    Attributes:
        first: number of the first image.
        views: what each crop is about.
        boxes: the pixels that each takes.
        size: of the crops that are made of them.
    """

    first: int
    views: tuple[View, ...]
    boxes: tuple[Box, ...]
    size: Size


def plan_crops(marked: Marked, frame: Frame, one_per: OnePer) -> list[CropPlan]:
    """Plan the crops of a batch.

    Returns:
        one plan for all images, or one for each object of each image, from top to bottom. Where
        nothing at all is marked, the whole images.
    """
    images = list(zip(marked.masks, marked.contexts, strict=True))
    if not any(marked.masks):
        nothing = [View(None, frame.bounds, frame.bounds)] * len(images)
        sized = frame.width or frame.height
        return [_plan(0, nothing, frame if sized else replace(frame, keep_inside=True))]
    if one_per == "object":
        return [
            _plan(i, [view], frame)
            for i, boxes in enumerate(marked.objects)
            for view in apart(list(boxes), frame, marked.contexts[i])
        ]
    views = [frame.view(box, context) if box else frame.nothing() for box, context in images]
    match one_per:
        case "batch":
            views = together(views)
        case "moving frame":
            views = steady(views, frame.bounds)
    return [_plan(0, views, frame)]


def _plan(first: int, views: Sequence[View], frame: Frame) -> CropPlan:
    size, crop_size = frame.sizes([v for v in views if v.changing] or views)
    boxes = tuple(frame.place(view, size) for view in views)
    return CropPlan(first, tuple(views), boxes, crop_size)
