"""The history of a board's best value: each time that a result surpassed all before it, under the track's version of today.
Called by the board's page: one query over the results so far."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from leaderboard.boards.models import Board
from leaderboard.evaluations.models import State
from leaderboard.permissions import Viewer
from leaderboard.standings.models import Score
from leaderboard.standings.policies import policy_of
from leaderboard.standings.sight import sight_of

MOST_RESULTS = 20_000


@dataclass(frozen=True)
class Record:
    """A result that was the best at its time. It need not have been significantly better than the one before."""

    at: datetime
    value: float
    name: str


def records_of(board: Board, viewer: Viewer = None, *, part: str | None = None) -> list[Record]:
    """The records, oldest first, on the part of the test that the viewer sees; none where scores are hidden from them. On a
    board with the Ladder: what that has announced. Of more than MOST_RESULTS results only the newest are looked at."""
    policy, sight = policy_of(board), sight_of(board, viewer, part=part)
    if sight.whose != Board.Shows.ALL:
        return []
    scores = Score.every.filter(
        part=sight.part,
        evaluation__submission__board=board,
        evaluation__track_version=board.track.version,
        evaluation__state=State.SUCCEEDED,
        metric=policy.metric["name"],
        slice="",
        value__isnull=False,
        evaluation__finished_at__isnull=False,
    )
    newest = scores.order_by("-evaluation__finished_at", "-id")
    value = "evaluation__measurement__announced_value" if sight.ladder else "value"
    if sight.ladder:
        newest = newest.filter(evaluation__measurement__announced=True, evaluation__measurement__announced_value__isnull=False)
    columns = ("evaluation__finished_at", value, "evaluation__submission__name")
    found: list[Record] = []
    for at, best, name in reversed(newest.values_list(*columns)[:MOST_RESULTS]):
        if not found or policy.sign * best > policy.sign * found[-1].value:
            found.append(Record(at, best, name))
    return found
