"""The catalogue of papers, one paper with its claim, and a claim that no paper made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Case, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from evaluators.claim_catalogue import source_file
from leaderboard.boards.models import ReferenceModel
from leaderboard.claims import reading
from leaderboard.claims.models import Claim, Paper
from leaderboard.permissions import Viewer
from leaderboard.refusals import FieldError, InvalidRequest
from leaderboard.web.evidence import CLASSES, probability, views_of
from leaderboard.web.trials import challenges_of

PAGE = 100


@require_safe
def papers(request: HttpRequest) -> HttpResponse:
    """All papers, narrowed by words, family, status and verdict."""
    asked = {name: request.GET.get(name, "")[:100] for name in ("search", "family", "status", "verdict")}
    _check_choice("verdict", asked["verdict"], reading.VERDICTS)
    _check_choice("status", asked["status"], Paper.Status.values)
    asked["search"] = asked["search"].replace("\x00", "")
    found = reading.papers(request.user, **asked)
    judged_first = Case(When(claim__verdict__isnull=False, then=0), default=1)
    page = Paginator(found.order_by(judged_first, "id"), PAGE).get_page(request.GET.get("page"))
    counts = reading.counts(request.user)
    context = {
        "here": "papers",
        "page": page,
        "rows": [(paper, reading.claim_of(paper)) for paper in page],
        "asked": asked,
        "families": reading.families(),
        "statuses": Paper.Status.choices,
        "counts": [(word, CLASSES[word], count) for word, count in counts.items()],
    }
    return render(request, "web/papers.html", context)


@require_safe
def paper(request: HttpRequest, paper_id: str) -> HttpResponse:
    """A paper: system, claim, verdict with its evidence, and where to look further."""
    found = reading.get_paper(paper_id, request.user)
    shown = reading.get_paper(found.twin_id, request.user) if found.twin_id else found
    claim = reading.claim_of(shown)
    context = {
        "here": "papers",
        "paper": found,
        **(_about(claim, request.user) if claim else {}),
        "source": source_file(shown.model),
        "model": ReferenceModel.objects.filter(name=shown.model, available=True).first(),
    }
    return render(request, "web/paper.html", context)


@require_safe
def claim(request: HttpRequest, claim_id: int) -> HttpResponse:
    """A claim that a host wrote; that of a paper stands on the paper's page."""
    found = reading.get_claim(claim_id, request.user)
    if found.paper_id:
        return redirect("paper", found.paper_id)
    return render(request, "web/claim.html", {"here": "boards", **_about(found, request.user)})


def _about(claim: Claim, viewer: Viewer) -> dict[str, Any]:
    """A claim, what it rests on, what was said of it before, and who overturns it."""
    return {
        "claim": views_of([claim])[0],
        "rests_on": reading.rests_on(claim.verdict) if claim.verdict else {},
        "earlier": [(verdict, probability(verdict.p_adjusted)) for verdict in reading.history(claim)[1:11]],
        "challenges": challenges_of(claim, viewer),
    }


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value and value not in choices:
        detail = f'{name} cannot be "{value}"; it may be {", ".join(choices)}'
        raise InvalidRequest(detail, errors=(FieldError(name, "not_a_choice", detail),))
