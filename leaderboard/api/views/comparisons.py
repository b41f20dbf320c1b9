"""compare/: is one submission better than another, and where."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from leaderboard import permissions
from leaderboard.api.serializers.common import PartQuery
from leaderboard.api.serializers.comparisons import ComparisonSerializer
from leaderboard.api.views.base import ApiView
from leaderboard.standings.comparing import compare


class CompareQuery(PartQuery):
    """Which two."""

    a = serializers.UUIDField(help_text="A submission.")
    b = serializers.UUIDField(help_text="Another one on the same track.")


class CompareView(ApiView):
    """Two submissions side by side."""

    queries = {"GET": CompareQuery}
    problems = {"GET": (403, 404, 410)}

    @extend_schema(operation_id="compareSubmissions", tags=["submissions"], responses=ComparisonSerializer)
    def get(self, request: Request) -> Response:
        """The paired difference of two submissions on every metric, with interval and p. The first question takes a second."""
        a, b = (permissions.get_submission(self.query[side], request.user) for side in ("a", "b"))
        found = compare(a, b, viewer=request.user, part=self.query.get("part"))
        return Response(ComparisonSerializer(found, context={"request": request}).data)
