"""A submission: its state while it runs, its scores afterwards, and what its owner may do with it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from leaderboard import permissions
from leaderboard.audit.recording import actor_of
from leaderboard.refusals import InvalidRequest, Refusal
from leaderboard.submissions import answering
from leaderboard.submissions.models import Submission
from leaderboard.web.report import report_of, with_state
from leaderboard.web.requests import PersonRequest
from leaderboard.web.trials import trial_of

PAGE = 50


@require_safe
@never_cache
def submission(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The page of a submission."""
    context = _context(request, pk)
    return render(request, "web/submission.html", {**context, "trial": trial_of(context["submission"], request.user)})


@require_safe
@never_cache
def live(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The part of the page that changes: polled until the evaluation is over."""
    return render(request, "web/_live.html", _context(request, pk))


@require_safe
@never_cache
def claims(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The part of the page that says what becomes of the board's claims: polled until the result was judged."""
    context = _context(request, pk)
    return render(request, "web/_trial.html", {**context, "trial": trial_of(context["submission"], request.user)})


@login_required
@require_safe
def mine(request: PersonRequest) -> HttpResponse:
    """What the person and their teams have submitted, newest first."""
    own = with_state(permissions.own_submissions(request.user), request.user)
    page = Paginator(own, PAGE).get_page(request.GET.get("page"))
    return render(request, "web/mine.html", {"here": "submissions", "page": page})


@login_required
@require_POST
def cancel(request: PersonRequest, pk: UUID) -> HttpResponse:
    """Cancel the newest evaluation."""
    found = permissions.get_submission(pk, request.user)
    permissions.check_answers_for(request.user, found)
    try:
        answering.cancel(found, actor=actor_of(request))
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    else:
        messages.success(request, "The evaluation is being cancelled.")
    return redirect("submission", pk)


@login_required
@require_POST
def again(request: PersonRequest, pk: UUID) -> HttpResponse:
    """Queue one more evaluation."""
    found = permissions.get_submission(pk, request.user)
    permissions.check_answers_for(request.user, found)
    try:
        answering.evaluate_again(found, actor=actor_of(request))
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    else:
        messages.success(request, "It is in the queue again.")
    return redirect("submission", pk)


@login_required
@require_POST
def withdraw(request: PersonRequest, pk: UUID) -> HttpResponse:
    """Withdraw a submission for good. The form asks for a tick, so that no stray click does it."""
    found = permissions.get_submission(pk, request.user)
    if "sure" not in request.POST:
        messages.error(request, "Nothing was withdrawn: tick the box to say that you are sure.")
        return redirect("submission", pk)
    try:
        answering.withdraw(found, actor=actor_of(request), reason=request.POST.get("reason", ""))
    except InvalidRequest as refusal:
        messages.error(request, refusal.detail)
        return redirect("submission", pk)
    messages.success(request, f'"{found.name}" is withdrawn. The board settles its ranks again within seconds.')
    return redirect("board", found.board.slug)


def _context(request: HttpRequest, pk: UUID) -> dict[str, Any]:
    found: Submission = permissions.get_submission(pk, request.user)
    return {
        "here": "submissions" if permissions.owns(request.user, found) else "boards",
        "submission": found,
        "report": report_of(found, request.user, part=request.GET.get("part") or None),
        "may_read_details": permissions.may_read_details(request.user, found),
        "may_read_artifact": permissions.may_read_artifact(request.user, found),
        "withdraws_as": permissions.may_withdraw(request.user, found, now=timezone.now()),
        "may_act": permissions.answers_for(request.user, found),
    }
