"""The list of boards: each with its track, how many stand on it, who leads, and whether it is open. Four queries for any
number of boards. Called by the home page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from django.db.models import Count, F, OuterRef, Q, Subquery

from leaderboard.boards.closing import has_closed, hides
from leaderboard.boards.models import Board
from leaderboard.permissions import Viewer, visible_boards
from leaderboard.standings.models import Standing
from leaderboard.standings.sight import sight_of
from leaderboard.web.numbers import ARROWS, SPOKEN, one_number

SHOWN_LEADERS = 2


@dataclass
class Head:
    """The top of one board. `tied`: how many share the first rank."""

    count: int = 0
    tied: int = 0
    leaders: list[str] = field(default_factory=list)
    best: str = ""


@dataclass(frozen=True)
class Card:
    """One board of the list. `state` is "open", "closed" or "opens"; `more_leaders` counts those that are not named."""

    board: Board
    metric: dict[str, Any]
    arrow: str
    spoken: str
    state: str
    count: int
    leaders: list[str]
    more_leaders: int
    best: str


def boards_by_family(viewer: Viewer, *, now: datetime) -> list[tuple[str, list[Card]]]:
    """All boards that the viewer may see, by the family of their track."""
    boards = list(visible_boards(viewer).order_by("track__family", "title"))
    heads = _heads(boards, told=[board for board in boards if not hides(board) or sight_of(board, viewer).sees_ranks])
    cards = [_card(board, head=heads[board.pk], now=now) for board in boards]
    return [(family, list(group)) for family, group in groupby(cards, key=lambda card: card.board.track.family)]


def state_of(board: Board, now: datetime) -> str:
    """Whether the board takes submissions at `now`, as one word."""
    if board.opens_at is not None and now < board.opens_at:
        return "opens"
    return "closed" if has_closed(board, now) or not board.track.available else "open"


def _heads(boards: Sequence[Board], *, told: Sequence[Board]) -> dict[int, Head]:
    """told: those whose leaders the viewer may know; of the others only the number of standings."""
    keys = [board.pk for board in boards]
    current = Standing.objects.filter(board__in=keys, track_version=F("board__track__version"), superseded=False)
    heads: dict[int, Head] = defaultdict(Head)
    counts = {"count": Count("id"), "tied": Count("id", filter=Q(rank=1))}
    for board_id, count, tied in current.order_by().values_list("board_id").annotate(**counts):
        heads[board_id].count, heads[board_id].tied = count, tied
    for standing in Standing.objects.filter(pk__in=_leaders(told)).select_related("submission"):
        head = heads[standing.board_id]
        head.best = head.best or one_number(standing.value, low=standing.ci_low, high=standing.ci_high)
        head.leaders.append(standing.submission.name)
    return heads


def _leaders(boards: Sequence[Board]) -> list[int]:
    """The first rows of each board, one look into the index for each: a board where thousands share the first rank costs no
    more than others."""
    rows = Standing.objects.filter(board=OuterRef("pk"), track_version=OuterRef("track__version"), superseded=False, rank=1)
    nth = {f"leader_{n}": Subquery(rows.values("pk")[n : n + 1]) for n in range(SHOWN_LEADERS)}
    found = Board.objects.filter(pk__in=[board.pk for board in boards]).annotate(**nth).order_by().values_list(*nth)
    return [key for leaders in found for key in leaders if key is not None]


def _card(board: Board, *, head: Head, now: datetime) -> Card:
    metric = board.metric
    return Card(
        board=board,
        metric=metric,
        arrow=ARROWS[metric["direction"]],
        spoken=SPOKEN[metric["direction"]],
        state=state_of(board, now),
        count=head.count,
        leaders=head.leaders,
        more_leaders=head.tied - len(head.leaders) if head.leaders else 0,
        best=head.best,
    )
