"""The order over all tracks."""

from __future__ import annotations

from rest_framework import serializers


class OverallEntrySerializer(serializers.Serializer):
    """Where a player stands on one board."""

    board = serializers.CharField()
    title = serializers.CharField()
    submission = serializers.UUIDField(allow_null=True, help_text="Null where its page is private.")
    name = serializers.CharField()
    rank = serializers.IntegerField()
    rank_low = serializers.IntegerField()
    rank_high = serializers.IntegerField()


class PlayerSerializer(serializers.Serializer):
    """A reference model, a competitor, or the baseline of each track. Numbers are null where too little is known."""

    player = serializers.CharField(help_text="Stable: model:NAME, person:NUMBER, team:NUMBER or baseline.")
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=["model", "person", "team", "baseline"])
    rank = serializers.IntegerField(allow_null=True)
    rank_low = serializers.IntegerField(allow_null=True)
    rank_high = serializers.IntegerField(allow_null=True)
    strength = serializers.FloatField(allow_null=True, help_text="Natural logarithm; the baseline's is 0.")
    strength_low = serializers.FloatField(source="low", allow_null=True)
    strength_high = serializers.FloatField(source="high", allow_null=True)
    mean = serializers.FloatField(allow_null=True, help_text="Interquartile mean; 0 is the baseline, 1 the metric's bound.")
    mean_low = serializers.FloatField(allow_null=True)
    mean_high = serializers.FloatField(allow_null=True)
    tracks = serializers.IntegerField(help_text="How many it stands on.")
    wins = serializers.IntegerField()
    ties = serializers.IntegerField()
    losses = serializers.IntegerField()
    reason = serializers.CharField(help_text="Why it is not ranked; empty: it is.")
    entries = OverallEntrySerializer(many=True)


class OverallTrackSerializer(serializers.Serializer):
    """A track that counts, by its board."""

    board = serializers.CharField()
    title = serializers.CharField()
    family = serializers.CharField()


class OverallSerializer(serializers.Serializer):
    """The order over all tracks, as it was last computed. Those without a rank come last, and in no order of merit."""

    family = serializers.CharField(allow_null=True, help_text="Null: all.")
    families = serializers.ListField(child=serializers.CharField(), help_text="What `family` can be.")
    tracks = OverallTrackSerializer(many=True)
    computed_at = serializers.DateTimeField(allow_null=True, help_text="Null: nothing was computed yet.")
    rule = serializers.ListField(child=serializers.CharField(), help_text="What the numbers are, in words.")
    players = PlayerSerializer(many=True)
