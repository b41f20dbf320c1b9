"""Who may do what: every rule of access, in one place. A rule is a row of RULES: an action, and the roles that may do it. Roles
are held on an object: on a board, a submission, a team. Called by every view, service, admin page and command that decides
about access; querysets (`visible_...`) say the same for lists, before anything is counted or cut into pages.

What is hidden is told apart from what is missing by nothing: both are NotFound, in the same words. What may be seen but not
done is NotAllowed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db.models import Q, QuerySet

from leaderboard.accounts.models import ApiToken, Invitation, Membership, Scope, Team, User
from leaderboard.boards.models import Board
from leaderboard.refusals import Gone, MissingScope, NotAllowed, NotFound
from leaderboard.submissions.models import Submission

Viewer = User | AnonymousUser | None


class Role(StrEnum):
    """What somebody is to an object. Roles add up: a host is a person too."""

    VISITOR = "anybody"
    PERSON = "account"
    MEMBER = "board member"
    COMPETITOR = "competitor"
    HOST = "host"
    ADMINISTRATOR = "administrator"
    INVITED = "invited"
    TEAM_MEMBER = "team member"
    TEAM_OWNER = "team owner"


class Action(StrEnum):
    """What somebody may do. The competitor of a submission is the person who sent it, or every member of the team that it was
    sent for."""

    SEE_PUBLIC_BOARD = "see a public board: rules, standings, claims"
    SEE_PRIVATE_BOARD = "see a private board: rules, standings, claims"
    ENTER_OPEN_BOARD = "submit to a board that is open to everybody"
    ENTER_MEMBERS_BOARD = "submit to a board of members"
    CREATE_BOARD = "create a board"
    HOST_BOARD = "change a board's rules, members, hosts and claims; read its audit log"
    SEE_PUBLIC_SUBMISSION = "see a public submission on a board that one sees: page, config, log, columns"
    SEE_PRIVATE_SUBMISSION = "see a private submission: page, config, log, columns"
    ANSWER_FOR_SUBMISSION = "cancel a submission, evaluate it again, get its file"
    WITHDRAW_SUBMISSION = "withdraw a submission until its board closes"
    REMOVE_SUBMISSION = "withdraw a submission from a board at any time, with a reason"
    SEE_HIDDEN_RESULTS = "see scores, and the part of a test, that a board hides until it closes"
    EVALUATE_FOR_FREE = "evaluate a submission again without quota, also after closing"
    SEE_TEAM = "see a team and its members"
    ACCEPT_INVITATION = "accept or decline an invitation to a team"
    SUBMIT_FOR_TEAM = "submit for a team; leave it"
    RUN_TEAM = "rename or close a team; invite, remove, make owners"
    ADMINISTER = "use the administration; read the whole audit log"


def _roles(*roles: Role) -> frozenset[Role]:
    return frozenset(roles)


_EVERYBODY = frozenset(Role)
_ANSWERABLE = _roles(Role.COMPETITOR, Role.HOST, Role.ADMINISTRATOR)
_IN_TEAM = _roles(Role.TEAM_MEMBER, Role.TEAM_OWNER)

RULES: Mapping[Action, frozenset[Role]] = {
    Action.SEE_PUBLIC_BOARD: _EVERYBODY,
    Action.SEE_PRIVATE_BOARD: _roles(Role.MEMBER, Role.HOST, Role.ADMINISTRATOR),
    Action.ENTER_OPEN_BOARD: _EVERYBODY - {Role.VISITOR},
    Action.ENTER_MEMBERS_BOARD: _roles(Role.MEMBER, Role.HOST),
    Action.CREATE_BOARD: _roles(Role.ADMINISTRATOR),
    Action.HOST_BOARD: _roles(Role.HOST, Role.ADMINISTRATOR),
    Action.SEE_PUBLIC_SUBMISSION: _EVERYBODY,
    Action.SEE_PRIVATE_SUBMISSION: _ANSWERABLE,
    Action.ANSWER_FOR_SUBMISSION: _ANSWERABLE,
    Action.WITHDRAW_SUBMISSION: _roles(Role.COMPETITOR),
    Action.REMOVE_SUBMISSION: _roles(Role.HOST, Role.ADMINISTRATOR),
    Action.SEE_HIDDEN_RESULTS: _roles(Role.HOST, Role.ADMINISTRATOR),
    Action.EVALUATE_FOR_FREE: _roles(Role.HOST, Role.ADMINISTRATOR),
    Action.SEE_TEAM: _IN_TEAM | {Role.INVITED},
    Action.ACCEPT_INVITATION: _roles(Role.INVITED),
    Action.SUBMIT_FOR_TEAM: _IN_TEAM,
    Action.RUN_TEAM: _roles(Role.TEAM_OWNER),
    Action.ADMINISTER: _roles(Role.ADMINISTRATOR),
}


def allows(action: Action, roles: Iterable[Role]) -> bool:
    """Whether somebody with these roles may."""
    return not RULES[action].isdisjoint(roles)


# --- roles


def person(user: Viewer) -> User | None:
    """The account, if it is open and logged in."""
    return user if isinstance(user, User) and user.is_active else None


def roles_of(user: Viewer) -> set[Role]:
    """On everything."""
    someone = person(user)
    if someone is None:
        return {Role.VISITOR}
    found = {Role.VISITOR, Role.PERSON}
    return found | {Role.ADMINISTRATOR} if someone.is_staff else found


def roles_on_board(user: Viewer, board: Board) -> set[Role]:
    """On a board. One query for most people."""
    found, someone = roles_of(user), person(user)
    if someone is None:
        return found
    if board.host_id == someone.pk or board.cohosts.filter(pk=someone.pk).exists():
        found.add(Role.HOST)
    if board.members.filter(pk=someone.pk).exists():
        found.add(Role.MEMBER)
    return found


def roles_on_submission(user: Viewer, submission: Submission) -> set[Role]:
    """On a submission: those on its board, and whether it is one's own. Uses `submission.board`."""
    found = roles_on_board(user, submission.board)
    return found | {Role.COMPETITOR} if owns(user, submission) else found


