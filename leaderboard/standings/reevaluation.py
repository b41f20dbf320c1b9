"""A track has changed: what stood under its old version is evaluated again, the head of the board first. Old standings stay,
under their version. Called by `manage.py reevaluate`; the board's page says how far it is."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import Count, QuerySet

from evaluators.ordering import HEAD
from leaderboard.boards.models import Board
from leaderboard.evaluations import lifecycle
from leaderboard.evaluations.models import Evaluation
from leaderboard.refusals import Conflict
from leaderboard.standings.models import Standing
from leaderboard.submissions.models import Submission

HEAD_PRIORITY, TAIL_PRIORITY = 4, 8
"""Between them are the submissions of people who wait (5): they go before the tail, and the head goes before them."""


@dataclass(frozen=True)
class Progress:
    """Of `total` submissions that stand under any version: those that do so under today's, those that wait or run for it, and
    those that ended there without a result."""

    total: int
    done: int
    waiting: int
    failed: int

    @property
    def left(self) -> int:
        """Not queued yet."""
        return self.total - self.done - self.waiting - self.failed


def progress_of(board: Board) -> Progress | None:
    """How far the board is on its way to the track's version of today; None where nothing stands under another one."""
    by_version = dict(Standing.objects.filter(board=board).order_by().values_list("track_version").annotate(count=Count("id")))
    if not by_version.keys() - {board.track.version}:
        return None
    older = _outdated(board)
    states = dict(
        Evaluation.objects.filter(submission__in=older.values("pk"), track_version=board.track.version)
        .order_by()
        .values_list("state")
        .annotate(count=Count("submission", distinct=True))
    )
    done = by_version.get(board.track.version, 0)
    waiting = states.get("queued", 0) + states.get("running", 0)
    failed = states.get("failed", 0) + states.get("cancelled", 0)
    return Progress(total=done + older.count(), done=done, waiting=waiting, failed=failed)


def reevaluate(board: Board, *, limit: int | None = None) -> int:
    """Queue what stands under an older version and has no evaluation under today's, the best first; how many were queued.

    Doing it again goes on where it stopped. What failed under the new version is left alone: its owner can evaluate it again.
    Costs nobody's quota.
    """
    tried = Evaluation.objects.filter(submission__board=board, track_version=board.track.version).values("submission")
    left = Standing.objects.filter(submission__in=_outdated(board).exclude(pk__in=tried).values("pk"))
    newest: dict[UUID, tuple[int, float, float]] = {}
    columns = ("submission_id", "tier", "over", "merit")
    for submission, tier, over, merit in left.order_by("evaluation__number").values_list(*columns):
        newest[submission] = (tier, -over, -(merit or 0.0))
    in_order = sorted(newest, key=lambda key: (newest[key], str(key)))[:limit]
    return sum(_queue(key, priority=HEAD_PRIORITY if n < HEAD else TAIL_PRIORITY) for n, key in enumerate(in_order))


def _outdated(board: Board) -> QuerySet[Submission]:
    """Submissions that stand, but not under today's version."""
    current = Standing.objects.filter(board=board, track_version=board.track.version)
    standing = Standing.objects.filter(board=board)
    return (
        Submission.objects.filter(pk__in=standing.values("submission")).exclude(pk__in=current.values("submission")).order_by()
    )


def _queue(submission: UUID, *, priority: int) -> bool:
    try:
        with transaction.atomic():
            lifecycle.enqueue(Submission.objects.get(pk=submission), priority=priority)
    except Conflict:  # somebody was faster
        return False
    return True
