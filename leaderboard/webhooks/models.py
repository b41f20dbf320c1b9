"""Addresses that people want to be called at, and the calls: a queue in the database, as evaluations are."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from leaderboard.boards.models import Board
from leaderboard.evaluations.models import Evaluation


class Webhook(models.Model):
    """Where to call when a submission of `user`'s (of `board`'s, which the user hosts, where one is named) has ended."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="webhooks")
    board = models.ForeignKey(Board, null=True, blank=True, on_delete=models.CASCADE, related_name="webhooks")
    url = models.CharField(max_length=500)
    secret = models.TextField(help_text="Signs the calls; encrypted with a key of the server.")
    active = models.BooleanField(default=True, help_text="Off after too many calls in a row that nobody took.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["created_at", "id"]

    def __str__(self) -> str:
        return self.url


class Delivery(models.Model):
    """One call: what it says, and how it went. It is over when `next_try_at` is empty."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    evaluation = models.ForeignKey(Evaluation, null=True, on_delete=models.CASCADE, related_name="+")
    event = models.CharField(max_length=40)
    body = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True, default=timezone.now)
    delivered_at = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(null=True, help_text="Of the newest answer.")
    error = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["webhook", "evaluation"], name="one_call_per_webhook_and_evaluation")
        ]
        indexes: ClassVar = [
            models.Index(fields=["next_try_at"], condition=Q(next_try_at__isnull=False), name="webhook_calls_due")
        ]
