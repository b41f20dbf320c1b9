"""Placing: from the result of an evaluation to a row of its board. Called by `evaluations.lifecycle` inside the transaction
that commits the result, so it costs the same on a long board as on a short one: the new row gets a rank from its neighbors' at
once, and no other row is touched but the tries of the same competitor where the best of them counts. `settling` then ranks the
board, in a worker and outside of any result's transaction."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from evaluators.ordering import STRETCH
from evaluators.runtime.jobs import ScoreValue
from leaderboard.boards.models import Board
from leaderboard.evaluations.models import Evaluation
from leaderboard.standings import superseding
from leaderboard.standings.models import UNRANKED, Score, Settlement, Standing
from leaderboard.standings.neighbors import rank_by_neighbors
from leaderboard.standings.policies import Policy, policy_of

__all__ = ["Bounds", "bounds_of", "place", "record_scores", "show"]


def record_scores(evaluation: Evaluation, scores: Iterable[ScoreValue]) -> list[Score]:
    """Store the scores of an evaluation. A value that is not a finite number becomes none, with the reason."""
    return Score.objects.bulk_create([_score(evaluation, score) for score in scores])


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
    score = evaluation.scores.filter(metric=policy.metric["name"], slice="").first()
    show(standing, evaluation, score, policy)
    if policy.counts == "competitor" and not submission.user.is_system:
        superseding.count_best(standing)
    else:
        rank_by_neighbors(standing)
        standing.save()
    _ask_to_settle(standing, policy)
    return standing


def show(standing: Standing, evaluation: Evaluation, score: Score | None, policy: Policy) -> None:
    """Make the standing that of this evaluation with this score of the policy's metric, without a rank."""
    submission = evaluation.submission
    standing.evaluation = evaluation
    standing.placed_at = timezone.now()
    standing.value = score.value if score else None
    standing.ci_low = score.ci_low if score else None
    standing.ci_high = score.ci_high if score else None
    objection = policy.objection(
        origin=submission.origin, visibility=submission.visibility, filled=evaluation.result.get("filled")
    )
    standing.reason = (score.reason if score else f"it has no score for {policy.metric['name']}") or objection
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


def _score(evaluation: Evaluation, score: ScoreValue) -> Score:
    finite = score.value is not None and math.isfinite(score.value)
    reason = score.reason or ("" if finite else f"the value is {'missing' if score.value is None else score.value}")
    return Score(
        evaluation=evaluation,
        metric=score.metric,
        slice=score.slice,
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
