"""What the page of a submission shows: its newest evaluation, where it stands, scores by slice, curves, provenance.
Reads the database and lays it out; called by the submission's views."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery

from evaluators.runtime.jobs import in_order
from leaderboard.evaluations.models import FINAL_STATES, Evaluation, State
from leaderboard.refusals import Gone
from leaderboard.standings.models import Score, Standing
from leaderboard.submissions import intake
from leaderboard.submissions.models import Submission
from leaderboard.web import numbers
from leaderboard.web.charts import Curve, curve

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
    """Everything about the newest evaluation of a submission. Lists are empty until it has succeeded."""

    evaluation: Evaluation
    final: bool
    queue_position: int
    failure: str
    standing: Standing | None
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


def with_state(submissions: QuerySet[Submission]) -> QuerySet[Submission]:
    """The submissions with `state` of their newest evaluation, and rank and value where they stand."""
    newest = Evaluation.objects.filter(submission=OuterRef("pk")).order_by("-number")
    standing = Standing.objects.filter(submission=OuterRef("pk"), track_version=OuterRef("board__track__version"))
    return submissions.annotate(
        state=Subquery(newest.values("state")[:1]),
        rank=Subquery(standing.values("rank")[:1]),
        rank_low=Subquery(standing.values("rank_low")[:1]),
        rank_high=Subquery(standing.values("rank_high")[:1]),
    )


def report_of(submission: Submission) -> Report:
    """Read and lay out everything that the page shows."""
    evaluation = newest_evaluation(submission)
    earlier = list(submission.evaluations.filter(number__lt=evaluation.number).order_by("-number"))
    spec = submission.board.track.spec
    scores = list(evaluation.scores.all())
    standing = Standing.objects.filter(submission=submission, evaluation=evaluation).first()
    return Report(
        evaluation=evaluation,
        final=evaluation.state in FINAL_STATES,
        queue_position=intake.queue_position(evaluation) if evaluation.state == State.QUEUED else 0,
        failure=FAILURES.get(evaluation.failure_code, ""),
        standing=standing,
        ranks=numbers.rank_range(standing.rank_low, standing.rank_high) if standing else "",
        scores=[_score_line(score, spec) for score in scores if not score.slice],
        slices=_slice_lines(scores, spec=spec, filled=evaluation.result.get("filled", {})),
        curves=_curves(evaluation.result.get("curve", ()), spec),
        stages=[(name, numbers.seconds(value)) for name, value in in_order(evaluation.result.get("stages", {})).items()],
        provenance=list(_flat(evaluation.provenance)),
        earlier=earlier,
    )


def _score_line(score: Score, spec: Mapping[str, Any]) -> ScoreLine:
    titles = {metric["name"]: metric["title"] for metric in spec["metrics"]}
    text, interval = _spoken(score)
    return ScoreLine(
        title=titles.get(score.metric, score.metric),
        text=text,
        interval=interval,
        unit=score.unit,
        arrow=numbers.ARROWS[score.direction],
        spoken=numbers.SPOKEN[score.direction],
        primary=score.primary,
        reason=score.reason,
    )


def _slice_lines(scores: Iterable[Score], *, spec: Mapping[str, Any], filled: Mapping[str, str]) -> list[SliceLine]:
    if len(spec["slices"]) < 2:
        return []
    titles = {each["slug"]: each["title"] for each in spec["slices"]}
    lines = []
    for score in scores:
        if score.primary and score.slice:
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