def roles_in_team(user: Viewer, team: Team) -> set[Role]:
    """In a team."""
    found, someone = roles_of(user), person(user)
    if someone is None:
        return found
    role = team.memberships.filter(user=someone).values_list("role", flat=True).first()
    if role is not None:
        found |= {Role.TEAM_MEMBER, Role.TEAM_OWNER} if role == Membership.Role.OWNER else {Role.TEAM_MEMBER}
    if team.invitations.filter(user=someone).exists():
        found.add(Role.INVITED)
    return found


def teams_of(user: Viewer) -> QuerySet[Team]:
    """The teams that somebody is a member of, closed ones too."""
    someone = person(user)
    return Team.objects.filter(memberships__user=someone) if someone else Team.objects.none()


def teams_to_send_for(user: Viewer) -> QuerySet[Team]:
    """The open ones among them."""
    return teams_of(user).filter(closed_at=None)


# --- tokens


def check_scope(token: object, needed: Scope) -> None:
    """Whether what authenticated a call may be used for this. A session may do whatever its person may; a token, what its
    scopes say. Raises MissingScope, which names the scope."""
    if isinstance(token, ApiToken) and needed not in token.scopes:
        has = " and ".join(f'"{scope}"' for scope in token.scopes)
        raise MissingScope(f'this needs a token with the scope "{needed}"; "{token.name}" has {has}')


# --- boards


def visible_boards(user: Viewer) -> QuerySet[Board]:
    """The boards that somebody may see, with track and host."""
    boards, someone = Board.objects.select_related("track", "host"), person(user)
    if allows(Action.ADMINISTER, roles_of(user)):
        return boards
    public = Q(visibility=Board.Visibility.PUBLIC)
    if someone is None:
        return boards.filter(public)
    # Memberships by subquery: a join would repeat a board once per member.
    member = Board.members.through.objects.filter(user_id=someone.pk).values("board_id")
    return boards.filter(public | _hosted(someone) | Q(pk__in=member))


def get_board(slug: str, user: Viewer) -> Board:
    """The board with this slug. Raises NotFound, for a hidden board in the same words as for none."""
    board = visible_boards(user).filter(slug=slug).first()
    if board is None:
        raise NotFound(f'there is no board "{slug}", or you may not see it')
    return board


def hosted_boards(user: Viewer) -> QuerySet[Board]:
    """The boards that somebody hosts, by title."""
    someone = person(user)
    boards = Board.objects.select_related("track", "host")
    return boards.filter(_hosted(someone)) if someone else boards.none()


def may_host(user: Viewer, board: Board) -> bool:
    """Whether somebody may change the board's rules, members and claims, and read its audit log."""
    return allows(Action.HOST_BOARD, roles_on_board(user, board))


def get_hosted_board(slug: str, user: Viewer) -> Board:
    """The board, for somebody who may change it. Raises NotFound for those who do not see it, NotAllowed for others."""
    board = get_board(slug, user)
    check_hosts(user, board)
    return board


