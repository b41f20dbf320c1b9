"""A board in two metrics at once: who is on the Pareto front, and how much it covers. Plain values, six queries at the most,
over a bounded part of the board. Called by the API and the page.

A submission leaves the front only if another is significantly better on one axis and not significantly worse on the other; who
is better than whom in a metric is `relations`' to say, as for ranks.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np

from evaluators.ordering import Direction, Floats
from evaluators.tradeoffs import hypervolume, pareto_front, removals
from leaderboard.boards.models import Board
from leaderboard.permissions import Reader, Viewer, reader_of
from leaderboard.refusals import FieldError, InvalidRequest
from leaderboard.standings.models import Standing
from leaderboard.standings.reading import Cell, scores_of
from leaderboard.standings.relations import Measured, Relation, relation_of
from leaderboard.standings.selection import (
    IN_ORDER,
    Candidate,
    Row,
    Selection,
    check_choice,
    filled_slices,
    level_of,
    read_rows,
    read_selection,
)
from leaderboard.standings.sight import Level, Sight, hidden_rows, sight_of
from leaderboard.standings.tradeoff_words import because_of, rule_of
from leaderboard.submissions.models import Submission

MOST = 300
"""How many rows of a board are looked at, from the best on. All pairs of them: 90,000 signs an axis."""
MOST_REFERENCES = 100
"""How many of the server's own entrants are looked at on top, wherever they stand: the scale, and often the cheap end."""
LOG_FROM_RATIO = 30.0


@dataclass(frozen=True)
class Axis:
    """A metric as an axis. `exact`: a fact of the evaluation, without an interval. `log`: positive, and it spans decades."""

    metric: str
    title: str
    unit: str
    direction: Direction
    about: str
    exact: bool
    log: bool


@dataclass(frozen=True)
class Coordinate:
    """A value on an axis with its interval."""

    value: float
    ci_low: float | None
    ci_high: float | None


@dataclass(frozen=True)
class Point:
    """One row of the board in the two metrics. `submission_id` is None where the viewer may not open its page. `because`: why
    it is not on the front; empty for those that are."""

    submission_id: UUID | None
    name: str
    competitor: str
    kind: str
    origin: str
    model: str
    mine: bool
    rank: int | None
    x: Coordinate
    y: Coordinate
    on_front: bool
    because: str


@dataclass(frozen=True)
class Covered:
    """What the front covers up to the reference point, the worst value on either axis: the hypervolume, and as a share of the
    rectangle between the worst and the best values. Logarithmic axes count in decades (log10)."""

    hypervolume: float
    share: float
    reference_x: float
    reference_y: float


@dataclass(frozen=True)
class Tradeoff:
    """front: from the best x on. others: in the board's order. left_out: reasons, and how many rows each. bounded: the board is
    longer than what was looked at. covered: None unless the values differ on both axes."""

    x: Axis
    y: Axis
    slice: str
    front: tuple[Point, ...]
    others: tuple[Point, ...]
    left_out: dict[str, int]
    bounded: bool
    covered: Covered | None
    rule: tuple[str, ...]


def axes_of(board: Board) -> list[dict[str, Any]]:
    """The metrics that can be an axis: those with a direction."""
    return [metric for metric in board.metrics if metric["direction"] != "none"]


def default_axes(board: Board) -> tuple[str, str]:
    """(x, y): what it costs against what orders the board. The cost is the first fact that is better when smaller (parameters,
    operations, seconds); where the track counts none, another metric. Raises InvalidRequest where there is only one."""
    y = board.metric["name"]
    others = [metric for metric in axes_of(board) if metric["name"] != y]
    if not others:
        raise InvalidRequest(f'"{board.title}" has one metric with a direction, so there is nothing to trade for it')
    costs = [metric for metric in others if metric["estimator"] == "fact" and metric["direction"] == "min"]
    return (costs or others)[0]["name"], y


