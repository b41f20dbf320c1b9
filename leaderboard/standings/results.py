"""The result of one evaluation as far as somebody may see it: scores, curve and facts. Called by the API and the pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Prefetch, QuerySet

from leaderboard.boards.closing import part_in_force
from leaderboard.boards.models import Board
from leaderboard.evaluations.models import Evaluation
from leaderboard.standings.models import Measurement, Part, Score, Standing
from leaderboard.standings.sight import Level, Sight, hidden_because

READ = "scores_of_every_part"


@dataclass(frozen=True)
class Shown:
    """What is shown of a result. part: of which part of the test it is. hidden: why it is not all; empty where it is."""

    part: str
    scores: list[Score] = field(default_factory=list)
    curve: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    columns_sha256: str = ""
    hidden: str = ""


def with_results(evaluations: QuerySet[Evaluation]) -> QuerySet[Evaluation]:
    """The evaluations with everything that `shown` reads, in a fixed number of queries."""
    scores = Prefetch("scores", queryset=Score.every.order_by("id"), to_attr=READ)
    return evaluations.select_related("measurement").prefetch_related(scores)


def shown(evaluation: Evaluation, sight: Sight) -> Shown:
    """What is seen of a result with this sight of its board."""
    board, level = evaluation.submission.board, sight.of(evaluation.submission)
    if level is Level.NOTHING:
        return Shown(sight.part, hidden=hidden_because(board, level))
    scores = [score for score in _scores(evaluation) if score.part == sight.part]
    if level is Level.ANNOUNCED:
        return Shown(sight.part, _announced(scores, board, _measurement(evaluation)), hidden=hidden_because(board, level))
    return Shown(
        part=sight.part,
        scores=_combination_first(scores, board),
        curve=_curve(evaluation, sight.part),
        facts=evaluation.result.get("facts") or {},
        columns_sha256=columns_of(evaluation, sight.part),
    )


def shown_standing(standing: Standing | None, board: Board, sight: Sight, level: Level) -> Standing | None:
    """The standing, where its rank says nothing that the viewer may not know. It is by the part that is in force."""
    if standing is None or level is Level.NOTHING or not sight.sees_ranks or sight.part != part_in_force(board):
        return None
    return standing


def columns_of(evaluation: Evaluation, part: str) -> str:
    """The file with the columns of one part of the test; empty: there is none."""
    if part in (Part.OPEN, Part.WHOLE):
        return evaluation.columns_sha256
    kept = _measurement(evaluation)
    return "" if kept is None else kept.public_sha256 if part == Part.PUBLIC else kept.private_sha256


def announcements(evaluations: Sequence[int]) -> dict[int, float]:
    """The values that the Ladder has announced, by evaluation; those of others are not shown."""
    rows = Measurement.objects.filter(evaluation__in=evaluations, announced=True, announced_value__isnull=False)
    return {key: value for key, value in rows.values_list("evaluation_id", "announced_value") if value is not None}


def announced_score(score: Score, kept: Measurement) -> Score:
    """The score as the Ladder has announced it: its value, and no interval, which would say more."""
    return Score(
        metric=score.metric,
        value=kept.announced_value,
        unit=score.unit,
        direction=score.direction,
        primary=score.primary,
        part=score.part,
    )


def _announced(scores: Iterable[Score], board: Board, kept: Measurement | None) -> list[Score]:
    if kept is None or not kept.announced:
        return []
    return [announced_score(score, kept) for score in scores if score.metric == board.metric["name"] and not score.slice]


def _scores(evaluation: Evaluation) -> list[Score]:
    read: list[Score] | None = getattr(evaluation, READ, None)
    return list(Score.every.filter(evaluation=evaluation).order_by("id")) if read is None else read


def _combination_first(scores: list[Score], board: Board) -> list[Score]:
    """In the order of the board's metrics."""
    order = {metric["name"]: n for n, metric in enumerate(board.metrics)}
    return sorted(scores, key=lambda score: order.get(score.metric, len(order)))


def _measurement(evaluation: Evaluation) -> Measurement | None:
    return getattr(evaluation, "measurement", None)


def _curve(evaluation: Evaluation, part: str) -> list[dict[str, Any]]:
    if part == Part.OPEN:
        return list(evaluation.result.get("curve") or ())
    kept = _measurement(evaluation)
    return list(kept.curves.get(part) or ()) if kept is not None else []
