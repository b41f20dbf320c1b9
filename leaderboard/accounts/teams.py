"""Teams: made, joined by invitation, left, closed. Who may do what in a team is `leaderboard.permissions`' to say, and asked
here. Whatever changes who is in a team first locks the team's row, as does intake when something is sent for it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.text import slugify

from leaderboard.accounts.models import Invitation, Membership, Team, User
from leaderboard.accounts.names import refuse_retired
from leaderboard.permissions import Action, check_in_team
from leaderboard.refusals import Conflict, FieldError, InvalidRequest, NotAllowed, NotFound

MOST_MEMBERS = 50
MOST_TEAMS = 20
"""Of one person: as many as they may be in."""
LONGEST_NAME = 80


def create_team(*, user: User, name: str) -> Team:
    """A new team with this person as its owner. Raises InvalidRequest for a name that is taken or cannot be read, Conflict."""
    name = _checked_name(name)
    with transaction.atomic():
        _check_room_for_another_team(user)
        team = _saved(Team(name=name, slug=_slug(name), created_by=user))
        Membership.objects.create(team=team, user=user, role=Membership.Role.OWNER)
    return team


def rename(team: Team, *, by: User, name: str) -> None:
    """Give the team another name, on the boards as well; its slug stays."""
    with _changing(team, Action.RUN_TEAM, by):
        team.name = _checked_name(name, besides=team)
        _saved(team)


def invite(team: Team, *, by: User, username: str) -> Invitation:
    """Offer somebody a place. Repeating it changes nothing. Raises InvalidRequest where nobody has that name, Conflict."""
    with _changing(team, Action.RUN_TEAM, by):
        guest = User.objects.filter(username=username, is_active=True, is_system=False).first()
        if guest is None:
            raise _wrong("username", f'there is no account "{username[:150]}"')
        if team.memberships.filter(user=guest).exists():
            raise Conflict(f"{guest.username} is in the team already")
        if team.memberships.count() + team.invitations.exclude(user=guest).count() >= MOST_MEMBERS:
            raise Conflict(f"a team has at most {MOST_MEMBERS} members, invited ones counted")
        return Invitation.objects.get_or_create(team=team, user=guest, defaults={"invited_by": by})[0]


def accept(team: Team, *, by: User) -> Membership:
    """Take an invitation."""
    with _changing(team, Action.ACCEPT_INVITATION, by):
        _check_room_for_another_team(by)
        team.invitations.filter(user=by).delete()
        return Membership.objects.create(team=team, user=by)


def turn_down(team: Team, *, by: User, username: str) -> None:
    """Decline one's own invitation, or withdraw somebody else's."""
    declines = by.username == username
    with _changing(team, Action.ACCEPT_INVITATION if declines else Action.RUN_TEAM, by, closed_too=True):
        deleted, _ = team.invitations.filter(user__username=username).delete()
        if not deleted:
            raise NotFound(f'nobody named "{username[:150]}" is invited to this team')


def set_role(team: Team, *, by: User, username: str, role: str) -> Membership:
    """Make a member an owner, or an owner a member. A team keeps an owner."""
    if role not in Membership.Role.values:
        raise _wrong("role", f"a role is one of: {', '.join(Membership.Role.values)}")
    with _changing(team, Action.RUN_TEAM, by):
        membership = _membership(team, username)
        if role != Membership.Role.OWNER:
            _check_other_owner(team, membership)
        membership.role = role
        membership.save(update_fields=["role"])
        return membership


def leave(team: Team, *, by: User) -> None:
    """Go. What was sent for the team stays the team's. The last one to go closes it."""
    with _changing(team, Action.SUBMIT_FOR_TEAM, by, closed_too=True):
        _end(team, _membership(team, by.username))


def leave_all(user: User) -> None:
    """Go from every team, as somebody whose account is deleted. Raises Conflict for one that would be left without an owner."""
    for team in Team.objects.filter(memberships__user=user):
        with transaction.atomic():
            Team.objects.select_for_update().get(pk=team.pk)
            _end(team, team.memberships.get(user=user))


def remove(team: Team, *, by: User, username: str) -> None:
    """Remove somebody: as if they had left."""
    with _changing(team, Action.RUN_TEAM, by):
        _end(team, _membership(team, username))


