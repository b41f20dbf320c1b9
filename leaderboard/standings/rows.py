"""All standings of a board as arrays: read best first, given places, and compared with what is stored, so that a round writes
only what has changed. Called by `settling`, in workers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluators.ordering import Floats, Integers, Ranks
from leaderboard.boards.models import Board
from leaderboard.standings.models import BEST_FIRST, BEYOND, LAST, TAIL, Standing
from leaderboard.standings.pairs import Contestant
from leaderboard.standings.places import COMPETITOR, first_of_each, whose
from leaderboard.standings.policies import Policy

FIRST_ROWS = 200
"""What stands on the first pages is written first and in one transaction: they never show half a round."""
CHUNK = 250
"""Rows written in one transaction, neighbors in the table."""

NUMBERS = {"rank": "integer", "rank_low": "integer", "rank_high": "integer"}
"""What one result may change in every row. In no index: PostgreSQL then keeps a new version of a row on its page, and SQLite
writes nothing but the row."""
PLACE = {"tier": "integer", "over": "double precision", "rule": "varchar(10)", "superseded": "boolean"}
"""What few results change, in few rows."""
_UPDATE = (
    "UPDATE standings_standing SET {sets} FROM (VALUES {values}) AS v WHERE standings_standing.id = v.column1 "
    "AND standings_standing.evaluation_id = v.column2 AND standings_standing.superseded = {hidden}"
)
"""Writes a row only while it shows the evaluation that was ranked."""
RULES = ("", Standing.Rule.INTERVALS.value, Standing.Rule.TESTS.value)
_BY_INTERVALS, _BY_TESTS = 1.0, 2.0
_RULE, _SUPERSEDED = 5, 6
"""Columns of a table of NUMBERS and PLACE."""


@dataclass(frozen=True)
class Rows:
    """The standings of a board as they are stored, best first; what is not ranked comes last. Arrays of n rows.

    floor, ceiling: NaN for what is not ranked. competitor: None where none is counted once. stored: [n, 7], NUMBERS and PLACE
    as floats: NaN for null, rules by their place in RULES.
    """

    id: Integers
    evaluation: Integers
    value: Floats
    floor: Floats
    ceiling: Floats
    competitor: Sequence[Any]
    stored: Floats

    def counted(self) -> Integers:
        """Which rows are ranked, best first."""
        return np.flatnonzero(first_of_each(self.competitor) & ~np.isnan(self.floor))

    def contestants(self, which: Integers) -> list[Contestant]:
        """These rows, as `pairs` tests them."""
        columns = (self.evaluation, self.value, self.floor, self.ceiling)
        return [Contestant(*each) for each in zip(*(column[which].tolist() for column in columns), strict=True)]


def read_rows(board: Board, version: str, policy: Policy) -> Rows:
    """One query, sorted by the database."""
    names = ("id", "evaluation_id", "value", "floor", "ceiling", *NUMBERS, *PLACE)
    owner = COMPETITOR if policy.counts == "competitor" else ()
    found = Standing.objects.filter(board=board, track_version=version)
    table = list(found.order_by(*BEST_FIRST).values_list(*names, *owner))
    columns = list(zip(*table, strict=True)) or [()] * (len(names) + len(owner))
    columns[5 + _RULE] = tuple(map(RULES.index, columns[5 + _RULE]))
    value, floor, ceiling, *stored = (np.array(column, dtype=np.float64) for column in columns[2 : len(names)])
    return Rows(
        id=np.array(columns[0], dtype=np.int64),
        evaluation=np.array(columns[1], dtype=np.int64),
        value=value,
        floor=floor,
        ceiling=ceiling,
        competitor=[whose(user_id=row[-3], team_id=row[-2], is_system=row[-1]) if owner else None for row in table],
        stored=np.stack(stored, axis=1),
    )


@dataclass(frozen=True)
class Places:
    """What is to be stored: [n, 7] as `Rows.stored`; and which rows come first on the page, in their order."""

    table: Floats
    order: Integers

    @classmethod
    def of(cls, rows: Rows, counted: Integers, ranks: Ranks, *, tested: tuple[Integers, Integers] | None) -> Places:
        """From the ranks of the rows that are counted; the others have none."""
        head = 0 if tested is None else len(tested[0])
        table = np.full(rows.stored.shape, np.nan)
        table[:, 3:] = LAST, BEYOND, 0.0, 0.0
        table[:, _SUPERSEDED] = ~first_of_each(rows.competitor)
        ranked = np.stack([ranks.rank, ranks.low, ranks.high, np.full(len(counted), TAIL), np.fmin(ranks.over, BEYOND)], axis=1)
        ranked[:head, 3] = ranks.rank[:head]
        table[counted, :_RULE] = ranked
        table[counted, _RULE] = _BY_INTERVALS
        table[counted[:head], _RULE] = _BY_TESTS
        return cls(table, counted[ranks.order])

    def differ(self, rows: Rows) -> NDArray[np.bool_]:
        """Which cells of the table are not as they are stored, [n, 7]."""
        return (self.table != rows.stored) & ~(np.isnan(self.table) & np.isnan(rows.stored))


@dataclass(frozen=True)
class Change:
    """One statement that writes a few hundred rows."""

    sql: str
    parameters: list[Any]


def changes(rows: Rows, places: Places) -> Iterator[Change]:
    """The first pages, then what has left its place, then the ranks that others have moved."""
    differ = places.differ(rows)
    first = np.zeros(len(differ), dtype=bool)
    first[places.order[:FIRST_ROWS]] = True
    first &= differ.any(axis=1)
    moved = differ[:, len(NUMBERS) :].any(axis=1) & ~first
    numbers = differ.any(axis=1) & ~first & ~moved
    for some in (*_chunks(np.flatnonzero(first)), *_chunks(_as_they_lie(rows, moved))):
        yield _new_places(rows, places, some)
    for some in _chunks(_as_they_lie(rows, numbers)):
        yield _new_numbers(rows, places, some)


def _as_they_lie(rows: Rows, which: NDArray[np.bool_]) -> Integers:
    """Neighbors in the table are written together: that touches few of the database's pages."""
    found = np.flatnonzero(which)
    return np.asarray(found[np.argsort(rows.id[found])])


