"""Settling: ranks a whole board, once for a burst of results. Runs in workers, after results are committed and outside of their
transactions: a worker that has finished an evaluation settles its board, and the scheduler wakes one for what is left over.

One worker settles a board at a time, under a lease: one that dies loses it, and the next begins anew, which is harmless. The
ranks are computed without a lock, then written in short transactions, each of which renews the lease; a row is written only
while it still shows the evaluation that was ranked. After a round the board rests for REST times as long as that took: a long
board under constant arrivals costs its workers a small share of their time, and until then its new rows keep the rank that
their neighbors gave them.

One result moves the rank of every row behind it, so a round may write every row. That is cheap because the order of rows hangs
on numbers that do not move (`Standing.over`): the ranks that do are in no index. What enters or leaves its place is little.
"""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from evaluators.ordering import HEAD, ranks_in_order
from leaderboard.boards.models import Board
from leaderboard.standings import announcing, measuring, pairs, rebuilding
from leaderboard.standings.models import TO_SETTLE, Settlement
from leaderboard.standings.policies import Policy, policy_of
from leaderboard.standings.rows import Change, Places, Rows, changes, read_rows

logger = logging.getLogger(__name__)

LEASE_SECONDS = 30.0
REST = 5.0


class LeaseLostError(Exception):
    """Somebody else settles this board now."""


@dataclass
class Round:
    """The right to settle one board for one track version, and what was wanted when it began."""

    settlement: Settlement
    token: uuid.UUID
    wanted: int
    renewed: float
    retest_at: datetime | None = None

    def keep(self) -> None:
        """Renew the lease if a quarter of it is over. Raises LeaseLostError."""
        if time.monotonic() - self.renewed > LEASE_SECONDS / 4:
            self.renew()

    def renew(self) -> None:
        """Renew the lease, as part of the caller's transaction where there is one. Raises LeaseLostError."""
        row = Settlement.objects.filter(pk=self.settlement.pk, token=self.token)
        if not row.update(expires_at=Now() + timedelta(seconds=LEASE_SECONDS)):
            raise LeaseLostError
        self.renewed = time.monotonic()


def settle(board: Board, *, track_version: str, rest: float | None = None) -> int | None:
    """One round: rank all standings of the board, and store the ranks. How many rows have moved; None if there was nothing to
    do, the board rests, or somebody else settles it.

    rest: how many times as long as the round took the board then rests; None: REST.
    """
    began = time.monotonic()
    turn = _claim(board, track_version)
    if turn is None:
        return None
    try:
        moved = _settle(turn, board)
    except LeaseLostError:
        logger.warning("board %s: somebody else settles it now", board.slug)
        return None
    except BaseException:
        _end(turn, settled=False, rest_seconds=LEASE_SECONDS)
        raise
    _end(turn, settled=True, rest_seconds=(REST if rest is None else rest) * (time.monotonic() - began))
    return moved


def _claim(board: Board, track_version: str) -> Round | None:
    row = Settlement.objects.filter(board=board, track_version=track_version)
    free = row.filter(TO_SETTLE, Q(token=None) | Q(expires_at__lt=Now()), not_before__lte=Now())
    token = uuid.uuid4()
    if not free.update(token=token, expires_at=Now() + timedelta(seconds=LEASE_SECONDS)):
        return None
    settlement = Settlement.objects.get(board=board, track_version=track_version)
    return Round(settlement, token, settlement.wanted, time.monotonic())


def _end(turn: Round, *, settled: bool, rest_seconds: float) -> None:
    """Give the lease back, and let the board rest."""
    values: dict[str, Any] = {"settled": turn.wanted, "retest_at": turn.retest_at} if settled else {}
    if rest_seconds:
        values["not_before"] = Now() + timedelta(seconds=rest_seconds)
    Settlement.objects.filter(pk=turn.settlement.pk, token=turn.token).update(token=None, expires_at=None, **values)


def _settle(turn: Round, board: Board) -> int:
    version, policy = turn.settlement.track_version, policy_of(board)
    measuring.catch_up(board, track_version=version, policy=policy, keep=turn.renew)
    announcing.announce(board, track_version=version, policy=policy, keep=turn.renew)
    if turn.settlement.policy != policy.text:
        rebuilding.rebuild(board, track_version=version, policy=policy, keep=turn.renew)
        Settlement.objects.filter(pk=turn.settlement.pk, token=turn.token).update(policy=policy.text)
    rows = read_rows(board, version, policy)
    places = _places(turn, board, rows, policy)
    for change in changes(rows, places):
        _write(turn, change)
    return int(places.differ(rows).any(axis=1).sum())


def _places(turn: Round, board: Board, rows: Rows, policy: Policy) -> Places:
    """Places of all rows: the head by paired tests, as far as there are columns to test."""
    counted = rows.counted()
    head = counted[:HEAD] if policy.tests_head else counted[:0]
    tested = None
    if len(head) > 1:
        evaluations, metric = rows.evaluation[head].tolist(), policy.metric["name"]
        which = {"track": board.track_id, "version": turn.settlement.track_version, "metric": metric, "part": policy.part}
        tests = pairs.complete_tests(evaluations, **which, recipe=board.recipe, keep=turn.keep)
        turn.retest_at = pairs.next_try(evaluations, metric=metric, part=policy.part)
        tested = None if tests is None else pairs.tested_ranks(tests, rows.contestants(head), direction=policy.direction)
    return Places.of(rows, counted, ranks_in_order(rows.floor[counted], rows.ceiling[counted], tested=tested), tested=tested)


def _write(turn: Round, change: Change) -> None:
    with transaction.atomic():
        turn.renew()
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                # Ranks can be made again, so nobody waits for the disk; the commit that ends the round flushes them before it.
                cursor.execute("SET LOCAL synchronous_commit TO OFF")
            cursor.execute(change.sql, change.parameters)
