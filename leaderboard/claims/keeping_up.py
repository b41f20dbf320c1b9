"""The loop that keeps verdicts and trials up to date, in the scheduler's process. It looks at small traces of what has changed,
and judges the boards only if something has."""

from __future__ import annotations

import logging
import threading

from django.db import Error, connection
from django.db.models import Count, Max

from leaderboard.boards.models import Board, Track
from leaderboard.boards.quota import ACTIVE_STATES
from leaderboard.claims.judging import boards_with_claims, judge_board
from leaderboard.claims.models import Claim
from leaderboard.claims.process import JudgingError
from leaderboard.claims.trials import judge_some
from leaderboard.evaluations.models import Evaluation
from leaderboard.standings.models import Settlement

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 3.0
RETRY_SECONDS = 60.0
PATIENCE_SECONDS = 300.0
"""How long a board whose reference entrants are still being evaluated waits for them, so that it is judged once, not often."""


def keep_up(*, stop: threading.Event) -> None:
    """Judge whatever falls out of date, until `stop` is set. Several may run at once."""
    seen: object = None
    late = _Lateness()
    while not stop.wait(LOOK_EVERY_SECONDS):
        try:
            now = _trace()
            if now != seen:
                seen = now if _judge_idle_boards(late) else None
        except Error as error:
            logger.warning("claims wait, the database is away: %s", error)
            connection.close()
        except Exception:
            logger.exception("claims could not be judged; the next try is in a minute")
            stop.wait(RETRY_SECONDS)
    connection.close()


class _Lateness:
    """How many looks each board has been waiting for its entrants."""

    def __init__(self) -> None:
        self.looks: dict[int, int] = {}

    def may_wait(self, board: Board) -> bool:
        """Whether it may wait for one more look."""
        self.looks[board.pk] = self.looks.get(board.pk, 0) + 1
        if self.looks[board.pk] * LOOK_EVERY_SECONDS < PATIENCE_SECONDS:
            return True
        del self.looks[board.pk]
        return False


def _judge_idle_boards(late: _Lateness) -> bool:
    """Judge all but those whose entrants are being evaluated, then some of the submissions that wait for it; whether nothing
    is left to look at. A board that cannot be judged keeps none of the others from it: the first such error is raised at the
    end."""
    waiting, errors = 0, []
    for board in boards_with_claims():
        if _is_busy(board) and late.may_wait(board):
            waiting += 1
            continue
        try:
            judge_board(board)
            waiting += judge_some(board)
        except (JudgingError, OSError, ValueError) as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return waiting == 0


def _is_busy(board: Board) -> bool:
    active = Evaluation.objects.filter(state__in=ACTIVE_STATES, submission__user__is_system=True)
    return active.filter(submission__board__slug=board.track_id).exists()


def _trace() -> object:
    """Changes whenever a verdict or a trial could be out of date: small queries instead of looking at every claim. Every result
    that is placed on a board adds one to its settlement's `wanted`."""
    results = Evaluation.objects.filter(submission__user__is_system=True, state="succeeded")
    return (
        results.aggregate(Count("id"), Max("finished_at")),
        Track.objects.aggregate(Max("synced_at")),
        Board.objects.aggregate(Max("revealed_at")),
        list(Claim.objects.filter(available=True).order_by("id").values_list("id", "check_text", "board_id")),
        list(Settlement.objects.order_by("id").values_list("id", "wanted", "settled")),
    )
