"""teams/: people who compete as one."""

from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from leaderboard.accounts import teams
from leaderboard.accounts.models import Team
from leaderboard.api.pagination import PageQuery
from leaderboard.api.serializers.common import page_of
from leaderboard.api.serializers.hosting import UsernameBody
from leaderboard.api.serializers.teams import RoleBody, TeamBody, TeamDetailSerializer, TeamSerializer
from leaderboard.api.views.base import ApiView
from leaderboard.permissions import get_team, visible_teams


class TeamsBase(ApiView):
    """Base: teams are seen by those who are in them or invited, and by nobody else."""

    permission_classes = [IsAuthenticated]

    def answer(self, slug: str, *, status: int = 200) -> Response:
        """The team as it is now; nothing where the caller sees it no more."""
        team = self.mine().filter(slug=slug).first()
        if team is None:
            return Response(status=204)
        return Response(TeamDetailSerializer(team, context={"request": self.request}).data, status=status)

    def mine(self) -> QuerySet[Team]:
        """The caller's teams, each with the caller's role."""
        return teams.with_role(visible_teams(self.caller), self.caller)

    def team(self, slug: str) -> Team:
        """Raises NotFound."""
        return get_team(slug, self.caller)


class TeamsView(TeamsBase):
    """The caller's teams."""

    queries = {"GET": PageQuery}

    @extend_schema(operation_id="listTeams", tags=["teams"], responses=page_of(TeamSerializer))
    def get(self, request: Request) -> Response:
        """The teams that you are in or invited to, by slug."""
        del request
        return self.page(self.mine(), TeamSerializer, ordering=("slug",))

    @extend_schema(operation_id="createTeam", tags=["teams"], request=TeamBody, responses={201: TeamDetailSerializer})
    def post(self, request: Request) -> Response:
        """Create a team. You are its owner, and invite the others."""
        del request
        made = teams.create_team(user=self.caller, **self.body(TeamBody))
        return self.answer(made.slug, status=201)


class TeamView(TeamsBase):
    """One team."""

    problems = {"PATCH": (403, 409), "DELETE": (403, 409)}

    @extend_schema(operation_id="getTeam", tags=["teams"], responses=TeamDetailSerializer)
    def get(self, request: Request, slug: str) -> Response:
        """A team of yours with its members and invitations."""
        del request
        return self.answer(self.team(slug).slug)

    @extend_schema(operation_id="renameTeam", tags=["teams"], request=TeamBody, responses=TeamDetailSerializer)
    def patch(self, request: Request, slug: str) -> Response:
        """Rename a team, on the boards as well. For its owners."""
        del request
        teams.rename(self.team(slug), by=self.caller, **self.body(TeamBody))
        return self.answer(slug)

    @extend_schema(operation_id="closeTeam", tags=["teams"], responses={204: None})
    def delete(self, request: Request, slug: str) -> Response:
        """Close a team. What it has sent stays on the boards under its name; one that sent nothing is gone. For its owners."""
        del request
        teams.close(self.team(slug), by=self.caller)
        return Response(status=204)


class InvitationsView(TeamsBase):
    """Invitations of a team."""

    problems = {"POST": (403, 409)}

    @extend_schema(operation_id="inviteToTeam", tags=["teams"], request=UsernameBody, responses={201: TeamDetailSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Invite somebody by username. They accept or decline on their page. For its owners."""
        del request
        teams.invite(self.team(slug), by=self.caller, **self.body(UsernameBody))
        return self.answer(slug, status=201)


class InvitationView(TeamsBase):
    """One invitation."""

    problems = {"DELETE": (403,)}

    @extend_schema(operation_id="turnDownInvitation", tags=["teams"], responses={204: None})
    def delete(self, request: Request, slug: str, username: str) -> Response:
        """Decline your own invitation, or withdraw one as an owner."""
        del request
        teams.turn_down(self.team(slug), by=self.caller, username=username)
        return Response(status=204)


class MemberView(TeamsBase):
    """One member."""

    problems = {"PATCH": (403, 409), "DELETE": (403, 409)}

    @extend_schema(operation_id="setTeamRole", tags=["teams"], request=RoleBody, responses=TeamDetailSerializer)
    def patch(self, request: Request, slug: str, username: str) -> Response:
        """Make a member an owner, or an owner a member. For its owners."""
        del request
        teams.set_role(self.team(slug), by=self.caller, username=username, **self.body(RoleBody))
        return self.answer(slug)

    @extend_schema(operation_id="removeFromTeam", tags=["teams"], responses={204: None})
    def delete(self, request: Request, slug: str, username: str) -> Response:
        """Remove somebody. What they sent for the team stays the team's. For its owners."""
        del request
        teams.remove(self.team(slug), by=self.caller, username=username)
        return Response(status=204)


class AcceptView(TeamsBase):
    """The answer to an invitation."""

    problems = {"POST": (403, 409)}

    @extend_schema(operation_id="acceptInvitation", tags=["teams"], request=None, responses=TeamDetailSerializer)
    def post(self, request: Request, slug: str) -> Response:
        """Accept your invitation to a team."""
        del request
        teams.accept(self.team(slug), by=self.caller)
        return self.answer(slug)


class LeaveView(TeamsBase):
    """The way out."""

    problems = {"POST": (403, 409)}

    @extend_schema(operation_id="leaveTeam", tags=["teams"], request=None, responses={204: None})
    def post(self, request: Request, slug: str) -> Response:
        """Leave a team. What you sent for it stays the team's. The last one to leave closes it."""
        del request
        teams.leave(self.team(slug), by=self.caller)
        return Response(status=204)
