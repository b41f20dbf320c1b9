"""me/ and tokens/."""

from __future__ import annotations

from datetime import timedelta

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from leaderboard.accounts.models import ApiToken
from leaderboard.accounts.tokens import issue_token
from leaderboard.api.pagination import PageQuery
from leaderboard.api.serializers.account import MeSerializer, NewTokenSerializer, TokenBody, TokenSerializer
from leaderboard.api.serializers.common import page_of
from leaderboard.api.views.base import ApiView
from leaderboard.refusals import NotFound


class AccountView(ApiView):
    """Base: what concerns the caller only."""

    permission_classes = [IsAuthenticated]


class MeView(AccountView):
    """The caller."""

    @extend_schema(operation_id="getMe", tags=["account"], responses=MeSerializer)
    def get(self, request: Request) -> Response:
        """Who the server takes you for."""
        del request
        return Response(MeSerializer(self.caller).data)


class TokensView(AccountView):
    """The caller's tokens."""

    queries = {"GET": PageQuery}

    @extend_schema(operation_id="listTokens", tags=["account"], responses=page_of(TokenSerializer))
    def get(self, request: Request) -> Response:
        """Your tokens, newest first, expired ones too. Their texts cannot be had again."""
        del request
        return self.page(ApiToken.objects.filter(user=self.caller), TokenSerializer, ordering=("-created", "digest"))

    @extend_schema(operation_id="createToken", tags=["account"], request=TokenBody, responses={201: NewTokenSerializer})
    def post(self, request: Request) -> Response:
        """Make a token. Its text is in this answer, and nowhere else. One made by a token does not outlive it, and may do
        no more."""
        body = self.body(TokenBody)
        days = body.pop("days", None)
        token, text = issue_token(
            user=self.caller,
            lifetime=None if days is None else timedelta(days=days),
            made_by=request.auth if isinstance(request.auth, ApiToken) else None,
            **body,
        )
        response = Response(NewTokenSerializer(token, context={"text": text}).data, status=201)
        response["Cache-Control"] = "no-store"
        return response


class TokenView(AccountView):
    """One token of the caller."""

    @extend_schema(operation_id="deleteToken", tags=["account"], responses={204: None})
    def delete(self, request: Request, token_id: str) -> Response:
        """Delete a token. It is refused from then on."""
        deleted, _ = ApiToken.objects.filter(user=request.user, digest__startswith=token_id).delete()
        if not deleted:
            raise NotFound(f"you have no token {token_id}")
        return Response(status=204)
