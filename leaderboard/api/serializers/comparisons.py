"""Two submissions side by side."""

from __future__ import annotations

from rest_framework import serializers

from leaderboard.api.serializers.common import Link


class SideSerializer(serializers.Serializer):
    """One of the two."""

    id = serializers.UUIDField(source="pk")
    name = serializers.CharField()
    competitor = serializers.CharField()
    board = serializers.CharField(source="board.slug")
    url = Link("submission", "submission_id", source="pk")


class DifferenceSerializer(serializers.Serializer):
    """a - b in one metric, on the same test examples. Null where there is none, with the reason."""

    metric = serializers.CharField()
    slice = serializers.CharField(allow_blank=True, help_text="Empty: over everything.")
    value = serializers.FloatField(allow_null=True)
    ci_low = serializers.FloatField(allow_null=True)
    ci_high = serializers.FloatField(allow_null=True)
    p = serializers.FloatField(allow_null=True, help_text="Two-sided, of this difference alone.")
    method = serializers.CharField(allow_blank=True)
    reason = serializers.CharField(allow_blank=True)
    better = serializers.CharField(allow_blank=True, help_text='"a" or "b" at 5 %; empty: they cannot be told apart.')


class ExampleSerializer(serializers.Serializer):
    """A test example on which the two differ."""

    unit = serializers.IntegerField(help_text="Its number in the columns.")
    slice = serializers.CharField(allow_blank=True)
    a = serializers.FloatField()
    b = serializers.FloatField()


class ComparisonSerializer(serializers.Serializer):
    """Two submissions by their newest results under one version of the track."""

    a = SideSerializer()
    b = SideSerializer()
    track = serializers.CharField(source="a.board.track_id")
    track_version = serializers.CharField()
    part = serializers.CharField(allow_blank=True, help_text="Of the test: public, private or whole; empty: it has no parts.")
    differences = DifferenceSerializer(many=True)
    column = serializers.CharField(allow_blank=True, help_text="What the examples show.")
    examples = ExampleSerializer(many=True, allow_null=True, help_text="Null for those who may not see columns.")
