"""Standings as rows, ready to render or to serialize: plain values, two queries (three where slices can be filled). Called by
the API and the pages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from leaderboard.boards.models import Board
from leaderboard.permissions import Reader, Viewer, reader_of
from leaderboard.standings.models import Score, Standing
from leaderboard.standings.selection import (
    SCORES_AT_ONCE,
    Candidate,
    Row,
    Selection,
    filled_slices,
    level_of,
    read_selection,
)
from leaderboard.standings.sight import Level, Sight, sight_of


@dataclass(frozen=True)
class Cell:
    """One metric of one row. `reason` says why there is no value, or no interval."""

    metric: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    unit: str
    direction: str
    primary: bool
    reason: str


@dataclass(frozen=True)
class SliceCell:
    """The metric that orders the table, on one slice: its worst group."""

    slice: str
    value: float
    ci_low: float | None
    ci_high: float | None


@dataclass(frozen=True)
class StandingRow:
    """One row of a board. `submission_id` is None where the viewer may not open its page. Ranks are among the rows shown,
    and None where `reason` says why it is not ranked; `rule` says what gave them: "tests" on the same examples, or
    "intervals". `value` is that of the metric that orders the table; `worst` is its worst slice, where there are several.
    `filled` names the slices that it did not enter, each with the baseline that stands in. `public_rank`: where the final ranks
    are by a part of the test that was hidden until closing, the rank that it had until then. `team`: the competitor is one."""

    position: int
    rank: int | None
    rank_low: int | None
    rank_high: int | None
    rule: str
    reason: str
    submission_id: UUID | None
    name: str
    competitor: str
    kind: str
    origin: str
    model: str
    visibility: str
    mine: bool
    value: float | None
    ci_low: float | None
    ci_high: float | None
    scores: dict[str, Cell]
    submitted_at: datetime
    evaluated_at: datetime
    track_version: str
    filled: dict[str, str] = field(default_factory=dict)
    worst: SliceCell | None = None
    team: bool = False
    public_rank: int | None = None


def standings_of(
    board: Board,
    *,
    order: str | None = None,
    as_of: datetime | None = None,
    kind: str | None = None,
    best_per: Literal["competitor", "submission"] | None = None,
    version: str | None = None,
    slice: str | None = None,  # noqa: A002  the word of the API
    part: str | None = None,
    viewer: Viewer = None,
    offset: int = 0,
    limit: int | None = None,
) -> list[StandingRow]:
    """The rows of a board, best first, from `offset` on, at most `limit`.

    order:    name of the metric that ranks; None: the board's.
    as_of:    standings as they were then: the newest evaluation of each submission that had finished, under the track
              version of that time.
    kind:     only submissions of this kind, and the baselines, which are always shown.
    best_per: "competitor" keeps the best row of each person or team, and each of the system's; None: as the board counts.
    version:  a track version; None: the current one (or that of `as_of`). Versions are never ranked together.
    slice:    the board of one slice: ranks and scores on it alone.
    part:     another part of the test than the one in force: see `standings.sight`.
    viewer:   a visitor if None. Everybody sees names and scores of private submissions, but only those who answer for one
              get its id.

    All of a board are shown as they were placed; a selection is ranked among itself. What a board hides until it closes is left
    out: see `standings.sight`. Raises InvalidRequest, and NotAllowed for a part that is hidden.
    """
    sight = sight_of(board, viewer, part=part)
    rows = read_selection(board, Selection(order, as_of, kind, best_per, version, slice), sight, offset=offset, limit=limit)
    evaluations = [candidate.evaluation_id for candidate, _ in rows if level_of(candidate, sight) is Level.EVERYTHING]
    beside = _Beside(
        scores=scores_of(evaluations, of_slice=slice or "", part=sight.part),
        filled=_filled(board, [candidate.evaluation_id for candidate, _ in rows]),
        worst={} if slice else _worst(board, evaluations, metric=order or board.metric["name"], part=sight.part),
        public_ranks=_public_ranks(board, [candidate.evaluation_id for candidate, _ in rows]),
    )
    reader = reader_of(viewer, board)
    return [_row(row, board, beside, sight, reader) for row in rows]


@dataclass(frozen=True)
class _Beside:
    """What is shown beside the places, by evaluation."""

    scores: dict[int, dict[str, Cell]]
    filled: dict[int, dict[str, str] | None]
    worst: dict[int, SliceCell]
    public_ranks: dict[int, int | None]


def scores_of(evaluations: Sequence[int], *, of_slice: str = "", part: str = "") -> dict[int, dict[str, Cell]]:
    """Scores over one part of the test, over everything or over one slice, by evaluation and metric."""
    found: dict[int, dict[str, Cell]] = defaultdict(dict)
    columns = ("metric", "value", "ci_low", "ci_high", "unit", "direction", "primary", "reason")
    for start in range(0, len(evaluations), SCORES_AT_ONCE):
        chunk = evaluations[start : start + SCORES_AT_ONCE]
        some = Score.every.filter(evaluation__in=chunk, slice=of_slice, part=part)
        for evaluation, *values in some.values_list("evaluation_id", *columns):
            found[evaluation][values[0]] = Cell(*values)
    return found


def _filled(board: Board, evaluations: list[int]) -> dict[int, dict[str, str] | None]:
    """Filled slices by evaluation; asked for only where the track has slices that can be filled."""
    if not any(each.get("fill") for each in board.track.spec["slices"]):
        return {}
    return filled_slices(evaluations)


def _public_ranks(board: Board, evaluations: list[int]) -> dict[int, int | None]:
    """The ranks at the moment of the reveal, where there was one."""
    if board.public_share is None or board.revealed_at is None:
        return {}
    return dict(Standing.objects.filter(evaluation__in=evaluations).order_by().values_list("evaluation_id", "public_rank"))


def _worst(board: Board, evaluations: list[int], *, metric: str, part: str) -> dict[int, SliceCell]:
    """The slice on which each does worst in the metric, where the track has several."""
    if len(board.track.spec["slices"]) < 2:
        return {}
    found: dict[int, SliceCell] = {}
    for start in range(0, len(evaluations), SCORES_AT_ONCE):
        some = Score.every.filter(
            evaluation__in=evaluations[start : start + SCORES_AT_ONCE], metric=metric, part=part, value__isnull=False
        )
        columns = ("evaluation_id", "direction", "slice", "value", "ci_low", "ci_high")
        for evaluation, direction, *values in some.exclude(slice="").order_by("id").values_list(*columns):
            cell, best = SliceCell(*values), found.get(evaluation)
            if best is None or (cell.value < best.value if direction == "max" else cell.value > best.value):
                found[evaluation] = cell
    return found


def _row(row: Row, board: Board, beside: _Beside, sight: Sight, reader: Reader) -> StandingRow:
    candidate, (place, rule) = row
    whole = level_of(candidate, sight) is Level.EVERYTHING
    owner = (candidate.user_id, candidate.team_id)
    return StandingRow(
        position=place.position,
        rank=place.rank,
        rank_low=place.rank_low,
        rank_high=place.rank_high,
        rule=rule,
        reason=place.reason,
        submission_id=candidate.submission_id if reader.may_open(*owner, visibility=candidate.visibility) else None,
        name=candidate.name,
        competitor=candidate.team or candidate.username,
        team=candidate.team_id is not None,
        kind=candidate.kind,
        origin=candidate.origin,
        model=candidate.model,
        visibility=candidate.visibility,
        mine=reader.owns(*owner),
        value=candidate.value,
        ci_low=candidate.ci_low if whole else None,
        ci_high=candidate.ci_high if whole else None,
        scores=beside.scores[candidate.evaluation_id] if whole else _announced(candidate, board),
        submitted_at=candidate.submitted_at,
        evaluated_at=candidate.evaluated_at,
        track_version=candidate.track_version,
        filled=beside.filled.get(candidate.evaluation_id) or {},
        worst=beside.worst.get(candidate.evaluation_id),
        public_rank=beside.public_ranks.get(candidate.evaluation_id),
    )


def _announced(candidate: Candidate, board: Board) -> dict[str, Cell]:
    """What the Ladder says: the value of the metric that orders the board, without the interval, which would say more."""
    metric = board.metric
    if candidate.value is None:
        return {}
    told = (metric["unit"], metric["direction"], metric["primary"], "")
    return {metric["name"]: Cell(metric["name"], candidate.value, None, None, *told)}
