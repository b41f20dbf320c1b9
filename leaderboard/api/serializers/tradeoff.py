"""A board in two metrics."""

from __future__ import annotations

from rest_framework import serializers

from leaderboard.submissions.models import Submission


class TradeoffAxisSerializer(serializers.Serializer):
    """A metric as an axis."""

    metric = serializers.CharField()
    title = serializers.CharField()
    unit = serializers.CharField()
    direction = serializers.ChoiceField(choices=["max", "min"])
    exact = serializers.BooleanField(help_text="A fact of the evaluation: no interval, every difference counts.")
    log = serializers.BooleanField(help_text="Positive values that span decades: distances count in log10.")


class CoordinateSerializer(serializers.Serializer):
    """A value with its 95 % interval."""

    value = serializers.FloatField()
    ci_low = serializers.FloatField(allow_null=True)
    ci_high = serializers.FloatField(allow_null=True)


class TradeoffPointSerializer(serializers.Serializer):
    """One row of the board in the two metrics."""

    submission = serializers.UUIDField(
        source="submission_id", allow_null=True, help_text="Null where the caller may not open it."
    )
    name = serializers.CharField()
    competitor = serializers.CharField()
    kind = serializers.ChoiceField(choices=Submission.Kind.choices)
    origin = serializers.ChoiceField(choices=Submission.Origin.choices)
    model = serializers.CharField()
    mine = serializers.BooleanField()
    rank = serializers.IntegerField(allow_null=True, help_text="On the board as a whole.")
    x = CoordinateSerializer()
    y = CoordinateSerializer()
    because = serializers.CharField(help_text="What removed it from the front, and what decided; empty: it is on the front.")


class CoveredSerializer(serializers.Serializer):
    """What the front covers."""

    hypervolume = serializers.FloatField(help_text="Up to the reference point; logarithmic axes count in log10.")
    share = serializers.FloatField(help_text="Of the rectangle between the reference point and the best values, 0 to 1.")
    reference_x = serializers.FloatField(help_text="The worst x of all points.")
    reference_y = serializers.FloatField(help_text="The worst y of all points.")


class TradeoffSerializer(serializers.Serializer):
    """A board in two metrics: its Pareto front, and the rest of the rows that were looked at."""

    board = serializers.CharField()
    track = serializers.CharField()
    track_version = serializers.CharField()
    slice = serializers.CharField(allow_null=True, help_text="Null: everything.")
    x = TradeoffAxisSerializer()
    y = TradeoffAxisSerializer()
    front = TradeoffPointSerializer(many=True, help_text="From the best x on.")
    others = TradeoffPointSerializer(many=True, help_text="In the board's order.")
    left_out = serializers.DictField(child=serializers.IntegerField(), help_text="Why rows have no point, and how many.")
    bounded = serializers.BooleanField(help_text="The board is longer than what was looked at; `rule` says how much that is.")
    covered = CoveredSerializer(allow_null=True, help_text="Null unless the values differ on both axes.")
    rule = serializers.ListField(child=serializers.CharField(), help_text="What decided, in words.")
