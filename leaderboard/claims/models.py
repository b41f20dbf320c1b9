"""Papers as rows (written by `claims.catalogue` only), claims on boards, the verdicts that evaluations have led to, and what
becomes of the claims with people's submissions. Verdicts are written by `claims.judging`, trials by `claims.trials`, and by
nothing else: never by hand."""

from __future__ import annotations

from typing import ClassVar

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from evaluators.claim_verdicts import Finding, worst
from evaluators.claim_verdicts import Verdict as Words
from leaderboard.boards.models import Board
from leaderboard.claims import wording
from leaderboard.evaluations.models import Evaluation
from leaderboard.submissions.models import Submission

VERDICTS = [(word.value, word.value.capitalize()) for word in Words]


class Paper(models.Model):
    """A paper of the catalogue. `track` and `model` name what measures and what competes, existing or planned."""

    class Status(models.TextChoices):
        READY = "ready", "Ready"
        PLANNED = "planned", "Planned"
        DUPLICATE = "duplicate", "Stands twice"
        NOT_MEASURABLE = "not measurable", "Not measurable"

    id = models.CharField(primary_key=True, max_length=16)
    title = models.CharField(max_length=300)
    system = models.CharField(max_length=200)
    family = models.CharField(max_length=80, blank=True, db_index=True)
    track = models.CharField(max_length=80, blank=True)
    model = models.CharField(max_length=80, blank=True)
    status = models.CharField(max_length=16, choices=Status)
    twin = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="twins")
    reason = models.CharField(max_length=300, blank=True, help_text="Why it cannot be measured.")

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return self.title


class Claim(models.Model):
    """A machine-checkable statement about a board's track. That of a paper stands on the track's default board; the host of a
    board writes others. `check_text` is in the language of evaluators.claim_language; submissions of the board stand in it by
    their full ids."""

    board = models.ForeignKey(Board, on_delete=models.CASCADE, related_name="claims")
    paper = models.OneToOneField(Paper, null=True, blank=True, editable=False, on_delete=models.CASCADE, related_name="claim")
    statement = models.CharField(max_length=500, help_text="The claim in words.")
    check_text = models.TextField(
        "check",
        max_length=2000,
        help_text='Such as "accuracy(nin) >= accuracy(plain-cnn) - 0.005", or "better(accuracy; nin than plain-cnn by 0.01)". '
        "It may name the metrics, slices and axes of the board's track, its baselines, reference models, and public "
        "submissions of the board: # and the beginning of their id.",
    )
    note = models.CharField(max_length=500, blank=True, help_text="What this board cannot show of it.")
    entrants = models.JSONField(
        default=dict, blank=True, editable=False, help_text="Configs that the check compares beside the defaults."
    )
    available = models.BooleanField(default=True, help_text="Unavailable claims are not judged any more, and not shown.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    verdict = models.ForeignKey(
        "Verdict", null=True, editable=False, on_delete=models.SET_NULL, related_name="+", help_text="The newest."
    )

    class Meta:
        ordering: ClassVar = ["board__slug", "paper_id", "id"]

    def __str__(self) -> str:
        return self.statement

    def clean(self) -> None:
        """Raises ValidationError with the place in the check, and what was perhaps meant."""
        if self.board_id is None:
            return
        try:
            self.check_text = wording.completed(self.check_text, self.board)
            wording.read_check(self.check_text, self.board, entrants=self.entrants)
        except ValueError as error:
            raise ValidationError({"check_text": str(error)}) from error

    @property
    def word(self) -> str:
        """The verdict as a word, also where there is none yet."""
        return self.verdict.verdict if self.verdict else Words.NOT_EVALUATED.value


class Verdict(models.Model):
    """What a claim's evaluations said at one time. The numbers are those of the clause that decides; `clauses` has them all
    (evaluators.claim_verdicts.Finding), `evaluations` what they rest on, by entrant."""

    claim = models.ForeignKey(Claim, on_delete=models.CASCADE, related_name="verdicts")
    verdict = models.CharField(max_length=20, choices=VERDICTS, db_index=True)
    effect = models.FloatField(null=True)
    ci_low = models.FloatField(null=True)
    ci_high = models.FloatField(null=True)
    p = models.FloatField(null=True, help_text="Of the whole claim.")
    p_adjusted = models.FloatField(null=True, help_text="Corrected for the other claims on the board (Holm).")
    more_seeds = models.PositiveIntegerField(null=True, help_text="About how many more seeds would decide.")
    reason = models.CharField(max_length=300, blank=True)
    clauses = models.JSONField(default=list)
    evaluations = models.JSONField(default=dict)
    check_text = models.TextField()
    track_version = models.CharField(max_length=64)
    judged_by = models.CharField(max_length=64, help_text="Hash of the code that judged.")
    versions = models.JSONField(default=dict, help_text="Libraries of the evaluations.")
    decided_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["-id"]

    @property
    def findings(self) -> list[Finding]:
        """The clauses' findings."""
        return [Finding.from_document(document) for document in self.clauses]

    @property
    def deciding(self) -> Finding | None:
        """The clause whose numbers stand here."""
        return worst(self.findings) if self.clauses else None


class Trial(models.Model):
    """A submission before the claims of its board: of what result, and of which state of the claims. `basis` is a hash of all
    that it rests on; the outcomes of one trial are corrected together."""

    submission = models.OneToOneField(Submission, on_delete=models.CASCADE, related_name="trial")
    evaluation = models.ForeignKey(Evaluation, on_delete=models.CASCADE, related_name="+")
    basis = models.CharField(max_length=64)
    judged_at = models.DateTimeField(default=timezone.now)


class Outcome(models.Model):
    """The verdict on one claim with the submission in it: in the place of the entrant `instead_of`, or, where that is empty,
    against the claim's winner. The numbers are those of the clause that decides."""

    trial = models.ForeignKey(Trial, on_delete=models.CASCADE, related_name="outcomes")
    claim = models.ForeignKey(Claim, on_delete=models.CASCADE, related_name="outcomes")
    instead_of = models.CharField(max_length=80, blank=True)
    verdict = models.CharField(max_length=20, choices=VERDICTS)
    effect = models.FloatField(null=True)
    ci_low = models.FloatField(null=True)
    ci_high = models.FloatField(null=True)
    p_adjusted = models.FloatField(null=True, help_text="Corrected for the other claims on the board (Holm).")
    reason = models.CharField(max_length=300, blank=True)
    clauses = models.JSONField(default=list)

    class Meta:
        ordering: ClassVar = ["claim__paper_id", "claim_id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["trial", "claim"], name="one_outcome_per_trial_and_claim")]
        indexes: ClassVar = [models.Index(fields=["claim", "verdict"], name="outcome_of_claim")]

    @property
    def overturns(self) -> bool:
        """Whether the claim does not hold with the submission, and is not failing without it."""
        return self.verdict == Words.DOES_NOT_HOLD and self.claim.word != Words.DOES_NOT_HOLD

    @property
    def findings(self) -> list[Finding]:
        """The clauses' findings."""
        return [Finding.from_document(document) for document in self.clauses]
