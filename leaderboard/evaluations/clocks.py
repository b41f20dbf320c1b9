"""Clocks that were set back. A time that the database wrote before lies in the future afterwards: a dead worker's lease would
be good for as long as the jump was wide, a lost wake-up would not be missed, a board would rest. Called by the scheduler."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models import Model, QuerySet
from django.db.models.functions import Now

from leaderboard.evaluations.models import Evaluation, Scheduler, Worker
from leaderboard.standings.models import Settlement

logger = logging.getLogger(__name__)

SLACK_SECONDS = 60.0
LONGEST_REST_SECONDS = 3600.0
"""How long a board may rest after it was settled; see `standings.settling`."""


@dataclass(frozen=True)
class Time:
    """A column that is never written further ahead of the database's clock than so many seconds."""

    model: type[Model]
    column: str
    ahead: float = 0.0


def times() -> tuple[Time, ...]:
    """Every time that something waits for."""
    return (
        Time(Evaluation, "lease_expires_at", ahead=settings.LEASE_SECONDS),
        Time(Evaluation, "published_at"),
        Time(Settlement, "expires_at", ahead=settings.LEASE_SECONDS),
        Time(Settlement, "not_before", ahead=LONGEST_REST_SECONDS),
        Time(Settlement, "asked_at"),
        Time(Worker, "seen_at"),
        Time(Scheduler, "seen_at"),
    )


def mend() -> int:
    """Bring back what lies further ahead than it could have been written, to as far as it may; how many were."""
    mended = sum(_mend(each) for each in times())
    if mended:
        logger.warning("the database's clock was set back: %d times were brought back", mended)
    return mended


def _mend(time: Time) -> int:
    """The slack is for processes with other settings, and for clocks that differ a little."""
    latest = Now() + timedelta(seconds=time.ahead + SLACK_SECONDS)
    back = Now() + timedelta(seconds=time.ahead)
    return QuerySet(time.model).filter(**{f"{time.column}__gt": latest}).update(**{time.column: back})
