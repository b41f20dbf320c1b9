"""Finds evaluations that are beyond their limits: what should have happened to them, and has not. Nothing of it is expected
ever to be found; each finding is a fault of the server that an operator should know of. The scheduler looks once a minute
(`report`) and keeps what it found in its row, for /readyz and the administration; `manage.py check_evaluations` looks at once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import islice

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from leaderboard.evaluations import dispatch
from leaderboard.evaluations.models import FINAL_STATES, Evaluation, Scheduler, State, Worker
from leaderboard.standings.models import Score, Standing

logger = logging.getLogger(__name__)

RECENT = timedelta(days=1)
SILENT_SECONDS = 20.0
"""A worker or scheduler that was not heard of for so long counts as gone."""


@dataclass(frozen=True)
class Finding:
    """One evaluation that is beyond a limit. `what` is one of KINDS; `seconds`: for how long it has been, if that is known."""

    evaluation: int
    what: str
    seconds: float | None = None

    def __str__(self) -> str:
        """One line for an operator."""
        since = "" if self.seconds is None else f", for {timedelta(seconds=round(self.seconds))}"
        return f"evaluation {self.evaluation}: {KINDS[self.what]}{since}"


KINDS = {
    "waiting": "waits although its pool has workers",
    "running": "runs for longer than its track's budget and every stage together",
    "lease": "is held by a worker that fell silent, and was not taken from it",
    "unfinished": "is over without a time at which it ended",
    "without_scores": "has succeeded without scores",
    "without_standing": "has succeeded and stands on no board",
}


def serving(now: datetime | None = None) -> set[str]:
    """Pools with at least one worker that was heard of lately."""
    since = (now or timezone.now()) - timedelta(seconds=SILENT_SECONDS)
    return set(Worker.objects.filter(seen_at__gte=since).values_list("pool", flat=True).distinct())


def find(*, since: datetime | None = None, limit: int = 1000) -> list[Finding]:
    """Everything that is beyond a limit now, at most `limit` of it. since: look only at what ended after that."""
    return list(islice(_all(since), limit))


def report(*, scheduler: str) -> list[Finding]:
    """Look at what waits, runs, and ended within the last day; log each finding once a look, and keep them in the scheduler's
    row."""
    found = find(since=timezone.now() - RECENT)
    for each in found:
        logger.error("%s", each, extra=asdict(each))
    Scheduler.objects.filter(pk=scheduler).update(checked_at=Now(), findings=[asdict(each) for each in found])
    return found


def last_report() -> list[Finding]:
    """What the scheduler that looked last has found."""
    newest = Scheduler.objects.exclude(checked_at=None).order_by("-checked_at").values_list("findings", flat=True).first()
    return [Finding(**each) for each in newest or []]


def _all(since: datetime | None) -> Iterator[Finding]:
    now = timezone.now()
    yield from _waiting(now)
    yield from _running(now)
    ended = Evaluation.objects.filter(state__in=FINAL_STATES, finished_at=None)
    yield from _named("unfinished", ended)
    succeeded = Evaluation.objects.filter(state=State.SUCCEEDED)
    if since is not None:
        succeeded = succeeded.filter(finished_at__gte=since)
    scores = Score.every.filter(evaluation=OuterRef("pk"))
    yield from _named("without_scores", succeeded.filter(~Exists(scores)))
    standings = Standing.objects.filter(submission=OuterRef("submission"), track_version=OuterRef("track_version"))
    yield from _named("without_standing", succeeded.filter(~Exists(standings)))


def _waiting(now: datetime) -> Iterator[Finding]:
    """Since it was queued, or since its last attempt began."""
    before = now - timedelta(seconds=settings.OVERDUE_WAIT_SECONDS)
    waits = Evaluation.objects.filter(state=State.QUEUED, pool__in=serving(now)).annotate(
        since=Coalesce("started_at", "queued_at")
    )
    for pk, since in waits.filter(since__lt=before).order_by("since").values_list("pk", "since").iterator():
        yield Finding(pk, "waiting", (before - since).total_seconds())


def _running(now: datetime) -> Iterator[Finding]:
    reaped = timedelta(seconds=settings.LEASE_SECONDS + 10 * settings.REAP_EVERY_SECONDS)
    for row in Evaluation.objects.filter(state=State.RUNNING).select_related("submission__board__track").iterator():
        _, hard = dispatch.time_limits(row)
        if row.lease_expires_at and row.lease_expires_at + reaped < now:
            yield Finding(row.pk, "lease", (now - row.lease_expires_at).total_seconds())
        elif row.started_at and row.started_at + timedelta(seconds=hard + settings.LEASE_SECONDS) < now:
            yield Finding(row.pk, "running", (now - row.started_at).total_seconds() - hard)


def _named(what: str, rows: QuerySet[Evaluation]) -> Iterator[Finding]:
    return (Finding(pk, what) for pk in rows.order_by("pk").values_list("pk", flat=True).iterator())