def tradeoff_of(
    board: Board,
    *,
    x: str | None = None,
    y: str | None = None,
    slice: str | None = None,  # noqa: A002  the word of the API
    viewer: Viewer = None,
) -> Tradeoff:
    """The trade-off between two metrics, over everything or one slice, under the track's version of today.

    Of a long board the best MOST rows in its order are looked at, and MOST_REFERENCES of the server's own. Everybody who sees
    the board sees names and values of private submissions, but only those who answer for one get its id. What a board hides
    until it closes is left out: see `standings.sight`. Raises InvalidRequest.
    """
    metrics = _chosen(board, x, y)
    check_choice("slice", slice, [*(each["slug"] for each in board.track.spec["slices"]), None])
    part = slice or ""
    sight = sight_of(board, viewer)
    rows, bounded = _rows(board, sight)
    cells = _cells([candidate for candidate, _ in rows], metrics, sight, part=part)
    reasons = [_why_left_out(row, cells[row[0].evaluation_id], metrics) for row in rows]
    shown = [row for row, reason in zip(rows, reasons, strict=True) if not reason]
    compared = _compare(
        shown, [_coordinates(cells[candidate.evaluation_id]) for candidate, _ in shown], metrics, sight, part=part
    )
    rule = rule_of(compared.x, compared.y, part=part, bounded=bounded, most=MOST, references=MOST_REFERENCES)
    reader = reader_of(viewer, board)
    points = [compared.point(place, reader) for place in range(len(shown))]
    sign = -1.0 if compared.x.direction == "max" else 1.0
    return Tradeoff(
        x=compared.x,
        y=compared.y,
        slice=part,
        front=tuple(sorted((point for point in points if point.on_front), key=lambda point: sign * point.x.value)),
        others=tuple(point for point in points if not point.on_front),
        left_out=dict(Counter(reason for reason in reasons if reason)),
        bounded=bounded,
        covered=_covered(compared),
        rule=(*rule, hidden) if (hidden := hidden_rows(board, sight)) else rule,
    )


Pair = tuple[Cell | None, Cell | None]
Metrics = tuple[Mapping[str, Any], Mapping[str, Any]]


def _chosen(board: Board, x: str | None, y: str | None) -> Metrics:
    known = {metric["name"]: metric for metric in axes_of(board)}
    for name, value in (("x", x), ("y", y)):
        check_choice(name, value, [*known, None])
    cost, order = default_axes(board)
    y = y or (order if x != order else cost)
    x = x or (cost if y != cost else order)
    if x == y:
        detail = f'x and y are both "{x}"; a trade-off is between two metrics: {", ".join(known)}'
        raise InvalidRequest(detail, errors=(FieldError("y", "same_metric", detail),))
    return known[x], known[y]


def _rows(board: Board, sight: Sight) -> tuple[list[Row], bool]:
    """The best rows as they are stored, and whether there are more; then the references among those."""
    rows = read_selection(board, Selection(), sight, offset=0, limit=MOST + 1)
    if len(rows) <= MOST or sight.whose != Board.Shows.ALL:
        return rows, False
    rows = rows[:MOST]
    # Two looks into an index each; a join from the long table would read all of it.
    own = Submission.objects.filter(board=board, user__is_system=True).order_by().values_list("pk", flat=True)
    references = Standing.objects.filter(submission__in=list(own), track_version=board.track.version, superseded=False)
    known = {candidate.submission_id for candidate, _ in rows}
    further = references.exclude(submission__in=known).order_by(*IN_ORDER).values_list("pk", flat=True)
    return rows + read_rows(list(further[:MOST_REFERENCES]), first=MOST + 1), True


def _cells(candidates: Sequence[Candidate], metrics: Metrics, sight: Sight, *, part: str) -> dict[int, Pair]:
    """The two scores by evaluation. Facts are those of the evaluation as a whole, on a slice too; what has not entered the
    slice has no score there, for that would be a baseline's."""
    evaluations = [candidate.evaluation_id for candidate in candidates]
    seen = [candidate.evaluation_id for candidate in candidates if level_of(candidate, sight) is Level.EVERYTHING]
    over_all = scores_of(seen, part=sight.part)
    over_part = scores_of(seen, of_slice=part, part=sight.part) if part else over_all
    filled = filled_slices(evaluations) if part else {}

    def cell(evaluation: int, metric: Mapping[str, Any]) -> Cell | None:
        if metric["estimator"] == "fact":
            return over_all.get(evaluation, {}).get(metric["name"])
        if part in (filled.get(evaluation) or {}):
            return None
        return over_part.get(evaluation, {}).get(metric["name"])

    return {evaluation: (cell(evaluation, metrics[0]), cell(evaluation, metrics[1])) for evaluation in evaluations}


def _why_left_out(row: Row, pair: Pair, metrics: Metrics) -> str:
    """One clause; empty for a row that has its point. What the board does not rank is not compared here either."""
    for cell, metric in zip(pair, metrics, strict=True):
        if cell is None or cell.value is None or not math.isfinite(cell.value):
            return f"no value of {metric['title']}"
    return "no rank on this board" if row[1].place.rank is None else ""


def _coordinates(pair: Pair) -> tuple[Coordinate, Coordinate]:
    x, y = (Coordinate(cell.value, cell.ci_low, cell.ci_high) for cell in pair if cell is not None and cell.value is not None)
    return x, y


