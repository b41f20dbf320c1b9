"""For whom a person competes on a board: alone, or for one team. The first submission decides, so that the quotas in use are
never more than the people who use them. Called by intake, and by whoever shows a person's quota."""

from __future__ import annotations

from leaderboard.accounts.models import Team, User
from leaderboard.boards.models import Board, Participation
from leaderboard.refusals import Conflict


def team_on(board: Board, user: User) -> Team | None:
    """The team for which somebody competes on the board; None: alone, or not yet at all."""
    row = Participation.objects.select_related("team").filter(board=board, user=user).first()
    return row.team if row else None


def enter(board: Board, user: User, team: Team | None) -> None:
    """Compete on the board for this team, or alone (None), from now on.

    Call it inside the transaction that takes the submission in: of two first submissions at once, one waits for the other at
    the row, and a rollback leaves no trace. The system competes alone, as often as it likes. Raises Conflict for somebody who
    competes for another side there."""
    if user.is_system:
        return
    row, _ = Participation.objects.select_related("team").get_or_create(board=board, user=user, defaults={"team": team})
    if row.team_id == (team.pk if team else None):
        return
    if row.team:
        told = f'on "{board.title}" you compete for the team {row.team.name} since your first submission: send for it'
    else:
        told = f'on "{board.title}" you compete alone since your first submission: send without a team'
    raise Conflict(f"{told}; its hosts can change that", code="other_side")
