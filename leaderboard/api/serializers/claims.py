"""Papers, claims and verdicts as JSON."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from leaderboard.api.serializers.common import Link
from leaderboard.claims import reading
from leaderboard.claims.models import Claim, Outcome, Paper

SIGNED = "Signed: more than 0 where the claim holds. By how much its deciding clause lies beyond its bound."


class EvidenceSerializer(serializers.Serializer):
    """A value that a clause reads."""

    text = serializers.CharField(help_text="Metric, setting and entrant.")
    value = serializers.FloatField()
    ci_low = serializers.FloatField(allow_null=True)
    ci_high = serializers.FloatField(allow_null=True)
    at = serializers.FloatField(allow_null=True, help_text="The setting of the swept axis, where there is one.")


class FindingSerializer(serializers.Serializer):
    """What was found of one clause."""

    text = serializers.CharField(help_text="The clause, written out.")
    effect = serializers.FloatField(allow_null=True, help_text=SIGNED)
    ci_low = serializers.FloatField(allow_null=True)
    ci_high = serializers.FloatField(allow_null=True)
    p = serializers.FloatField(allow_null=True, help_text="Two-sided, that the truth lies on the bound.")
    method = serializers.CharField()
    reason = serializers.CharField(help_text="Why there is no effect; empty where there is one.")
    values = EvidenceSerializer(many=True)


class EntrantSerializer(serializers.Serializer):
    """An evaluation that a verdict rests on."""

    entrant = serializers.CharField()
    submission_id = serializers.UUIDField()
    submission = Link("submission", "submission_id", source="submission_id")
    evaluation = serializers.IntegerField(help_text="Its number among the submission's evaluations.")
    key = serializers.CharField(help_text="The evaluation key.")


class EarlierSerializer(serializers.Serializer):
    """A verdict of some time."""

    verdict = serializers.CharField()
    decided_at = serializers.DateTimeField()
    track_version = serializers.CharField()


class ClaimSerializer(serializers.Serializer):
    """A claim with its newest verdict. Numbers are those of the clause that decides."""

    id = serializers.IntegerField()
    paper = serializers.CharField(source="paper_id", allow_null=True, help_text="Null: the host of the board wrote it.")
    board = serializers.CharField(source="board.slug")
    track = serializers.CharField(source="board.track_id")
    statement = serializers.CharField()
    check = serializers.CharField(source="check_text", help_text="The same in the language of claims.")
    note = serializers.CharField()
    verdict = serializers.ChoiceField(source="word", choices=reading.VERDICTS)
    effect = serializers.FloatField(source="verdict.effect", allow_null=True, default=None, help_text=SIGNED)
    ci_low = serializers.FloatField(source="verdict.ci_low", allow_null=True, default=None)
    ci_high = serializers.FloatField(source="verdict.ci_high", allow_null=True, default=None)
    p = serializers.FloatField(source="verdict.p", allow_null=True, default=None)
    p_adjusted = serializers.FloatField(
        source="verdict.p_adjusted", allow_null=True, default=None, help_text="Corrected for the other claims on the board."
    )
    more_seeds = serializers.IntegerField(
        source="verdict.more_seeds", allow_null=True, default=None, help_text="About how many more seeds would decide."
    )
    reason = serializers.CharField(source="verdict.reason", default="")
    decided_at = serializers.DateTimeField(source="verdict.decided_at", allow_null=True, default=None)
    url = Link("claim", "claim_id", source="id")


class ClaimDetailSerializer(ClaimSerializer):
    """A claim with everything that its verdict rests on."""

    track_version = serializers.CharField(source="verdict.track_version", default="")
    versions = serializers.DictField(source="verdict.versions", child=serializers.CharField(), default=dict)
    clauses = FindingSerializer(source="verdict.clauses", many=True, default=list)
    evaluations = serializers.SerializerMethodField()
    history = serializers.SerializerMethodField(help_text="All verdicts, newest first.")
    overturned_by = serializers.SerializerMethodField(help_text="The submissions that overturn it, as far as you may see them.")

    @extend_schema_field(EntrantSerializer(many=True))
    def get_evaluations(self, claim: Claim) -> Any:
        """The evaluations of the newest verdict."""
        found = reading.rests_on(claim.verdict) if claim.verdict else {}
        rows = [
            {"entrant": name, "submission_id": each.submission_id, "evaluation": each.number, "key": each.key}
            for name, each in found.items()
        ]
        return EntrantSerializer(rows, many=True, context=self.context).data

    @extend_schema_field(serializers.ListField(child=serializers.UUIDField()))
    def get_overturned_by(self, claim: Claim) -> Any:
        """Their ids, newest result first."""
        found = reading.overturning(claim, self.context["request"].user)
        return [str(outcome.trial.submission_id) for outcome in found]

    @extend_schema_field(EarlierSerializer(many=True))
    def get_history(self, claim: Claim) -> Any:
        """Every verdict."""
        return EarlierSerializer(reading.history(claim)[:50], many=True).data


class OutcomeSerializer(serializers.Serializer):
    """What becomes of a claim with the submission in it. Numbers are those of the clause that decides."""

    claim = serializers.IntegerField(source="claim_id")
    paper = serializers.CharField(source="claim.paper_id", allow_null=True)
    statement = serializers.CharField(source="claim.statement")
    verdict = serializers.ChoiceField(source="claim.word", choices=reading.VERDICTS, help_text="Without the submission.")
    verdict_with = serializers.ChoiceField(source="verdict", choices=reading.VERDICTS, help_text="With it.")
    overturns = serializers.BooleanField(help_text="The claim does not hold with it, and is not failing without it.")
    instead_of = serializers.CharField(
        help_text="The entrant whose place it takes; empty: it stands against the one that the claim puts first."
    )
    effect = serializers.FloatField(allow_null=True, help_text=SIGNED)
    ci_low = serializers.FloatField(allow_null=True)
    ci_high = serializers.FloatField(allow_null=True)
    p_adjusted = serializers.FloatField(allow_null=True, help_text="Corrected for the claims of the board that it enters.")
    reason = serializers.CharField()
    clauses = FindingSerializer(many=True)
    url = Link("claim", "claim_id", source="claim_id")


class TrialSerializer(serializers.Serializer):
    """A submission before the claims of its board."""

    due = serializers.BooleanField(help_text="Its newest result waits to be judged.")
    judged_at = serializers.SerializerMethodField()
    outcomes = OutcomeSerializer(many=True, help_text="First those that it overturns.")

    @extend_schema_field({"type": ["string", "null"], "format": "date-time"})
    def get_judged_at(self, trial: dict[str, Any]) -> Any:
        """When the outcomes were found."""
        outcomes: list[Outcome] = trial["outcomes"]
        return outcomes[0].trial.judged_at if outcomes else None


class PaperSerializer(serializers.Serializer):
    """A paper of the catalogue, with the verdict on its claim."""

    id = serializers.CharField()
    title = serializers.CharField()
    system = serializers.CharField()
    family = serializers.CharField()
    track = serializers.CharField(help_text="Where its claim is, or will be, measured; empty: nowhere.")
    model = serializers.CharField(help_text="Its reference model, existing or planned.")
    status = serializers.ChoiceField(choices=Paper.Status.values)
    reason = serializers.CharField(help_text="Why nothing can be measured; else empty.")
    twin = serializers.CharField(source="twin_id", allow_null=True, help_text="The paper that this one repeats.")
    verdict = serializers.SerializerMethodField()
    claim = serializers.SerializerMethodField(help_text="The id of its claim; null where it has none yet.")
    url = Link("paper", "paper_id", source="id")

    @extend_schema_field({"type": ["string", "null"], "enum": [*reading.VERDICTS, None]})
    def get_verdict(self, paper: Paper) -> str | None:
        """Null for papers that stand twice or cannot be measured."""
        if paper.status in (Paper.Status.DUPLICATE, Paper.Status.NOT_MEASURABLE):
            return None
        claim = reading.claim_of(paper)
        return claim.word if claim else "not yet evaluated"

    @extend_schema_field({"type": ["integer", "null"]})
    def get_claim(self, paper: Paper) -> Any:
        """Its id."""
        claim = reading.claim_of(paper)
        return claim.pk if claim else None


class PaperDetailSerializer(PaperSerializer):
    """A paper with its claim."""

    @extend_schema_field({"oneOf": [{"$ref": "#/components/schemas/Claim"}, {"type": "null"}]})
    def get_claim(self, paper: Paper) -> Any:
        """The claim itself."""
        claim = reading.claim_of(paper)
        return ClaimSerializer(claim, context=self.context).data if claim else None
