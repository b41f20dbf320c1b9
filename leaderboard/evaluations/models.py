"""One scoring of one submission. The row is the queue of record: brokers only carry wake-ups. Its state is changed by
`evaluations.lifecycle` and nowhere else."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from leaderboard.submissions.models import Submission


class State(models.TextChoices):
    """queued -> running -> succeeded | failed | cancelled."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


FINAL_STATES = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})


class Evaluation(models.Model):
    """`key` is the evaluation key (track version, content, sources, seeds, torch, device kind): equal keys, equal results.
    `track_version` and `key` are what was expected when it was queued, and what was measured once it has succeeded."""

    submission = models.ForeignKey(Submission, on_delete=models.CASCADE, related_name="evaluations")
    number = models.PositiveIntegerField()
    track_version = models.CharField(max_length=64)
    key = models.CharField(max_length=64, db_index=True)
    pool = models.SlugField(max_length=40, default="cpu")
    priority = models.PositiveSmallIntegerField(default=5, help_text="0 first, 9 last.")
    seeds = models.JSONField(default=list)

    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    attempt = models.PositiveIntegerField(default=0, help_text="How many times a worker has claimed it.")
    faults = models.PositiveSmallIntegerField(
        default=0, help_text="How many of these attempts the system broke, not the model."
    )
    queued_at = models.DateTimeField(default=timezone.now)
    published_at = models.DateTimeField(default=timezone.now, help_text="When a wake-up for it was last sent to the broker.")
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    cancel_requested = models.BooleanField(default=False)

    lease_token = models.UUIDField(null=True)
    lease_expires_at = models.DateTimeField(null=True)
    worker = models.CharField(max_length=120, blank=True)
    progress = models.FloatField(default=0.0)
    stage = models.CharField(max_length=40, blank=True)

    failure_code = models.CharField(max_length=24, blank=True)
    failure_message = models.CharField(max_length=500, blank=True)
    log = models.TextField(blank=True)
    columns_sha256 = models.CharField(max_length=64, blank=True)
    result = models.JSONField(
        default=dict, help_text="Facts, curve, filled slices and stage timings, as evaluators.runtime gives them."
    )
    provenance = models.JSONField(default=dict)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["submission", "number"], name="evaluation_numbers_are_unique"),
            models.UniqueConstraint(
                fields=["submission"],
                condition=Q(state__in=[State.QUEUED, State.RUNNING]),
                name="one_evaluation_of_a_submission_at_a_time",
            ),
            models.CheckConstraint(
                condition=Q(state=State.RUNNING, lease_token__isnull=False, lease_expires_at__isnull=False)
                | (~Q(state=State.RUNNING) & Q(lease_token=None, lease_expires_at=None)),
                name="running_means_leased",
            ),
            models.CheckConstraint(
                condition=~Q(state=State.QUEUED) | Q(cancel_requested=False), name="what_waits_is_not_to_be_cancelled"
            ),
            models.CheckConstraint(
                condition=(Q(state=State.FAILED) & ~Q(failure_code="")) | (~Q(state=State.FAILED) & Q(failure_code="")),
                name="failed_means_a_code",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["pool", "priority", "id"], condition=Q(state=State.QUEUED), name="evaluation_queue"),
            models.Index(fields=["lease_expires_at"], condition=Q(state=State.RUNNING), name="evaluation_leases"),
            models.Index(fields=["finished_at"], condition=Q(finished_at__isnull=False), name="evaluation_finished"),
        ]


class Worker(models.Model):
    """A worker process that said it is alive: what it serves, and which sandbox layers are active on its machine.
    A process that stops removes its row; the scheduler removes those of processes that fell silent."""

    name = models.CharField(primary_key=True, max_length=120)
    pool = models.SlugField(max_length=40)
    host = models.CharField(max_length=120)
    pid = models.PositiveIntegerField()
    device = models.CharField(max_length=80)
    layers = models.JSONField(default=dict)
    started_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now, db_index=True)


class Scheduler(models.Model):
    """A scheduler process that said it is alive. Several may run at once. `findings`: what it found beyond its limits when it
    looked last (`evaluations.overdue`)."""

    name = models.CharField(primary_key=True, max_length=120)
    started_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    checked_at = models.DateTimeField(null=True)
    findings = models.JSONField(null=True)
