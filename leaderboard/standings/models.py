"""Scores of evaluations, the standings that ranking made of them, and what ranking keeps: paired tests, and how far it is."""

from __future__ import annotations

import sys
from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from leaderboard.boards.models import Board
from leaderboard.evaluations.models import Evaluation
from leaderboard.submissions.models import Submission

TAIL, LAST = 2**31 - 2, 2**31 - 1
"""The tiers of what is ranked by intervals, and of what is not ranked."""
BEYOND = sys.float_info.max
"""`over` of a row above which no floor lies."""
UNRANKED = {"rank": None, "rank_low": None, "rank_high": None, "tier": LAST, "over": BEYOND, "rule": ""}
BEST_FIRST = (models.F("merit").desc(nulls_last=True), "submitted_at", "submission_id")
"""The order of standings by value, then arrival; what is not ranked comes last."""


class Part(models.TextChoices):
    """Of which test units a score is. A board that keeps no part of its test back has OPEN scores only; one that does has the
    three others, and which of them somebody may see is `standings.sight`'s to say."""

    OPEN = "", "The whole test"
    PUBLIC = "public", "The public part"
    PRIVATE = "private", "The private part"
    WHOLE = "whole", "The whole test, of which a part is kept back"


class OpenScores(models.Manager["Score"]):
    """Scores that are nobody's secret by their part. The default, so that code which does not know of parts finds no score of
    a divided test, and never one too many."""

    def get_queryset(self) -> models.QuerySet[Score]:
        """Without those of a divided test."""
        return super().get_queryset().filter(part=Part.OPEN)


class Score(models.Model):
    """One metric of one evaluation, over everything (`slice` empty) or over one slice. A value that could not be had is
    null with its `reason`, never zero. `objects` and `evaluation.scores` leave out those of a divided test: see `Part`."""

    evaluation = models.ForeignKey(Evaluation, on_delete=models.CASCADE, related_name="scores")
    metric = models.CharField(max_length=60)
    slice = models.CharField(max_length=60, blank=True)
    part = models.CharField(max_length=8, blank=True, default=Part.OPEN, db_default=Part.OPEN, choices=Part)
    value = models.FloatField(null=True)
    ci_low = models.FloatField(null=True)
    ci_high = models.FloatField(null=True)
    reason = models.CharField(max_length=200, blank=True)
    unit = models.CharField(max_length=40)
    direction = models.CharField(max_length=4)
    primary = models.BooleanField(default=False)

    objects = OpenScores()
    every: ClassVar[models.Manager[Score]] = models.Manager()

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["evaluation", "metric", "slice", "part"], name="one_score_per_metric_slice_and_part"
            )
        ]


class Measurement(models.Model):
    """What a board measures of an evaluation beyond the track's own scores: the parts of a divided test, and a combination of
    metrics. Made by `standings.measuring` in workers. `measure` is what it was made under; an evaluation whose board measures
    something else now is measured again from its columns.

    public_sha256, private_sha256: the columns of each part. curves: by part. announced: whether the Ladder shows its public
    score, as `announced_value`; null until it has decided.
    """

    evaluation = models.OneToOneField(Evaluation, on_delete=models.CASCADE, related_name="measurement")
    measure = models.CharField(max_length=64)
    public_sha256 = models.CharField(max_length=64, blank=True)
    private_sha256 = models.CharField(max_length=64, blank=True)
    curves = models.JSONField(default=dict)
    announced = models.BooleanField(null=True)
    announced_value = models.FloatField(null=True)


