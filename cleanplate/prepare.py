"""Make a mask ready for removal, and say what will go wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from . import masks
from .checks import check_image, check_mask
from .rim import rims
from .shadow import REACH, grow_over_shadow

Step = Callable[[int, int], None]
"""``step(done, total)``, called before each mask and once at the end; may raise to cancel."""

_LARGE = 0.7
_BEYOND = 4
"""Pixels beyond its edge that an object's mask should reach: lenses and scaling blur the edge."""


@dataclass(frozen=True)
class PrepareSettings:
    """What to do with a mask. Lengths are in pixels of the image.

    Attributes:
        fill_holes: mask what the mask encloses.
        grow: pixels to add around the mask and its shadow.
        feather: width of the fade around the grown mask, outwards.
        shadow: extend the mask over the cast shadows of its objects.
        shadow_reach: how far to look for them, in lengths of the object's longer side.
    """

    fill_holes: bool = True
    grow: int = 4
    feather: int = 0
    shadow: bool = False
    shadow_reach: float = REACH


@dataclass(frozen=True, eq=False)
class PreparedMask:
    """The masks, and for each what was done with it and what is wrong with it.

    Attributes:
        mask: float32 ``[N, H, W]``: 1 on the prepared mask, fading to 0 around it.
        notes: sentences for each image, or for each mask without images.
    """

    mask: Tensor
    notes: tuple[tuple[str, ...], ...]

    @property
    def text(self) -> str:
        """The notes as lines; images in a row with the same notes share one."""
        if len(self.notes) == 1:
            return " ".join(self.notes[0])
        lines = []
        first = 0
        for i, note in enumerate(self.notes):
            if i + 1 < len(self.notes) and self.notes[i + 1] == note:
                continue
            name = f"Image {i}" if first == i else f"Images {first} to {i}"
            lines.append(f"{name}: {' '.join(note)}")
            first = i + 1
        return "\n".join(lines)


def prepare_mask(
    mask: Tensor,
    image: Tensor | None = None,
    settings: PrepareSettings | None = None,
    *,
    step: Step | None = None,
) -> PreparedMask:
    """Fill, extend and grow masks for a removal.

    Args:
        mask: ``[H, W]`` or ``[N, H, W]``, 1 = remove; counted from 0.5.
        image: ``[B, H, W, 3 or 4]``, N being 1 or B: for the shadows and the warnings that need it.
        settings: what to do; None: the defaults.
        step: progress and cancel.

    Returns:
        N masks, or B where shadows were looked for: they differ from image to image.

    Raises:
        ValueError: shadows wanted but no image given, a mask without pixels, or what `check_image`
            and `check_mask` refuse.
    """
    settings = settings or PrepareSettings()
    if settings.shadow and image is None:
        raise ValueError(
            "shadow is on but no image is connected: connect the image that the mask belongs to, "
            "or turn shadow off."
        )
    if mask.ndim == 2:
        mask = mask.unsqueeze(0)
    if 0 in mask.shape:
        raise ValueError(f"mask is empty (shape {list(mask.shape)}): connect a MASK.")
    if image is not None:
        check_image(image)
    checked = check_mask(mask, mask.unsqueeze(-1) if image is None else image)
    total = len(checked)
    shared = len(mask) == 1 and not settings.shadow

    results: list[Tensor] = []
    notes: list[tuple[str, ...]] = []
    for i in range(total):
        if step:
            step(i, total)
        picture = None if image is None else image[i]
        if i == 0 or not shared:
            prepared, done = _prepare(checked[i], picture, settings)
            results.append(masks.feather(prepared, settings.feather))
        notes.append((*done, *_warnings(prepared, picture)))
    if step:
        step(total, total)
    return PreparedMask(torch.stack(results), tuple(notes))


def _prepare(
    mask: Tensor, image: Tensor | None, settings: PrepareSettings
) -> tuple[Tensor, tuple[str, ...]]:
    core = masks.core(mask)
    marked = int(core.sum())
    if marked == 0:
        strongest = float(mask.max())
        if strongest > 0:
            said = f"The mask is nowhere stronger than {strongest:.2f}, and counts from "
            return core, (f"{said}{masks.THRESHOLD}: nothing will be removed.",)
        return core, ("The mask is empty: nothing will be removed.",)
    done = []
    if settings.fill_holes:
        core = masks.fill_holes(core)
        if filled := int(core.sum()) - marked:
            done.append(f"Filled holes of {filled} pixels.")
    if settings.shadow and image is not None:
        # Looked for from the grown mask: the object's own rim must not be taken for a shadow.
        object_ = masks.grow(core, settings.grow)
        shadow = grow_over_shadow(image, object_, reach=settings.shadow_reach)
        if shadow.found:
            added = shadow.mask & ~object_
            core = core | added
            done.append(
                f"Followed the shadow of {_count(shadow.found, 'object')}: {int(added.sum())} "
                f"pixels, as dark as {shadow.light:.0%} of the lit ground."
            )
        else:
            done.append("No shadow is certain enough to follow: paint it if there is one.")
    core = masks.grow(core, settings.grow)
    done.append(f"Masked {_percent(core)} of the image, grown by {settings.grow}.")
    return core, tuple(done)


def _warnings(core: Tensor, image: Tensor | None) -> list[str]:
    warnings = []
    if _share(core) > _LARGE:
        warnings.append(
            f"Warning: the mask covers {_percent(core)} of the image, so little is left to fill "
            "from: is it inverted?"
        )
    elif all(bool(side.any()) for side in (core[0], core[-1], core[:, 0], core[:, -1])):
        warnings.append(
            "Warning: the mask reaches all four borders of the image: what is behind it shows only "
            "in places."
        )
    if image is None:
        return warnings
    cut = [rim for rim in rims(image, core) if rim.is_cut]
    if cut:
        worst = max(cut, key=lambda rim: rim.pixels)
        where = f"at {worst.box.x}, {worst.box.y} ({worst.box.size})"
        others = f" (and {_count(len(cut) - 1, 'other')})" if len(cut) > 1 else ""
        warnings.append(
            f"Warning: the mask seems to cut through the object {where}{others}: an edge follows "
            f"it about {_count(worst.pixels, 'pixel')} outside, almost all around. Grow it by "
            f"{worst.pixels + _BEYOND} more, or a rim of the object stays and makes a seam."
        )
    return warnings


def _share(core: Tensor) -> float:
    return float(core.to(torch.float32).mean())


def _percent(core: Tensor) -> str:
    share = _share(core)
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
