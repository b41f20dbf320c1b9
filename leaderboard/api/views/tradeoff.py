"""boards/{slug}/tradeoff/: two metrics at once."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from leaderboard import permissions
from leaderboard.api.serializers.tradeoff import TradeoffSerializer
from leaderboard.api.strict import Strict
from leaderboard.api.views.base import ApiView
from leaderboard.standings.tradeoff import tradeoff_of


class TradeoffQuery(Strict):
    """Which two metrics."""

    x = serializers.CharField(required=False, help_text="A metric of the track; default: what it costs, if that is counted.")
    y = serializers.CharField(required=False, help_text="Another metric; default: the one that orders the board.")
    slice = serializers.CharField(required=False, help_text="The metrics on one slice; facts are of the whole evaluation.")


class TradeoffView(ApiView):
    """The Pareto front of a board."""

    queries = {"GET": TradeoffQuery}

    @extend_schema(operation_id="getTradeoff", tags=["boards"], responses=TradeoffSerializer)
    def get(self, request: Request, slug: str) -> Response:
        """The trade-off between two metrics of a board: its Pareto front and the hypervolume that it covers."""
        board = permissions.get_board(slug, request.user)
        found = tradeoff_of(board, **self.query, viewer=request.user)
        heading = {"board": board.slug, "track": board.track_id, "track_version": board.track.version}
        return Response(TradeoffSerializer({**vars(found), **heading, "slice": found.slice or None}).data)
