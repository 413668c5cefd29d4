"""Sizes and boxes in pixels: integers only, no tensors."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int

    @property
    def area(self) -> int:
        return self.width * self.height

    @property
    def aspect(self) -> float:
        """Width divided by height."""
        return self.width / self.height

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels, ``x <= column < right`` and ``y <= row < bottom``.

    It may reach beyond an image.
    """

    x: int
    y: int
    width: int
    height: int

    @classmethod
    def of(cls, size: Size) -> Box:
        """The whole of an image of that size."""
        return cls(0, 0, size.width, size.height)

    @classmethod
    def from_edges(cls, left: int, top: int, right: int, bottom: int) -> Box:
        return cls(left, top, right - left, bottom - top)

    @property
    def right(self) -> int:
        return self.x + self.width

    @property
    def bottom(self) -> int:
        return self.y + self.height

    @property
    def size(self) -> Size:
        return Size(self.width, self.height)

    @property
    def rows(self) -> slice:
        return slice(self.y, self.bottom)

    @property
    def columns(self) -> slice:
        return slice(self.x, self.right)

    def pad(self, pixels: int) -> Box:
        """The box grown by `pixels` on each of its four sides."""
        return Box.from_edges(
            self.x - pixels, self.y - pixels, self.right + pixels, self.bottom + pixels
        )

    def intersect(self, other: Box) -> Box | None:
        """The common part, or None where the boxes do not overlap."""
        left, top = max(self.x, other.x), max(self.y, other.y)
        right, bottom = min(self.right, other.right), min(self.bottom, other.bottom)
        return Box.from_edges(left, top, right, bottom) if left < right and top < bottom else None

    def union(self, other: Box) -> Box:
        """The smallest box that holds both."""
        return Box.from_edges(
            min(self.x, other.x),
            min(self.y, other.y),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    def shift(self, x: int, y: int) -> Box:
        """The box moved to the right and down."""
        return Box(self.x + x, self.y + y, self.width, self.height)

    def relative_to(self, origin: Box) -> Box:
        """The same pixels, counted from the top left corner of `origin`."""
        return Box(self.x - origin.x, self.y - origin.y, self.width, self.height)


def margin(box: Size, factor: float, pixels: int) -> int:
    """How many pixels of surroundings to add on each side of a box.

    `factor` says how much larger the longer side shall become: 1.5 adds a quarter of it on each
    side. The shorter side gets the same margin, so that a thin pole is not cropped to a sliver.
    At least `pixels` are added.
    """
    return max(pixels, ceil((factor - 1) / 2 * max(box.width, box.height)))


def context_box(
    needed: Box,
    image: Size,
    *,
    size: Size,
    multiple: int = 1,
    keep_inside: bool = True,
    centre: Box | None = None,
) -> Box:
    """A box that holds `needed` and has about the given `size`, for a crop of an image.

    Args:
        needed: pixels that the crop must hold; inside the image.
        image: size of the image.
        size: wanted size of the crop; never less than `needed` is returned.
        multiple: width and height are rounded up to a multiple of it. Where the image is too small
            for that, down to one that still holds `needed`, else to the image's own extent.
        keep_inside: shift the box until it lies inside the image, and shrink what does not fit;
            otherwise it may reach beyond the image.
        centre: what to put into the middle of the box, as far as it may; `needed` if not given.
    """
    width = _context_length(needed.width, image.width, size.width, multiple, keep_inside)
    height = _context_length(needed.height, image.height, size.height, multiple, keep_inside)
    return place_box(
        Size(width, height), needed, Box.of(image) if keep_inside else None, centre or needed
    )


def place_box(size: Size, needed: Box, bounds: Box | None, centre: Box) -> Box:
    """A box of that very size that holds `needed`, which must fit into it.

    Args:
        size: of the box.
        needed: pixels that it must hold; inside `bounds`.
        bounds: shift the box until it lies in there. A side that is longer reaches beyond on both
            ends alike.
        centre: what to put into the middle, as far as the others allow.
    """
    left = _start(
        size.width,
        (needed.x, needed.right),
        (bounds.x, bounds.right) if bounds else None,
        (centre.x, centre.right),
    )
    top = _start(
        size.height,
        (needed.y, needed.bottom),
        (bounds.y, bounds.bottom) if bounds else None,
        (centre.y, centre.bottom),
    )
    return Box(left, top, size.width, size.height)


_Span = tuple[int, int]


def _start(length: int, needed: _Span, bounds: _Span | None, centre: _Span) -> int:
    """`place_box` along one axis."""
    start = centre[0] - (length - (centre[1] - centre[0])) // 2
    if bounds:
        low, high = bounds
        over = length - (high - low)
        start = low - over // 2 if over > 0 else min(max(start, low), high - length)
    return min(max(start, needed[1] - length), needed[0])


def with_aspect(wanted: Size, aspect: Size, limit: Size | None = None) -> Size:
    """The smallest size that covers `wanted` and has an aspect, but for half a pixel of one side.

    With `limit` it is never larger than that; then it may not cover `wanted`.
    """
    across, down = aspect.width, aspect.height
    height = max(wanted.height, _nearest(wanted.width * down, across))
    width = max(wanted.width, _nearest(wanted.height * across, down))
    if limit is None or (width <= limit.width and height <= limit.height):
        return Size(width, height)
    if limit.width * down <= limit.height * across:
        return Size(limit.width, max(1, _nearest(limit.width * down, across)))
    return Size(max(1, _nearest(limit.height * across, down)), limit.height)


def _nearest(a: int, b: int) -> int:
    """``a / b``, rounded; halves upwards."""
    return (2 * a + b) // (2 * b)


def _context_length(needed: int, limit: int, wanted: int, multiple: int, keep_inside: bool) -> int:
    length = round_up(max(needed, wanted), multiple)
    if keep_inside and length > limit:
        below = limit // multiple * multiple
        length = below if below >= needed else limit
    return length


def round_up(value: int, multiple: int) -> int:
    """The least multiple that is not less than `value`."""
    return -(-value // multiple) * multiple
