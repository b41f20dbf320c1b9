"""Reuses an earlier result instead of measuring the same thing again."""

from __future__ import annotations

import logging
from typing import Any

from evaluators.runtime.jobs import CurvePoint, Result, ScoreValue
from leaderboard.evaluations.models import Evaluation, State
from leaderboard.standings import measuring
from leaderboard.standings.models import Score
from leaderboard.submissions import storage

logger = logging.getLogger(__name__)


def earlier_result(evaluation: Evaluation) -> Result | None:
    """The result of the newest succeeded evaluation with the same key, its provenance saying where it is from.

    None where there is none, where the track has changed since this one was queued, and where somebody asked to evaluate
    the same submission again: they want it measured.
    """
    if evaluation.number > 1 or evaluation.track_version != evaluation.submission.board.track.version:
        return None
    earlier = Evaluation.objects.filter(key=evaluation.key, state=State.SUCCEEDED).order_by("-id").first()
    if earlier is None:
        return None
    try:
        columns = storage.read(earlier.columns_sha256)
    except (OSError, LookupError) as error:
        logger.warning("evaluation %s is not reused: %s", earlier.pk, error)
        return None
    return _result_of(earlier, columns)


def _result_of(evaluation: Evaluation, columns: bytes) -> Result:
    document = evaluation.result
    return Result(
        track=document["track"],
        track_version=evaluation.track_version,
        columns=columns,
        scores=tuple(_score_value(score) for score in measuring.own_scores(evaluation)),
        curve=tuple(CurvePoint(**point) for point in measuring.whole_curve(evaluation)),
        facts=_numbers(document["facts"]),
        filled=document["filled"],
        stages=document["stages"],
        provenance={**evaluation.provenance, "reused_from": evaluation.provenance.get("reused_from", evaluation.pk)},
        log=evaluation.log,
    )


def _score_value(score: Score) -> ScoreValue:
    return ScoreValue(
        metric=score.metric,
        slice=score.slice,
        value=score.value,
        ci_low=score.ci_low,
        ci_high=score.ci_high,
        reason=score.reason,
        unit=score.unit,
        direction=score.direction,
        primary=score.primary,
    )


def _numbers(facts: dict[str, Any]) -> dict[str, float]:
    """Facts as they were: what JSON cannot say was stored as null."""
    return {name: float("nan") if value is None else value for name, value in facts.items()}
