"""Choose among several refinements of each picture of a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from .removal_check import THRESHOLD, RemovalVerdict, best_of, check_refinements, check_removal
from .removal_probe import Probe

Step = Callable[[int, int], None]
"""``step(done, total)``, called before each refinement and once at the end; may raise to cancel."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """What was chosen for each picture.

    Attributes:
        image: ``[B, H, W, C]``, in the type of `before` and on its device.
        picks: for each picture the number of its chosen refinement in `after`, or None where none
            passed and `before` stays.
        verdicts: for each picture those of its refinements, in order.
        threshold: the score up to which a refinement passes.
    """

    image: Tensor
    picks: tuple[int | None, ...]
    verdicts: tuple[tuple[RemovalVerdict, ...], ...]
    threshold: float

    @property
    def score(self) -> float:
        """Of the best refinement; of several pictures, the worst of these."""
        return max(min(verdict.score for verdict in found) for found in self.verdicts)

    @property
    def passed(self) -> bool:
        """Whether every picture has a refinement that passes."""
        return None not in self.picks

    @property
    def report(self) -> str:
        """One line for each refinement, and one for each choice."""
        pictures = len(self.picks)
        lines = []
        for i, (pick, verdicts) in enumerate(zip(self.picks, self.verdicts, strict=True)):
            where = f"Picture {i + 1}: " if pictures > 1 else ""
            for k, verdict in enumerate(verdicts):
                word = "passes" if verdict.score <= self.threshold else "fails"
                lines.append(
                    f"{where}refinement {k + 1}: score {verdict.score:.2f}, {word}: "
                    f"{verdict.reason}."
                )
            if pick is None:
                lines.append(f"{where}no refinement passes, the removal before it is returned.")
            elif len(verdicts) > 1:
                lines.append(f"{where}refinement {pick // pictures + 1} is the best.")
        return "\n".join(line[0].upper() + line[1:] for line in lines)


def check_candidates(
    before: Tensor,
    after: Tensor,
    mask: Tensor,
    threshold: float = THRESHOLD,
    *,
    probe: Probe | None = None,
    step: Step | None = None,
) -> Chosen:
    """For each picture take its best refinement, or the picture itself where none passes.

    Args:
        before: the removals, ``[B, H, W, 3 or 4]``.
        after: their refinements ``[k * B, H, W, 3 or 4]``, k whole batches one after the other, as
            RepeatImageBatch repeats: number ``j * B + i`` is a refinement of picture i.
        mask: ``[1 or B, H, W]``, where something was removed; counted from 0.5.
        threshold: a refinement passes up to this score.
        probe: see `load_probe`.
        step: progress and cancel.

    Returns:
        the choice. Alpha plays no part in it: a picture's own is kept, else the refinement's.

    Raises:
        ValueError: sizes or counts that do not go together, what `check_image` and `check_mask`
            refuse, or a mask that covers a whole image.
    """
    mask = check_refinements(before, after, mask)
    pictures, refined = len(before), len(after)
    if refined % pictures:
        raise ValueError(
            f"before holds {pictures} images but after holds {refined}: give the same number of "
            "refinements for every image, one batch after the other."
        )
    found: list[list[RemovalVerdict]] = [[] for _ in range(pictures)]
    for n in range(refined):
        if step:
            step(n, refined)
        i = n % pictures
        pair = before[i : i + 1], after[n : n + 1]
        found[i].append(check_removal(*pair, mask[i : i + 1], probe))
    if step:
        step(refined, refined)
    picks = []
    for i, verdicts in enumerate(found):
        best = best_of(verdicts, threshold)
        picks.append(None if best is None else best * pictures + i)
    return Chosen(_gather(before, after, picks), tuple(picks), tuple(map(tuple, found)), threshold)


def _gather(before: Tensor, after: Tensor, picks: list[int | None]) -> Tensor:
    channels = max(before.shape[3], after.shape[3])
    result = before.new_ones((*before.shape[:3], channels))
    for i, pick in enumerate(picks):
        result[i, ..., : before.shape[3]] = before[i]
        if pick is None:
            continue
        chosen = after[pick].to(result)
        result[i, ..., :3] = chosen[..., :3]
        if before.shape[3] == 3:
            result[i, ..., 3:] = chosen[..., 3:]
    return result
