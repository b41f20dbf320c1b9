"""When boards are settled: by the worker whose result made it necessary, and by one that the scheduler wakes for what is left
(a burst that came while the board rested, a worker that died). Called by `evaluations.tasks` and `evaluations.scheduler`."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta

from django.db import InterfaceError, OperationalError
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from kombu.exceptions import OperationalError as BrokerError

from leaderboard.boards.models import Board
from leaderboard.celery import SETTLE, app
from leaderboard.evaluations.models import Evaluation, State
from leaderboard.standings.models import TO_SETTLE, Settlement
from leaderboard.standings.policies import policy_of

logger = logging.getLogger(__name__)

ASK_AGAIN_SECONDS = 20.0
SETTLE_PRIORITY = 0


def settle_after(evaluation_id: int) -> None:
    """Settle the board of an evaluation that has just succeeded; nothing otherwise. A failure is logged and left to the
    scheduler: the result is committed, and its row has a rank."""
    try:
        done = Evaluation.objects.filter(pk=evaluation_id, state=State.SUCCEEDED)
        found = done.values_list("submission__board", "track_version").first()
        if found is None:
            return
        key = Settlement.objects.filter(board=found[0], track_version=found[1]).values_list("pk", flat=True).first()
        if key is not None:
            settle_one(key)
    except (OperationalError, InterfaceError) as error:
        logger.warning("evaluation %s: its board is settled later, the database is away: %s", evaluation_id, error)
    except Exception:
        logger.exception("evaluation %s: its board could not be settled", evaluation_id)


def settle_one(settlement_id: int) -> int | None:
    """One round on the board of this settlement; how many rows have moved. None if there is nothing to do."""
    from leaderboard.standings.settling import settle  # noqa: PLC0415  workers only

    settlement = Settlement.objects.select_related("board__track").filter(pk=settlement_id).first()
    return None if settlement is None else settle(settlement.board, track_version=settlement.track_version)


def ask_for(board: Board) -> None:
    """Rank a board again although no result came: its rule has changed, by its host or because it was revealed."""
    rows = Settlement.objects.filter(board=board, track_version=board.track.version)
    rows.exclude(policy=policy_of(board).text).update(wanted=F("wanted") + 1)


def ask_again(board_id: int, versions: Iterable[str]) -> None:
    """Rank a board again because rows have left it."""
    Settlement.objects.filter(board=board_id, track_version__in=list(versions)).update(wanted=F("wanted") + 1)


def results_ahead(board: Board) -> int:
    """How many results came since the board was last settled: their rows have the rank that their neighbors gave them."""
    rows = Settlement.objects.filter(board=board, track_version=board.track.version)
    return next((wanted - settled for wanted, settled in rows.values_list("wanted", "settled")), 0)


def is_being_ranked(board: Board) -> bool:
    """Whether the standings are still those of an earlier rule, or of an earlier part of the test."""
    rows = Settlement.objects.filter(board=board, track_version=board.track.version, settled__lt=F("wanted"))
    return rows.exclude(policy=policy_of(board).text).exists()


def wake_overdue(*, limit: int = 100) -> int:
    """Wake a worker for each board whose ranks are behind; how many were woken for. Asking is repeated while nothing happens,
    and of several schedulers one asks."""
    free = Q(token=None) | Q(expires_at__lt=Now())
    before = Now() - timedelta(seconds=ASK_AGAIN_SECONDS)
    due = Settlement.objects.filter(free, TO_SETTLE, not_before__lte=Now())
    due = due.filter(Q(asked_at__lt=before) | Q(asked_at__lt=F("not_before")))
    rows = due.select_related("board").order_by("not_before")[:limit]
    return sum(_wake(settlement, due) for settlement in rows)


def _wake(settlement: Settlement, due: QuerySet[Settlement]) -> bool:
    if not due.filter(pk=settlement.pk).update(asked_at=Now()):
        return False
    try:
        app.send_task(
            SETTLE,
            args=[settlement.pk],
            queue=settlement.board.pool,
            priority=SETTLE_PRIORITY,
            retry=False,
            ignore_result=True,
        )
    except (BrokerError, OSError) as error:
        logger.warning("board %s waits to be settled, the broker is away: %s", settlement.board.slug, error)
        return False
    return True
