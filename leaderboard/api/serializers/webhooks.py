"""Webhooks, and the calls that were made."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from leaderboard.api.strict import Strict
from leaderboard.webhooks.models import Webhook
from leaderboard.webhooks.outgoing import LONGEST_URL

SHOWN = 20


class DeliverySerializer(serializers.Serializer):
    """One call. It is tried again while `next_try_at` is set."""

    id = serializers.UUIDField()
    event = serializers.CharField()
    submission = serializers.UUIDField(source="evaluation.submission_id", default=None, allow_null=True)
    created_at = serializers.DateTimeField()
    attempts = serializers.IntegerField()
    status = serializers.IntegerField(allow_null=True, help_text="The HTTP status of the newest answer.")
    error = serializers.CharField(help_text="Why there was no answer.")
    delivered_at = serializers.DateTimeField(allow_null=True)
    next_try_at = serializers.DateTimeField(allow_null=True)


class WebhookSerializer(serializers.Serializer):
    """A webhook, without its secret."""

    id = serializers.UUIDField()
    url = serializers.CharField()
    board = serializers.CharField(source="board.slug", default=None, allow_null=True, help_text="Null: your own submissions.")
    active = serializers.BooleanField(help_text="Off after calls that nobody took; `ping/` switches it on again.")
    created_at = serializers.DateTimeField()


class WebhookDetailSerializer(WebhookSerializer):
    """With its newest calls."""

    deliveries = serializers.SerializerMethodField()

    @extend_schema_field(DeliverySerializer(many=True))
    def get_deliveries(self, webhook: Webhook) -> Any:
        """Newest first."""
        return DeliverySerializer(webhook.deliveries.select_related("evaluation")[:SHOWN], many=True).data


class NewWebhookSerializer(WebhookSerializer):
    """A webhook that was made just now: its secret is shown this once."""

    secret = serializers.SerializerMethodField()

    def get_secret(self, webhook: Webhook) -> str:
        """The key of `Standings-Signature: t=...,v1=...`: HMAC-SHA256 over "t.body"."""
        del webhook
        return str(self.context["secret"])


class WebhookBody(Strict):
    """A webhook to make."""

    url = serializers.CharField(max_length=LONGEST_URL, help_text="A public address that begins with https://.")
    board = serializers.CharField(required=False, help_text="A board that you host: all its submissions; else your own.")