@dataclass(frozen=True)
class _Compared:
    """Rows with their coordinates [n], values [n, 2], what each axis says of every pair, and what follows from it."""

    rows: Sequence[Row]
    coordinates: Sequence[tuple[Coordinate, Coordinate]]
    values: np.ndarray
    x: Axis
    y: Axis
    relations: tuple[Relation, Relation]
    front: np.ndarray
    removes: np.ndarray

    def point(self, place: int, reader: Reader) -> Point:
        """One row as the reader may see it."""
        candidate, placed = self.rows[place]
        owner = (candidate.user_id, candidate.team_id)
        x, y = self.coordinates[place]
        return Point(
            submission_id=candidate.submission_id if reader.may_open(*owner, visibility=candidate.visibility) else None,
            name=candidate.name,
            competitor=candidate.team or candidate.username,
            kind=candidate.kind,
            origin=candidate.origin,
            model=candidate.model,
            mine=reader.owns(*owner),
            rank=placed.place.rank,
            x=x,
            y=y,
            on_front=bool(self.front[place]),
            because="" if self.front[place] else self._because(place),
        )

    def _because(self, place: int) -> str:
        """The first in the board's order of those on the front that remove it."""
        remover = int(np.argmax(self.removes[:, place] & self.front))
        signs = [int(relation.signs[remover, place]) for relation in self.relations]
        tested = [bool(relation.tested[remover, place]) for relation in self.relations]
        return because_of(self.rows[remover][0].name, (self.x, self.y), signs, tested)


def _compare(
    rows: Sequence[Row], coordinates: Sequence[tuple[Coordinate, Coordinate]], metrics: Metrics, sight: Sight, *, part: str
) -> _Compared:
    values = np.array([[x.value, y.value] for x, y in coordinates], dtype=np.float64).reshape(-1, 2)
    first, second = (
        _relation(rows, [pair[place] for pair in coordinates], metric, sight, part=part) for place, metric in enumerate(metrics)
    )
    directions = [metric["direction"] for metric in metrics]
    table = [first.signs, second.signs]
    return _Compared(
        rows=rows,
        coordinates=coordinates,
        values=values,
        x=_axis(metrics[0], values[:, 0]),
        y=_axis(metrics[1], values[:, 1]),
        relations=(first, second),
        front=pareto_front(values, directions=directions, significance=table),
        removes=removals(values, directions=directions, significance=table),
    )


def _axis(metric: Mapping[str, Any], values: np.ndarray) -> Axis:
    share = metric["upper"] is not None and metric["upper"] <= 1  # a logarithm of a share would mislead
    spans = len(values) > 0 and values.min() > 0 and values.max() / values.min() >= LOG_FROM_RATIO
    return Axis(
        metric=metric["name"],
        title=metric["title"],
        unit=metric["unit"],
        direction=metric["direction"],
        about=metric["about"],
        exact=metric["estimator"] == "fact",
        log=bool(spans and not share),
    )


def _relation(
    rows: Sequence[Row], column: Sequence[Coordinate], metric: Mapping[str, Any], sight: Sight, *, part: str
) -> Relation:
    measured = [
        Measured(candidate.evaluation_id, at.value, at.ci_low, at.ci_high)
        for (candidate, _), at in zip(rows, column, strict=True)
    ]
    use_tests = not part and metric["estimator"] != "fact"
    return relation_of(measured, metric=metric["name"], direction=metric["direction"], part=sight.part, use_tests=use_tests)


def _covered(compared: _Compared) -> Covered | None:
    """The reference point is the worst value of all points on either axis, so that each of them could count."""
    axes = (compared.x, compared.y)
    if not len(compared.values):
        return None
    ends = [_ends(column, axis) for column, axis in zip(compared.values.T, axes, strict=True)]
    if any(best == worst for best, worst in ends):
        return None
    scaled = np.column_stack(
        [_scaled(column, axis) for column, axis in zip(compared.values[compared.front].T, axes, strict=True)]
    )
    best, worst = (
        [float(_scaled(end, axis)) for end, axis in zip(corner, axes, strict=True)] for corner in zip(*ends, strict=True)
    )
    volume = hypervolume(scaled, reference=worst, directions=[axis.direction for axis in axes])
    rectangle = abs(best[0] - worst[0]) * abs(best[1] - worst[1])
    return Covered(volume, volume / rectangle, ends[0][1], ends[1][1])


def _ends(column: Floats, axis: Axis) -> tuple[float, float]:
    """(best, worst)."""
    low, high = float(column.min()), float(column.max())
    return (high, low) if axis.direction == "max" else (low, high)


def _scaled(values: Any, axis: Axis) -> Any:
    return np.log10(values) if axis.log else values
