"""The reveal: when a board has closed and everything that was sent in time has been evaluated and ranked, what it hid becomes
visible, and the private part of its test orders it. Called by the scheduler at each turn.

One transaction under the board's lock decides it, keeps the public ranks of that moment, and asks for the board to be settled.
So a scheduler that dies leaves all of it or nothing, and of several one does it. A result that lands at the same time has
either landed before, or is waited for: landing takes the same lock.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from leaderboard.boards.closing import has_closed, hides
from leaderboard.boards.models import Board
from leaderboard.evaluations.models import FINAL_STATES, Evaluation
from leaderboard.standings.models import Settlement, Standing
from leaderboard.standings.waking import ask_for


def reveal_due(*, now: datetime | None = None) -> list[str]:
    """Reveal every board that is due; their slugs."""
    moment = now or timezone.now()
    closed = Board.objects.filter(revealed_at=None, closes_at__lte=moment)
    hiding = closed.exclude(public_share=None, shows=Board.Shows.ALL)
    return [slug for key, slug in list(hiding.order_by("pk").values_list("pk", "slug")) if _reveal(key, moment)]


def awaited(board: Board) -> QuerySet[Evaluation]:
    """Evaluations that the reveal waits for: those that were asked for before the board closed. One that is asked for later, by
    its host say, is ranked by the private part when it comes."""
    return Evaluation.objects.filter(submission__board=board, queued_at__lt=board.closes_at).exclude(state__in=FINAL_STATES)


def _reveal(key: int, now: datetime) -> bool:
    with transaction.atomic():
        # "No key": submissions that point to the board may still be inserted.
        board = Board.objects.select_for_update(no_key=True, of=("self",)).select_related("track").get(pk=key)
        if not (hides(board) and has_closed(board, now)) or awaited(board).exists() or _is_behind(board):
            return False
        if board.public_share is not None:
            Standing.objects.filter(board=board).update(public_rank=F("rank"))
        board.revealed_at = now
        board.save(update_fields=["revealed_at"])
        ask_for(board)
    return True


def _is_behind(board: Board) -> bool:
    """Whether results wait to be ranked: the public ranks that are kept are those of all of them."""
    rows = Settlement.objects.filter(board=board, track_version=board.track.version)
    return rows.filter(settled__lt=F("wanted")).exists()
