"""When a board closes, and what is hidden until then. The one place that decides the instant: intake, the list of boards and
the reveal ask here."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from leaderboard.boards.models import Board


def has_closed(board: Board, now: datetime) -> bool:
    """Whether the board has closed at `now`. The instant of closing itself belongs to the time after."""
    return board.closes_at is not None and now >= board.closes_at


def hides(board: Board) -> bool:
    """Whether the board hides anything from competitors. It stops when the board has been revealed, not when it closes: what
    was sent in time is waited for."""
    return board.revealed_at is None and (board.public_share is not None or board.shows != Board.Shows.ALL)


def part_in_force(board: Board) -> str:
    """Of which part of the test the results are that order the board: "" (the whole), "public" or "private"."""
    if board.public_share is None:
        return ""
    return "public" if board.revealed_at is None else "private"


def shown_elsewhere(board: Board) -> str:
    """A warning to the host of a board that keeps a part of its test back while other boards show results on all of it: whoever
    submits the same there learns the sum of both parts. Empty: nothing to warn of."""
    if board.public_share is None or not hides(board):
        return ""
    others = Board.objects.filter(track=board.track_id).exclude(pk=board.pk).order_by("slug")
    names = [other.slug for other in others if not hides(other) and not has_closed(other, timezone.now())]
    if not names:
        return ""
    takes = "takes" if len(names) == 1 else "take"
    return (
        f"The private part is hidden on this board, but {', '.join(names)} {takes} submissions to the same test and show "
        "results on all of it. Close or hide them too; until then the private part protects against tuning on this board only."
    )
