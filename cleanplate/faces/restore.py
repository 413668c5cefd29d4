"""Restore the faces of images and paste them back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .. import memory
from ..checks import check_image, check_mask, size_of
from ..colour import check_colour, match_colour
from ..geometry import Box, Size
from .align import SIDE, Alignment, already_aligned
from .face import Face
from .guard import Drift, FindLandmarks, Guard
from .network import Restorer
from .paste import Paste, frame_weight
from .select import Candidate, Selection, select
from .warp import inverted, positions

DEFAULT_COLOUR = "gain and offset"


@dataclass(frozen=True)
class Settings:
    """How to restore.

    Attributes:
        strength: how much of the change counts, 0..1.
        fidelity: for networks that can choose, 0 (best looking) to 1 (nearest to the input).
        colour: one of `colour.MODES`: how the restored face gets back the colours that its frame
            has around the face.
        guard: lower the strength of faces that drift too far from what they were.

    Raises:
        ValueError: another mode, or values out of their ranges.
    """

    strength: float = 0.8
    fidelity: float = 0.5
    colour: str = DEFAULT_COLOUR
    guard: bool = True

    def __post_init__(self) -> None:
        check_colour(self.colour, 1)
        for name in ("strength", "fidelity"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}: choose a value in 0..1.")


@dataclass(frozen=True)
class FaceReport:
    """What became of one face.

    Attributes:
        image: its image, from 0.
        number: its place from left to right, from 0.
        face: as it was found.
        reason: why it stayed as it was; empty if it was restored.
        scale: pixels of the 512x512 frame for one of the image; 0 if it never came so far.
        strength: how much of the change counted.
        drift: how far it went from what it was; None if it never came so far.
    """

    image: int
    number: int
    face: Face
    reason: str = ""
    scale: float = 0.0
    strength: float = 0.0
    drift: Drift | None = None

    @property
    def restored(self) -> bool:
        return not self.reason


@dataclass(frozen=True, eq=False)
class RestoredFaces:
    """Images whose faces were restored.

    Attributes:
        image: ``[B, H, W, C]`` like the input; the input itself where no face was restored.
        mask: ``[B, H, W]`` float32 in 0..1, where it was changed and how much of it.
        before: aligned crops ``[512, 512, 3]`` float32 in 0..1, one for each face that the network
            saw.
        after: what became of them.
        faces: a report for each face that was found, image by image, from left to right.
    """

    image: Tensor
    mask: Tensor
    before: tuple[Tensor, ...]
    after: tuple[Tensor, ...]
    faces: tuple[FaceReport, ...]


def restore_faces(
    image: Tensor,
    faces: Sequence[Sequence[Face]] | None,
    network: Restorer,
    settings: Settings | None = None,
    selection: Selection | None = None,
    *,
    mask: Tensor | None = None,
    find: FindLandmarks | None = None,
    together: int = 1,
    step: Callable[[int, int], None] | None = None,
) -> RestoredFaces:
    """Restore faces in aligned crops and add what changed to the images.

    Every pixel outside the returned mask is exactly the input's, and so is every pixel whose face
    the network did not change. Time and memory follow the faces, but for one copy of the images.

    Args:
        image: ``[B, H, W, 3 or 4]``; alpha is kept.
        faces: for each image the faces that were found; None if each image is nothing but one
            aligned face.
        network: what restores.
        settings: how; the defaults if not given.
        selection: which; all that can be if not given.
        mask: ``[H, W]`` or ``[1 or B, H, W]``; only faces it touches are restored, and only there.
        find: looks for landmarks in a crop; lets the guard compare them.
        together: how many faces the network gets at once; halved when memory runs out.
        step: called with (done, total) before each batch of faces and at the end; may raise to
            cancel.

    Raises:
        ValueError: an image or mask that is none, or faces for another number of images.
        RuntimeError: the network cannot run.
    """
    settings, selection = settings or Settings(), selection or Selection()
    check_image(image)
    masks = check_mask(mask, image) if mask is not None else None
    if faces is not None and len(faces) != len(image):
        raise ValueError(
            f"faces were looked for in {len(faces)} images, but image holds {len(image)}: "
            "connect boxes or landmarks of these images."
        )
    size = size_of(image)
    if faces is None:
        found = [[_whole(size)] for _ in image]
    else:
        found = [
            select(some, size, selection, masks[i] if masks is not None else None)
            for i, some in enumerate(faces)
        ]
    work = _Work(image, masks, found, network, settings, find)
    work.run(max(1, together), step or (lambda done, total: None))
    return work.result()


def _whole(size: Size) -> Candidate:
    face = Face((0.0, 0.0, float(size.width), float(size.height)), 1.0)
    return Candidate(face, 0, already_aligned(size))


class _Work:
    """The state of one call of `restore_faces`."""

    def __init__(
        self,
        image: Tensor,
        masks: Tensor | None,
        found: list[list[Candidate]],
        network: Restorer,
        settings: Settings,
        find: FindLandmarks | None,
    ) -> None:
        self._image, self._masks, self._found = image, masks, found
        self._network, self._settings, self._find = network, settings, find
        self._changed = image
        self._mask = memory.zeros(image.shape[:3], image.device)
        self._before: list[Tensor] = []
        self._after: list[Tensor] = []
        self._reports = {
            (i, c.number): FaceReport(i, c.number, c.face, c.reason or "the strength is 0")
            for i, some in enumerate(found)
            for c in some
        }

    def result(self) -> RestoredFaces:
        return RestoredFaces(
            self._changed,
            self._mask.clamp_(0, 1) if self._changed is not self._image else self._mask,
            tuple(self._before),
            tuple(self._after),
            tuple(self._reports.values()),
        )

    def run(self, together: int, step: Callable[[int, int], None]) -> None:
        chosen = [
            (i, c, c.alignment)
            for i, some in enumerate(self._found)
            for c in some
            if c.alignment is not None and self._settings.strength > 0
        ]
        done = 0
        while done < len(chosen):
            step(done, len(chosen))
            batch = chosen[done : done + together]
            crops = torch.stack([alignment.crop(self._image[i]) for i, _, alignment in batch])
            try:
                changes = self._network(crops, self._settings.fidelity)
            except torch.OutOfMemoryError:
                if len(batch) == 1:
                    raise
                together = len(batch) // 2
                continue
            for (i, candidate, alignment), crop, change in zip(batch, crops, changes, strict=True):
                report = self._finish(i, candidate, alignment, crop, change)
                self._reports[i, candidate.number] = report
            done += len(batch)
        if chosen:
            step(done, len(chosen))

    def _finish(
        self, i: int, candidate: Candidate, alignment: Alignment, crop: Tensor, change: Tensor
    ) -> FaceReport:
        """Paste one face that the network has made."""
        report = FaceReport(i, candidate.number, candidate.face, scale=alignment.scale)
        self._before.append(crop)
        if not bool(change.isfinite().all()):
            self._after.append(crop)
            return replace(report, reason="the network made NaN or infinite values of it")
        change = self._in_colour(crop, change, alignment)
        guard = Guard(crop, change, self._find)
        strength = self._settings.strength
        if self._settings.guard:
            strength, drift = guard.allowed(strength)
        else:
            drift = guard.at(strength)
        self._after.append((crop + strength * change).clamp_(0, 1))
        report = replace(report, strength=strength, drift=drift)
        if strength == 0:
            return replace(report, reason="it would drift too far from what it was")
        if self._changed is self._image:
            self._changed = memory.empty(
                self._image.shape, self._image.dtype, self._image.device
            ).copy_(self._image)
        others = [
            c.alignment for c in self._found[i] if c.alignment is not None and c is not candidate
        ]
        allowed = self._masks[i] if self._masks is not None else None
        Paste(alignment, crop, change).onto(
            self._changed[i], self._mask[i], self._image[i], strength, allowed, others
        )
        return report

    def _in_colour(self, crop: Tensor, change: Tensor, alignment: Alignment) -> Tensor:
        made = crop + change
        ring = (frame_weight() < 1) & _inside(alignment, size_of(self._image))
        matched = match_colour(made, crop, ring, self._settings.colour)
        return change if matched is made else matched - crop


def _inside(alignment: Alignment, size: Size) -> Tensor:
    """Which pixels of the frame show the image and not what lies beyond it: bool ``[512, 512]``."""
    x, y = positions(inverted(alignment.matrix), Box(0, 0, SIDE, SIDE))
    return (x >= 0) & (x < size.width) & (y >= 0) & (y < size.height)
