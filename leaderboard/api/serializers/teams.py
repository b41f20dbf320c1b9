"""Teams, their members and invitations."""

from __future__ import annotations

from rest_framework import serializers

from leaderboard.accounts.models import Membership, Team
from leaderboard.api.serializers.common import Link
from leaderboard.api.strict import Choice, Strict


class TeamSerializer(serializers.Serializer):
    """A team that the caller is in or invited to. `role`: owner, member or invited."""

    slug = serializers.CharField()
    name = serializers.CharField()
    role = serializers.CharField(source="caller_role")
    created_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)
    url = Link("team", "slug", source="slug")


class MemberSerializer(serializers.Serializer):
    """Somebody in a team."""

    username = serializers.CharField(source="user.username")
    role = serializers.ChoiceField(choices=Membership.Role.choices)
    since = serializers.DateTimeField()


class InvitationSerializer(serializers.Serializer):
    """Somebody who may join."""

    username = serializers.CharField(source="user.username")
    invited_by = serializers.CharField(source="invited_by.username", allow_null=True)
    created_at = serializers.DateTimeField()


class TeamDetailSerializer(TeamSerializer):
    """A team with its people."""

    members = serializers.SerializerMethodField()
    invitations = serializers.SerializerMethodField()

    def get_members(self, team: Team) -> MemberSerializer(many=True):  # type: ignore[valid-type]
        """The longest first."""
        return MemberSerializer(team.memberships.select_related("user"), many=True).data

    def get_invitations(self, team: Team) -> InvitationSerializer(many=True):  # type: ignore[valid-type]
        """The newest first."""
        return InvitationSerializer(team.invitations.select_related("user", "invited_by"), many=True).data


class TeamBody(Strict):
    """A team to create, or another name for one."""

    name = serializers.CharField(max_length=80, help_text="As it stands on the boards.")


class RoleBody(Strict):
    """What somebody is in the team."""

    role = Choice(choices=Membership.Role.choices)
