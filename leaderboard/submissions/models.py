"""What was sent. A submission never changes after intake, but once: `submissions.withdrawing` empties it, and leaves that it
was there. `charged_periods` alone is bookkeeping of `boards.quota`."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from leaderboard.accounts.models import Team
from leaderboard.boards.models import Board


class Artifact(models.Model):
    """An uploaded file, stored once under its SHA-256 (`submissions.storage`)."""

    sha256 = models.CharField(primary_key=True, max_length=64)
    size = models.PositiveBigIntegerField()
    created_at = models.DateTimeField(default=timezone.now)


class Submission(models.Model):
    """One entry of one competitor on one board: of the team, or else of the person who sent it."""

    class Kind(models.TextChoices):
        CONFIG = "config", "Config of a reference model"
        WEIGHTS = "weights", "Weights (safetensors) for a reference model"
        ONNX = "onnx", "ONNX model"
        PREDICTIONS = "predictions", "Predictions"
        PROGRAM = "program", "Program (TorchScript or torch.export)"

    class Visibility(models.TextChoices):
        PUBLIC = "public", "Public: everybody sees its page"
        PRIVATE = (
            "private",
            "Private: only you, your team and the host see its page; its row on the board shows name and scores",
        )

    class Origin(models.TextChoices):
        PERSON = "person", "Sent by a person"
        BASELINE = "baseline", "Baseline of the track"
        PAPER = "paper", "Reference model of a paper"

    class Withdrawer(models.TextChoices):
        COMPETITOR = "competitor", "its competitor"
        HOST = "host", "a host of the board"
        ADMINISTRATOR = "administrator", "an administrator"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    board = models.ForeignKey(Board, on_delete=models.PROTECT, related_name="submissions")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="submissions")
    team = models.ForeignKey(
        Team, null=True, blank=True, on_delete=models.PROTECT, related_name="submissions", help_text="None: the person's own."
    )
    name = models.CharField(max_length=80)
    description = models.TextField(blank=True, max_length=4000)
    kind = models.CharField(max_length=12, choices=Kind)
    origin = models.CharField(max_length=10, choices=Origin, default=Origin.PERSON)
    model = models.CharField(max_length=80, blank=True)
    config = models.JSONField(default=dict)
    slices = models.JSONField(default=list, help_text="Slices entered; empty: all that its kind of entrant enters.")
    artifact = models.ForeignKey(Artifact, null=True, on_delete=models.PROTECT, related_name="submissions")
    filename = models.CharField(max_length=200, blank=True)
    visibility = models.CharField(max_length=10, choices=Visibility, default=Visibility.PUBLIC)
    content_hash = models.CharField(max_length=64)
    charged_periods = models.JSONField(
        default=list, help_text="What its newest evaluation has cost and could still be refunded: quota periods."
    )
    created_at = models.DateTimeField(default=timezone.now)
    withdrawn_at = models.DateTimeField(null=True, editable=False, help_text="When `submissions.withdrawing` emptied it.")
    withdrawn_by = models.CharField(max_length=13, choices=Withdrawer, blank=True, editable=False, db_default="", default="")
    withdrawal_reason = models.CharField(max_length=300, blank=True, editable=False, db_default="", default="")

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["-created_at", "-id"], name="submission_newest"),
            models.Index(fields=["user", "-created_at"], name="submission_of_user"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["board", "user", "content_hash"], name="one_submission_per_content")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def competitor(self) -> str:
        """The name under which it stands. Uses `user` and `team`."""
        return self.team.name if self.team else str(self.user.username)


class IdempotencyKey(models.Model):
    """The answer to a POST that carried an Idempotency-Key: the same key gives the same submission."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    request_hash = models.CharField(max_length=64)
    submission = models.ForeignKey(Submission, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "key"], name="one_answer_per_idempotency_key")]
