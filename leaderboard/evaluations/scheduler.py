"""The scheduler: reaps expired leases, sends lost wake-ups again, has boards ranked, forgets silent workers. A loop over the
database, not Celery beat: beat's tasks would wait in the very broker whose loss they repair, behind the work that is stuck.
Every step is a compare-and-set, so several schedulers may run at once, and the loss of one costs nothing."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.db import Error, connection
from django.db.models.functions import Now

from leaderboard.evaluations import dispatch, lifecycle
from leaderboard.evaluations.models import Scheduler, Worker
from leaderboard.standings import waking

logger = logging.getLogger(__name__)

SILENT_SECONDS = 60.0


def run(*, stop: threading.Event) -> None:
    """One turn every REAP_EVERY_SECONDS until `stop` is set."""
    name = f"{socket.gethostname()}/{os.getpid()}"
    while True:
        turn(name)
        if stop.wait(settings.REAP_EVERY_SECONDS):
            break
    _attempt(lambda: Scheduler.objects.filter(pk=name).delete())


def turn(name: str) -> None:
    """Every step once; one that fails is logged, and keeps none of the others from being taken."""
    for step in (lambda: _say_alive(name), reap, sweep, rank_boards, forget_silent):
        _attempt(step)


def reap() -> None:
    """Take expired leases away."""
    expired = lifecycle.expire_leases()
    if expired != lifecycle.Expired():
        logger.warning("leases expired: %s", expired)


def sweep() -> None:
    """Send lost wake-ups again."""
    if sent := dispatch.republish_waiting():
        logger.warning("%d wake-ups were sent again", sent)


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


def _attempt(step: Callable[[], object]) -> None:
    try:
        step()
    except Error as error:
        logger.warning("the scheduler's database is away: %s", error)
        connection.close()
    except Exception:
        logger.exception("a step of the scheduler failed")
