"""What hosts send, and what they read: rules, people, the audit log."""

from __future__ import annotations

from rest_framework import serializers

from leaderboard.api.strict import Choice, JSONObject, Strict
from leaderboard.audit.models import Via
from leaderboard.boards.models import LARGEST_SHARE, SMALLEST_SHARE, Board

MOST = 1_000_000


class RulesBody(Strict):
    """Rules of a board. What is left out stays as it is."""

    title = serializers.CharField(required=False, max_length=200)
    about = serializers.CharField(required=False, allow_blank=True, max_length=20_000, help_text="Markdown.")
    visibility = Choice(required=False, choices=Board.Visibility.choices)
    entry = Choice(required=False, choices=Board.Entry.choices)
    opens_at = serializers.DateTimeField(required=False, allow_null=True)
    closes_at = serializers.DateTimeField(required=False, allow_null=True)
    daily_quota = serializers.IntegerField(required=False, min_value=0, max_value=MOST)
    total_quota = serializers.IntegerField(required=False, min_value=0, max_value=MOST, allow_null=True)
    max_concurrent = serializers.IntegerField(required=False, min_value=1, max_value=MOST)
    ranking_metric = serializers.CharField(
        required=False, allow_blank=True, max_length=60, help_text="Empty: the track's primary one."
    )
    counts = Choice(required=False, choices=Board.Counts.choices)
    eligible = Choice(required=False, choices=Board.Eligible.choices)
    combination = JSONObject(
        required=False, allow_null=True, help_text="Weights of metrics whose sum orders the board; null: one metric does."
    )
    public_share = serializers.FloatField(
        required=False,
        allow_null=True,
        min_value=SMALLEST_SHARE,
        max_value=LARGEST_SHARE,
        help_text="Share of the test whose results are shown until it closes; null: all of it.",
    )
    shows = Choice(required=False, choices=Board.Shows.choices, help_text="Which scores are shown until it closes.")
    ladder = serializers.BooleanField(
        required=False, help_text="Show a public score only where it beats its competitor's best by more than chance."
    )


class NewBoardBody(RulesBody):
    """A board to create."""

    track = serializers.CharField(max_length=80, help_text="Slug of a track.")
    slug = serializers.SlugField(max_length=80, help_text="Its address.")
    title = serializers.CharField(max_length=200)


class UsernameBody(Strict):
    """Somebody who has an account."""

    username = serializers.CharField(max_length=150)


class PersonSerializer(serializers.Serializer):
    """Somebody who has an account."""

    username = serializers.CharField()


class AuditEntrySerializer(serializers.Serializer):
    """Something that was done. `before` and `after` have the fields that differ; null where there was nothing, or is
    nothing."""

    at = serializers.DateTimeField()
    actor = serializers.CharField(source="actor_name")
    via = serializers.ChoiceField(choices=Via.choices)
    token = serializers.CharField()
    action = serializers.CharField()
    object_type = serializers.CharField()
    object_id = serializers.CharField()
    object_name = serializers.CharField()
    before = serializers.DictField(allow_null=True)
    after = serializers.DictField(allow_null=True)
    request_id = serializers.CharField()
