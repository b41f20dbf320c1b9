"""A board in two metrics: the Pareto front as a chart and as tables."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from leaderboard.permissions import get_board
from leaderboard.standings.tradeoff import axes_of, tradeoff_of
from leaderboard.web.tradeoff_chart import view_of


@require_safe
def tradeoff(request: HttpRequest, slug: str) -> HttpResponse:
    """The trade-off between `x` and `y`, over everything or one `slice`."""
    board = get_board(slug, request.user)
    asked = {name: request.GET.get(name) or None for name in ("x", "y", "slice")}
    found = tradeoff_of(board, **asked, viewer=request.user)
    context = {
        "here": "boards",
        "board": board,
        "spec": board.track.spec,
        "axes": axes_of(board),
        "found": found,
        "view": view_of(found),
    }
    return render(request, "web/tradeoff.html", context)
