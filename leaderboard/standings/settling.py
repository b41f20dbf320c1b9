"""Settling: ranks a whole board, once for a burst of results. Runs in workers, after results are committed and outside of their
transactions: a worker that has finished an evaluation settles its board, and the scheduler wakes one for what is left over.

One worker settles a board at a time, under a lease: one that dies loses it, and the next begins anew, which is harmless. The
ranks are computed without a lock, then written in short transactions, each of which renews the lease; a row is written only
while it still shows the evaluation that was ranked. After a round the board rests for REST times as long as that took: a long
board under constant arrivals costs its workers a small share of their time, and until then its new rows keep the rank that
their neighbors gave them.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from evaluators.ordering import Entry
from leaderboard.boards.models import Board
from leaderboard.standings import pairs, rebuilding
from leaderboard.standings.models import LAST, Settlement, Standing
from leaderboard.standings.places import Contender, Placed, head_of, places_of, superseded, whose
from leaderboard.standings.policies import Policy, policy_of

logger = logging.getLogger(__name__)

LEASE_SECONDS = 30.0
REST = 20.0
CHUNK = 200
"""Rows written in one transaction: measured 5 to 10 ms on SQLite."""

RANKS = ("rank", "rank_low", "rank_high", "tier", "rule", "superseded")
TYPES = ("integer", "integer", "integer", "integer", "varchar(10)", "boolean", "bigint", "bigint")
UPDATE = (
    f"UPDATE standings_standing SET {', '.join(f'{name} = v.column{n}' for n, name in enumerate(RANKS, start=1))} "  # noqa: S608
    "FROM (VALUES {rows}) AS v WHERE standings_standing.id = v.column7 AND standings_standing.evaluation_id = v.column8"
)
"""One statement a chunk: PostgreSQL and SQLite name the columns of VALUES alike."""


class LeaseLostError(Exception):
    """Somebody else settles this board now."""


@dataclass
class Round:
    """The right to settle one board for one track version, and what was wanted when it began."""

    settlement: Settlement
    token: uuid.UUID
    wanted: int
    renewed: float

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


@dataclass(frozen=True)
class Ranked:
    """A standing as it is stored: what ranks it, and the ranks that it has."""

    id: int
    evaluation: int
    contender: Contender
    stored: tuple[Any, ...]


def settle(board: Board, *, track_version: str, rest: float = REST) -> int | None:
    """One round: rank all standings of the board, and store the ranks. How many rows have moved; None if there was nothing to
    do, the board rests, or somebody else settles it."""
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
    _end(turn, settled=True, rest_seconds=rest * (time.monotonic() - began))
    return moved


def _claim(board: Board, track_version: str) -> Round | None:
    row = Settlement.objects.filter(board=board, track_version=track_version, settled__lt=F("wanted"))
    free = row.filter(Q(token=None) | Q(expires_at__lt=Now()), not_before__lte=Now())
    token = uuid.uuid4()
    if not free.update(token=token, expires_at=Now() + timedelta(seconds=LEASE_SECONDS)):
        return None
    settlement = Settlement.objects.get(board=board, track_version=track_version)
    return Round(settlement, token, settlement.wanted, time.monotonic())


def _end(turn: Round, *, settled: bool, rest_seconds: float) -> None:
    """Give the lease back, and let the board rest."""
    values: dict[str, Any] = {"settled": turn.wanted} if settled else {}
    if rest_seconds:
        values["not_before"] = Now() + timedelta(seconds=rest_seconds)
    Settlement.objects.filter(pk=turn.settlement.pk, token=turn.token).update(token=None, expires_at=None, **values)


def _settle(turn: Round, board: Board) -> int:
    version, policy = turn.settlement.track_version, policy_of(board)
    if turn.settlement.policy != policy.text:
        rebuilding.rebuild(board, track_version=version, policy=policy, keep=turn.renew)
        Settlement.objects.filter(pk=turn.settlement.pk, token=turn.token).update(policy=policy.text)
    rows = _rows(board, version)
    out = superseded([row.contender for row in rows], policy)
    counted = [row for row in rows if row.contender.entry.key not in out]
    placed = _places(turn, board, counted, policy)
    by_key = {row.contender.entry.key: row for row in rows}
    ranks = [(by_key[each.place.key], _stored(each)) for each in placed]
    ranks += [(by_key[key], (None, None, None, LAST, "", True)) for key in out]
    changed = [(*new, row.id, row.evaluation) for row, new in ranks if new != row.stored]
    for chunk in _chunks(changed):
        _write(turn, chunk)
    return len(changed)


def _places(turn: Round, board: Board, rows: Sequence[Ranked], policy: Policy) -> list[Placed]:
    """Places of the rows that count: the head by paired tests, as far as there are columns to test."""
    entries = [row.contender.entry for row in rows]
    head = head_of(entries, policy) if policy.tests_head else []
    if len(head) < 2:
        return places_of(entries, policy, compare=None)
    evaluation_of = {row.contender.entry.key: row.evaluation for row in rows}
    tests = pairs.complete_tests(
        [evaluation_of[entry.key] for entry in head],
        track=board.track_id,
        version=turn.settlement.track_version,
        metric=policy.metric["name"],
        keep=turn.keep,
    )
    compare = None if tests is None else pairs.comparing(tests, head, evaluation_of)
    return places_of(entries, policy, compare=compare)


def _rows(board: Board, version: str) -> list[Ranked]:
    columns = ("id", "evaluation_id", "submission_id", "value", "ci_low", "ci_high", "submitted_at", "reason")
    owner = ("submission__user_id", "submission__team_id", "submission__user__is_system")
    found = Standing.objects.filter(board=board, track_version=version).order_by().values_list(*columns, *owner, *RANKS)
    return [
        Ranked(
            row[0],
            row[1],
            Contender(Entry(*row[2:8]), whose(user_id=row[8], team_id=row[9], is_system=row[10])),
            row[11:],
        )
        for row in found.iterator()
    ]


def _stored(placed: Placed) -> tuple[Any, ...]:
    """RANKS of a place."""
    place = placed.place
    return place.rank, place.rank_low, place.rank_high, LAST if place.rank is None else place.rank, placed.rule, False


def _chunks(rows: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
    """The head of the board comes first and is one chunk: it never shows half a round."""
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK]


def _write(turn: Round, rows: Sequence[tuple[Any, ...]]) -> None:
    with transaction.atomic():
        turn.renew()
        with connection.cursor() as cursor:
            row = ", ".join(f"CAST(%s AS {kind})" for kind in TYPES)
            cursor.execute(UPDATE.format(rows=", ".join([f"({row})"] * len(rows))), [value for each in rows for value in each])
