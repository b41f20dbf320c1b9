"""The list of boards, and one board with its standings."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Literal, cast

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_safe

from leaderboard.boards.participation import team_on
from leaderboard.boards.quota import quota_of
from leaderboard.boards.rules import why_not
from leaderboard.permissions import get_board, may_host, person
from leaderboard.refusals import InvalidRequest, NotFound
from leaderboard.standings import measuring
from leaderboard.standings.history import records_of
from leaderboard.standings.policies import policy_of
from leaderboard.standings.reading import standings_of
from leaderboard.standings.reevaluation import progress_of
from leaderboard.standings.sight import sight_of, words_of
from leaderboard.standings.tradeoff import axes_of
from leaderboard.standings.waking import results_ahead
from leaderboard.submissions.kinds import accepted_kinds
from leaderboard.submissions.models import Submission
from leaderboard.web.history import history_of
from leaderboard.web.numbers import ARROWS, SPOKEN
from leaderboard.web.overview import boards_by_family, state_of
from leaderboard.web.tables import table_of
from leaderboard.web.veil import veil_of

PAGE = 100


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What this is, and every board that the visitor may see."""
    families = boards_by_family(request.user, now=timezone.now())
    return render(request, "web/home.html", {"here": "boards", "families": families})


@require_safe
def board(request: HttpRequest, slug: str) -> HttpResponse:
    """A board: standings in any metric's order, its rules, and the facts of its track."""
    now = timezone.now()
    found = get_board(slug, request.user)
    page = _page(request)
    order, kind = request.GET.get("order") or None, request.GET.get("kind") or None
    part, day = request.GET.get("slice") or None, request.GET.get("as_of") or None
    asked = request.GET.get("part") or None
    sight = sight_of(found, request.user, part=asked)
    best_per = cast("Literal['competitor', 'submission'] | None", request.GET.get("best_per") or None)
    rows = standings_of(
        found,
        order=order,
        kind=kind,
        best_per=best_per,
        slice=part,
        as_of=_end_of(day) if day else None,
        part=asked,
        viewer=request.user,
        offset=PAGE * (page - 1),
        limit=PAGE + 1,
    )
    refusal = why_not(found, request.user, now)
    user = person(request.user)
    side = team_on(found, user) if user else None
    metrics = [metric for metric in found.metrics if not (part and metric["estimator"] == "fact")]
    context = {
        "here": "boards",
        "board": found,
        "spec": found.track.spec,
        "has_tradeoff": len(axes_of(found)) > 1,
        "metrics": [(metric, ARROWS[metric["direction"]], SPOKEN[metric["direction"]]) for metric in found.metrics],
        "state": state_of(found, now),
        "table": table_of(rows[:PAGE], metrics=metrics, order=order or found.metric["name"]),
        "kinds": Submission.Kind.choices,
        "accepts": accepted_kinds(found.track.spec),
        "kind": kind,
        "order": order,
        "best_per": best_per or found.counts,
        "slice": part,
        "day": day,
        "rule": [*policy_of(found).words(), *words_of(found)],
        "recipe": found.recipe,
        "veil": veil_of(found, sight, now=now),
        "history": history_of(records_of(found, request.user, part=asked), now=now) if page == 1 else None,
        "progress": progress_of(found),
        "measured": measuring.progress_of(found),
        "ahead": results_ahead(found),
        "page": page,
        "has_more": len(rows) > PAGE,
        "why_not": refusal.detail if refusal else "",
        "may_host": may_host(user, found),
        "side": side,
        "quota": quota_of(found, user, now=now, team=side) if user else None,
    }
    return render(request, "web/board.html", context)


def _end_of(day: str) -> datetime:
    """The end of a day in UTC, from "2026-11-21"."""
    try:
        date = parse_date(day)
    except ValueError:
        date = None
    if date is None:
        raise InvalidRequest(f'there is no day "{day[:20]}"; write it as 2026-11-21')
    return datetime.combine(date, time.max, tzinfo=UTC)


def _page(request: HttpRequest) -> int:
    text = request.GET.get("page", "1")
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:7]) <= 10**6):
        raise NotFound(f'there is no page "{text[:20]}"; pages are counted from 1')
    return int(text)
