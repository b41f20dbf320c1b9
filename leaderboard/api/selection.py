"""What an answer about submissions needs, read with a number of queries that does not grow with the rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery

from leaderboard.evaluations.models import Evaluation
from leaderboard.refusals import Gone
from leaderboard.standings.models import Standing
from leaderboard.submissions.models import Submission


@dataclass(frozen=True)
class Shown:
    """A submission with its newest evaluation, and its place among the results of the track's version of today."""

    submission: Submission
    evaluation: Evaluation
    standing: Standing | None


def newest_evaluations() -> QuerySet[Evaluation]:
    """The newest evaluation of an outer submission, by its highest number."""
    return Evaluation.objects.filter(submission=OuterRef("pk")).order_by("-number")


def select(submissions: QuerySet[Submission], *, state: str | None = None, **equal: Any) -> QuerySet[Submission]:
    """Only those whose fields are `equal`, and whose newest evaluation is in `state`. None does not narrow."""
    narrowed = submissions.filter(**{name: value for name, value in equal.items() if value is not None})
    if state is None:
        return narrowed
    return narrowed.annotate(newest_state=Subquery(newest_evaluations().values("state")[:1])).filter(newest_state=state)


def complete(submissions: Iterable[Submission]) -> list[Shown]:
    """Each submission with what is shown beside it: three queries."""
    rows = list(submissions)
    keys = [row.pk for row in rows]
    newest = Submission.objects.filter(pk__in=keys).annotate(newest=Subquery(newest_evaluations().values("pk")[:1]))
    numbers = newest.order_by().values("newest")
    evaluations = {
        evaluation.submission_id: evaluation
        for evaluation in Evaluation.objects.filter(pk__in=numbers).defer("log").prefetch_related("scores")
    }
    standings = {
        (standing.submission_id, standing.track_version): standing for standing in Standing.objects.filter(submission__in=keys)
    }
    return [
        Shown(row, evaluations[row.pk], standings.get((row.pk, row.board.track.version)))
        for row in rows
        if row.pk in evaluations  # else it was withdrawn just now
    ]


def complete_one(submission: Submission) -> Shown:
    """Likewise. Raises Gone for one that was withdrawn just now."""
    found = complete([submission])
    if not found:
        raise Gone("this submission was withdrawn")
    return found[0]
