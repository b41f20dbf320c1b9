"""overall/: one order over all tracks."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from leaderboard.api.serializers.overall import OverallSerializer
from leaderboard.api.strict import Strict
from leaderboard.api.views.base import ApiView
from leaderboard.standings.overall import overall


class OverallQuery(Strict):
    """Over which tracks."""

    family = serializers.CharField(required=False, max_length=80, help_text="The tracks of one family; default: all.")


class OverallView(ApiView):
    """Strengths over tracks."""

    queries = {"GET": OverallQuery}

    @extend_schema(operation_id="getOverall", tags=["boards"], responses=OverallSerializer)
    def get(self, request: Request) -> Response:
        """Reference models and competitors over all tracks: Bradley-Terry strengths and interquartile means."""
        del request
        found = overall(self.query.get("family", ""))
        return Response(OverallSerializer({**vars(found), "family": found.family or None, "rule": found.rule}).data)
