"""One order over all tracks."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from leaderboard.standings.overall import overall as read_overall
from leaderboard.web.overall_table import table_of


@require_safe
def overall(request: HttpRequest) -> HttpResponse:
    """Reference models and competitors over the tracks of one `family`, or over all."""
    found = read_overall(request.GET.get("family", "")[:100])
    return render(request, "web/overall.html", {"here": "overall", "found": found, "table": table_of(found)})