class Standing(models.Model):
    """The place of a submission on its board, for one track version: that of its newest succeeded evaluation.

    `merit`, `floor` and `ceiling` are value and interval such that more is better, the interval stretched as
    `evaluators.ordering` does: a row is surely better than another if its floor is above the other's ceiling. `rule` names what
    gave the rank. `superseded`: the board counts another submission of the same competitor.

    Rows are read in the order of `tier`, `over`, `merit` (the largest first) and `submitted_at`. `tier` is the rank by paired
    tests, TAIL below the head, and LAST for what has no rank, for which `reason` says why. `over` orders the tail as the rank
    does, but does not move when a row comes in above: the least floor that lies above the ceiling, BEYOND where there is none.
    """

    class Rule(models.TextChoices):
        TESTS = "tests", "Paired tests"
        INTERVALS = "intervals", "Disjoint intervals"

    board = models.ForeignKey(Board, on_delete=models.CASCADE, related_name="standings", db_index=False)
    submission = models.ForeignKey(Submission, on_delete=models.CASCADE, related_name="standings", db_index=False)
    evaluation = models.ForeignKey(Evaluation, on_delete=models.CASCADE, related_name="standings")
    track_version = models.CharField(max_length=64)
    submitted_at = models.DateTimeField()
    value = models.FloatField(null=True)
    ci_low = models.FloatField(null=True)
    ci_high = models.FloatField(null=True)
    reason = models.CharField(max_length=200, blank=True)
    merit = models.FloatField(null=True)
    floor = models.FloatField(null=True)
    ceiling = models.FloatField(null=True)
    rank = models.PositiveIntegerField(null=True)
    rank_low = models.PositiveIntegerField(null=True)
    rank_high = models.PositiveIntegerField(null=True)
    rule = models.CharField(max_length=10, choices=Rule, blank=True)
    tier = models.PositiveIntegerField(default=LAST)
    over = models.FloatField(default=BEYOND, db_default=BEYOND)
    superseded = models.BooleanField(default=False)
    public_rank = models.PositiveIntegerField(null=True, help_text="Its rank by the public part when the board was revealed.")
    placed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["tier", "-over", "-merit", "submitted_at", "submission"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["submission", "track_version"], name="one_standing_per_submission_and_version")
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["board", "track_version", "tier", "-over", "-merit", "submitted_at", "submission"],
                condition=models.Q(superseded=False),  # as a column, "not superseded" would keep the index from being used
                name="standing_in_order",
            ),
            models.Index(fields=["board", "track_version", "floor"], name="standing_floor"),
            models.Index(fields=["board", "track_version", "ceiling"], name="standing_ceiling"),
        ]


class PairedTest(models.Model):
    """A paired test of two evaluations in one metric over one part of the test, `first_id` < `second_id`: the difference
    first - second. Evaluations never change, so this is computed once. p is null where there is no test, with the `reason`. A
    test that failed for a reason that may pass (files that cannot be read just now) is tried again at `again_at`; after
    `failures` too many, or for a lasting reason, that is null."""

    first = models.ForeignKey(Evaluation, on_delete=models.CASCADE, related_name="+")
    second = models.ForeignKey(Evaluation, on_delete=models.CASCADE, related_name="+")
    metric = models.CharField(max_length=60)
    part = models.CharField(max_length=8, blank=True, default=Part.OPEN, db_default=Part.OPEN, choices=Part)
    difference = models.FloatField(null=True)
    p = models.FloatField(null=True)
    method = models.CharField(max_length=80, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    failures = models.PositiveSmallIntegerField(default=0, db_default=0)
    again_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["first", "second", "metric", "part"], name="one_paired_test_per_pair_metric_and_part"
            ),
            models.CheckConstraint(condition=models.Q(first__lt=models.F("second")), name="paired_test_in_order"),
        ]


class Settlement(models.Model):
    """How far the ranks of one board are, for one track version. Every result that is placed adds one to `wanted`; settling
    ranks all rows and sets `settled` to what `wanted` was when it began. One worker settles at a time, under a lease. At
    `retest_at` it is settled although no result came: a paired test of its head is tried again.
    `policy` is what the standings were made under: `standings.policies.Policy.text`."""

    board = models.ForeignKey(Board, on_delete=models.CASCADE, related_name="+")
    track_version = models.CharField(max_length=64)
    policy = models.CharField(max_length=120)
    wanted = models.PositiveIntegerField(default=0)
    settled = models.PositiveIntegerField(default=0)
    not_before = models.DateTimeField(default=timezone.now)
    token = models.UUIDField(null=True)
    expires_at = models.DateTimeField(null=True)
    retest_at = models.DateTimeField(null=True)
    asked_at = models.DateTimeField(default=timezone.now, help_text="When a worker was last woken to settle.")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["board", "track_version"], name="one_settlement_per_board_and_version")
        ]
        indexes: ClassVar = [
            models.Index(fields=["not_before"], condition=models.Q(settled__lt=models.F("wanted")), name="settlement_due")
        ]


TO_SETTLE = models.Q(settled__lt=models.F("wanted")) | models.Q(retest_at__lte=Now())
"""Settlements of boards that are to be settled: for a result, for the host's new rule, or for a test that is tried again."""


class OverallRanking(models.Model):
    """The order over all tracks of one family, or of all together (`family` empty), as it was last computed. `fingerprint` is a
    hash of all that went in: an equal one needs no computing. `boards` are those that it rests on: it is not shown once one of
    them is private. Written by `standings.overall_refresh`."""

    family = models.CharField(max_length=80, unique=True, blank=True)
    fingerprint = models.CharField(max_length=64)
    document = models.JSONField()
    boards = models.ManyToManyField(Board, related_name="+")
    computed_at = models.DateTimeField(default=timezone.now)
