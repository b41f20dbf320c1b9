"""What an answer about submissions needs, read with a number of queries that does not grow with the rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery

from leaderboard.evaluations.models import Evaluation
from leaderboard.permissions import Viewer
from leaderboard.refusals import Gone
from leaderboard.standings import results
from leaderboard.standings.models import Standing
from leaderboard.standings.sight import Sight, sight_of
from leaderboard.submissions.models import Submission


@dataclass(frozen=True)
class Shown:
    """A submission with its newest evaluation, and its place among the results of the track's version of today, as far as the
    caller may see result and place."""

    submission: Submission
    evaluation: Evaluation
    standing: Standing | None
    result: results.Shown


def newest_evaluations() -> QuerySet[Evaluation]:
    """The newest evaluation of an outer submission, by its highest number."""
    return Evaluation.objects.filter(submission=OuterRef("pk")).order_by("-number")


def select(submissions: QuerySet[Submission], *, state: str | None = None, **equal: Any) -> QuerySet[Submission]:
    """Only those whose fields are `equal`, and whose newest evaluation is in `state`. None does not narrow."""
    narrowed = submissions.filter(**{name: value for name, value in equal.items() if value is not None})
    if state is None:
        return narrowed
    return narrowed.annotate(newest_state=Subquery(newest_evaluations().values("state")[:1])).filter(newest_state=state)


def complete(submissions: Iterable[Submission], viewer: Viewer, *, part: str | None = None) -> list[Shown]:
    """Each submission with what the viewer is shown beside it: four queries. part: of the test; see `standings.sight`."""
    rows = list(submissions)
    keys = [row.pk for row in rows]
    newest = Submission.objects.filter(pk__in=keys).annotate(newest=Subquery(newest_evaluations().values("pk")[:1]))
    numbers = newest.order_by().values("newest")
    evaluations = {
        evaluation.submission_id: evaluation
        for evaluation in results.with_results(Evaluation.objects.filter(pk__in=numbers).defer("log"))
    }
    standings = {
        (standing.submission_id, standing.track_version): standing for standing in Standing.objects.filter(submission__in=keys)
    }
    sights = {row.board_id: sight_of(row.board, viewer, part=part) for row in {row.board_id: row for row in rows}.values()}
    return [
        _shown(row, evaluations[row.pk], standings.get((row.pk, row.board.track.version)), sights[row.board_id])
        for row in rows
        if row.pk in evaluations  # else it was withdrawn just now
    ]


def complete_one(submission: Submission, viewer: Viewer, *, part: str | None = None) -> Shown:
    """Likewise. Raises Gone for one that was withdrawn just now."""
    found = complete([submission], viewer, part=part)
    if not found:
        raise Gone("this submission was withdrawn")
    return found[0]


def _shown(row: Submission, evaluation: Evaluation, standing: Standing | None, sight: Sight) -> Shown:
    evaluation.submission = row
    place = results.shown_standing(standing, row.board, sight, sight.of(row))
    return Shown(row, evaluation, place, results.shown(evaluation, sight))
