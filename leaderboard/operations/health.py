"""Is the server alive, and is it ready: database, broker, a scheduler, and a worker for every pool that has waiting work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone

from leaderboard.evaluations import overdue
from leaderboard.evaluations.models import Evaluation, Scheduler, State


@dataclass(frozen=True)
class Check:
    """One thing that readiness depends on. `detail` says what was found, or what is wrong. One that is not `needed` leaves
    the server ready, and degraded."""

    name: str
    ok: bool
    detail: str
    needed: bool = True


def readiness() -> list[Check]:
    """Every check; the later ones are skipped when the database is away, since they would ask it."""
    database = _check("database", _database)
    broker = _check("broker", _broker)
    return (
        [
            *(database, broker, _check("scheduler", _scheduler), _check("workers", _workers)),
            _check("evaluations", _evaluations, needed=False),
        ]
        if database.ok
        else [database, broker]
    )


def _check(name: str, look: Callable[[], str], *, needed: bool = True) -> Check:
    try:
        return Check(name, ok=True, detail=look(), needed=needed)
    except NotReadyError as error:
        return Check(name, ok=False, detail=str(error), needed=needed)


class NotReadyError(RuntimeError):
    """What is wrong, in one sentence without internals: readiness is public."""


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        raise NotReadyError("the database does not answer") from error
    return "answers"


def _broker() -> str:
    if not settings.BROKER_URL:
        return "embedded"
    import redis  # noqa: PLC0415  only a server with Redis has it

    try:
        redis.Redis.from_url(settings.BROKER_URL, socket_timeout=1, socket_connect_timeout=1).ping()
    except redis.RedisError as error:
        raise NotReadyError("the broker does not answer; submissions are accepted and wait") from error
    return "answers"


def _lately() -> datetime:
    return timezone.now() - timedelta(seconds=overdue.SILENT_SECONDS)


def _scheduler() -> str:
    if not Scheduler.objects.filter(seen_at__gte=_lately()).exists():
        raise NotReadyError("no scheduler runs: lost evaluations and lost wake-ups are not noticed")
    return "runs"


def _workers() -> str:
    served = overdue.serving()
    waiting = set(Evaluation.objects.filter(state=State.QUEUED).values_list("pool", flat=True).distinct().order_by())
    if waiting - served:
        raise NotReadyError(f"work waits in pools that no worker serves: {', '.join(sorted(waiting - served))}")
    return f"serving: {', '.join(sorted(served)) or 'none, and no work waits'}"


def _evaluations() -> str:
    """How many are beyond a limit, by kind: which ones is for operators."""
    counts = Counter(finding.what for finding in overdue.last_report())
    if counts:
        told = (f"{count} {overdue.KINDS[what]}" for what, count in sorted(counts.items()))
        raise NotReadyError(f"beyond their limits: {'; '.join(told)}")
    return "none is beyond its limits"
