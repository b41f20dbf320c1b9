"""The caller, and the caller's tokens."""

from __future__ import annotations

from datetime import timedelta

from rest_framework import serializers

from leaderboard.accounts.models import ApiToken, Scope
from leaderboard.accounts.tokens import LONGEST_LIFE
from leaderboard.api.strict import Choice, Strict


class MeSerializer(serializers.Serializer):
    """Who the server takes the caller for."""

    username = serializers.CharField()
    email = serializers.CharField()
    is_staff = serializers.BooleanField()
    joined_at = serializers.DateTimeField(source="date_joined")


class TokenSerializer(serializers.Serializer):
    """A token, without its text."""

    id = serializers.SerializerMethodField()
    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=Scope.choices))
    starts_with = serializers.CharField(source="token_key")
    created_at = serializers.DateTimeField(source="created")
    expires_at = serializers.DateTimeField(source="expiry", allow_null=True)
    last_used_at = serializers.DateTimeField(source="last_used", allow_null=True, help_text="To the minute.")

    def get_id(self, token: ApiToken) -> str:
        """The beginning of its digest, which tells nothing of its text."""
        return token_id(token)


class NewTokenSerializer(TokenSerializer):
    """A token that was made just now: its text is shown this once."""

    token = serializers.SerializerMethodField()

    def get_token(self, token: ApiToken) -> str:
        """For the header `Authorization: Bearer ...`."""
        del token
        return str(self.context["text"])


class TokenBody(Strict):
    """A token to make."""

    name = serializers.CharField(max_length=80, help_text="What it is for.")
    scopes = serializers.ListField(
        required=False,
        child=Choice(choices=Scope.choices),
        allow_empty=False,
        max_length=len(Scope.values),
        help_text='What it may do; default: "read" and "submit".',
    )
    days = serializers.IntegerField(
        required=False, min_value=1, max_value=LONGEST_LIFE // timedelta(days=1), help_text="How long it lives; default 90."
    )


ID_DIGITS = 32


def token_id(token: ApiToken) -> str:
    """How a token is named in addresses."""
    return str(token.digest[:ID_DIGITS])
