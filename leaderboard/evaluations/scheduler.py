"""The scheduler: reaps expired leases, sends lost wake-ups again, has boards revealed and ranked, forgets silent workers. A
loop over the database, not Celery beat: beat's tasks would wait in the very broker whose loss they repair, behind the work that
is stuck. Every step is a compare-and-set, so several schedulers may run at once, and the loss of one costs nothing."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from leaderboard.evaluations import clocks, dispatch, lifecycle, overdue
from leaderboard.evaluations.models import Scheduler, Worker
from leaderboard.refusals import DATABASE_AWAY
from leaderboard.standings import revealing, waking

logger = logging.getLogger(__name__)

SILENT_SECONDS = 60.0
CHECK_EVERY_SECONDS = 60.0


def run(*, stop: threading.Event) -> None:
    """One turn every REAP_EVERY_SECONDS until `stop` is set, and a look at what is overdue every CHECK_EVERY_SECONDS."""
    name = f"{socket.gethostname()}/{os.getpid()}"
    spare_until, check_at = 0.0, 0.0
    while True:
        if not turn(name, reaping=time.monotonic() >= spare_until):
            spare_until = time.monotonic() + settings.LEASE_SECONDS
        if time.monotonic() >= check_at:
            _attempt(lambda: overdue.report(scheduler=name))
            check_at = time.monotonic() + CHECK_EVERY_SECONDS
        if stop.wait(settings.REAP_EVERY_SECONDS):
            break
    _attempt(lambda: Scheduler.objects.filter(pk=name).delete())


def turn(name: str, *, reaping: bool = True) -> bool:
    """Every step once; one that fails is logged, and keeps none of the others from being taken. False if the database was
    away: for the length of a lease after that nothing is reaped, so that workers who live can renew what they hold."""
    first = (lambda: _say_alive(name), clocks.mend)
    steps = (*first, *([reap] if reaping else []), sweep, reveal_boards, rank_boards, forget_silent)
    went = [_attempt(step) for step in steps]
    return all(went)


def reap() -> None:
    """Take expired leases away."""
    expired = lifecycle.expire_leases()
    if expired != lifecycle.Expired():
        logger.warning("leases expired: %s", expired)


def sweep() -> None:
    """Send lost wake-ups again."""
    if sent := dispatch.republish_waiting():
        logger.warning("%d wake-ups were sent again", sent)


def reveal_boards() -> None:
    """Show what boards have hidden until they closed."""
    for slug in revealing.reveal_due():
        logger.info("board %s has closed, and what it hid is shown now", slug)


def rank_boards() -> None:
    """Wake workers for boards whose ranks are behind their results."""
    waking.wake_overdue()


def forget_silent() -> None:
    """Remove the rows of processes that were killed."""
    before = Now() - timedelta(seconds=SILENT_SECONDS)
    for model in (Worker, Scheduler):
        model.objects.filter(seen_at__lt=before).delete()


def _say_alive(name: str) -> None:
    if not Scheduler.objects.filter(pk=name).update(seen_at=Now()):
        Scheduler.objects.create(name=name)


def _attempt(step: Callable[[], object]) -> bool:
    """False if the database is away."""
    try:
        step()
    except DATABASE_AWAY as error:
        logger.warning("the scheduler's database is away: %s", error)
        connection.close()
        return False
    except Exception:
        logger.exception("a step of the scheduler failed")
    return True
