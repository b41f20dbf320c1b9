"""What the page of a submission shows: its newest evaluation, where it stands, scores by slice, curves, provenance.
Reads the database and lays it out; called by the submission's views."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from evaluators.runtime.jobs import in_order
from leaderboard.boards.models import Board
from leaderboard.evaluations.models import FINAL_STATES, Evaluation, State
from leaderboard.permissions import Viewer, hosted_boards
from leaderboard.refusals import Gone
from leaderboard.standings.models import Score, Standing
from leaderboard.standings.results import shown, shown_standing
from leaderboard.standings.sight import sight_of
from leaderboard.submissions import intake
from leaderboard.submissions.models import Submission
from leaderboard.web import numbers
from leaderboard.web.charts import Curve, curve
from leaderboard.web.veil import Veil, veil_of

FAILURES = {
    "invalid_artifact": "The file cannot be used",
    "out_of_memory": "It needed too much memory",
    "time_limit": "It took too long",
    "model_error": "The model failed",
    "non_finite_output": "The model returned NaN or infinity",
    "wrong_output": "The model returned the wrong thing",
    "system_error": "The server failed",
}


@dataclass(frozen=True)
class ScoreLine:
    """One metric: title, number, interval, and how to read it."""

    title: str
    text: str
    interval: str
    unit: str
    arrow: str
    spoken: str
    primary: bool
    reason: str


@dataclass(frozen=True)
class SliceLine:
    """The primary metric on one slice. `filled` names the baseline that stands in."""

    title: str
    text: str
    interval: str
    filled: str


@dataclass(frozen=True)
class Report:
    """Everything about the newest evaluation of a submission. Lists are empty until it has succeeded, and where scores are
    hidden from the viewer: `hidden` says so, `veil` what the board hides, and `placed` whether it stands on it all the same."""

    evaluation: Evaluation
    final: bool
    queue_position: int
    failure: str
    standing: Standing | None
    veil: Veil
    hidden: str
    placed: bool
    has_columns: bool
    ranks: str
    scores: Sequence[ScoreLine]
    slices: Sequence[SliceLine]
    curves: Sequence[Curve]
    stages: Sequence[tuple[str, str]]
    provenance: Sequence[tuple[str, str]]
    earlier: Sequence[Evaluation]


def newest_evaluation(submission: Submission) -> Evaluation:
    """Intake queues one with every submission. Raises Gone where that was withdrawn just now."""
    newest = submission.evaluations.order_by("-number").first()
    if newest is None:
        raise Gone("this submission was withdrawn")
    return newest


def with_state(submissions: QuerySet[Submission], viewer: Viewer) -> QuerySet[Submission]:
    """The submissions with `state` of their newest evaluation, and their rank where they stand and the viewer may know it."""
    newest = Evaluation.objects.filter(submission=OuterRef("pk")).order_by("-number")
    told = Q(board__shows=Board.Shows.ALL) | Q(board__revealed_at__isnull=False) | Q(board__in=hosted_boards(viewer))
    standing = Standing.objects.filter(told, submission=OuterRef("pk"), track_version=OuterRef("board__track__version"))
    return submissions.annotate(
        state=Subquery(newest.values("state")[:1]),
        rank=Subquery(standing.values("rank")[:1]),
        rank_low=Subquery(standing.values("rank_low")[:1]),
        rank_high=Subquery(standing.values("rank_high")[:1]),
    )


def report_of(submission: Submission, viewer: Viewer, *, part: str | None = None) -> Report:
    """Read and lay out everything that the page shows to the viewer. part: of the test; see `standings.sight`."""
    evaluation = newest_evaluation(submission)
    earlier = list(submission.evaluations.filter(number__lt=evaluation.number).order_by("-number"))
    board, spec = submission.board, submission.board.track.spec
    sight = sight_of(board, viewer, part=part)
    evaluation.submission = submission
    result = shown(evaluation, sight)
    scores = result.scores
    placed = Standing.objects.filter(submission=submission, evaluation=evaluation).first()
    standing = shown_standing(placed, board, sight, sight.of(submission))
    return Report(
        evaluation=evaluation,
        final=evaluation.state in FINAL_STATES,
        queue_position=intake.queue_position(evaluation) if evaluation.state == State.QUEUED else 0,
        failure=FAILURES.get(evaluation.failure_code, ""),
        standing=standing,
        veil=veil_of(board, sight, now=timezone.now()),
        hidden=result.hidden,
        placed=placed is not None,
        has_columns=bool(result.columns_sha256),
        ranks=numbers.rank_range(standing.rank_low, standing.rank_high) if standing else "",
        scores=[_score_line(score, board) for score in scores if not score.slice],
        slices=_slice_lines(scores, board=board, filled=evaluation.result.get("filled", {})),
        curves=_curves(result.curve, spec),
        stages=[(name, numbers.seconds(value)) for name, value in in_order(evaluation.result.get("stages", {})).items()],
        provenance=list(_flat(evaluation.provenance)),
        earlier=earlier,
    )


def _score_line(score: Score, board: Board) -> ScoreLine:
    titles = {metric["name"]: metric["title"] for metric in board.metrics}
    text, interval = _spoken(score)
    return ScoreLine(
        title=titles.get(score.metric, score.metric),
        text=text,
        interval=interval,
        unit=score.unit,
        arrow=numbers.ARROWS[score.direction],
        spoken=numbers.SPOKEN[score.direction],
        primary=score.metric == board.metric["name"],
        reason=score.reason,
    )


def _slice_lines(scores: Iterable[Score], *, board: Board, filled: Mapping[str, str]) -> list[SliceLine]:
    spec, name = board.track.spec, board.metric["name"]
    if len(spec["slices"]) < 2:
        return []
    titles = {each["slug"]: each["title"] for each in spec["slices"]}
    lines = []
    for score in scores:
        if score.metric == name and score.slice:
            text, interval = _spoken(score)
            title = titles.get(score.slice, score.slice)
            lines.append(SliceLine(title=title, text=text, interval=interval, filled=filled.get(score.slice, "")))
    return lines


def _spoken(score: Score) -> tuple[str, str]:
    decimals = numbers.decimals_for([score.value], half_widths=[numbers.half_width(score.ci_low, score.ci_high)])
    text = numbers.written(score.value, decimals)
    if score.ci_low is None or score.ci_high is None:
        return text, ""
    return text, f"{numbers.written(score.ci_low, decimals)} to {numbers.written(score.ci_high, decimals)}"


def _curves(points: Iterable[dict[str, Any]], spec: Mapping[str, Any]) -> list[Curve]:
    titles = {axis["name"]: axis["title"] for axis in spec["axes"]}
    metric = next(metric["title"] for metric in spec["metrics"] if metric["primary"])
    by_axis = groupby(sorted(points, key=lambda point: point["axis"]), key=lambda point: point["axis"])
    drawn = (curve(list(group), x_title=titles.get(axis, axis), y_title=metric) for axis, group in by_axis)
    return [chart for chart in drawn if chart is not None]


def _flat(document: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    """A nested document as lines "versions.torch: 2.13.0"; what is empty is left out."""
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif value not in ("", None, []):
            yield f"{prefix}{name}", ", ".join(map(_short, value)) if isinstance(value, list) else _short(value)


def _short(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)
