"""A reference model: what it implements, its settings, where it stands, what is claimed of it, and its source."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from leaderboard.claims import sources
from leaderboard.claims.models import Paper
from leaderboard.refusals import Refusal
from leaderboard.web.highlight import highlighted
from leaderboard.web.model_page import settings_of, standing_lines


@require_safe
def model(request: HttpRequest, name: str) -> HttpResponse:
    """The page of a reference model."""
    found = sources.get_model(name)
    context: dict[str, Any] = {
        "here": "papers",
        "model": found,
        "papers": Paper.objects.filter(pk__in=found.papers),
        "settings": settings_of(found.schema),
        "standings": standing_lines(sources.standings_of_model(found, request.user)),
        "claims": sources.claims_about(found, request.user),
    }
    try:
        source = sources.source_of(found)
        context |= {"source": source, "code": highlighted(source.text)}
    except Refusal as refusal:
        context["why_no_source"] = refusal.detail
    return render(request, "web/model.html", context)


@require_safe
def source(request: HttpRequest, name: str) -> HttpResponse:
    """The file of a reference model, to keep."""
    del request
    found = sources.source_of(sources.get_model(name))
    response = HttpResponse(found.text, content_type="text/x-python; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{found.name}"'
    return response
