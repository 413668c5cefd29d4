"""The cascade of MTCNN: propose, refine, decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .mtcnn import Mtcnn, Proposal
from .mtcnn_pyramid import Level, bands, crops
from .suppress import suppress

_PROPOSED, _REFINED, _DECIDED = 0.5, 0.15, 0.2
"""Least scores of the three networks. Published are 0.6, 0.7 and 0.7, which lose faces tilted by 30
degrees; what is no face is told once it is upright, see `settle`."""

_MOST_OF_LEVEL, _MOST, _MOST_FACES = 2000, 3000, 400
"""Proposals of a level, and of an image, and faces of an image that are looked at."""

_BAND = 1 << 17
"""Pixels that P-Net sees at once."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """What the cascade takes for faces, on the CPU, in pixels of the original.

    Attributes:
        boxes: ``[N, 4]`` left, top, right, bottom.
        scores: ``[N]``.
        landmarks: ``[N, 5, 2]``.
    """

    boxes: Tensor
    scores: Tensor
    landmarks: Tensor

    def __getitem__(self, which: Tensor) -> Candidates:
        return Candidates(self.boxes[which], self.scores[which], self.landmarks[which])


def search(networks: Mtcnn, levels: list[Level], step: Callable[[], None]) -> Candidates:
    """Find faces in one image.

    Args:
        networks: on the device of the levels.
        levels: see `pyramid`.
        step: called once for each level searched and once for each of the other two networks.
    """
    found = []
    for level in levels:
        if level.searched:
            found.append(_propose(networks, level))
            step()
    boxes = torch.cat([box for box, _ in found]) if found else torch.empty((0, 4))
    scores = torch.cat([score for _, score in found]) if found else torch.empty(0)
    kept = suppress(boxes, scores, 0.5)[:_MOST]
    boxes = _refine(networks, levels, _square(boxes[kept]))
    step()
    candidates = decide(networks, levels, _square(boxes))
    step()
    return candidates


def decide(networks: Mtcnn, levels: list[Level], boxes: Tensor) -> Candidates:
    """What O-Net says of square boxes ``[N, 4]``: those it takes for faces, best first."""
    moved, scores, landmarks = [], [], []
    for part, seen in crops(levels, boxes, networks.output.size):
        offsets, likely, points = (out.cpu() for out in networks.output(seen))
        box = boxes[part]
        sides = box[:, 2:] - box[:, :2]
        moved.append(_moved(box, offsets))
        scores.append(likely)
        landmarks.append(box[:, None, :2] + points * sides[:, None])
    if not moved:
        return Candidates(torch.empty((0, 4)), torch.empty(0), torch.empty((0, 5, 2)))
    all_ = Candidates(torch.cat(moved), torch.cat(scores), torch.cat(landmarks))
    likely = all_[(all_.scores >= _DECIDED) & _sound(all_.boxes)]
    return likely[suppress(likely.boxes, likely.scores, 0.5, of_smaller=True)[:_MOST_FACES]]


def _propose(networks: Mtcnn, level: Level) -> tuple[Tensor, Tensor]:
    step, window = Proposal.step, Proposal.window
    boxes, scores = [], []
    for first, band in bands(level.image, _BAND):
        offsets, likely = networks.proposal(band)
        rows, columns = (likely[0] > _PROPOSED).nonzero(as_tuple=True)
        corner = torch.stack((columns * step, (rows + first) * step), dim=1).cpu().float()
        box = torch.cat((corner, corner + window), dim=1)
        boxes.append(_moved(box, offsets[0, :, rows, columns].T.cpu()))
        scores.append(likely[0, rows, columns].cpu())
    box, score = torch.cat(boxes), torch.cat(scores)
    best = torch.argsort(score, descending=True, stable=True)[:_MOST_OF_LEVEL]
    box, score = box[best], score[best]
    kept = suppress(box, score, 0.5)
    scale = torch.tensor((level.across, level.down) * 2)
    return box[kept] / scale, score[kept]


def _refine(networks: Mtcnn, levels: list[Level], boxes: Tensor) -> Tensor:
    moved, scores = [torch.empty((0, 4))], [torch.empty(0)]
    for part, seen in crops(levels, boxes, networks.refine.size):
        offsets, likely = (out.cpu() for out in networks.refine(seen))
        moved.append(_moved(boxes[part], offsets))
        scores.append(likely)
    box, score = torch.cat(moved), torch.cat(scores)
    good = (score >= _REFINED) & _sound(box)
    box, score = box[good], score[good]
    return box[suppress(box, score, 0.7)]


def _moved(boxes: Tensor, offsets: Tensor) -> Tensor:
    sides = boxes[:, 2:] - boxes[:, :2]
    return boxes + offsets * torch.cat((sides, sides), dim=1)


def _sound(boxes: Tensor) -> Tensor:
    """Which boxes have an area."""
    return ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(dim=1)


def _square(boxes: Tensor) -> Tensor:
    """The square of the longer side around each box's centre."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1, keepdim=True) / 2
    return torch.cat((centres - half, centres + half), dim=1)
