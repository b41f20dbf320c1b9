"""When a board takes whose submissions, and why not. Who may is `leaderboard.permissions`' to say. Called by intake, the API
and the pages."""

from __future__ import annotations

from datetime import UTC, datetime

from leaderboard.accounts.models import User
from leaderboard.boards.closing import has_closed
from leaderboard.boards.models import Board
from leaderboard.permissions import Viewer, may_enter
from leaderboard.refusals import BoardClosed, NotAllowed, Refusal


def check_may_submit(board: Board, user: Viewer, now: datetime) -> None:
    """Raises NotAllowed or BoardClosed with one sentence that says why, and when it will be otherwise."""
    refusal = why_not(board, user, now)
    if refusal is not None:
        raise refusal


def why_not(board: Board, user: Viewer, now: datetime) -> Refusal | None:
    """Why `user` cannot submit to `board` at `now`; None if they can."""
    if user is None or not user.is_authenticated:
        return NotAllowed("log in, or send an API token, to submit")
    if not user.is_active:
        return NotAllowed("your account is not active, so it cannot submit; ask an administrator")
    if not board.track.available:
        return BoardClosed(
            f'the track "{board.track_id}" is not installed on this server any more, so its boards take no submissions'
        )
    if user.is_system:
        return None  # baselines stand on a board before it opens
    return _entry(board, user) or _times(board, now)


def _entry(board: Board, user: User) -> Refusal | None:
    if may_enter(user, board):
        return None
    return NotAllowed(f'only members may submit to "{board.title}"; ask its host, {board.host.username}, to add you')


def _times(board: Board, now: datetime) -> Refusal | None:
    if board.opens_at is not None and now < board.opens_at:
        wait = (board.opens_at - now).total_seconds()
        return BoardClosed(f'"{board.title}" opens on {_spoken(board.opens_at)}', retry_after=wait)
    if board.closes_at is not None and has_closed(board, now):
        return BoardClosed(f'"{board.title}" closed on {_spoken(board.closes_at)}')
    return None


def _spoken(moment: datetime) -> str:
    moment = moment.astimezone(UTC)
    return f"{moment.day} {moment:%B %Y at %H:%M} UTC"
