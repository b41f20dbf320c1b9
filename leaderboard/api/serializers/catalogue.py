"""Tracks and reference models."""

from __future__ import annotations

from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from leaderboard.api.serializers.common import Link
from leaderboard.boards.models import Track
from leaderboard.submissions.kinds import accepted_kinds


class MetricSerializer(serializers.Serializer):
    """One number of an evaluation."""

    name = serializers.CharField()
    title = serializers.CharField()
    direction = serializers.CharField(help_text='"max", "min" or "none".')
    unit = serializers.CharField()
    lower = serializers.FloatField(allow_null=True, help_text="null: no bound.")
    upper = serializers.FloatField(allow_null=True, help_text="null: no bound.")
    estimator = serializers.CharField(help_text="How its interval is made: proportion, mean, function or fact.")
    primary = serializers.BooleanField()
    about = serializers.CharField()


class SliceSerializer(serializers.Serializer):
    """A part of the test with a board of its own."""

    slug = serializers.CharField()
    title = serializers.CharField()
    about = serializers.CharField()
    fill = serializers.CharField(allow_null=True, help_text="The baseline that stands in where it is not entered.")


class AxisSerializer(serializers.Serializer):
    """A sweep within one evaluation."""

    name = serializers.CharField()
    title = serializers.CharField()
    values = serializers.ListField(child=serializers.FloatField())


class BudgetSerializer(serializers.Serializer):
    """What one evaluation may use, all seeds together."""

    wall_s = serializers.FloatField()
    threads = serializers.IntegerField()
    memory_mb = serializers.IntegerField()


class DataSourceSerializer(serializers.Serializer):
    """Where data come from."""

    name = serializers.CharField()
    about = serializers.CharField()
    sha256 = serializers.CharField(allow_null=True)
    licence = serializers.CharField()


@extend_schema_field({"type": "array", "items": {"type": ["integer", "string"]}, "examples": [["n", 1, 8, 8]]})
class ShapeField(serializers.ListField):
    """Sizes; a name is a free dimension."""


class TensorSerializer(serializers.Serializer):
    """A named tensor of the ONNX contract."""

    name = serializers.CharField()
    dtype = serializers.CharField()
    shape = ShapeField()
    about = serializers.CharField()


class OnnxSerializer(serializers.Serializer):
    """What an ONNX submission must look like: one input, and one of the outputs."""

    input = TensorSerializer()
    outputs = TensorSerializer(many=True)
    opset_min = serializers.IntegerField()


class BaselineSerializer(serializers.Serializer):
    """A row that stands on every board of the track."""

    slug = serializers.CharField()
    title = serializers.CharField()
    model = serializers.CharField()
    config = serializers.DictField()


class TrackSerializer(serializers.Serializer):
    """One standardized evaluation, in short."""

    slug = serializers.CharField()
    family = serializers.CharField()
    title = serializers.CharField()
    question = serializers.CharField(source="spec.question")
    role = serializers.CharField()
    accepts = serializers.SerializerMethodField()
    primary_metric = serializers.CharField(source="primary_metric.name")
    version = serializers.CharField(help_text="Results of different versions are never ranked together.")
    available = serializers.BooleanField(help_text="False: it was here, and takes no submissions any more.")
    url = Link("track", "slug", source="slug")

    def get_accepts(self, track: Track) -> list[str]:
        """The kinds of submission that it takes."""
        return list(accepted_kinds(track.spec))


class TrackDetailSerializer(TrackSerializer):
    """One standardized evaluation, with everything that a submitter must know."""

    about = serializers.CharField(source="spec.about")
    data = DataSourceSerializer(source="spec.data", many=True)  # type: ignore[assignment] # a field, not what is serialized
    full_data = serializers.CharField(source="spec.full_data")
    slices = SliceSerializer(source="spec.slices", many=True)
    axes = AxisSerializer(source="spec.axes", many=True)
    seeds = serializers.ListField(source="spec.seeds", child=serializers.IntegerField())
    budget = BudgetSerializer(source="spec.budget")
    dtype = serializers.CharField(source="spec.dtype")
    metrics = MetricSerializer(source="spec.metrics", many=True)
    baselines = BaselineSerializer(source="spec.baselines", many=True)
    onnx = OnnxSerializer(source="spec.onnx", allow_null=True)
    predictions = serializers.CharField(source="spec.predictions", help_text="What a file of predictions holds.")
    hidden_labels = serializers.BooleanField(source="spec.hidden_labels")


class ReferenceModelSerializer(serializers.Serializer):
    """A reference model, in short."""

    name = serializers.CharField(help_text="What a submission gives as `model`.")
    title = serializers.CharField()
    role = serializers.CharField(help_text="It enters the tracks that have the same role.")
    family = serializers.CharField()
    kind = serializers.CharField(help_text='"baseline" or "paper".')
    home = serializers.CharField(help_text="The track on which its paper's claim is checked.")
    papers = serializers.ListField(child=serializers.CharField())
    available = serializers.BooleanField()
    url = Link("reference-model", "name", source="name")


class ReferenceModelDetailSerializer(ReferenceModelSerializer):
    """A reference model with the hyper-parameters that it takes."""

    beats = serializers.CharField(help_text="The baseline that it should beat at home; empty: no such claim.")
    slices = serializers.ListField(child=serializers.CharField())
    about = serializers.CharField()
    config_schema = serializers.SerializerMethodField(help_text="JSON Schema of `config`, with bounds and descriptions.")
    source_hash = serializers.CharField()
    source_url = serializers.SerializerMethodField(help_text="Where its source can be read.")

    @extend_schema_field(OpenApiTypes.URI)
    def get_source_url(self, model: object) -> object:
        """The file, as it is installed."""
        path = reverse("model-source", kwargs={"name": model.name})  # type: ignore[attr-defined]
        return self.context["request"].build_absolute_uri(path)

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_config_schema(self, model: object) -> object:
        """As the model's Config gives it."""
        return model.schema  # type: ignore[attr-defined]
