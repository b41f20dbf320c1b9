"""The Ladder on a board that has it: which public scores of people are shown. A result is looked at once, in the order in which
results came in, while its board is settled: the lease makes sure that one worker does. Called by `settling`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from django.db import transaction

from evaluators.columns import Columns, Floats
from evaluators.splits import Best, ladder
from leaderboard.boards.models import Board
from leaderboard.evaluations.models import Evaluation, State
from leaderboard.standings.models import Measurement
from leaderboard.standings.policies import Policy
from leaderboard.standings.rebuilding import refresh
from leaderboard.submissions import storage
from leaderboard.submissions.models import Submission

logger = logging.getLogger(__name__)


def announce(board: Board, *, track_version: str, policy: Policy, keep: Callable[[], None]) -> list[int]:
    """Decide on each result that the Ladder has not looked at; the evaluations that were decided on.

    A result is announced, with its value rounded to one test unit, if it beats the best that its competitor's other submissions
    have announced by more than chance. The system's entrants always are: they are tries of nobody.
    """
    if not policy.ladder:
        return []
    rows = Evaluation.objects.filter(
        submission__board=board,
        track_version=track_version,
        state=State.SUCCEEDED,
        measurement__measure=policy.measure,
        measurement__announced=None,
    )
    waiting = list(rows.select_related("submission", "measurement").order_by("finished_at", "id"))
    for evaluation in waiting:
        announced, value = _decide(evaluation, policy)
        with transaction.atomic():
            keep()
            Measurement.objects.filter(evaluation=evaluation).update(announced=announced, announced_value=value)
            refresh(evaluation.pk, policy)
    return [evaluation.pk for evaluation in waiting]


def _decide(evaluation: Evaluation, policy: Policy) -> tuple[bool, float | None]:
    """Whether it is announced, and as which value of the metric."""
    own = evaluation.scores.model.every.filter(
        evaluation=evaluation, metric=policy.metric["name"], part=policy.part, slice=""
    ).first()
    if evaluation.submission.origin != Submission.Origin.PERSON:
        return True, own.value if own else None
    losses = _losses(evaluation.measurement, policy)
    if losses is None:
        return False, None
    best = _best_of_others(evaluation, policy)
    if best is not None and len(best.losses) != len(losses):
        return False, None
    after = ladder(losses, best=best)
    return (after is not best), (None if after is best else _value(after.value, policy))


def _best_of_others(evaluation: Evaluation, policy: Policy) -> Best | None:
    """The best that the competitor's other submissions have announced."""
    rows = Measurement.objects.filter(
        **_same_competitor(evaluation.submission),
        evaluation__track_version=evaluation.track_version,
        measure=policy.measure,
        announced=True,
    ).exclude(evaluation__submission=evaluation.submission_id)
    known = [(policy.sign * row.announced_value, row) for row in rows if row.announced_value is not None]
    if not known:
        return None
    row = max(known, key=lambda pair: pair[0])[1]
    losses = _losses(row, policy)
    return None if losses is None else Best(_loss(row.announced_value or 0.0, policy), losses)


def _same_competitor(submission: Submission) -> dict[str, Any]:
    """A team is one competitor, whoever of it sends."""
    own = {"team": submission.team_id} if submission.team_id else {"team": None, "user": submission.user_id}
    return {f"evaluation__submission__{name}": value for name, value in {"board": submission.board_id, **own}.items()}


def _losses(measurement: Measurement, policy: Policy) -> Floats | None:
    """One loss in [0, 1] for each unit of the public part, in the order of the units; None where they cannot be had."""
    try:
        columns = Columns.from_bytes(storage.read(measurement.public_sha256))
        values = columns.values[policy.metric["column"]]
    except (OSError, LookupError, ValueError) as error:
        logger.warning("evaluation %s: the Ladder cannot read its columns: %s", measurement.evaluation_id, error)
        return None
    keep = ~np.isnan(values)
    _, of_row = np.unique(columns.unit[keep], return_inverse=True)
    count = np.bincount(of_row)
    means = np.bincount(of_row, weights=values[keep]) / np.maximum(count, 1)
    return _loss(means, policy) if len(means) and np.isfinite(means).all() else None


def _loss(value: Any, policy: Policy) -> Any:
    """A value of the metric as a loss: 0 at its better bound, 1 at its worse."""
    low, high = policy.metric["lower"], policy.metric["upper"]
    share = (value - low) / (high - low)
    return 1.0 - share if policy.direction == "max" else share


def _value(loss: float, policy: Policy) -> float:
    low, high = policy.metric["lower"], policy.metric["upper"]
    share = 1.0 - loss if policy.direction == "max" else loss
    return float(low + share * (high - low))
