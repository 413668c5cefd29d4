"""Which defects one round repairs, with which nodes, and with which settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from .. import masks
from ..geometry import Box, Size
from .catalogue import Kind, kind
from .defect import Defect
from .report import negative_prompt, positive_prompt

REMOVE, FILL, REFINE, RESTORE = "LamaRemove", "ContentAwareFill", "FluxFillRefine", "FaceRestore"
"""Ids of the nodes that repair."""

Repairs = Literal["by kind", "by kind, refined", "fill only", "diffusion only"]
"""How to choose the node: the catalogue's; the catalogue's, with what was removed refined by the
diffusion model; only what needs no weights; the diffusion model for everything."""

FEATHER = {REMOVE: 4, FILL: 4, REFINE: 16, RESTORE: 0}
"""Pixels beyond the grown mask that a node changes, too; a face grows by all that changes."""

MOST_AREA = 0.6
"""Part of the image: what repairs more than that paints another picture."""

SEEDS_A_ROUND = 1000
"""The seed of the n-th repair of a round, both counted from 0, is ``seed + 1000 * round + n``."""

_SEEDS = 2**64
_NEEDS_ROOM = frozenset({"cropped_subject"})
_DIFFUSION = "connect model, vae and clip"


@dataclass(frozen=True)
class Means:
    """What there is to repair with.

    Attributes:
        repair: how to choose.
        removal: whether there is a network that removes.
        diffusion: whether there is a model that inpaints.
        faces: whether there is a network that restores faces.
        scene: what the pictures show, in the user's words; goes into each prompt.
    """

    repair: Repairs = "by kind"
    removal: bool = False
    diffusion: bool = False
    faces: bool = False
    scene: str = ""

    def __post_init__(self) -> None:
        if self.repair not in get_args(Repairs):
            raise ValueError(
                f"repair is {self.repair!r}: choose one of {', '.join(get_args(Repairs))}."
            )
        if self.repair.startswith(("diffusion", "by kind, ")) and not self.diffusion:
            raise ValueError(
                f"repair is '{self.repair}' but there is no diffusion model: {_DIFFUSION}, or "
                "choose 'by kind'."
            )


@dataclass(frozen=True)
class Way:
    """How a defect is repaired.

    Attributes:
        nodes: their ids, in order; none where it cannot be repaired.
        why_not: the reason then, a part of a sentence.
    """

    nodes: tuple[str, ...] = ()
    why_not: str = ""


@dataclass(frozen=True, eq=False)
class Repair:
    """One repair of a round.

    Attributes:
        defect: what is repaired.
        nodes: ids of the nodes that do it, in order.
        grow: pixels that the mask grows.
        area: the pixels that may change.
        seed: of the nodes that have one.
        scene: see `Means`.
    """

    defect: Defect
    nodes: tuple[str, ...]
    grow: int
    area: Box
    seed: int
    scene: str = ""

    @property
    def kind(self) -> Kind:
        return kind(self.defect.kind)

    @property
    def positive(self) -> str:
        """The prompt, for diffusion."""
        return positive_prompt([self.defect.kind], self.scene)

    @property
    def negative(self) -> str:
        """What to steer away from, for diffusion that knows it."""
        return negative_prompt([self.defect.kind])

    @property
    def context(self) -> float:
        """How much longer the crop is than the mask, for diffusion."""
        return self.kind.context

    @property
    def denoise(self) -> float:
        """For diffusion."""
        return self.kind.denoise

    def mask(self, size: Size) -> Tensor:
        """What to repair in an image of that size, not grown: bool ``[1, H, W]``.

        For a face, all that its restoration may change.
        """
        whole = torch.zeros(1, size.height, size.width, dtype=torch.bool)
        if RESTORE in self.nodes:
            box, marked = self.area, torch.tensor(True)
        else:
            box, marked = _marked(self.defect, size)
        whole[0, box.rows, box.columns] = marked
        return whole


def way(defect: Defect, size: Size, means: Means) -> Way:
    """How a defect of an image of that size is repaired, or why it is not.

    What is to be removed is filled by the removal network, or without weights where there is none.
    A face goes to the network for faces, or else to the diffusion model. A defect of the picture as
    a whole is left: what repairs it changes every pixel, or the size.
    """
    entry = kind(defect.kind)
    if defect.box is None:
        return Way(why_not=f"it is of the picture as a whole. {entry.advice}")
    share = int(_marked(defect, size)[1].sum()) / size.area
    if share > MOST_AREA:
        return Way(why_not=f"it covers {share:.0%} of the picture. {entry.advice}")
    if entry.name in _NEEDS_ROOM:
        return Way(why_not=f"the picture would have to grow. {entry.advice}")
    if means.repair == "diffusion only":
        return Way((REFINE,))
    if entry.fix == REMOVE:
        first = REMOVE if means.removal and means.repair != "fill only" else FILL
        return Way((first, REFINE) if means.repair == "by kind, refined" else (first,))
    if entry.fix not in (REFINE, RESTORE):
        node = f"{entry.fix} works on the picture as a whole" if entry.fix else "no node repairs it"
        return Way(why_not=f"{node}. {entry.advice}")
    if means.repair == "fill only":
        return Way(why_not=f"filling cannot repair it. {entry.advice}")
    if entry.fix == RESTORE and means.faces:
        return Way((RESTORE,))
    if means.diffusion:
        return Way((REFINE,))
    faces = "connect face_model, or model, vae and clip"
    return Way(why_not=f"{faces if entry.fix == RESTORE else _DIFFUSION}.")


def plan_round(
    candidates: Sequence[tuple[Defect, int]],
    size: Size,
    means: Means,
    *,
    number: int,
    most: int,
    seed: int,
) -> tuple[Repair, ...]:
    """The repairs of one round: the first defects that can be repaired without meeting each other.

    What would change pixels that another repair of the round changes waits for a later one, so that
    each can be judged, and taken back, by itself.

    Args:
        candidates: the most urgent first, each with the number of times it was tried.
        size: of the image.
        means: what there is to repair with.
        number: of the round, counted from 0.
        most: repairs of a round.
        seed: see `SEEDS_A_ROUND`.
    """
    chosen: list[Repair] = []
    for defect, tries in candidates:
        if len(chosen) == most:
            break
        nodes = way(defect, size, means).nodes
        if not nodes:
            continue
        box, _ = _marked(defect, size)
        grow = max(box.width, box.height) if RESTORE in nodes else growth(defect, size, tries)
        reach = grow + sum(FEATHER[node] for node in nodes) + 1
        area = box.pad(reach).intersect(Box.of(size)) or box
        if any(area.intersect(other.area) for other in chosen):
            continue
        its_own = (seed + SEEDS_A_ROUND * number + len(chosen)) % _SEEDS
        chosen.append(Repair(defect, nodes, grow, area, its_own, means.scene))
    return tuple(chosen)


def growth(defect: Defect, size: Size, tries: int = 0) -> int:
    """Pixels that the mask of a defect grows; each further try takes half as much more.

    The catalogue's part is taken of the side of a square with the area of the mask. Of the longer
    side it would make a caption, which is many times longer than high, a broad band.
    """
    box, marked = _marked(defect, size)
    side = round(int(marked.sum()) ** 0.5)
    return round(kind(defect.kind).growth(Box(box.x, box.y, side, side)) * (1 + tries / 2))


def _marked(defect: Defect, size: Size) -> tuple[Box, Tensor]:
    """The part of its box within the image, and which pixels of it are meant: bool ``[h, w]``.

    All of them where the defect has no mask, or one that counts nowhere.
    """
    whole = Box.of(size)
    box = (defect.box or whole).intersect(whole) or whole
    if defect.mask is not None and defect.box is not None:
        part = box.relative_to(defect.box)
        marked = masks.core(defect.mask[part.rows, part.columns]).cpu()
        if marked.any():
            return box, marked
    return box, torch.ones(box.height, box.width, dtype=torch.bool)
