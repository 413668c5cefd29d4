"""Repair in rounds: what is still open, whether a round helped, when to stop, and the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from ..geometry import Box, Size
from .boxes import FROM_BOXES, FROM_MASK
from .catalogue import kind
from .defect import Defect
from .detect import Failure
from .eye_tilt import SOURCE as FROM_LANDMARKS
from .findings import SOURCE as FROM_FINDINGS
from .inspection import Detection, Inspected
from .plan import Means, Repair, plan_round, way

MOST_TRIES = 2
"""Repairs of one place; the second has another seed, and a mask that grows farther."""

ONCE = frozenset({"hand", "small_face"})
"""Kinds that are found again however good they are: a hand stays one, a small face small. They are
repaired once, and then count as done."""

OTHERS = frozenset({FROM_BOXES, FROM_MASK, FROM_FINDINGS, FROM_LANDMARKS})
"""Sources that nobody asks again: what they found is repaired once, and then counts as done."""

GONE, BETTER, NO_BETTER, UNSEEN = "gone", "less severe", "no better, taken back", "not looked for"
"""What became of a repair."""

_LEAST_GAIN = 0.02
"""Severity that a repair has to take away: less is chance."""


@dataclass(frozen=True)
class Settings:
    """How to repair.

    Attributes:
        means: what there is to repair with.
        max_rounds: 0 does nothing.
        per_round: repairs in one round.
        seed: see `plan.SEEDS_A_ROUND`.
    """

    means: Means
    max_rounds: int = 5
    per_round: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_rounds < 0:
            raise ValueError(f"max_rounds is {self.max_rounds}: give 0 or more.")
        if self.per_round < 1:
            raise ValueError(f"per_round is {self.per_round}: give 1 or more.")


@dataclass(frozen=True, eq=False)
class Result:
    """What became of one repair.

    Attributes:
        repair: what was done.
        verdict: `GONE`, `BETTER`, `NO_BETTER` or `UNSEEN`.
        before: severity of what was found where the repair changed pixels, summed.
        after: the same when looked at again.
    """

    repair: Repair
    verdict: str
    before: float
    after: float

    @property
    def kept(self) -> bool:
        """Whether the image keeps what the repair has changed."""
        return self.verdict != NO_BETTER


@dataclass(frozen=True, eq=False)
class Round:
    """One round.

    Attributes:
        found: what was open when it began.
        results: one for each repair.
    """

    found: tuple[Defect, ...]
    results: tuple[Result, ...]

    @property
    def helped(self) -> bool:
        return any(result.kept for result in self.results)


@dataclass(frozen=True, eq=False)
class Progress:
    """Where the repair of one image stands.

    Attributes:
        size: of the image.
        detection: how to look again.
        settings: how to repair.
        open: what is still there, the most severe first.
        done: what was repaired and cannot be looked for again.
        rounds: those that are over.
        failures: of detectors, the first of each.
        unsure: names of those that failed when they looked last.
        notes: sentences about what was given and could not be used.
    """

    size: Size
    detection: Detection
    settings: Settings
    open: tuple[Defect, ...]
    done: tuple[Defect, ...] = ()
    rounds: tuple[Round, ...] = ()
    failures: tuple[Failure, ...] = ()
    unsure: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool | None:
        """Nothing is left; None where nothing is left but a detector could not tell."""
        if self.open:
            return False
        return None if self.unsure else True

    def tries(self, defect: Defect) -> int:
        """How often a repair was tried where a defect of its group lies."""
        results = (result for done in self.rounds for result in done.results)
        return sum(_same(defect, result.repair.defect) for result in results)

    def next_repairs(self) -> tuple[Repair, ...]:
        """What the next round does; nothing when the repair is over, see `why_over`.

        What was not tried yet comes first, then the most severe.
        """
        if len(self.rounds) >= self.settings.max_rounds:
            return ()
        # After a round that helped nothing, only what was never tried can still change that.
        stuck = bool(self.rounds) and not self.rounds[-1].helped
        allowed = 1 if stuck else MOST_TRIES
        tried = [(defect, self.tries(defect)) for defect in self.open]
        candidates = [(defect, tries) for defect, tries in tried if tries < allowed]
        return plan_round(
            sorted(candidates, key=lambda candidate: candidate[1]),
            self.size,
            self.settings.means,
            number=len(self.rounds),
            most=self.settings.per_round,
            seed=self.settings.seed,
        )

    def why_over(self) -> str:
        """Why there is no next round, one sentence."""
        if not self.open:
            return "Nothing is left." if self.rounds or self.done else "Nothing was found."
        if self.settings.max_rounds == 0:
            return "max_rounds is 0: nothing was repaired."
        if not any(way(defect, self.size, self.settings.means).nodes for defect in self.open):
            return "Nothing of what is left can be repaired here."
        if len(self.rounds) >= self.settings.max_rounds:
            return "All rounds are spent."
        if self.rounds and not self.rounds[-1].helped:
            return "The last round brought no improvement."
        return f"What is left was tried {MOST_TRIES} times, or cannot be repaired here."

    def why_left(self, defect: Defect) -> str:
        """Why an open defect was not repaired, one sentence."""
        tries = self.tries(defect)
        if tries:
            return f"Tried {tries} time{'s' * (tries > 1)}, and still there."
        reason = way(defect, self.size, self.settings.means).why_not
        if reason:
            return reason[0].upper() + reason[1:]
        return "There was no round left for it."


def begin(inspected: Inspected, size: Size, detection: Detection, settings: Settings) -> Progress:
    """Start with what was found in an image of that size."""
    return Progress(
        size,
        detection,
        settings,
        inspected.defects,
        failures=_first_of_each(inspected.failures),
        unsure=frozenset(failure.detector for failure in inspected.failures),
        notes=inspected.notes,
    )


def judge(progress: Progress, repairs: Sequence[Repair], again: Inspected) -> Progress:
    """What a round has brought, after looking at the image again.

    Each repair is judged by itself: by the severity of all that is found where it changed pixels.
    One that brought no improvement is to be taken back, see `take_back`; then what was found there
    before is open again. What others had found, and what a detector finds that failed this time,
    cannot be looked for: it counts as done once it is repaired, and as open until then.

    Args:
        progress: before the round.
        repairs: those of the round.
        again: what was found in the image with all of them.
    """
    failed = {failure.detector for failure in again.failures}
    unlooked = OTHERS | failed
    once = [defect for defect in progress.done if defect.kind in ONCE]
    once += [repair.defect for repair in repairs if repair.defect.kind in ONCE]
    found = [
        defect
        for defect in again.defects
        if not any(defect.kind == other.kind and _same(defect, other) for other in once)
    ]
    # What nobody looked for again is still there, unless it was repaired and nothing is found.
    waiting = [
        defect
        for defect in progress.open
        if defect.source in unlooked
        and not (
            any(_covers(repair, defect) for repair in repairs)
            and not any(_same(defect, other) for other in found)
        )
    ]
    results, now, done = [], [*found, *waiting], list(progress.done)
    for repair in repairs:
        area = repair.area
        old = [defect for defect in progress.open if _within(defect, area)]
        new = [defect for defect in now if _within(defect, area)]
        before, after = (sum(defect.severity for defect in some) for some in (old, new))
        unseen = repair.defect.source in unlooked or repair.defect.kind in ONCE
        if after > before - _LEAST_GAIN:
            verdict = NO_BETTER
            now = [defect for defect in now if not _within(defect, area)] + old
        elif unseen:
            verdict = UNSEEN
            done.append(repair.defect)
        else:
            verdict = BETTER if any(_same(defect, repair.defect) for defect in new) else GONE
        results.append(Result(repair, verdict, before, after))
    now.sort(key=lambda defect: (-defect.severity, -defect.score))
    return replace(
        progress,
        open=tuple(now),
        done=tuple(done),
        rounds=(*progress.rounds, Round(progress.open, tuple(results))),
        failures=_first_of_each((*progress.failures, *again.failures)),
        unsure=frozenset(failed | (progress.unsure & OTHERS)),
    )


def take_back(before: Tensor, after: Tensor, results: Iterable[Result]) -> Tensor:
    """The image of a round without the repairs that did not help.

    Args:
        before: ``[B, H, W, C]``, the image as the round found it.
        after: the same with all repairs; not changed.
        results: of the round.

    Returns:
        `before` itself where nothing helped, `after` itself where everything did.
    """
    results = tuple(results)
    if not any(result.kept for result in results):
        return before
    image = after
    for result in results:
        if not result.kept:
            image = after.clone() if image is after else image
            rows, columns = result.repair.area.rows, result.repair.area.columns
            image[:, rows, columns] = before[:, rows, columns]
    return image


def _within(defect: Defect, area: Box) -> bool:
    """Whether more than half of a defect lies in an area, so in no other that does not meet it."""
    common = defect.box.intersect(area) if defect.box else None
    return bool(defect.box and common and common.size.area > defect.box.size.area / 2)


def _covers(repair: Repair, defect: Defect) -> bool:
    """Whether a repair was also one of that defect."""
    return defect is repair.defect or (
        _same(defect, repair.defect) and _within(defect, repair.area)
    )


def _same(one: Defect, other: Defect) -> bool:
    """Whether two defects are of one group, and half of the smaller lies in the other."""
    if kind(one.kind).group != kind(other.kind).group or not one.box or not other.box:
        return False
    smaller, larger = sorted((one.box, other.box), key=lambda box: box.size.area)
    common = smaller.intersect(larger)
    return bool(common and common.size.area >= smaller.size.area / 2)


def _first_of_each(failures: Iterable[Failure]) -> tuple[Failure, ...]:
    named: dict[str, Failure] = {}
    for failure in failures:
        named.setdefault(failure.detector, failure)
    return tuple(named.values())