def check_hosts(user: Viewer, board: Board) -> None:
    """Raises NotAllowed unless somebody may host the board."""
    if not may_host(user, board):
        raise NotAllowed("only the hosts of this board and administrators may do this")


def may_create_board(user: Viewer) -> bool:
    """Administrators; everybody who has an account where BOARD_CREATION says so."""
    roles = roles_of(user)
    if settings.BOARD_CREATION == "everybody" and Role.PERSON in roles:
        return True
    return allows(Action.CREATE_BOARD, roles)


def check_may_create_board(user: Viewer) -> None:
    """Raises NotAllowed."""
    if not may_create_board(user):
        raise NotAllowed("only administrators may create boards on this server; ask one to create it with you as its host")


def may_enter(user: Viewer, board: Board) -> bool:
    """Whether somebody may submit to the board, times and quota aside."""
    action = Action.ENTER_MEMBERS_BOARD if board.entry == Board.Entry.MEMBERS else Action.ENTER_OPEN_BOARD
    return allows(action, roles_on_board(user, board))


# --- submissions


def visible_submissions(user: Viewer) -> QuerySet[Submission]:
    """The submissions whose pages somebody may open, newest first, with board, track and competitor."""
    return _known_submissions(user).filter(withdrawn_at=None)


def _known_submissions(user: Viewer) -> QuerySet[Submission]:
    """Those of `visible_submissions`, and those that would be among them if they had not been withdrawn."""
    submissions = Submission.objects.select_related("board__track", "board__host", "user", "team", "artifact")
    someone = person(user)
    if allows(Action.ADMINISTER, roles_of(user)):
        return submissions
    public = Q(visibility=Submission.Visibility.PUBLIC, board__in=visible_boards(user).order_by().values("pk"))
    if someone is None:
        return submissions.filter(public)
    hosted = Q(board__in=Board.objects.filter(_hosted(someone)).order_by().values("pk"))
    return submissions.filter(public | hosted | _owned(someone))


def own_submissions(user: Viewer) -> QuerySet[Submission]:
    """What somebody has sent alone, and what was sent for their teams."""
    someone = person(user)
    return visible_submissions(user).filter(_owned(someone)) if someone else Submission.objects.none()


def get_submission(submission_id: UUID, user: Viewer) -> Submission:
    """Raises NotFound, for a hidden submission in the same words as for none, and Gone for a withdrawn one."""
    submission = get_known_submission(submission_id, user)
    if submission.withdrawn_at is not None:
        why = f": {submission.withdrawal_reason}" if submission.withdrawal_reason and answers_for(user, submission) else ""
        by = submission.get_withdrawn_by_display()
        raise Gone(f"this submission was withdrawn by {by} on {submission.withdrawn_at:%Y-%m-%d}{why}")
    return submission


def get_known_submission(submission_id: UUID, user: Viewer) -> Submission:
    """A submission, withdrawn or not. Raises NotFound."""
    submission = _known_submissions(user).filter(pk=submission_id).first()
    if submission is None:
        raise NotFound(f"there is no submission {submission_id}, or you may not see it")
    return submission


def owns(user: Viewer, submission: Submission) -> bool:
    """Whether it is the person's own, or their team's. What was sent for a team is the team's, whoever sent it."""
    someone = person(user)
    if someone is None:
        return False
    if submission.team_id is None:
        return submission.user_id == someone.pk
    return Membership.objects.filter(team=submission.team_id, user=someone).exists()


def answers_for(user: Viewer, submission: Submission) -> bool:
    """Whether somebody may cancel it and evaluate it again."""
    return allows(Action.ANSWER_FOR_SUBMISSION, roles_on_submission(user, submission))


def check_answers_for(user: Viewer, submission: Submission) -> None:
    """Raises NotAllowed unless somebody may cancel the submission and evaluate it again."""
    if not answers_for(user, submission):
        raise NotAllowed("only its competitor, the hosts of its board and administrators may do this to a submission")


def may_read_details(user: Viewer, submission: Submission) -> bool:
    """Log, columns and config: whoever may see the submission."""
    roles = roles_on_submission(user, submission)
    if allows(Action.SEE_PRIVATE_SUBMISSION, roles):
        return True
    if submission.visibility != Submission.Visibility.PUBLIC:
        return False
    private = submission.board.visibility != Board.Visibility.PUBLIC
    return allows(Action.SEE_PRIVATE_BOARD if private else Action.SEE_PUBLIC_SUBMISSION, roles)


def check_may_read_details(user: Viewer, submission: Submission) -> None:
    """Raises NotAllowed."""
    if not may_read_details(user, submission):
        raise NotAllowed("the details of this submission are private")


