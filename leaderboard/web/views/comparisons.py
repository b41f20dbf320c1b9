"""Two submissions side by side; with one of them given, a choice of the other."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from leaderboard import permissions
from leaderboard.refusals import NotFound
from leaderboard.standings.comparing import compare
from leaderboard.standings.reading import StandingRow, standings_of
from leaderboard.submissions.models import Submission
from leaderboard.web.comparison import lines_of

CHOICES = 100


@require_safe
def comparison(request: HttpRequest) -> HttpResponse:
    """The paired difference of `a` and `b` on every metric, or a form that asks for `b`."""
    a = permissions.get_submission(_identifier(request, "a"), request.user)
    context = {"here": "boards", "a": a, "choices": _choices(a, request)}
    if not request.GET.get("b"):
        return render(request, "web/compare.html", context)
    b = permissions.get_submission(_identifier(request, "b"), request.user)
    found = compare(a, b, viewer=request.user, part=request.GET.get("part") or None)
    return render(request, "web/compare.html", {**context, "b": b, "comparison": found, "lines": lines_of(found)})


def _choices(a: Submission, request: HttpRequest) -> list[StandingRow]:
    """The head of its board, as far as the viewer may open it."""
    rows = standings_of(a.board, viewer=request.user, limit=CHOICES)
    return [row for row in rows if row.submission_id not in (None, a.pk)]


def _identifier(request: HttpRequest, side: str) -> UUID:
    text = request.GET.get(side, "")
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(f'"{text[:60]}" is no submission; open one, and choose "Compare" there') from None