def close(team: Team, *, by: User) -> None:
    """End a team: deleted if nothing was ever sent for it, else closed. A closed team stands on the boards under its name, its
    members go on seeing what is theirs, and nothing more is sent for it."""
    with _changing(team, Action.RUN_TEAM, by):
        _close(team)


def with_role(rows: QuerySet[Team], user: User) -> QuerySet[Team]:
    """Each team with `caller_role`, what the person is in it: owner, member or invited."""
    role = Membership.objects.filter(team=OuterRef("pk"), user=user).values("role")[:1]
    return rows.annotate(caller_role=Coalesce(Subquery(role), Value("invited")))


def lock_to_send(*, slug: str, user: User) -> Team:
    """The open team, locked until the transaction ends, for a member who sends something for it. Raises NotAllowed for one that
    was closed or left a moment ago."""
    rows = Team.objects.select_for_update(no_key=True).filter(slug=slug, closed_at=None)
    team = rows.filter(pk__in=Membership.objects.filter(user=user).values("team")).first()
    if team is None:
        raise NotAllowed(f'you are in no open team "{slug}" any more')
    return team


@contextmanager
def _changing(team: Team, action: Action, by: User, *, closed_too: bool = False) -> Iterator[None]:
    """One change at a time in a team, by somebody who may. Raises NotAllowed, NotFound, Conflict."""
    with transaction.atomic():
        known = Team.objects.select_for_update().filter(pk=team.pk).first()
        if known is None:
            raise NotFound(f'there is no team "{team.slug}" any more')
        check_in_team(action, by, known)
        if known.closed_at is not None and not closed_too:
            raise Conflict(f"the team {known.name} is closed")
        yield


def _end(team: Team, membership: Membership) -> None:
    alone = team.memberships.count() == 1
    if not alone and team.closed_at is None:
        _check_other_owner(team, membership)
    membership.delete()
    if alone:
        _close(team)


def _close(team: Team) -> None:
    team.invitations.all().delete()
    if team.submissions.exists():
        Team.objects.filter(pk=team.pk, closed_at=None).update(closed_at=timezone.now())
    else:
        team.delete()


def _membership(team: Team, username: str) -> Membership:
    found = team.memberships.select_related("user").filter(user__username=username).first()
    if found is None:
        raise NotFound(f'nobody named "{username[:150]}" is in this team')
    return found


def _check_other_owner(team: Team, membership: Membership) -> None:
    if not team.memberships.filter(role=Membership.Role.OWNER).exclude(pk=membership.pk).exists():
        raise Conflict("a team needs an owner: make another member one first, or close the team")


def _check_room_for_another_team(user: User) -> None:
    if Membership.objects.filter(user=user, team__closed_at=None).count() >= MOST_TEAMS:
        raise Conflict(f"nobody is in more than {MOST_TEAMS} teams; leave one first")


def _checked_name(name: str, *, besides: Team | None = None) -> str:
    name = unicodedata.normalize("NFC", name.strip())
    if not (1 <= len(name) <= LONGEST_NAME and name.isprintable()):
        raise _wrong("name", f"a team's name has 1 to {LONGEST_NAME} printable characters")
    if User.objects.filter(username__iexact=name).exists():
        raise _wrong("name", "a person has this name; a team needs one of its own")
    try:
        refuse_retired(name)
    except ValidationError as error:
        raise _wrong("name", error.messages[0]) from error
    same = Team.objects.filter(name__iexact=name)
    if (same.exclude(pk=besides.pk) if besides else same).exists():
        raise _wrong("name", "another team has this name")
    return name


def _slug(name: str) -> str:
    """From the name, with a number where that is taken."""
    base = slugify(name)[:34].strip("-") or "team"
    taken = set(Team.objects.filter(slug__startswith=base).values_list("slug", flat=True))
    numbered = (f"{base}-{number}" for number in range(2, len(taken) + 3))
    return next(slug for slug in (base, *numbered) if slug not in taken)


def _saved(team: Team) -> Team:
    """Saved; of two teams that take one name at once, the second is refused."""
    try:
        with transaction.atomic():
            team.save()
    except IntegrityError as error:
        raise _wrong("name", "another team has this name") from error
    return team


def _wrong(field: str, detail: str) -> InvalidRequest:
    return InvalidRequest(detail, errors=(FieldError(field, "invalid", detail),))
