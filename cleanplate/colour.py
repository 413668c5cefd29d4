"""Undo the colour shift that VAE and sampler leave in a crop, measured where nothing changed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from .colour_fit import Cells, Shift, fit

MODES = ("none", "gain and offset", "smooth field")
DEFAULT_MODE = "smooth field"

_MOST_CELLS = 32
_LEAST_CELL = 16
_MOST_SAMPLES = 512
_GOLDEN = 0.6180339887498949
_LIMIT = 1 / 512
_BLOCK = 1 << 14
_LARGE_BLOCK = 1 << 23


def match_colour(
    changed: Tensor, original: Tensor, ring: Tensor, mode: str, strength: float = 1.0
) -> Tensor:
    """Bring a changed crop back to the colours that it has where it ought to be unchanged.

    The shift is measured on the ring, as means over cells of many pixels, so that texture which
    was sharpened, blurred or moved by a fraction of a pixel does not count. What the scatter of
    the cells explains by chance is not corrected, so a crop that has not shifted stays as it is.

    Args:
        changed: ``[h, w, 3]`` float32 in 0..1.
        original: ``[h, w, 3]`` float32, the same pixels before the change.
        ring: bool ``[h, w]``, where both ought to be equal; without a True pixel nothing changes.
        mode: "none"; "gain and offset": a factor and a sum for each channel; "smooth field": a
            factor for each channel and a sum that varies slowly over the crop.
        strength: how much of the shift is undone, 0..1.

    Returns:
        ``[h, w, 3]`` float32, not clamped; `changed` itself where there is nothing to undo.

    Raises:
        ValueError: another mode or strength, or tensors of other shapes.
    """
    check_colour(mode, strength)
    if changed.ndim != 3 or changed.shape[2] != 3 or changed.shape != original.shape:
        raise ValueError(
            f"changed has shape {list(changed.shape)} and original {list(original.shape)}: "
            "expected [height, width, 3] twice, give the crop before and after the change."
        )
    if ring.shape != changed.shape[:2]:
        raise ValueError(
            f"ring has shape {list(ring.shape)} but the crop {list(changed.shape[:2])}: "
            "give one value for each pixel of the crop."
        )
    if mode == "none" or strength == 0:
        return changed
    height, width = ring.shape
    samples = Samples.of((height, width))
    before, after, known = (samples.pick(v) for v in (original, changed, ring))
    shift = measure(samples, after, before, known, mode)
    if shift is None:
        return changed
    result = changed.clone(memory_format=torch.contiguous_format)
    Correction.of(shift, (height, width), strength, slice(0, width), result).undo(result, 0)
    return result


def check_colour(mode: str, strength: float) -> None:
    """Refuse another mode or strength than `match_colour` takes with a ValueError."""
    if mode not in MODES:
        raise ValueError(f"colour match is {mode!r}: choose one of {', '.join(MODES)}.")
    if not 0 <= strength <= 1:
        raise ValueError(f"colour match strength is {strength}: choose a value in 0..1.")


@dataclass(frozen=True, eq=False)
class Samples:
    """Pixels of a crop that tell as much of its colours as all of them.

    Attributes:
        size: height and width of the crop.
        rows, columns: where they are, growing int64.
    """

    size: tuple[int, int]
    rows: Tensor
    columns: Tensor

    @classmethod
    def of(cls, size: tuple[int, int]) -> Samples:
        """Of a crop, as many as are needed."""
        longer = max(size)
        step = -(-longer // _MOST_SAMPLES)
        count = torch.arange(-(-longer // step))
        # Spread so that no pattern that repeats is always met at the same phase.
        within = (count.to(torch.float64) * _GOLDEN).frac() * step
        at = count * step + within.long()
        return cls(size, at[at < size[0]], at[at < size[1]])

    def within(self, rows: slice, columns: slice) -> Samples:
        """Those of them that lie in a part of the crop."""

        def held(at: Tensor, part: slice) -> Tensor:
            return at[(at >= part.start) & (at < part.stop)]

        return Samples(self.size, held(self.rows, rows), held(self.columns, columns))

    @staticmethod
    def are_all(size: tuple[int, int]) -> bool:
        """Whether all pixels of a crop of this height and width are taken."""
        return max(size) <= _MOST_SAMPLES

    def pick(self, picture: Tensor, rows: int = 0, columns: int = 0) -> Tensor:
        """These of the pixels ``[h, w, ...]`` of what begins `rows` and `columns` before a crop."""
        down, across = self.rows + rows, self.columns + columns
        if self.are_all(self.size):
            place = (slice(int(at[0]), int(at[-1]) + 1) for at in (down, across))
            return picture[tuple(place)]
        return picture[down.to(picture.device)[:, None], across.to(picture.device)]


def measure(
    samples: Samples, changed: Tensor, original: Tensor, ring: Tensor, mode: str
) -> Shift | None:
    """The shift that samples of a crop show, see `match_colour`.

    Args:
        samples: which pixels of the crop were taken.
        changed: ``[h, w, 3]`` float32 in 0..1, as sampled.
        original: ``[h, w, 3]`` float32, as sampled.
        ring: bool ``[h, w]``, as sampled.
        mode: one that is not "none".

    Returns:
        None where there is nothing to undo.
    """
    if not ring.any():
        return None
    shift = fit(_cells(samples, changed, original, ring), field=mode == "smooth field")
    return shift if shift.is_seen else None


def _cells(samples: Samples, changed: Tensor, original: Tensor, ring: Tensor) -> Cells:
    """Means over square cells of the ring's pixels."""
    size, rows, columns = samples.size, samples.rows, samples.columns
    cell = max(_LEAST_CELL, -(-max(size) // _MOST_CELLS))
    down, across = (_members(at // cell).to(changed.device) for at in (rows, columns))
    y, x = ((at + 0.5).to(changed) for at in (rows, columns))
    known = ring.to(changed.dtype)
    sums = down @ known, (down * y) @ known, down @ (known * x)
    counts = torch.stack([part @ across.T for part in sums], dim=-1)

    # Several rows of cells at once, as many as stay in the processor's cache.
    many = max(1, _BLOCK // (len(columns) * cell))
    tops = torch.searchsorted(rows, torch.arange(0, size[0] + many * cell, many * cell)).tolist()
    tallest = max(bottom - top for top, bottom in pairwise(tops))
    room = changed.new_empty(tallest, 6, len(columns), 3)
    found = []
    for i, (top, bottom) in enumerate(pairwise(tops)):
        part = slice(top, bottom)
        old, new, products = original[part], changed[part], room[: bottom - top]
        weight, held, weighted, square, mixed, texture = products.unbind(dim=1)
        # A channel that ran into black or white tells only how far it could move.
        weight.copy_((new > _LIMIT) & (new < 1 - _LIMIT) & ring[part].unsqueeze(-1))
        torch.mul(weight, old, out=held)
        shift = torch.sub(new, old)
        torch.mul(weight, shift, out=weighted)
        torch.mul(weighted, shift, out=square)
        torch.mul(held, shift, out=mixed)
        torch.mul(held, old, out=texture)
        strip = down[i * many : (i + 1) * many, part] @ products.flatten(1)
        found.append(torch.einsum("ipwc,jw->ijpc", strip.view(len(strip), *room.shape[1:]), across))
    # The fit is tiny and wants a precision that not every device has.
    table = torch.cat((counts, torch.cat(found).flatten(2)), dim=-1).flatten(0, 1).cpu().double()
    count, rest = table[:, :1], table[:, 3:].view(-1, 6, 3)
    held = count[:, 0] > 0
    weight = rest[held, 0]
    old, mean, square, mixed, texture = (rest[held, 1:] / weight[:, None].clamp(min=1)).unbind(1)
    return Cells(
        size=size,
        place=table[held, 1:3] / count[held],
        weight=weight,
        original=old,
        shift=mean,
        variance=(square - mean.square()).clamp(min=0),
        texture=(texture - old.square()).clamp(min=0),
        covariance=mixed - old * mean,
        clipped=1 - weight / count[held],
    )


def _members(cell: Tensor) -> Tensor:
    """Which samples ``[N]`` belong to which cell: 0 or 1, ``[cells, N]``."""
    return (cell == torch.arange(int(cell[-1]) + 1)[:, None]).to(torch.float32)


@dataclass(frozen=True, eq=False)
class Correction:
    """Inverts ``changed = original + offset + gain (original - centre) + field``.

    Attributes:
        slope, start: what to take away is `start` + `slope` times the colour, where no field is.
        least, most: bounds of that, for a gain is not believed for all tones.
        field: how the field varies down and across, and its bounds; None without one.
        strength: how much is taken away.
        room: memory to compute in.
    """

    slope: Tensor | None
    start: Tensor
    least: Tensor
    most: Tensor
    field: tuple[Tensor, Tensor, Tensor, Tensor] | None
    strength: float
    room: Tensor

    @classmethod
    def of(
        cls,
        shift: Shift,
        size: tuple[int, int],
        strength: float,
        columns: slice,
        like: Tensor,
    ) -> Correction:
        """For some columns of a crop.

        Args:
            shift: what was measured.
            size: height and width of the crop it was measured on.
            strength: how much is undone.
            columns: of that crop.
            like: has the type and device of what will be corrected.
        """
        width = columns.stop - columns.start

        def row(value: Tensor) -> Tensor:
            # Three values at a time would be slow.
            return value.to(like).repeat(width)

        slope = shift.gain / (1 + shift.gain)
        ends = torch.stack(shift.tones) * shift.gain
        least, most = ends.amin(dim=0), ends.amax(dim=0)
        start = -slope * shift.centre
        field = None
        if shift.field.any():
            down, right = shift.waves(*size)
            bend = torch.einsum("cij,xj->ixc", shift.field, right[columns]).flatten(1)
            low, high = (row(bound + shift.offset) for bound in shift.bounds)
            # The offset goes with the wave that is constant.
            bend[0] += shift.offset.repeat(width)
            field = down.to(like), bend.to(like), low, high
        else:
            start = start + (1 - slope) * shift.offset
            least, most = least + shift.offset, most + shift.offset
        block = _BLOCK if like.device.type == "cpu" else _LARGE_BLOCK
        room = like.new_empty(2, max(1, block // width), 3 * width)
        gained = row(slope) if shift.gain.any() else None
        return cls(gained, row(start), row(least), row(most), field, strength, room)

    def undo(self, changed: Tensor, top: int) -> None:
        """Correct, in place, rows of the crop ``[n, w, 3]`` from `top` on; they are contiguous."""
        lines = changed.view(len(changed), -1)
        block = self.room.shape[1]
        for first in range(0, len(lines), block):
            seen = lines[first : first + block]
            self._undo(seen, slice(top + first, top + first + len(seen)))

    def _undo(self, seen: Tensor, rows: slice) -> None:
        added, tone = self.room[:, : len(seen)]
        if self.field is None:
            if self.slope is None:
                seen.sub_(self.start, alpha=self.strength)
                return
            torch.addcmul(self.start, seen, self.slope, out=tone)
            seen.sub_(tone.clamp_(self.least, self.most), alpha=self.strength)
            return
        down, bend, low, high = self.field
        torch.mm(down[rows], bend, out=added).clamp_(low, high)
        if self.slope is not None:
            torch.sub(seen, added, out=tone)
            torch.addcmul(self.start, tone, self.slope, out=tone).clamp_(self.least, self.most)
            added.add_(tone)
        seen.sub_(added, alpha=self.strength)
