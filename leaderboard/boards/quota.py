"""Quotas: how much a competitor, a person or a team, may still submit to a board. Charged inside intake's transaction, refunded
once.

Two things are limited: submissions per period (a UTC day, and all time), and evaluations that wait or run at once. The row
of the period "total" is also the lock: its conditional UPDATE is held until the transaction ends, so whoever charges next
counts the evaluations that this transaction queues."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import F, QuerySet

from leaderboard.accounts.models import Team, User
from leaderboard.boards.models import Board, QuotaUse, TeamQuotaUse
from leaderboard.evaluations.models import FINAL_STATES, Evaluation, State
from leaderboard.refusals import QuotaSpent
from leaderboard.submissions.models import Submission

TOTAL = "total"
RETRY_SECONDS = 5.0
"""When to ask again whether one of one's evaluations has finished: most take seconds."""
ACTIVE_STATES = tuple(state for state in State if state not in FINAL_STATES)


@dataclass(frozen=True)
class Quota:
    """What a competitor may still do on a board. Limits of None do not exist; `resets_at` is the next UTC midnight."""

    daily_limit: int
    daily_left: int
    total_limit: int | None
    total_left: int | None
    concurrent_limit: int
    concurrent_used: int
    resets_at: datetime


def quota_of(board: Board, user: User, *, now: datetime, team: Team | None = None) -> Quota:
    """What is left on `board` of the quota of `team`, or of `user` who competes alone. Reads only."""
    periods = [_day(now), TOTAL]
    used = dict(_uses(board, user, team).filter(period__in=periods).values_list("period", "used"))
    total = board.total_quota
    return Quota(
        daily_limit=board.daily_quota,
        daily_left=max(0, board.daily_quota - used.get(_day(now), 0)),
        total_limit=total,
        total_left=None if total is None else max(0, total - used.get(TOTAL, 0)),
        concurrent_limit=board.max_concurrent,
        concurrent_used=_active(board, user, team),
        resets_at=next_reset(now),
    )


def charge(board: Board, user: User, *, now: datetime, team: Team | None = None) -> list[str]:
    """Take one submission off every period of the team's quota, or of the person's, and check that one more evaluation may
    wait. Returns the charged periods.

    Call it inside the transaction that queues the evaluation, and before that is queued: a rollback gives everything back.
    Raises QuotaSpent, which says what is spent and when it resets. The system user has no quota.
    """
    if user.is_system:
        return []
    limits = {_day(now): board.daily_quota, TOTAL: board.total_quota}
    _make_rows(board, user, team, periods=limits)
    for period, limit in limits.items():
        if not _take(_uses(board, user, team).filter(period=period), limit=limit):
            raise _spent(board, period=period, now=now)
    active = _active(board, user, team)
    if active >= board.max_concurrent:
        raise QuotaSpent(
            f'{active} of your evaluations on "{board.title}" wait or run, and {board.max_concurrent} may at once; '
            "send this when one has finished, or cancel one",
            code="too_many_concurrent",
            retry_after=RETRY_SECONDS,
        )
    return list(limits)


def refund(submission: Submission) -> bool:
    """Give back what the submission's newest evaluation has cost. False if there is nothing (left) to give back."""
    with transaction.atomic():
        row = (
            Submission.objects.select_for_update()
            .only("board_id", "user_id", "team_id", "charged_periods")
            .get(pk=submission.pk)
        )
        if not row.charged_periods:
            return False
        uses = _uses(row.board, row.user, row.team)
        uses.filter(period__in=row.charged_periods, used__gt=0).update(used=F("used") - 1)
        Submission.objects.filter(pk=row.pk).update(charged_periods=[])
    submission.charged_periods = []
    return True


def next_reset(now: datetime) -> datetime:
    """The UTC midnight after `now`."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=1)


def _day(now: datetime) -> str:
    return f"{now.astimezone(UTC):%Y-%m-%d}"


def _make_rows(board: Board, user: User, team: Team | None, *, periods: Iterable[str]) -> None:
    if team:
        teams = [TeamQuotaUse(board=board, team=team, period=period) for period in periods]
        TeamQuotaUse.objects.bulk_create(teams, ignore_conflicts=True)
    else:
        people = [QuotaUse(board=board, user=user, period=period) for period in periods]
        QuotaUse.objects.bulk_create(people, ignore_conflicts=True)


def _uses(board: Board, user: User, team: Team | None) -> QuerySet[QuotaUse] | QuerySet[TeamQuotaUse]:
    if team:
        return TeamQuotaUse.objects.filter(board=board, team=team)
    return QuotaUse.objects.filter(board=board, user=user)


def _take(row: QuerySet[QuotaUse] | QuerySet[TeamQuotaUse], *, limit: int | None) -> bool:
    if limit is not None:
        row = row.filter(used__lt=limit)
    return row.update(used=F("used") + 1) == 1


def _active(board: Board, user: User, team: Team | None) -> int:
    rows = Evaluation.objects.filter(submission__board=board, state__in=ACTIVE_STATES)
    mine = rows.filter(submission__team=team) if team else rows.filter(submission__user=user, submission__team=None)
    return mine.count()


def _spent(board: Board, *, period: str, now: datetime) -> QuotaSpent:
    if period == TOTAL:
        return QuotaSpent(f'you have used all {board.total_quota} submissions that "{board.title}" gives each competitor')
    resets_at = next_reset(now)
    return QuotaSpent(
        f'you have used today\'s {board.daily_quota} submissions to "{board.title}"; '
        f"there will be {board.daily_quota} more at {resets_at:%H:%M} UTC on {resets_at.day} {resets_at:%B}",
        retry_after=(resets_at - now).total_seconds(),
    )
