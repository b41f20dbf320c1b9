"""webhooks/: addresses that the server calls when a submission has ended."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from leaderboard.api.pagination import PageQuery
from leaderboard.api.serializers.common import page_of
from leaderboard.api.serializers.webhooks import (
    DeliverySerializer,
    NewWebhookSerializer,
    WebhookBody,
    WebhookDetailSerializer,
    WebhookSerializer,
)
from leaderboard.api.views.account import AccountView
from leaderboard.webhooks import registering


class WebhooksView(AccountView):
    """The caller's webhooks."""

    queries = {"GET": PageQuery}
    problems = {"POST": (404, 409)}

    @extend_schema(operation_id="listWebhooks", tags=["account"], responses=page_of(WebhookSerializer))
    def get(self, request: Request) -> Response:
        """Your webhooks, oldest first."""
        del request
        return self.page(registering.webhooks_of(self.caller), WebhookSerializer, ordering=("created_at", "id"))

    @extend_schema(operation_id="createWebhook", tags=["account"], request=WebhookBody, responses={201: NewWebhookSerializer})
    def post(self, request: Request) -> Response:
        """Register an address. The secret that signs its calls is in this answer, and nowhere else."""
        del request
        webhook, secret = registering.register(user=self.caller, **self.body(WebhookBody))
        response = Response(NewWebhookSerializer(webhook, context={"secret": secret}).data, status=201)
        response["Cache-Control"] = "no-store"
        return response


class WebhookView(AccountView):
    """One webhook of the caller."""

    @extend_schema(operation_id="getWebhook", tags=["account"], responses=WebhookDetailSerializer)
    def get(self, request: Request, webhook_id: UUID) -> Response:
        """A webhook with its newest calls."""
        del request
        return Response(WebhookDetailSerializer(registering.get_webhook(webhook_id, self.caller)).data)

    @extend_schema(operation_id="deleteWebhook", tags=["account"], responses={204: None})
    def delete(self, request: Request, webhook_id: UUID) -> Response:
        """Remove a webhook. No further call is made."""
        del request
        registering.remove(webhook_id, self.caller)
        return Response(status=204)


class PingView(AccountView):
    """A call to try it out."""

    @extend_schema(operation_id="pingWebhook", tags=["account"], request=None, responses={202: DeliverySerializer})
    def post(self, request: Request, webhook_id: UUID) -> Response:
        """Queue a call that says nothing but "ping"."""
        del request
        delivery = registering.try_out(registering.get_webhook(webhook_id, self.caller))
        return Response(DeliverySerializer(delivery).data, status=202)
