"""schema/, and the pages at /api/docs/. These pages obey the server's Content-Security-Policy: their script and style are
files of their own, because no inline script is allowed."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import ensure_csrf_cookie
from rest_framework.request import Request
from rest_framework.response import Response

from evaluators.limits import LIMITS
from leaderboard.api import schema as api_schema
from leaderboard.api.problems import KINDS
from leaderboard.api.rendering import StrictJSONRenderer
from leaderboard.api.views.base import ApiView


class OpenApiRenderer(StrictJSONRenderer):
    """OpenAPI's own media type."""

    media_type, format = "application/vnd.oai.openapi+json", "openapi-json"


class SchemaView(ApiView):
    """The schema itself; it is not part of itself."""

    schema = None
    renderer_classes = [StrictJSONRenderer, OpenApiRenderer]

    def get(self, request: Request) -> Response:
        """OpenAPI 3.1."""
        del request
        return Response(api_schema.openapi())


@ensure_csrf_cookie
def explore(request: HttpRequest) -> HttpResponse:
    """Every call, to read and to try: a browser session sends the CSRF token of this page's cookie."""
    return render(request, "api/explore.html", {"csrf_cookie": settings.CSRF_COOKIE_NAME})


def list_problems(request: HttpRequest) -> HttpResponse:
    """What the `type` URIs of problems stand for, and the limits beyond which some of them are answered."""
    kinds = sorted(KINDS.values(), key=lambda kind: (kind.status, kind.code))
    return render(request, "api/problems.html", {"kinds": kinds, "limits": LIMITS.values()})
