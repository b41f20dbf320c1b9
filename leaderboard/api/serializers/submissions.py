"""Submissions and their evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from evaluators.runtime.jobs import in_order
from leaderboard.api.serializers.common import Link, QuotaSerializer
from leaderboard.api.strict import Given, GivenList, JSONObject, Strict
from leaderboard.evaluations.models import Evaluation, State
from leaderboard.standings.results import Shown, shown
from leaderboard.standings.sight import Sight, sight_of
from leaderboard.submissions.models import Submission

RESULT_PARTS = ("filled", "stages")


@extend_schema_field({"type": "string", "format": "binary"})
class Upload(serializers.FileField):
    """A file of a form."""

    default_error_messages = {"invalid": "Send a file as multipart/form-data: JSON carries none."}


@extend_schema_field({"type": "string", "maxLength": 80})
class Name(Given):
    """A short text."""


@extend_schema_field({"type": "string", "maxLength": 4000})
class Prose(Given):
    """A long text."""


@extend_schema_field({"type": "string", "enum": Submission.Kind.values})
class KindOfSubmission(Given):
    """What is submitted."""


@extend_schema_field({"type": "string", "enum": Submission.Visibility.values, "default": "public"})
class VisibilityOfSubmission(Given):
    """Who sees it."""


class SubmissionBody(Strict):
    """What is sent. A config names a `model`; weights name a `model` and have a `file`; ONNX and predictions have a `file`.
    Intake checks the values, all of them at once; here they are only read."""

    name = Name(default="", help_text="How it is called on the board. Needed.")
    kind = KindOfSubmission(default="", help_text="Needed.")
    model = Name(required=False, help_text="A reference model, for config and weights.")
    config = JSONObject(required=False, help_text="Hyper-parameters of the model. In a form: as JSON text.")
    slices = GivenList(required=False, help_text="Slices that it enters; none: all.")
    file = Upload(required=False, help_text="Weights (safetensors), an ONNX file, or predictions.")
    description = Prose(required=False)
    visibility = VisibilityOfSubmission(required=False)
    team = Name(required=False, help_text="Slug of a team of yours, to send it for the team.")


class ReceiptSerializer(serializers.Serializer):
    """The answer to a submission."""

    id = serializers.UUIDField(source="submission.pk")
    state = serializers.ChoiceField(source="evaluation.state", choices=State.choices)
    url = Link("submission", "submission_id", source="submission.pk")
    queue_position = serializers.IntegerField(help_text="1 is next; 0: it is not waiting.")
    quota = QuotaSerializer()


class ScoreSerializer(serializers.Serializer):
    """One metric. A value that could not be had is null."""

    metric = serializers.CharField()
    value = serializers.FloatField(allow_null=True)
    ci_low = serializers.FloatField(allow_null=True)
    ci_high = serializers.FloatField(allow_null=True)
    unit = serializers.CharField()
    direction = serializers.CharField()
    primary = serializers.BooleanField()


class SliceScoreSerializer(ScoreSerializer):
    """One metric over one slice."""

    slice = serializers.CharField()


class FailureSerializer(serializers.Serializer):
    """Why it failed, and what to do."""

    code = serializers.CharField(help_text="From a closed list: invalid_artifact, out_of_memory, time_limit, ...")
    message = serializers.CharField()


class EvaluationSerializer(serializers.Serializer):
    """One scoring of a submission."""

    _sight: tuple[int, Sight] | None = None

    number = serializers.IntegerField(help_text="1 is the first.")
    state = serializers.ChoiceField(choices=State.choices)
    progress = serializers.FloatField(help_text="The share that is done, 0 to 1.")
    stage = serializers.CharField()
    attempt = serializers.IntegerField(help_text="How many times a worker has taken it.")
    cancel_requested = serializers.BooleanField()
    failure = serializers.SerializerMethodField()
    part = serializers.SerializerMethodField()
    hidden = serializers.SerializerMethodField()
    scores = serializers.SerializerMethodField()
    slice_scores = serializers.SerializerMethodField()
    result = serializers.SerializerMethodField()
    provenance = serializers.DictField()
    track_version = serializers.CharField()
    seeds = serializers.ListField(child=serializers.IntegerField())
    queued_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)

    def get_failure(self, evaluation: Evaluation) -> FailureSerializer(allow_null=True):  # type: ignore[valid-type]
        """Null unless it failed."""
        return failure_of(evaluation)

    def get_part(self, evaluation: Evaluation) -> str:
        """Of the test, of which scores and curve are: public, private or whole; empty: it has no parts."""
        return self._shown(evaluation).part

    def get_hidden(self, evaluation: Evaluation) -> str:
        """What is hidden from you until the board closes."""
        return self._shown(evaluation).hidden

    def get_scores(self, evaluation: Evaluation) -> ScoreSerializer(many=True):  # type: ignore[valid-type]
        """Over everything."""
        return scores_of(self._shown(evaluation))

    def get_slice_scores(self, evaluation: Evaluation) -> SliceScoreSerializer(many=True):  # type: ignore[valid-type]
        """Slice by slice."""
        return SliceScoreSerializer([score for score in self._shown(evaluation).scores if score.slice], many=True).data

    def get_result(self, evaluation: Evaluation) -> dict[str, Any]:
        """Facts, curve of the sweep, filled slices, and seconds by stage."""
        parts = {part: evaluation.result[part] for part in RESULT_PARTS if part in evaluation.result}
        if "stages" in parts:
            parts["stages"] = in_order(parts["stages"])
        shown = self._shown(evaluation)
        return {"facts": shown.facts, "curve": shown.curve, **parts} if evaluation.result else parts

    def _shown(self, evaluation: Evaluation) -> Shown:
        """The result as far as the caller may see it."""
        if self._sight is None or self._sight[0] != evaluation.submission.board_id:
            board, viewer = evaluation.submission.board, self.context["request"].user
            self._sight = board.pk, sight_of(board, viewer, part=self.context.get("part"))
        return shown(evaluation, self._sight[1])


class SubmissionSerializer(serializers.Serializer):
    """A submission with its newest evaluation, in short."""

    id = serializers.UUIDField(source="submission.pk")
    name = serializers.CharField(source="submission.name")
    board = serializers.CharField(source="submission.board.slug")
    track = serializers.CharField(source="submission.board.track_id")
    competitor = serializers.CharField(source="submission.competitor", help_text="The team, or the person who sent it.")
    team = serializers.CharField(
        source="submission.team.slug", allow_null=True, default=None, help_text="Slug of the team; null: a person's."
    )
    kind = serializers.ChoiceField(source="submission.kind", choices=Submission.Kind.choices)
    origin = serializers.ChoiceField(source="submission.origin", choices=Submission.Origin.choices)
    model = serializers.CharField(source="submission.model")
    visibility = serializers.ChoiceField(source="submission.visibility", choices=Submission.Visibility.choices)
    created_at = serializers.DateTimeField(source="submission.created_at")
    state = serializers.ChoiceField(source="evaluation.state", choices=State.choices)
    progress = serializers.FloatField(source="evaluation.progress", help_text="The share that is done, 0 to 1.")
    stage = serializers.CharField(source="evaluation.stage")
    failure = serializers.SerializerMethodField()
    scores = serializers.SerializerMethodField()
    rank = serializers.SerializerMethodField()
    rank_low = serializers.SerializerMethodField()
    rank_high = serializers.SerializerMethodField()
    url = Link("submission", "submission_id", source="submission.pk")

    def get_failure(self, shown: Any) -> FailureSerializer(allow_null=True):  # type: ignore[valid-type]
        """Null unless the newest evaluation failed."""
        return failure_of(shown.evaluation)

    def get_scores(self, shown: Any) -> ScoreSerializer(many=True):  # type: ignore[valid-type]
        """Of the newest evaluation, over everything; empty until it has succeeded, and where they are hidden from you."""
        return scores_of(shown.result)

    def get_rank(self, shown: Any) -> int | None:
        """1 + the number of submissions that are significantly better; null: not ranked (yet)."""
        return getattr(shown.standing, "rank", None)

    def get_rank_low(self, shown: Any) -> int | None:
        """Best rank that the data allow."""
        return getattr(shown.standing, "rank_low", None)

    def get_rank_high(self, shown: Any) -> int | None:
        """Worst rank that the data allow."""
        return getattr(shown.standing, "rank_high", None)


class SubmissionDetailSerializer(SubmissionSerializer):
    """A submission with everything that the caller may know of it."""

    description = serializers.CharField(source="submission.description")
    config = serializers.SerializerMethodField()
    slices = serializers.ListField(source="submission.slices", child=serializers.CharField())
    filename = serializers.CharField(source="submission.filename")
    content_hash = serializers.CharField(source="submission.content_hash")
    queue_position = serializers.SerializerMethodField()
    evaluation = EvaluationSerializer()
    provenance = serializers.DictField(source="evaluation.provenance")
    may = serializers.SerializerMethodField()

    def get_config(self, shown: Any) -> dict[str, Any] | None:
        """Null where the caller may not read it."""
        return shown.submission.config if self.context["may"]["read_details"] else None

    def get_queue_position(self, shown: Any) -> int:
        """1 is next; 0: it is not waiting."""
        del shown
        return int(self.context["queue_position"])

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "boolean"}})
    def get_may(self, shown: Any) -> Mapping[str, bool]:
        """What the caller may do: read_details (log, columns), read_artifact, answer (cancel, evaluate again)."""
        del shown
        return self.context["may"]


def failure_of(evaluation: Evaluation) -> dict[str, str] | None:
    """Code and message, None unless it failed."""
    if evaluation.state != State.FAILED:
        return None
    return {"code": evaluation.failure_code, "message": evaluation.failure_message}


def scores_of(result: Shown) -> Any:
    """Scores over everything, in the board's order."""
    return ScoreSerializer([score for score in result.scores if not score.slice], many=True).data


def max_upload_bytes() -> int:
    """A file of the largest size, and the form around it."""
    return int(settings.MAX_ARTIFACT_BYTES) + (1 << 20)
