"""Crop what a conditioning says about a whole image to one tile of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..cleanplate.geometry import Box, Size, round_up
from ..cleanplate.upscale.refine import mirrored, pick

Conditioning = list[list[Any]]


@dataclass(frozen=True)
class Cut:
    """Where a tile lies.

    Attributes:
        canvas: size of the image that the conditioning was made for.
        box: the tile's pixels, a multiple of `factor`; may reach beyond the image.
        factor: pixels of a latent cell.
        image: number of the image in its batch.
    """

    canvas: Size
    box: Box
    factor: int
    image: int = 0

    @property
    def cells(self) -> Box:
        """The tile in latent cells."""
        b, f = self.box, self.factor
        return Box(b.x // f, b.y // f, b.width // f, b.height // f)

    @property
    def canvas_cells(self) -> Size:
        """Size of the whole image in latent cells."""
        f = self.factor
        width, height = (round_up(side, f) // f for side in (self.canvas.width, self.canvas.height))
        return Size(width, height)


def crop_conditionings(cut: Cut, *conditionings: Conditioning) -> list[Conditioning]:
    """The conditionings as one tile sees them; nothing that came is written to.

    Cropped are ControlNet hints, areas (in latent cells or as a share of the image), masks, the
    latents and mask of inpainting models, GLIGEN boxes, and those reference latents that are as
    large as the image. Entries whose area or mask does not reach the tile are left out, so a
    conditioning may come back empty.

    A ControlNet that several conditionings share stays shared: only then can ComfyUI run positive
    and negative together.
    """
    controls: dict[int, Any] = {}
    result = []
    for conditioning in conditionings:
        entries = ((text, _options(cut, options, controls)) for text, options in conditioning)
        result.append([[text, options] for text, options in entries if options is not None])
    return result


def _options(cut: Cut, options: dict[str, Any], controls: dict[int, Any]) -> dict[str, Any] | None:
    """One entry's options for a tile, or None if it says nothing of that."""
    made = dict(options)
    if options.get("area") is not None:
        area = _area(cut, options["area"])
        if area is None:
            return None
        if area == (cut.cells.height, cut.cells.width, 0, 0):
            del made["area"]
        else:
            made["area"] = area
    if options.get("mask") is not None:
        made["mask"] = _latent_mask(cut, options["mask"])
        if not made["mask"].any():
            return None
    if options.get("control") is not None:
        made["control"] = _control(cut, options["control"], controls)
    if options.get("reference_latents") is not None:
        made["reference_latents"] = [_reference(cut, x) for x in options["reference_latents"]]
    for name, crop in _PLANES.items():
        if isinstance(options.get(name), Tensor):
            made[name] = crop(cut, options[name])
    if options.get("gligen") is not None:
        made["gligen"] = _gligen(cut, options["gligen"])
        if made["gligen"] is None:
            del made["gligen"]
    return made


def _area(cut: Cut, area: Sequence[Any]) -> tuple[int, int, int, int] | None:
    """Height, width, y, x in cells of the tile."""
    if area[0] == "percentage":
        height, width, y, x = area[1:]
        whole = cut.canvas_cells
        height, width = max(1, round(height * whole.height)), max(1, round(width * whole.width))
        y, x = round(y * whole.height), round(x * whole.width)
    else:
        height, width, y, x = area
    seen = Box(x, y, width, height).intersect(cut.cells)
    if seen is None:
        return None
    seen = seen.relative_to(cut.cells)
    return seen.height, seen.width, seen.y, seen.x


def _latent_mask(cut: Cut, mask: Tensor) -> Tensor:
    """A mask of any size, in the tile's latent cells: what core would make of all of it."""
    mask = _of_image(cut, mask if mask.ndim == 3 else mask.reshape(1, *mask.shape[-2:]))
    box, size = cut.cells, cut.canvas
    at = [
        (torch.arange(part.start, part.stop) + 0.5) * (2 * cut.factor / length) - 1
        for part, length in ((box.columns, size.width), (box.rows, size.height))
    ]
    where = torch.stack(torch.meshgrid(*at, indexing="xy"), dim=-1).unsqueeze(0)
    planes = mask.to(torch.float32).unsqueeze(1)
    sampled = F.grid_sample(
        planes, where.to(planes), mode="bilinear", padding_mode="border", align_corners=False
    )
    return sampled.squeeze(1)


