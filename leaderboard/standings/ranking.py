"""Placing: from the result of an evaluation to a row of its board. Called by `evaluations.lifecycle` inside the transaction
that commits the result, so it costs the same on a long board as on a short one: the new row gets a rank from its neighbors' at
once, and no other row is touched but the tries of the same competitor where the best of them counts. `settling` then ranks the
board, in a worker and outside of any result's transaction."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from evaluators.ordering import STRETCH
from evaluators.runtime.jobs import ScoreValue
from leaderboard.boards.models import Board
from leaderboard.evaluations.models import Evaluation
from leaderboard.standings import superseding
from leaderboard.standings.models import UNRANKED, Measurement, Part, Score, Settlement, Standing
from leaderboard.standings.neighbors import rank_by_neighbors
from leaderboard.standings.policies import Policy, policy_of

__all__ = ["Basis", "Bounds", "bases_of", "bounds_of", "place", "record_scores", "show"]


def record_scores(evaluation: Evaluation, scores: Iterable[ScoreValue], *, part: str = Part.OPEN) -> list[Score]:
    """Store the scores of an evaluation over one part of its test. A value that is not a finite number becomes none, with the
    reason."""
    return Score.every.bulk_create([_score(evaluation, score, part) for score in scores])


def place(evaluation: Evaluation) -> Standing:
    """Make or update the standing of the evaluation's submission for its track version, and ask for the board to be settled.

    Its scores must be recorded. An evaluation that is older than the one that the standing shows changes nothing. One
    placing at a time on a board: the board's row stays locked until the caller's transaction ends.
    """
    submission = evaluation.submission
    # "No key": submissions that point to the board may still be inserted.
    board = Board.objects.select_for_update(no_key=True, of=("self",)).select_related("track").get(pk=submission.board_id)
    policy = policy_of(board)
    known = submission.standings.filter(track_version=evaluation.track_version).select_related("evaluation").first()
    if known is not None and known.evaluation.number > evaluation.number:
        return known
    standing = known or Standing(
        board=board,
        submission=submission,
        track_version=evaluation.track_version,
        submitted_at=submission.created_at,
    )
    show(standing, evaluation, bases_of([evaluation.pk], policy).get(evaluation.pk, Basis()), policy)
    if policy.counts == "competitor" and not submission.user.is_system:
        superseding.count_best(standing)
    else:
        rank_by_neighbors(standing)
        standing.save()
    _ask_to_settle(standing, policy)
    return standing


class Basis(NamedTuple):
    """What ranks an evaluation: its score of the policy's metric over the policy's part, and how its board measured it."""

    score: Score | None = None
    measurement: Measurement | None = None

    def value(self, policy: Policy) -> tuple[float | None, float | None, float | None, str]:
        """Value, interval, and why there is none."""
        if policy.measure and (self.measurement is None or self.measurement.measure != policy.measure):
            return None, None, None, "what this board measures has changed, and it is not measured again yet"
        if self.score is None:
            return None, None, None, f"it has no score for {policy.metric['name']}"
        if policy.ladder and self.measurement is not None and not self.measurement.announced:
            return None, None, None, LADDER_WAITS if self.measurement.announced is None else LADDER_KEEPS
        value = self.measurement.announced_value if policy.ladder and self.measurement else self.score.value
        return value, self.score.ci_low, self.score.ci_high, self.score.reason


LADDER_WAITS = "the Ladder has not looked at it yet"
LADDER_KEEPS = "it does not beat the best of its competitor by more than chance, so the Ladder does not show its score"


def bases_of(evaluations: Sequence[int], policy: Policy) -> dict[int, Basis]:
    """What ranks each of these evaluations; none for one without a score and a measurement."""
    wanted = {"metric": policy.metric["name"], "slice": "", "part": policy.part, "evaluation__in": evaluations}
    scores = {score.evaluation_id: score for score in Score.every.filter(**wanted)}
    rows = Measurement.objects.filter(evaluation__in=evaluations) if policy.measure else ()
    kept = {row.evaluation_id: row for row in rows}
    return {key: Basis(scores.get(key), kept.get(key)) for key in {*scores, *kept}}


def show(standing: Standing, evaluation: Evaluation, basis: Basis, policy: Policy) -> None:
    """Make the standing that of this evaluation with what ranks it, without a rank."""
    submission = evaluation.submission
    standing.evaluation = evaluation
    standing.placed_at = timezone.now()
    standing.value, standing.ci_low, standing.ci_high, reason = basis.value(policy)
    objection = policy.objection(
        origin=submission.origin, visibility=submission.visibility, filled=evaluation.result.get("filled")
    )
    standing.reason = reason or objection
    bounds = bounds_of(standing.value, standing.ci_low, standing.ci_high, policy=policy) if not standing.reason else None
    standing.merit = bounds.merit if bounds else None
    standing.floor = bounds.floor if bounds else None
    standing.ceiling = bounds.ceiling if bounds else None
    for name, nothing in {**UNRANKED, "superseded": False}.items():
        setattr(standing, name, nothing)


@dataclass(frozen=True)
class Bounds:
    """floor <= merit <= ceiling: the value and its stretched interval such that more is better."""

    merit: float
    floor: float
    ceiling: float


def bounds_of(value: float | None, low: float | None, high: float | None, *, policy: Policy) -> Bounds | None:
    """None for a value that cannot be ranked. The arithmetic is that of `evaluators.ordering.stretched`."""
    if value is None or not math.isfinite(value):
        return None
    below = value - STRETCH * (value - min(value, value if low is None else low))
    above = value + STRETCH * (max(value, value if high is None else high) - value)
    return Bounds(value, below, above) if policy.sign > 0 else Bounds(-value, -above, -below)


def _ask_to_settle(standing: Standing, policy: Policy) -> None:
    """The board's row is locked, so nobody else makes the settlement's."""
    key = {"board": standing.board, "track_version": standing.track_version}
    if not Settlement.objects.filter(**key).update(wanted=F("wanted") + 1):
        Settlement.objects.create(**key, policy=policy.text, wanted=1, not_before=Now())


def _score(evaluation: Evaluation, score: ScoreValue, part: str) -> Score:
    finite = score.value is not None and math.isfinite(score.value)
    reason = score.reason or ("" if finite else f"the value is {'missing' if score.value is None else score.value}")
    return Score(
        evaluation=evaluation,
        metric=score.metric,
        slice=score.slice,
        part=part,
        value=score.value if finite else None,
        ci_low=_finite(score.ci_low) if finite else None,
        ci_high=_finite(score.ci_high) if finite else None,
        reason=reason[:200],
        unit=score.unit,
        direction=score.direction,
        primary=score.primary,
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
