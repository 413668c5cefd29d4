"""Which box a crop takes, and at what size it is handed out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from .geometry import Box, Size, context_box, margin, place_box, with_aspect
from .masks import merge_boxes

_STEADY_FRAMES = 5.0
"""Standard deviation of the smoothing of a moving box, in frames."""


@dataclass(frozen=True)
class Frame:
    """How crops are cut. Lengths are in pixels of the image.

    Attributes:
        bounds: what the crops lie in; pixels beyond it are made up.
        reach: how far beyond the mask's box pixels may change.
        factor, pixels: surroundings, see `geometry.margin`; counted from the grown mask on.
        grow: pixels added around the mask.
        minimum: least width and height of a crop.
        multiple: width and height become a multiple of it where there is room.
        keep_inside: shift crops until they lie in `bounds`.
        width, height: the size to hand crops out at, 0 = not forced.
    """

    bounds: Box
    reach: int
    factor: float
    pixels: int
    grow: int
    minimum: int
    multiple: int
    keep_inside: bool
    width: int
    height: int

    def view(self, box: Box, context: Box | None = None) -> View:
        """What a crop around a mask's box has to hold and to show."""
        changing = box.pad(self.reach).intersect(self.bounds) or box
        around = margin(box.size, self.factor, self.pixels)
        shown = box.pad(self.grow + around)
        if context:
            return View(changing, changing.union(context), shown.union(context), box, context)
        return View(changing, changing, shown, box)

    def nothing(self) -> View:
        """A view of the middle, where nothing changes."""
        x, y = self.bounds.x + self.bounds.width // 2, self.bounds.y + self.bounds.height // 2
        return View(None, Box(x, y, 1, 1), Box(x, y, 1, 1))

    def sizes(self, views: Sequence[View]) -> tuple[Size, Size]:
        """The size of the boxes that serve all these views, and that of the crops made of them."""
        held = Size(max(v.held.width for v in views), max(v.held.height for v in views))
        wanted = Size(
            max(self.minimum, *(v.shown.width for v in views)),
            max(self.minimum, *(v.shown.height for v in views)),
        )
        free = context_box(
            Box.of(held),
            self.bounds.size,
            size=wanted,
            multiple=1 if self.width or self.height else self.multiple,
            keep_inside=self.keep_inside,
        ).size
        if not self.width and not self.height:
            return free, free
        crop = Size(
            self.width or max(1, round(self.height * free.aspect / self.multiple)) * self.multiple,
            self.height or max(1, round(self.width / free.aspect / self.multiple)) * self.multiple,
        )
        box = with_aspect(free, crop, self.bounds.size if self.keep_inside else None)
        if box.width < held.width or box.height < held.height:
            # No box of that aspect holds the mask and lies inside: the aspect is what was asked.
            box = with_aspect(free, crop)
        return box, crop

    def place(self, view: View, size: Size) -> Box:
        """The box of that size around a view."""
        return place_box(size, view.held, self.bounds if self.keep_inside else None, view.shown)


@dataclass(frozen=True)
class View:
    """What a crop is about.

    Attributes:
        changing: where pixels may change; None if nowhere.
        held: what the crop must hold, inside the image.
        shown: what it should show, perhaps beyond the image.
        mask: the box of the mask.
        context: the box of what it has to show besides.
    """

    changing: Box | None
    held: Box
    shown: Box
    mask: Box | None = None
    context: Box | None = None


def together(views: Sequence[View]) -> list[View]:
    """Views that all hold and show what any of them does, so that they get one place."""
    held, shown = (reduce(Box.union, boxes) for boxes in zip(*_seen(views), strict=True))
    return [replace(view, held=held, shown=shown) for view in views]


def steady(views: Sequence[View], bounds: Box) -> list[View]:
    """Views of the frames of a video whose middles move smoothly.

    The path of the middle is averaged over neighbouring frames (a Gaussian); where nothing
    changes, it goes straight from the frame before to the frame after.
    """
    known = [i for i, view in enumerate(views) if view.changing]
    frames = np.arange(len(views))
    paths = []
    for axis in (0, 1):
        middles = [_middle(views[i].shown)[axis] for i in known]
        paths.append(_smooth(np.interp(frames, known, middles)))
    return [_centred(view, x, y, bounds) for view, x, y in zip(views, *paths, strict=True)]


def _seen(views: Sequence[View]) -> list[tuple[Box, Box]]:
    return [(view.held, view.shown) for view in views if view.changing]


def _middle(box: Box) -> tuple[float, float]:
    return box.x + box.width / 2, box.y + box.height / 2


def _smooth(path: np.ndarray) -> np.ndarray:
    reach = int(3 * _STEADY_FRAMES)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / _STEADY_FRAMES) ** 2)
    return np.convolve(np.pad(path, reach, mode="edge"), kernel / kernel.sum(), mode="valid")


def _centred(view: View, x: float, y: float, bounds: Box) -> View:
    size = view.shown.size
    shown = Box(round(x - size.width / 2), round(y - size.height / 2), size.width, size.height)
    if view.changing:
        return replace(view, shown=shown)
    shown = Box(
        min(max(shown.x, bounds.x), bounds.right - 1),
        min(max(shown.y, bounds.y), bounds.bottom - 1),
        1,
        1,
    )
    return View(None, shown, shown)


def apart(boxes: list[Box], frame: Frame, context: Box | None = None) -> list[View]:
    """Views of objects with a crop each; objects whose crops overlap or touch share one.

    Args:
        boxes: the objects' bounding boxes.
        frame: how they are cut.
        context: what all of them have to show besides.

    Returns:
        the views, from top to bottom, then from left to right.
    """
    bounds = frame.bounds
    while True:
        views = [frame.view(box, context) for box in boxes]
        crops = [frame.place(view, frame.sizes([view])[0]) for view in views]
        inside = [c.intersect(bounds) or v.held for c, v in zip(crops, views, strict=True)]
        merged = merge_boxes([box.relative_to(bounds) for box in inside])
        groups = [
            [box for box in boxes if box.relative_to(bounds).intersect(area)] for area in merged
        ]
        boxes = [reduce(Box.union, group) for group in groups]
        if len(boxes) == len(views):
            return [frame.view(box, context) for box in boxes]
