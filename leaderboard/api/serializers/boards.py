"""Boards and their standings."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from leaderboard.api.serializers.common import Link, QuotaSerializer
from leaderboard.boards.closing import hides
from leaderboard.boards.models import Board
from leaderboard.standings.policies import policy_of
from leaderboard.standings.sight import words_of
from leaderboard.submissions.kinds import accepted_kinds
from leaderboard.submissions.models import Submission


class RulesSerializer(serializers.Serializer):
    """Who may submit, when, and how much."""

    entry = serializers.ChoiceField(choices=Board.Entry.choices)
    opens_at = serializers.DateTimeField(allow_null=True)
    closes_at = serializers.DateTimeField(allow_null=True)
    daily_quota = serializers.IntegerField()
    total_quota = serializers.IntegerField(allow_null=True)
    max_concurrent = serializers.IntegerField()
    accepts = serializers.SerializerMethodField()
    pool = serializers.CharField()
    public_share = serializers.FloatField(
        allow_null=True, help_text="Share of the test units whose results are shown until it closes; null: all of them."
    )
    shows = serializers.ChoiceField(choices=Board.Shows.choices, help_text="Which scores are shown until it closes.")
    ladder = serializers.BooleanField(help_text="Public scores are shown only where they beat the competitor's best for sure.")
    combination = serializers.DictField(
        allow_null=True, help_text="Weights of the metrics whose sum orders the board; null: one metric does."
    )
    formula = serializers.SerializerMethodField()

    def get_formula(self, board: Board) -> str | None:
        """The combination, written out."""
        return board.recipe.formula if board.recipe else None

    def get_accepts(self, board: Board) -> list[str]:
        """The kinds of submission that it takes."""
        return list(accepted_kinds(board.track.spec))


class BoardSerializer(serializers.Serializer):
    """A board, in short."""

    slug = serializers.CharField()
    title = serializers.CharField()
    track = serializers.CharField(source="track_id")
    host = serializers.CharField(source="host.username")
    visibility = serializers.ChoiceField(choices=Board.Visibility.choices)
    opens_at = serializers.DateTimeField(allow_null=True)
    closes_at = serializers.DateTimeField(allow_null=True)
    hides = serializers.SerializerMethodField()
    revealed_at = serializers.DateTimeField(allow_null=True, help_text="When what it hid until closing became visible.")
    url = Link("board", "slug", source="slug")

    def get_hides(self, board: Board) -> bool:
        """Whether it hides scores, or a part of its test, until it has closed."""
        return hides(board)


class BoardDetailSerializer(BoardSerializer):
    """A board with its rules, and what they mean for the caller now."""

    about = serializers.CharField()
    track_version = serializers.CharField(source="track.version")
    primary_metric = serializers.CharField(source="track.primary_metric.name")
    ranking_metric = serializers.CharField(source="metric.name", help_text="What orders the board: its host's choice.")
    ranking = serializers.SerializerMethodField()
    rules = RulesSerializer(source="*")
    may_submit = serializers.SerializerMethodField()
    may_not_because = serializers.SerializerMethodField()
    may_host = serializers.SerializerMethodField()
    competes_for = serializers.SerializerMethodField()
    quota = serializers.SerializerMethodField()
    resets_at = serializers.SerializerMethodField()
    standings_url = Link("standings", "slug", source="slug")

    def get_ranking(self, board: Board) -> list[str]:
        """The rule of ranking, in words."""
        return [*policy_of(board).words(), *words_of(board)]

    def get_may_submit(self, board: Board) -> bool:
        """Entry and times; the quota is told apart."""
        del board
        return self.context["why_not"] is None

    def get_may_not_because(self, board: Board) -> str | None:
        """One sentence; null where the caller may."""
        del board
        why_not = self.context["why_not"]
        return None if why_not is None else str(why_not.detail)

    def get_may_host(self, board: Board) -> bool:
        """Whether the caller may change it."""
        del board
        return bool(self.context["may_host"])

    def get_competes_for(self, board: Board) -> str | None:
        """The slug of the team for which the caller competes here; null: alone, or not yet."""
        del board
        return self.context["team"].slug if self.context["team"] else None

    def get_quota(self, board: Board) -> QuotaSerializer(allow_null=True):  # type: ignore[valid-type]
        """The caller's, or that of the team for which the caller competes here; null for visitors."""
        del board
        quota = self.context["quota"]
        return None if quota is None else QuotaSerializer(quota).data

    @extend_schema_field(OpenApiTypes.DATETIME)
    def get_resets_at(self, board: Board) -> object:
        """The next UTC midnight."""
        del board
        return serializers.DateTimeField().to_representation(self.context["resets_at"])


