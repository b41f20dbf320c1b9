"""The table of a board: columns with their direction, rows with numbers as text and whiskers on a common scale.
Takes what `standings.reading` gives; pure, called by the board's view."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leaderboard.standings.reading import Cell, StandingRow
from leaderboard.web import numbers
from leaderboard.web.charts import LOG_FROM_RATIO, Scale, Whisker, scale_for, whisker

WHISKER_WIDTH = 150.0
WHISKER_MARGIN = 6.0


@dataclass(frozen=True)
class Column:
    """One metric. `orders`: the table is in its order. `sortable`: it has a direction. `bounded`: a
    share, for which a logarithmic scale would mislead."""

    metric: str
    title: str
    unit: str
    about: str
    arrow: str
    spoken: str
    orders: bool
    primary: bool
    sortable: bool
    bounded: bool
    decimals: int


@dataclass(frozen=True)
class Entry:
    """One number of a row, as text."""

    column: Column
    text: str
    interval: str
    reason: str


@dataclass(frozen=True)
class Line:
    """One row: what was read, its number in the ordering metric with a whisker, and the other metrics,
    and the worst slice where there are several."""

    row: StandingRow
    ranks: str
    main: Entry
    whisker: Whisker | None
    others: tuple[Entry, ...]
    worst: str
    shift: str
    shift_spoken: str


@dataclass(frozen=True)
class Table:
    """A board's table. `unranked` rows come last, with their reasons. `shaken`: rows had another rank on a public part."""

    main: Column
    others: tuple[Column, ...]
    ranked: tuple[Line, ...]
    unranked: tuple[Line, ...]
    log_scale: bool
    low: str
    high: str
    shaken: bool


def table_of(rows: Sequence[StandingRow], *, metrics: Sequence[Mapping[str, Any]], order: str | None) -> Table:
    """Lay out the rows of a board. metrics: those of the track's spec. order: the metric that orders the rows; None means
    the primary one."""
    columns = [_column(metric, rows=rows, order=order) for metric in metrics]
    main = next(column for column in columns if column.orders)
    others = tuple(column for column in columns if not column.orders)
    scale = scale_for(
        (number for row in rows for number in (row.value, row.ci_low, row.ci_high)),
        start=WHISKER_MARGIN,
        end=WHISKER_WIDTH - WHISKER_MARGIN,
        log_from=math.inf if main.bounded else LOG_FROM_RATIO,
    )
    lines = [_line(row, main=main, others=others, scale=scale) for row in rows]
    return Table(
        main=main,
        others=others,
        ranked=tuple(line for line in lines if line.row.rank is not None),
        unranked=tuple(line for line in lines if line.row.rank is None),
        log_scale=scale is not None and scale.log,
        low=numbers.written(scale.low, main.decimals) if scale else "",
        high=numbers.written(scale.high, main.decimals) if scale else "",
        shaken=any(row.public_rank is not None for row in rows),
    )


def _column(metric: Mapping[str, Any], *, rows: Sequence[StandingRow], order: str | None) -> Column:
    name = metric["name"]
    cells = [cell for row in rows if (cell := row.scores.get(name)) is not None]
    return Column(
        metric=name,
        title=metric["title"],
        unit=metric["unit"],
        about=metric["about"],
        arrow=numbers.ARROWS[metric["direction"]],
        spoken=numbers.SPOKEN[metric["direction"]],
        orders=name == order if order else metric["primary"],
        primary=metric["primary"],
        sortable=metric["direction"] != "none",
        bounded=metric["upper"] is not None and metric["upper"] <= 1,
        decimals=numbers.decimals_for(
            (cell.value for cell in cells), half_widths=(numbers.half_width(cell.ci_low, cell.ci_high) for cell in cells)
        ),
    )


def _line(row: StandingRow, *, main: Column, others: Sequence[Column], scale: Scale | None) -> Line:
    return Line(
        row=row,
        ranks=numbers.rank_range(row.rank_low, row.rank_high),
        main=_entry(row.scores.get(main.metric), main),
        whisker=whisker(scale, value=row.value, low=row.ci_low, high=row.ci_high),
        others=tuple(_entry(row.scores.get(column.metric), column) for column in others),
        shift=_shift(row)[0],
        shift_spoken=_shift(row)[1],
        worst=f"{row.worst.slice} {numbers.written(row.worst.value, main.decimals)}" if row.worst else "",
    )


def _shift(row: StandingRow) -> tuple[str, str]:
    """How far the final rank is from the public one, as an arrow and in words; empty where it is the same."""
    if row.rank is None or row.public_rank is None or row.rank == row.public_rank:
        return "", ""
    places, up = abs(row.rank - row.public_rank), row.rank < row.public_rank
    spoken = f"{places} rank{'s' if places != 1 else ''} {'better' if up else 'worse'} than on the public part"
    return f"{'↑' if up else '↓'}{places}", spoken


def _entry(cell: Cell | None, column: Column) -> Entry:
    if cell is None:
        return Entry(column=column, text=numbers.MISSING, interval="", reason="not measured")
    has_interval = cell.ci_low is not None and cell.ci_high is not None
    low, high = (numbers.written(end, column.decimals) for end in (cell.ci_low, cell.ci_high))
    return Entry(
        column=column,
        text=numbers.written(cell.value, column.decimals),
        interval=f"{low} to {high}" if has_interval else "",
        reason=cell.reason,
    )
