"""Undo the colour shift that VAE and sampler leave in a crop, measured where nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .colour_fit import Cells, Shift, fit
from .memory import rows_at_once

MODES = ("none", "gain and offset", "smooth field")
DEFAULT_MODE = "smooth field"

_MOST_CELLS = 32
_LEAST_CELL = 16
_MOST_SAMPLES = 256
_GOLDEN = 0.6180339887498949
_LIMIT = 1 / 512
_STEP = 8
"""Rows from one to the next for which a field is computed; between, a straight line will do."""


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
        mode: "none"; "gain and offset": a factor and a sum for each channel; "smooth field": both
            may vary slowly over the crop.
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
    shift = measure(changed, original, ring, mode, (height, width))
    if shift is None:
        return changed
    result = changed.clone(memory_format=torch.contiguous_format)
    whole = slice(0, height), slice(0, width)
    correction = Correction.of(shift, (height, width), *whole, strength, result)
    step = rows_at_once(width, result.device)
    for top in range(0, height, step):
        correction.undo(result[top : top + step], top)
    return result


def check_colour(mode: str, strength: float) -> None:
    """Refuse another mode or strength than `match_colour` takes with a ValueError."""
    if mode not in MODES:
        raise ValueError(f"colour match is {mode!r}: choose one of {', '.join(MODES)}.")
    if not 0 <= strength <= 1:
        raise ValueError(f"colour match strength is {strength}: choose a value in 0..1.")


@dataclass(frozen=True, eq=False)
class Samples:
    """Pixels, or means of some, that tell as much of a crop's colours as all of them.

    Attributes:
        size: height and width of the crop.
        rows, columns: where in the crop they are, growing.
    """

    size: tuple[int, int]
    rows: Tensor
    columns: Tensor

    @classmethod
    def of(cls, size: tuple[int, int], rows: slice, columns: slice) -> Samples:
        """Pixels of a part of a crop: int64, few where it is narrower than they are apart."""
        step = _step(size)
        count = torch.arange(-(-max(size) // step))
        # Spread so that no pattern that repeats is always met at the same phase.
        at = count * step + ((count.to(torch.float64) * _GOLDEN).frac() * step).long()
        parts = (at[(at >= part.start) & (at < part.stop)] for part in (rows, columns))
        return cls(size, *parts)

    def pick(self, picture: Tensor, rows: int = 0, columns: int = 0) -> Tensor:
        """These of the pixels ``[h, w, ...]`` of what begins `rows` and `columns` before a crop."""
        down, across = self.rows + rows, self.columns + columns
        seen = picture[int(down[0]) :, int(across[0]) : int(across[-1]) + 1]
        down, across = ((at - at[0]).to(picture.device) for at in (down, across))
        return seen.index_select(0, down).index_select(1, across)

    def measure(self, changed: Tensor, original: Tensor, ring: Tensor, mode: str) -> Shift | None:
        """The shift that these show, see `match_colour`.

        Args:
            changed: ``[h, w, 3]`` float32 in 0..1.
            original: ``[h, w, 3]`` float32.
            ring: bool ``[h, w]``.
            mode: one that is not "none".

        Returns:
            None where there is nothing to undo.
        """
        if not ring.any():
            return None
        known = ring.cpu().numpy()
        before, after = (v.cpu().numpy() for v in (original, changed))
        return fit(_cells(self, after, before, known), field=mode == "smooth field")


def measure(
    changed: Tensor,
    original: Tensor,
    ring: Tensor,
    mode: str,
    size: tuple[int, int],
    top: int = 0,
    left: int = 0,
) -> Shift | None:
    """The shift that all pixels of a part of a crop show, see `match_colour`.

    Args:
        changed: ``[h, w, 3]`` float32.
        original: ``[h, w, 3]`` float32.
        ring: bool ``[h, w]``.
        mode: one that is not "none".
        size: height and width of the crop.
        top: where in it the part begins.
        left: the same.

    Returns:
        None where there is nothing to undo.
    """
    step = min(_step(size), *ring.shape)
    height, width = (side // step for side in ring.shape)
    after, before = (changed.new_empty(height, width, 3) for _ in range(2))
    known = ring.new_empty(height, width)
    many = max(1, rows_at_once(width * step, changed.device) // step)
    for first in range(0, height, many):
        part = slice(first, min(first + many, height))
        place = slice(part.start * step, part.stop * step), slice(0, width * step)
        got = changed[place].clamp(0, 1)
        # A square of which a pixel ran into black or white counts as black.
        free = _pool((got > _LIMIT) & (got < 1 - _LIMIT), step, torch.logical_and)
        after[part] = _pool(got, step, torch.add).div_(step**2).mul_(free)
        before[part] = _pool(original[place].clamp(0, 1), step, torch.add).div_(step**2)
        known[part] = _pool(ring[place], step, torch.logical_and)
    rows, columns = (
        torch.arange(count) * step + (first + (step - 1) / 2)
        for count, first in ((height, top), (width, left))
    )
    return Samples(size, rows, columns).measure(after, before, known, mode)


def _step(size: tuple[int, int]) -> int:
    """How far apart samples of a crop are, in pixels, that they be as many as are needed."""
    return -(-max(size) // _MOST_SAMPLES)


def _pool(values: Tensor, step: int, join: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """What lies in each square of `step` pixels along a side, joined: ``[h, w, ...]``."""
    rows = reduce(join, (values[i::step] for i in range(step)))
    return reduce(join, (rows[:, i::step] for i in range(step)))


def _cells(
    samples: Samples,
    changed: NDArray[np.float32],
    original: NDArray[np.float32],
    ring: NDArray[np.bool_],
) -> Cells:
    """Means over square cells of the ring's pixels."""
    cell = max(_LEAST_CELL, -(-max(samples.size) // _MOST_CELLS))
    rows, columns = samples.rows.numpy(), samples.columns.numpy()
    tops, lefts = (np.unique(at // cell, return_index=True)[1].tolist() for at in (rows, columns))

    # All that is summed, side by side: few sums of long rows are quicker than many of short ones.
    parts = np.empty((len(rows), 7, len(columns), 3), np.float32)
    places, weight, old, new, squares, mixed, detail = parts.swapaxes(0, 1)
    places[..., 0] = ring
    np.multiply(ring, rows[:, None] + 0.5, out=places[..., 1], casting="same_kind")
    np.multiply(ring, columns + 0.5, out=places[..., 2], casting="same_kind")
    # A channel that ran into black or white tells only how far it could move.
    weight[:] = (changed > _LIMIT) & (changed < 1 - _LIMIT) & ring[..., None]
    shift = changed - original
    np.multiply(weight, original, out=old)
    np.multiply(weight, shift, out=new)
    np.multiply(new, shift, out=squares)
    np.multiply(old, shift, out=mixed)
    np.multiply(old, original, out=detail)
    # Along the rows, which are long, this takes a third of what reduceat takes.
    strips = np.stack([parts[a:b].sum(axis=0) for a, b in pairwise((*tops, len(rows)))])
    table = np.add.reduceat(strips, lefts, axis=2).swapaxes(0, 1)
    table = table.astype(np.float64).reshape(7, -1, 3)
    held = table[0, :, 0] > 0
    count = table[0, held, :1]
    counted = table[1, held].T
    mean, shifted, square, mixed, texture = (
        part.T / np.maximum(counted, 1) for part in table[2:, held]
    )
    return Cells(
        size=samples.size,
        place=table[0, held, 1:] / count,
        weight=counted,
        original=mean,
        shift=shifted,
        variance=np.maximum(square - shifted**2, 0),
        texture=np.maximum(texture - mean**2, 0),
        covariance=mixed - mean * shifted,
        clipped=1 - counted / count.T,
    )


@dataclass(frozen=True, eq=False)
class Correction:
    """Inverts ``changed = original + offset + gain (original - centre) + field``.

    Attributes:
        factor: what colours are multiplied with, ``[3 w]``; ``[n, 3 w]``, as `added`, where it
            varies over the rows; None for 1.
        added: what is then added, ``[n, 3 w]``: at every eighth row, for it varies slowly.
        between: how much each row takes of which of them, ``[h, n]``.
        bounded: the gain's part where it is not believed for all tones; None where it is.
    """

    factor: Tensor | None
    added: Tensor
    between: Tensor
    bounded: _Bounded | None

    @classmethod
    def of(
        cls,
        shift: Shift,
        size: tuple[int, int],
        rows: slice,
        columns: slice,
        strength: float,
        like: Tensor,
    ) -> Correction:
        """For a part of a crop.

        Args:
            shift: what was measured.
            size: height and width of the crop it was measured on.
            rows: of that crop.
            columns: of that crop.
            strength: how much is undone.
            like: has the type and device of what will be corrected.
        """
        height, width = rows.stop - rows.start, columns.stop - columns.start

        def row(value: Tensor) -> Tensor:
            # Three values at a time would be slow.
            return value.to(like).repeat(width)

        count = -(-(height - 1) // _STEP) + 1
        at = torch.arange(height, dtype=torch.float64)[:, None] / _STEP
        between = (1 - (at - torch.arange(count)).abs()).clamp(min=0).to(like)
        last = rows.start + (count - 1) * _STEP + 1
        down, right = shift.waves(slice(rows.start, last), columns, size)
        down = down[::_STEP].to(like)

        def plane(weights: Tensor, bounds: Tensor) -> Tensor:
            bent = torch.einsum("cij,xj->ixc", weights, right)
            values = down @ bent.flatten(1).to(like)
            return values.clamp_(*(row(bound) for bound in bounds))

        field = plane(shift.field, shift.bounds).add_(row(shift.offset))
        gain = row(shift.gain)
        if shift.gain_field.any():
            gain = plane(shift.gain_field, shift.gain_bounds).add_(gain)
        slope = gain / (1 + gain)
        start = -slope * row(shift.centre)
        ends = [gain * row(tone) for tone in shift.tones]
        least, most = torch.minimum(*ends), torch.maximum(*ends)
        # What would be taken away at black and white.
        taken = [
            torch.addcmul(start, tone - row(bound), slope)
            for tone in (0, 1)
            for bound in shift.bounds + shift.offset
        ]
        if any(bool((end < least).any() or (end > most).any()) for end in taken):
            bounded = _Bounded(slope, start, least, most, strength)
            return cls(None, field, between, bounded)
        factor = 1 - strength * slope if slope.any() else None
        added = field.mul_(slope - 1).sub_(start).mul_(strength)
        return cls(factor, added, between, None)

    def undo(self, changed: Tensor, top: int) -> None:
        """Correct, in place, rows of the part ``[n, w, 3]`` from its row `top` on."""
        lines = changed.view(len(changed), -1)
        first, last = top // _STEP, -(-(top + len(lines) - 1) // _STEP) + 1
        between, added = self.between[top : top + len(lines), first:last], self.added[first:last]
        rows = slice(first, last)
        if self.bounded is not None:
            self.bounded.undo(lines, between @ added, between, rows)
            return
        if self.factor is not None:
            lines.mul_(_mixed(self.factor, between, rows))
        lines.addmm_(between, added)


def _mixed(values: Tensor, between: Tensor, rows: slice) -> Tensor:
    """What each row takes of values that vary over the rows ``[n, 3 w]``, or do not ``[3 w]``."""
    return values if values.ndim == 1 else between @ values[rows]


@dataclass(frozen=True, eq=False)
class _Bounded:
    """A gain of which no more is undone than what it makes of the tones it is believed for.

    What is taken away is `start` + `slope` times the colour, within `least` and `most`: each
    ``[3 w]``, or ``[n, 3 w]`` as `Correction.added`.
    """

    slope: Tensor
    start: Tensor
    least: Tensor
    most: Tensor
    strength: float

    def undo(self, lines: Tensor, field: Tensor, between: Tensor, rows: slice) -> None:
        """Take it, and the field, from rows of colours ``[k, 3 w]``, in place.

        `between` is what these take of the values' `rows`.
        """
        parts = (self.start, self.slope, self.least, self.most)
        start, slope, least, most = (_mixed(part, between, rows) for part in parts)
        tone = torch.addcmul(start, lines - field, slope)
        lines.sub_(tone.clamp_(least, most).add_(field), alpha=self.strength)
