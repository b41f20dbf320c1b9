"""Wake-ups: tells the workers of a pool that an evaluation waits. A message carries an id and nothing else; the row is the
queue of record, so that a lost, doubled or late message is harmless. Called by `lifecycle` and by the scheduler."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from kombu.exceptions import OperationalError

from leaderboard.celery import EVALUATE, app
from leaderboard.evaluations.models import Evaluation, State

logger = logging.getLogger(__name__)
BROKER_AWAY = (OperationalError, OSError)


def publish(evaluation: Evaluation) -> None:
    """Wake a worker once the caller's transaction has committed; a rollback wakes nobody.

    A broker that is away is logged and otherwise ignored: the sweeper tries again. One that refuses costs milliseconds, one
    that hangs its socket_timeout (settings).
    """
    transaction.on_commit(_sender(evaluation))


def republish_waiting(*, now: datetime | None = None, limit: int = 500) -> int:
    """The sweeper: send again the wake-ups that got lost; how many were sent.

    A pool has lost some if its broker queue holds fewer messages than rows wait. Of these rows, the ones whose last
    wake-up is older than REPUBLISH_AFTER_SECONDS get another, as many as are missing: a long queue grows no duplicates.
    """
    before = (now or Now()) - timedelta(seconds=settings.REPUBLISH_AFTER_SECONDS)
    overdue = Evaluation.objects.filter(state=State.QUEUED, published_at__lt=before).order_by("priority", "id")
    pools = overdue.order_by().values_list("pool", flat=True).distinct()
    return sum(_republish(overdue.filter(pool=pool), pool=pool, limit=limit) for pool in list(pools))


def time_limits(evaluation: Evaluation) -> tuple[float, float]:
    """(soft, hard) limits of the Celery task, in seconds: a backstop behind the runtime, which enforces the track's budget
    itself. Twice the budget, and two minutes for loading data and scoring."""
    budget = evaluation.submission.board.track.spec["budget"]["wall_s"]
    soft = 2.0 * budget + 120.0
    return soft, soft + 30.0


def _republish(overdue: QuerySet[Evaluation], *, pool: str, limit: int) -> int:
    waiting = Evaluation.objects.filter(state=State.QUEUED, pool=pool).count()
    try:
        missing = min(waiting - messages_waiting(pool), limit)
    except BROKER_AWAY as error:
        logger.warning("the broker is away, %d evaluations wait for it: %s", waiting, error)
        return 0
    if missing <= 0:
        return 0
    rows = overdue.select_related("submission__board__track")[:missing]
    return sum(_send_again(evaluation, overdue) for evaluation in rows)


def _send_again(evaluation: Evaluation, overdue: QuerySet[Evaluation]) -> bool:
    """Of several sweepers one sends it: for the others it is not overdue any more. Moments are compared by order, never for
    equality: those that SQLite writes itself have other digits than those that it is given."""
    return overdue.order_by().filter(pk=evaluation.pk).update(published_at=Now()) == 1 and _sender(evaluation)()


def messages_waiting(pool: str) -> int:
    """How many messages the broker holds for a pool, without those that workers have taken. Raises one of BROKER_AWAY."""
    with app.pool.acquire(block=True) as connection:
        try:
            return connection.default_channel.queue_declare(pool, durable=True).message_count
        except connection.connection_errors as error:  # of the broker's own library
            raise OperationalError(str(error)) from error


def _sender(evaluation: Evaluation) -> Callable[[], bool]:
    """The wake-up as plain values: it is sent after the transaction, when the row may be another."""
    identifier, pool, priority = evaluation.pk, evaluation.pool, evaluation.priority
    soft, hard = time_limits(evaluation)

    def send() -> bool:
        try:
            app.send_task(
                EVALUATE,
                args=[identifier],
                queue=pool,
                priority=priority,
                soft_time_limit=soft,
                time_limit=hard,
                retry=False,
                ignore_result=True,
            )
        except BROKER_AWAY as error:
            logger.warning("evaluation %s waits for the sweeper, the broker is away: %s", identifier, error)
            return False
        return True

    return send