def _chunks(which: Integers) -> Iterator[Integers]:
    for start in range(0, len(which), CHUNK):
        yield which[start : start + CHUNK]


def _new_places(rows: Rows, places: Places, some: Integers) -> Change:
    """Everything that is stored of a place, for rows that are still as they were read: nobody has hidden them or brought them
    back."""
    keys = zip(
        rows.id[some].tolist(), rows.evaluation[some].tolist(), (rows.stored[some, _SUPERSEDED] > 0).tolist(), strict=True
    )
    values = map(_stored, places.table[some].tolist())
    kinds = ("bigint", "bigint", "boolean", *NUMBERS.values(), *PLACE.values())
    row = ", ".join(f"CAST(%s AS {kind})" for kind in kinds)
    sets = _sets([*NUMBERS, *PLACE], first=4)
    sql = _UPDATE.format(sets=sets, values=", ".join([f"({row})"] * len(some)), hidden="v.column3")
    return Change(sql, [value for pair in zip(keys, values, strict=True) for part in pair for value in part])


def _new_numbers(rows: Rows, places: Places, some: Integers) -> Change:
    """Ranks alone, of rows that have one. As numbers in the text of the statement: a database reads them several times as fast
    as parameters, and there may be 100,000."""
    table = np.column_stack([rows.id[some], rows.evaluation[some], places.table[some, : len(NUMBERS)].astype(np.int64)])
    values = ", ".join(f"({', '.join(map(str, row))})" for row in table.tolist())
    return Change(_UPDATE.format(sets=_sets(list(NUMBERS), first=3), values=values, hidden="FALSE"), [])


def _stored(row: list[float]) -> tuple[Any, ...]:
    """A row of the table as the database has it."""
    ranks = (None if math.isnan(number) else int(number) for number in row[:3])
    return *ranks, int(row[3]), row[4], RULES[int(row[_RULE])], bool(row[_SUPERSEDED])


def _sets(names: list[str], *, first: int) -> str:
    """PostgreSQL and SQLite name the columns of VALUES alike."""
    return ", ".join(f"{name} = v.column{number}" for number, name in enumerate(names, start=first))