def may_read_artifact(user: Viewer, submission: Submission) -> bool:
    """The uploaded file: only those who answer for it."""
    return answers_for(user, submission)


def check_may_read_artifact(user: Viewer, submission: Submission) -> None:
    """Raises NotAllowed."""
    if not may_read_artifact(user, submission):
        raise NotAllowed("only its competitor, the hosts of its board and administrators may read the file of a submission")


def withdraws_as(user: Viewer, submission: Submission, *, now: datetime) -> Submission.Withdrawer:
    """By which right somebody withdraws a submission: an administrator always, its competitor until the board closes, a host
    (who has to give a reason) always. Raises NotAllowed."""
    roles, closes_at = roles_on_submission(user, submission), submission.board.closes_at
    if allows(Action.WITHDRAW_SUBMISSION, roles) and (closes_at is None or now < closes_at):
        return Submission.Withdrawer.COMPETITOR
    if allows(Action.ADMINISTER, roles):
        return Submission.Withdrawer.ADMINISTRATOR
    if allows(Action.REMOVE_SUBMISSION, roles):
        return Submission.Withdrawer.HOST
    if allows(Action.WITHDRAW_SUBMISSION, roles):
        raise NotAllowed(f'"{submission.board.title}" is closed, and its results are final; ask one of its hosts')
    raise NotAllowed("only its competitor, the hosts of its board and administrators may withdraw a submission")


def may_withdraw(user: Viewer, submission: Submission, *, now: datetime) -> Submission.Withdrawer | None:
    """By which right somebody may withdraw it; None for those who may not."""
    try:
        return withdraws_as(user, submission, now=now)
    except NotAllowed:
        return None


def evaluates_for_free(user: Viewer, board: Board) -> bool:
    """Whether evaluating again costs somebody no quota and needs no open board."""
    return allows(Action.EVALUATE_FOR_FREE, roles_on_board(user, board))


@dataclass(frozen=True)
class Reader:
    """Somebody who sees one board, asked about its rows: `sees_all` and `sees_hidden` for hosts and administrators, pages and
    results apart."""

    person: int | None
    teams: frozenset[int]
    sees_all: bool
    sees_hidden: bool

    def owns(self, user_id: int, team_id: int | None) -> bool:
        """As `owns`, without a query."""
        return user_id == self.person if team_id is None else team_id in self.teams

    def may_open(self, user_id: int, team_id: int | None, *, visibility: str) -> bool:
        """Whether the row's page is in `visible_submissions`."""
        if self.sees_all or visibility == Submission.Visibility.PUBLIC:
            return True
        return self.owns(user_id, team_id)


def reader_of(user: Viewer, board: Board) -> Reader:
    """For many rows of one board: at most three queries."""
    someone = person(user)
    teams = frozenset(teams_of(user).order_by().values_list("pk", flat=True)) if someone else frozenset()
    roles = roles_on_board(user, board)
    sees_all, sees_hidden = (allows(action, roles) for action in (Action.SEE_PRIVATE_SUBMISSION, Action.SEE_HIDDEN_RESULTS))
    return Reader(someone.pk if someone else None, teams, sees_all, sees_hidden)


# --- teams


def visible_teams(user: Viewer) -> QuerySet[Team]:
    """The teams that somebody is in or invited to, by name."""
    someone = person(user)
    if someone is None:
        return Team.objects.none()
    mine = Membership.objects.filter(user=someone).values("team")
    invited = Invitation.objects.filter(user=someone).values("team")
    return Team.objects.filter(Q(pk__in=mine) | Q(pk__in=invited))


def get_team(slug: str, user: Viewer) -> Team:
    """Raises NotFound, for somebody else's team in the same words as for none."""
    team = visible_teams(user).filter(slug=slug).first()
    if team is None:
        raise NotFound(f'there is no team "{slug[:60]}" that you are in or invited to')
    return team


def check_in_team(action: Action, user: Viewer, team: Team) -> None:
    """Raises NotAllowed, which says who may."""
    if not allows(action, roles_in_team(user, team)):
        allowed = " and ".join(sorted(role.value for role in RULES[action]))
        raise NotAllowed(f"you may not do this in the team {team.name}; it is for: {allowed}")


# --- as conditions


def _hosted(someone: User) -> Q:
    cohosted = Board.cohosts.through.objects.filter(user_id=someone.pk).values("board_id")
    return Q(host_id=someone.pk) | Q(pk__in=cohosted)


def _owned(someone: User) -> Q:
    teams = Membership.objects.filter(user=someone).values("team")
    return Q(user_id=someone.pk, team=None) | Q(team__in=teams)
