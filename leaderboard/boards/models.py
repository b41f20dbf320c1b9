"""Tracks and reference models as rows (written by `sync_catalogue` only), and the boards that people host for them."""

from __future__ import annotations

import hashlib
import json
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from evaluators import combining
from leaderboard.accounts.models import Team

SMALLEST_SHARE, LARGEST_SHARE = 0.05, 0.95


class CatalogueState(models.Model):
    """The one row that remembers which catalogue the tables below were written from."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    fingerprint = models.CharField(max_length=64, blank=True, help_text="evaluators.catalogue.fingerprint()")
    synced_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(condition=Q(id=1), name="one_catalogue")]


class Track(models.Model):
    """One standardized evaluation, as `evaluators` describes it. `spec` is evaluators.track.Spec as JSON."""

    slug = models.SlugField(primary_key=True, max_length=80)
    family = models.CharField(max_length=80, db_index=True)
    title = models.CharField(max_length=200)
    role = models.CharField(max_length=80)
    version = models.CharField(max_length=64)
    spec = models.JSONField()
    available = models.BooleanField(default=True)
    synced_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["family", "slug"]

    def __str__(self) -> str:
        return self.title

    @property
    def primary_metric(self) -> dict[str, Any]:
        """The metric that orders the board unless its host chose another."""
        return next(metric for metric in self.spec["metrics"] if metric["primary"])


class ReferenceModel(models.Model):
    """A reference model that can be named in a config submission. `schema` is the JSON Schema of its Config."""

    name = models.SlugField(primary_key=True, max_length=80)
    title = models.CharField(max_length=200)
    role = models.CharField(max_length=80, db_index=True)
    family = models.CharField(max_length=80)
    kind = models.CharField(max_length=20)
    home = models.CharField(max_length=80)
    beats = models.CharField(max_length=80, blank=True)
    papers = models.JSONField(default=list)
    slices = models.JSONField(default=list)
    about = models.TextField()
    schema = models.JSONField()
    source_hash = models.CharField(max_length=64)
    available = models.BooleanField(default=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.title


class Board(models.Model):
    """A leaderboard that somebody hosts for a track. Each track has one open board with the track's slug by default."""

    class Visibility(models.TextChoices):
        PUBLIC = "public", "Public: everybody sees it"
        PRIVATE = "private", "Private: only its host and its members see it"

    class Entry(models.TextChoices):
        REGISTERED = "registered", "Everybody who has an account"
        MEMBERS = "members", "Members of the board only"

    class Counts(models.TextChoices):
        SUBMISSION = "submission", "Every submission"
        COMPETITOR = "competitor", "The best submission of each competitor"

    class Eligible(models.TextChoices):
        ALL = "all", "Every submission that was evaluated"
        COMPLETE = "complete", "Submissions that enter every slice themselves"
        PUBLIC = "public", "Submissions whose pages are public"

    class Shows(models.TextChoices):
        ALL = "all", "All scores, always"
        OWN = "own", "To each competitor the own scores and those of the baselines"
        NOTHING = "nothing", "No scores, only states"

    slug = models.SlugField(unique=True, max_length=80)
    track = models.ForeignKey(Track, on_delete=models.PROTECT, related_name="boards")
    title = models.CharField(max_length=200)
    about = models.TextField(blank=True)
    host = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="hosted_boards")
    cohosts = models.ManyToManyField(
        settings.AUTH_USER_MODEL, blank=True, related_name="cohosted_boards", help_text="They may do what the host may."
    )
    members = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True, related_name="boards")
    visibility = models.CharField(max_length=10, choices=Visibility, default=Visibility.PUBLIC)
    entry = models.CharField(max_length=12, choices=Entry, default=Entry.REGISTERED)
    opens_at = models.DateTimeField(null=True, blank=True)
    closes_at = models.DateTimeField(null=True, blank=True)
    daily_quota = models.PositiveIntegerField(default=20, help_text="Submissions per competitor and UTC day.")
    total_quota = models.PositiveIntegerField(
        null=True, blank=True, help_text="Submissions per competitor in all; empty: no limit."
    )
    max_concurrent = models.PositiveIntegerField(
        default=4, validators=[MinValueValidator(1)], help_text="Evaluations of one competitor that wait or run at once."
    )
    pool = models.SlugField(default="cpu", max_length=40, help_text="Which workers evaluate: cpu, gpu, or a name of your own.")
    ranking_metric = models.CharField(
        blank=True, max_length=60, help_text="The metric that orders the board, by its name; empty: the track's primary one."
    )
    counts = models.CharField(max_length=12, choices=Counts, default=Counts.SUBMISSION, help_text="What is ranked.")
    eligible = models.CharField(
        max_length=12,
        choices=Eligible,
        default=Eligible.ALL,
        help_text="What else is shown, but not ranked. Baselines are always ranked.",
    )
    combination = models.JSONField(
        null=True,
        blank=True,
        help_text='Order the board by a weighted sum of metrics instead: {"accuracy": 0.7, "ece": 0.3}. A metric without '
        'bounds says which value is worth 0 and which 1: {"params": {"weight": 0.3, "zero": 100000, "one": 1000}}; add '
        '"log": true to count factors. Empty: one metric orders the board.',
    )
    public_share = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(SMALLEST_SHARE), MaxValueValidator(LARGEST_SHARE)],
        help_text="The share of the test whose results are shown until the board closes, 0.05 to 0.95; the rest decides the "
        "final ranks. Empty: the whole test is shown. Needs a closing time.",
    )
    shows = models.CharField(
        max_length=10,
        choices=Shows,
        default=Shows.ALL,
        db_default=Shows.ALL,
        help_text="Which scores are shown until the board closes. The host and administrators see all of them.",
    )
    ladder = models.BooleanField(
        default=False,
        db_default=False,
        help_text="With a public share: show the score of a submission only if it beats its competitor's best by more than "
        "chance (the Ladder), so that many small tries teach nothing of the test.",
    )
    revealed_at = models.DateTimeField(
        null=True, editable=False, help_text="When what was hidden until closing became visible. Set by the scheduler."
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["title"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(opens_at=None) | Q(closes_at=None) | Q(closes_at__gt=models.F("opens_at")),
                name="board_closes_after_opening",
            )
        ]

    def __str__(self) -> str:
        return self.title

    def clean(self) -> None:
        """Raises ValidationError with what is wrong by field: the rule of ranking, and what is hidden until closing."""
        if self.track_id is None:
            return
        errors = {**self._wrong_order(), **self._wrong_hiding(), **self._wrong_change()}
        if errors:
            raise ValidationError(errors)

    @property
    def recipe(self) -> combining.Combination | None:
        """The combination that orders the board, while its track has the metrics for it."""
        if not self.combination:
            return None
        try:
            return combining.read(self.combination, self.track.spec["metrics"])
        except ValueError:
            return None

    @property
    def metric(self) -> dict[str, Any]:
        """The metric that orders the board: its host's choice while the track has it, else the track's primary one."""
        if (recipe := self.recipe) is not None:
            return recipe.metric.model_dump()
        chosen = (each for each in self.track.spec["metrics"] if each["name"] == self.ranking_metric)
        return next((each for each in chosen if each["direction"] != "none"), self.track.primary_metric)

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The metrics of the track, after the combination of them where one orders the board."""
        own = list(self.track.spec["metrics"])
        return [self.metric, *own] if self.recipe else own

    @property
    def measure(self) -> str:
        """What the board measures beyond the track's own scores, as a short text that changes with it; empty: nothing."""
        recipe = self.recipe
        if self.public_share is None and recipe is None:
            return ""
        what = json.dumps([self.public_share, recipe.formula if recipe else "", recipe.title if recipe else ""])
        return hashlib.sha256(what.encode()).hexdigest()[:16]

    def _wrong_order(self) -> dict[str, str]:
        if self.combination and self.ranking_metric:
            return {"combination": "a combination and a single metric cannot both order the board; leave one of them empty"}
        if self.combination:
            try:
                combining.read(self.combination, self.track.spec["metrics"])
            except ValueError as error:
                return {"combination": str(error)}
        names = [metric["name"] for metric in self.track.spec["metrics"] if metric["direction"] != "none"]
        if self.ranking_metric and self.ranking_metric not in names:
            told = f'this track has no metric "{self.ranking_metric}" that can order a board; it has {", ".join(names)}'
            return {"ranking_metric": told}
        return {}

    def _wrong_hiding(self) -> dict[str, str]:
        if (self.public_share is not None or self.shows != Board.Shows.ALL) and self.closes_at is None:
            return {"closes_at": "a board that hides something until it closes needs a closing time"}
        if self.ladder and self.public_share is None:
            return {"ladder": "the Ladder belongs to a board with a public share: give one, or leave this off"}
        bounded = self.metric["lower"] is not None and self.metric["upper"] is not None
        if self.ladder and not (bounded and self.metric["estimator"] in ("proportion", "mean")):
            return {"ladder": f"the Ladder needs a mean of bounded values over test examples: {self.metric['title']} is none"}
        return {}

    def _wrong_change(self) -> dict[str, str]:
        """What cannot be taken back once people have seen it."""
        before = Board.objects.filter(pk=self.pk).first() if self.pk else None
        if before is None:
            return {}
        if before.revealed_at is not None and (before.public_share, before.closes_at) != (self.public_share, self.closes_at):
            return {"closes_at": "this board has shown what it hid until it closed, and cannot hide it again; make another"}
        if before.public_share != self.public_share and self._has_results_of_people():
            return {
                "public_share": "people have results here already, and have seen scores that another share would make private; "
                "make another board"
            }
        return {}

    def _has_results_of_people(self) -> bool:
        return self.submissions.filter(user__is_system=False, evaluations__state="succeeded").exists()


class Participation(models.Model):
    """For whom a person competes on a board: for a team, or alone (`team` None). Their first submission decides, in one row: so
    nobody has two quotas. Written by `boards.participation`."""

    board = models.ForeignKey(Board, on_delete=models.CASCADE, related_name="participations")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="participations")
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.CASCADE, related_name="participations")
    since = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["board", "user"], name="one_side_per_board_and_person")]


class QuotaUse(models.Model):
    """How many submissions a person has spent on a board in one period ("2026-11-21" or "total"). Changed only by
    `boards.quota`, with one conditional UPDATE."""

    board = models.ForeignKey(Board, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    period = models.CharField(max_length=10)
    used = models.PositiveIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["board", "user", "period"], name="one_quota_row_per_period")]


class TeamQuotaUse(models.Model):
    """The same for a team."""

    board = models.ForeignKey(Board, on_delete=models.CASCADE, related_name="+")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    period = models.CharField(max_length=10)
    used = models.PositiveIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["board", "team", "period"], name="one_quota_row_per_team_and_period")
        ]