def _control(cut: Cut, control: Any, known: dict[int, Any]) -> Any:
    """A copy of a ControlNet, and of those before it, with their hints cropped."""
    if id(control) in known:
        return known[id(control)]
    made = control.copy()
    if isinstance(getattr(made, "cond_hint_original", None), Tensor):
        made.cond_hint_original = _pixels(cut, made.cond_hint_original)
    if getattr(made, "extra_concat_orig", None):
        made.extra_concat_orig = [_pixels(cut, plane) for plane in made.extra_concat_orig]
    before = getattr(control, "previous_controlnet", None)
    if before is not None:
        made.set_previous_controlnet(_control(cut, before, known))
    known[id(control)] = made
    return made


def _pixels(cut: Cut, plane: Tensor) -> Tensor:
    """The part of a hint ``[B, ..., H, W]`` for the tile, brought to the tile's own pixels.

    As core would: the middle of it that has the image's aspect, and the nearest pixel of that.
    """
    if plane.ndim == 2:
        plane = plane.unsqueeze(0)
    height, width = plane.shape[-2:]
    canvas = cut.canvas
    x = y = 0
    ours, theirs = canvas.width / canvas.height, width / height
    if theirs > ours:
        x = round((width - width * (ours / theirs)) / 2)
    elif theirs < ours:
        y = round((height - height * (theirs / ours)) / 2)
    rows = y + _nearest(mirrored(cut.box.rows, canvas.height), canvas.height, height - 2 * y)
    columns = x + _nearest(mirrored(cut.box.columns, canvas.width), canvas.width, width - 2 * x)
    return pick(_of_image(cut, plane), plane.ndim - 2, rows, columns)


def _latents(cut: Cut, latents: Tensor) -> Tensor:
    """The part of latents ``[B, C, ..., h, w]`` of the whole image for the tile."""
    picked = []
    canvas = cut.canvas_cells
    for part, whole, length in (
        (cut.cells.rows, canvas.height, latents.shape[-2]),
        (cut.cells.columns, canvas.width, latents.shape[-1]),
    ):
        if abs(whole - length) <= 1:
            picked.append(mirrored(part, length))
        else:
            picked.append(_nearest(mirrored(part, whole), whole, length))
    return pick(_of_image(cut, latents), latents.ndim - 2, *picked)


def _reference(cut: Cut, latents: Tensor) -> Tensor:
    """A reference as large as the image is the image's own; another is seen whole."""
    whole, (height, width) = cut.canvas_cells, latents.shape[-2:]
    own = abs(whole.height - height) <= 1 and abs(whole.width - width) <= 1
    return _latents(cut, latents) if own else latents


def _gligen(cut: Cut, gligen: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Boxes that reach the tile, in its cells; None without any."""
    kind, model, boxes = gligen
    if kind != "position":
        return gligen
    seen = [(text, _area(cut, area)) for text, *area in boxes]
    kept = [(text, *area) for text, area in seen if area is not None]
    return (kind, model, kept) if kept else None


def _nearest(at: Tensor, length: int, theirs: int) -> Tensor:
    """Which of `theirs` pixels lie nearest to pixels of an axis that has `length`."""
    return (2 * at + 1) * theirs // (2 * length)


def _of_image(cut: Cut, batch: Tensor) -> Tensor:
    """The one of a batch that goes with the image."""
    number = cut.image % len(batch)
    return batch[number : number + 1]


_PLANES: dict[str, Callable[[Cut, Tensor], Tensor]] = {
    "concat_latent_image": _latents,
    "concat_mask": _pixels,
}
