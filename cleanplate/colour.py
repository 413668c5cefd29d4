"""Undo the colour shift that VAE and sampler leave in a crop, measured where nothing changed."""

from __future__ import annotations

import torch
from torch import Tensor

from .colour_fit import Cells, Shift, fit

MODES = ("none", "gain and offset", "smooth field")
DEFAULT_MODE = "smooth field"

_MOST_CELLS = 32
_LEAST_CELL = 16
_MOST_ROWS = 1024
_LIMIT = 1 / 512
_BLOCK = 1 << 14


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
    if mode not in MODES:
        raise ValueError(f"colour match is {mode!r}: choose one of {', '.join(MODES)}.")
    if not 0 <= strength <= 1:
        raise ValueError(f"colour match strength is {strength}: choose a value in 0..1.")
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
    if mode == "none" or strength == 0 or not ring.any():
        return changed
    shift = fit(_measure(changed, original, ring), field=mode == "smooth field")
    return _undo(changed, shift, strength) if shift.is_seen else changed


def _measure(changed: Tensor, original: Tensor, ring: Tensor) -> Cells:
    """Means over square cells of the ring's pixels."""
    height, width = ring.shape
    cell = max(_LEAST_CELL, -(-max(height, width) // _MOST_CELLS))
    across = -(-width // cell)
    # A sample of the rows tells as much of a large crop as all of them.
    stride = -(-height // _MOST_ROWS)
    x = torch.arange(width, device=ring.device) + 0.5
    strips = []
    for top in range(0, height, cell):
        rows = slice(top, min(top + cell, height), stride)
        old, new, known = original[rows], changed[rows], ring[rows].to(changed.dtype)
        y = torch.arange(rows.start, rows.stop, stride, device=ring.device) + 0.5
        # A channel that ran into black or white tells only how far it could move.
        weight = ((new > _LIMIT) & (new < 1 - _LIMIT)) * known.unsqueeze(-1)
        shift = new - old
        weighted = weight * shift
        counts = torch.stack((known.sum(dim=0), y @ known), dim=-1)
        held = weight * old
        products = (weight, held, weighted, weighted * shift, held * shift, held * old)
        columns = [counts, counts[:, :1] * x[:, None], *(p.sum(dim=0) for p in products)]
        strip = known.new_zeros(across * cell, 21)
        strip[:width] = torch.cat(columns, dim=-1)
        strips.append(strip.view(across, cell, 21).sum(dim=1))
    # The fit is tiny and wants a precision that not every device has.
    table = torch.cat(strips).cpu().double()
    count, rest = table[:, :1], table[:, 3:].view(-1, 6, 3)
    held = count[:, 0] > 0
    weight = rest[held, 0]
    old, mean, square, mixed, texture = (rest[held, 1:] / weight[:, None].clamp(min=1)).unbind(1)
    return Cells(
        size=(height, width),
        place=table[held, 1:3] / count[held],
        weight=weight,
        original=old,
        shift=mean,
        variance=(square - mean.square()).clamp(min=0),
        texture=(texture - old.square()).clamp(min=0),
        covariance=mixed - old * mean,
        clipped=1 - weight / count[held],
    )


def _undo(changed: Tensor, shift: Shift, strength: float) -> Tensor:
    """Invert ``changed = original + offset + gain (original - centre) + field``."""
    height, width, _ = changed.shape

    def row(value: Tensor) -> Tensor:
        # Three values at a time would be slow.
        return value.to(changed).repeat(width)

    offset = row(shift.offset)
    slope, origin = row(shift.gain / (1 + shift.gain)), row(shift.centre)
    ends = torch.stack(shift.tones) * shift.gain
    least, most = row(ends.amin(dim=0)), row(ends.amax(dim=0))
    low, high = (row(bound + shift.offset) for bound in shift.bounds)
    down, right = shift.waves(height, width)
    bend = torch.einsum("cij,xj->ixc", shift.field, right).to(changed).flatten(1)
    down, bent = down.to(changed), bool(shift.field.any())

    result = torch.empty_like(changed, memory_format=torch.contiguous_format)
    block = max(1, _BLOCK // width)
    for top in range(0, height, block):
        rows = slice(top, top + block)
        seen = changed[rows].flatten(1)
        added = (offset + down[rows] @ bend).clamp_(low, high) if bent else offset
        tone = (seen - added).sub_(origin).mul_(slope).clamp_(least, most).add_(added)
        torch.add(seen, tone, alpha=-strength, out=result[rows].view_as(seen))
    return result
