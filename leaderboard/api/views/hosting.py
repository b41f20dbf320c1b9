"""What hosts do with their boards, besides the rules: members, co-hosts, and the audit log."""

from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from leaderboard.accounts.models import Scope, User
from leaderboard.api.pagination import PageQuery
from leaderboard.api.serializers.common import page_of
from leaderboard.api.serializers.hosting import AuditEntrySerializer, PersonSerializer, UsernameBody
from leaderboard.api.views.base import ApiView
from leaderboard.audit.models import AuditEntry
from leaderboard.audit.recording import actor_of
from leaderboard.boards import hosting
from leaderboard.boards.models import Board
from leaderboard.permissions import get_hosted_board

PEOPLE = page_of(PersonSerializer)


class HostView(ApiView):
    """Base: for the hosts of a board, and administrators."""

    permission_classes = [IsAuthenticated]
    queries = {"GET": PageQuery}
    problems = {"GET": (403,), "POST": (403, 409), "DELETE": (403,)}
    scopes = {"GET": Scope.HOST, "POST": Scope.HOST, "DELETE": Scope.HOST}

    def board(self, slug: str) -> Board:
        """Raises NotFound, NotAllowed."""
        return get_hosted_board(slug, self.caller)

    def people(self, rows: QuerySet[User]) -> Response:
        """One page of people."""
        return self.page(rows, PersonSerializer, ordering=("username",))


class MembersView(HostView):
    """The members of a board."""

    @extend_schema(operation_id="listMembers", tags=["hosting"], responses=PEOPLE)
    def get(self, request: Request, slug: str) -> Response:
        """The members of a board, by username. For its hosts."""
        del request
        return self.people(self.board(slug).members.all())

    @extend_schema(operation_id="addMember", tags=["hosting"], request=UsernameBody, responses={201: PersonSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Make somebody a member of a board. For its hosts."""
        added = hosting.add_member(self.board(slug), actor=actor_of(request), **self.body(UsernameBody))
        return Response(PersonSerializer(added).data, status=201)


class MemberView(HostView):
    """One member of a board."""

    @extend_schema(operation_id="removeMember", tags=["hosting"], responses={204: None})
    def delete(self, request: Request, slug: str, username: str) -> Response:
        """Remove a member of a board. What they have submitted stays. For its hosts."""
        hosting.remove_member(self.board(slug), actor=actor_of(request), username=username)
        return Response(status=204)


class CohostsView(HostView):
    """The co-hosts of a board."""

    @extend_schema(operation_id="listCohosts", tags=["hosting"], responses=PEOPLE)
    def get(self, request: Request, slug: str) -> Response:
        """The co-hosts of a board, by username. For its hosts."""
        del request
        return self.people(self.board(slug).cohosts.all())

    @extend_schema(operation_id="addCohost", tags=["hosting"], request=UsernameBody, responses={201: PersonSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Let somebody do with a board what its host may. For its hosts."""
        added = hosting.add_cohost(self.board(slug), actor=actor_of(request), **self.body(UsernameBody))
        return Response(PersonSerializer(added).data, status=201)


class CohostView(HostView):
    """One co-host of a board."""

    @extend_schema(operation_id="removeCohost", tags=["hosting"], responses={204: None})
    def delete(self, request: Request, slug: str, username: str) -> Response:
        """Remove a co-host of a board. For its hosts."""
        hosting.remove_cohost(self.board(slug), actor=actor_of(request), username=username)
        return Response(status=204)


class AuditView(HostView):
    """What was done to a board."""

    @extend_schema(operation_id="listAuditEntries", tags=["hosting"], responses=page_of(AuditEntrySerializer))
    def get(self, request: Request, slug: str) -> Response:
        """What hosts and administrators did to a board and its submissions, newest first. For its hosts."""
        del request
        rows = AuditEntry.objects.filter(board=self.board(slug))
        return self.page(rows, AuditEntrySerializer, ordering=("-id",))
