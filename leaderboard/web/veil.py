"""What a page says of what its board hides until it closes: a notice, and for those who see behind it, links to each part
of the test. Called by the pages of boards, submissions and comparisons."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from leaderboard.boards.closing import has_closed, hides, part_in_force
from leaderboard.boards.models import Board
from leaderboard.standings.revealing import awaited
from leaderboard.standings.sight import PARTS, Sight, hidden_rows
from leaderboard.standings.waking import is_being_ranked

TITLES = {"public": "public part", "private": "private part", "whole": "whole test"}


@dataclass(frozen=True)
class Choice:
    """A link to one part of the test; `value` is empty for the part in force."""

    value: str
    title: str
    chosen: bool


@dataclass(frozen=True)
class Veil:
    """notice: what is shown and what is hidden, empty where nothing is. inside: what the viewer sees here is hidden from
    others. choices: the parts that the viewer may look at."""

    notice: str = ""
    inside: str = ""
    choices: tuple[Choice, ...] = ()


def veil_of(board: Board, sight: Sight, *, now: datetime) -> Veil:
    """What the page says at `now`. Boards that never hid anything have no veil."""
    if board.public_share is None and board.shows == Board.Shows.ALL:
        return Veil()
    sees_parts = board.public_share is not None and (sight.insider or not hides(board))
    in_force = part_in_force(board)
    choices = (
        [Choice("" if part == in_force else part, TITLES[part], part == sight.part) for part in PARTS] if sees_parts else []
    )
    return Veil(_notice(board, sight, now), _inside(board, sight), tuple(choices))


def _notice(board: Board, sight: Sight, now: datetime) -> str:
    if not hides(board):
        return "The board has closed: ranks are being made anew by the private part." if is_being_ranked(board) else ""
    sentences = []
    if board.public_share is not None:
        share = f"{100 * board.public_share:.3g} %"
        sentences.append(f"Results are on the public part of the test, about {share} of it; the rest decides the final ranks.")
    if hidden := hidden_rows(board, sight):
        sentences.append(f"{hidden[0].upper()}{hidden[1:]}.")
    if has_closed(board, now):
        count = awaited(board).count()
        left = f"{count} evaluation{'s are' if count != 1 else ' is'} waited for" if count else "the last results are ranked"
        sentences.append(f"The board has closed; {left} before the rest is shown.")
    return " ".join(sentences)


def _inside(board: Board, sight: Sight) -> str:
    """Marks what only a host or an administrator sees."""
    if not sight.insider:
        return ""
    if sight.part not in ("", "public"):
        return f"You see the {TITLES[sight.part]} as a host or administrator. Until the board closes nobody else does."
    hidden = board.shows != Board.Shows.ALL or board.ladder
    return "You see all scores as a host or administrator. Others do not until the board closes." if hidden else ""
