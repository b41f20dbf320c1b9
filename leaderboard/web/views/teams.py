"""Teams: a person's own, and one with its people."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from leaderboard.accounts import teams
from leaderboard.accounts.models import Membership, Team, User
from leaderboard.permissions import Action, allows, get_team, roles_in_team, visible_teams
from leaderboard.refusals import Conflict, InvalidRequest, Refusal
from leaderboard.web.requests import PersonRequest
from leaderboard.web.rules_form import TeamNameForm, UsernameForm

Change = Callable[[Team, User, str], object]
"""By whom, and the one value that the form sends."""


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def mine(request: PersonRequest) -> HttpResponse:
    """The person's teams and invitations. POST creates a team."""
    form = TeamNameForm(data=request.POST if request.method == "POST" else None)
    status = 422 if form.errors else 200
    if request.method == "POST" and form.is_valid():
        try:
            made = teams.create_team(user=request.user, name=form.cleaned_data["name"])
        except Refusal as refusal:
            form.refuse(refusal)
            status = refusal.status
        else:
            messages.success(request, f"The team {made.name} is there. Invite the others.")
            return redirect("team", made.slug)
    rows = teams.with_role(visible_teams(request.user), request.user)
    return render(request, "web/teams.html", {"here": "account", "teams": rows, "form": form}, status=status)


@login_required
@never_cache
@require_safe
def team(request: PersonRequest, slug: str) -> HttpResponse:
    """One team."""
    found = get_team(slug, request.user)
    roles = roles_in_team(request.user, found)
    context = {
        "here": "account",
        "team": found,
        "members": found.memberships.select_related("user"),
        "invitations": found.invitations.select_related("user", "invited_by"),
        "may_run": allows(Action.RUN_TEAM, roles) and found.closed_at is None,
        "is_member": allows(Action.SUBMIT_FOR_TEAM, roles),
        "is_invited": allows(Action.ACCEPT_INVITATION, roles),
        "invite_form": UsernameForm(),
        "rename_form": TeamNameForm(initial={"name": found.name}, auto_id="id_rename_%s"),
        "roles": Membership.Role.choices,
    }
    return render(request, "web/team.html", context)


CHANGES: dict[str, tuple[str, Change, str]] = {
    "invite": ("username", lambda team, by, value: teams.invite(team, by=by, username=value), "{} is invited."),
    "accept": ("", lambda team, by, _: teams.accept(team, by=by), "You are in the team."),
    "decline": (
        "",
        lambda team, by, _: teams.turn_down(team, by=by, username=by.username),
        "You declined the invitation.",
    ),
    "withdraw": (
        "username",
        lambda team, by, value: teams.turn_down(team, by=by, username=value),
        "The invitation of {} is withdrawn.",
    ),
    "make-owner": (
        "username",
        lambda team, by, value: teams.set_role(team, by=by, username=value, role=Membership.Role.OWNER),
        "{} is an owner now.",
    ),
    "make-member": (
        "username",
        lambda team, by, value: teams.set_role(team, by=by, username=value, role=Membership.Role.MEMBER),
        "{} is a member now.",
    ),
    "remove": ("username", lambda team, by, value: teams.remove(team, by=by, username=value), "{} is removed."),
    "rename": ("name", lambda team, by, value: teams.rename(team, by=by, name=value), "The team is called {} now."),
    "leave": ("", lambda team, by, _: teams.leave(team, by=by), "You have left the team."),
    "close": ("", lambda team, by, _: teams.close(team, by=by), "The team is closed."),
}
"""What can be done to a team, by the last part of the address: the field that it needs, how it is done, what is said then."""


@login_required
@require_POST
def change(request: PersonRequest, slug: str, what: str) -> HttpResponse:
    """Do one of CHANGES."""
    found = get_team(slug, request.user)
    field, act, said = CHANGES[what]
    value = request.POST.get(field, "").strip() if field else ""
    try:
        act(found, request.user, value)
    except (Conflict, InvalidRequest) as refusal:
        messages.error(request, refusal.detail)
    else:
        messages.success(request, said.format(value))
    still_there = visible_teams(request.user).filter(pk=found.pk).exists()
    return redirect("team", slug) if still_there else redirect("teams")