class CellSerializer(serializers.Serializer):
    """One metric of one row. A missing value is null, with its reason."""

    metric = serializers.CharField()
    value = serializers.FloatField(allow_null=True)
    ci_low = serializers.FloatField(allow_null=True)
    ci_high = serializers.FloatField(allow_null=True)
    unit = serializers.CharField()
    direction = serializers.CharField()
    primary = serializers.BooleanField()
    reason = serializers.CharField()


class WorstSliceSerializer(serializers.Serializer):
    """The metric that orders the rows, on the slice where this one does worst."""

    slice = serializers.CharField()
    value = serializers.FloatField()
    ci_low = serializers.FloatField(allow_null=True)
    ci_high = serializers.FloatField(allow_null=True)


class StandingSerializer(serializers.Serializer):
    """One row of a board. Ranks are shared: 1 + the number of rows that are significantly better."""

    position = serializers.IntegerField(help_text="The order of the rows; no two share it.")
    rank = serializers.IntegerField(allow_null=True)
    rank_low = serializers.IntegerField(allow_null=True)
    rank_high = serializers.IntegerField(allow_null=True)
    rule = serializers.CharField(help_text='What gave the rank: "tests" (paired, on the same examples) or "intervals".')
    reason = serializers.CharField(help_text="Why it is not ranked; empty: it is.")
    submission = serializers.UUIDField(
        source="submission_id", allow_null=True, help_text="Null where the caller may not open it."
    )
    name = serializers.CharField()
    competitor = serializers.CharField()
    team = serializers.BooleanField(help_text="The competitor is a team.")
    kind = serializers.ChoiceField(choices=Submission.Kind.choices)
    origin = serializers.ChoiceField(choices=Submission.Origin.choices)
    model = serializers.CharField()
    value = serializers.FloatField(allow_null=True)
    ci_low = serializers.FloatField(allow_null=True)
    ci_high = serializers.FloatField(allow_null=True)
    scores = serializers.SerializerMethodField()
    worst = WorstSliceSerializer(allow_null=True, help_text="Null where the track has one slice, or one slice is shown.")
    filled = serializers.DictField(
        child=serializers.CharField(), help_text="Slices that it did not enter, and the baseline that stands in."
    )
    public_rank = serializers.IntegerField(
        allow_null=True, help_text="On a board that has shown its private part: the rank that it had by the public one."
    )
    mine = serializers.BooleanField()
    submitted_at = serializers.DateTimeField()
    evaluated_at = serializers.DateTimeField()
    track_version = serializers.CharField()

    def get_scores(self, row: object) -> CellSerializer(many=True):  # type: ignore[valid-type]
        """Every metric of the track."""
        return CellSerializer(row.scores.values(), many=True).data  # type: ignore[attr-defined]


class StandingsSerializer(serializers.Serializer):
    """One page of a board, best first."""

    board = serializers.CharField()
    track = serializers.CharField()
    track_version = serializers.CharField()
    order = serializers.CharField(help_text="The metric that orders the rows.")
    as_of = serializers.DateTimeField(allow_null=True, help_text="Null: now.")
    slice = serializers.CharField(allow_null=True, help_text="Null: everything.")
    part = serializers.CharField(allow_blank=True, help_text="Of the test: public, private or whole; empty: it has no parts.")
    hidden = serializers.CharField(allow_blank=True, help_text="What is hidden from you until the board closes.")
    next = serializers.URLField(allow_null=True)
    results = StandingSerializer(many=True)
