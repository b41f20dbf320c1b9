"""A person's webhooks."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from leaderboard.permissions import hosted_boards
from leaderboard.refusals import Refusal
from leaderboard.web.forms import WebhookForm
from leaderboard.web.requests import PersonRequest
from leaderboard.webhooks import registering

SHOWN = 5


@login_required
@never_cache
@sensitive_variables("secret")
@require_http_methods(["GET", "HEAD", "POST"])
def webhooks(request: PersonRequest) -> HttpResponse:
    """GET lists them with their newest calls. POST makes one, whose secret is on the answer and nowhere else."""
    boards = [(board.slug, board.title) for board in hosted_boards(request.user)]
    form = WebhookForm(request.POST if request.method == "POST" else None, boards=boards)
    status, secret = 200, ""
    if request.method == "POST" and form.is_valid():
        try:
            _, secret = registering.register(user=request.user, **form.cleaned_data)
            form = WebhookForm(boards=boards)
        except Refusal as refusal:
            form.refuse(refusal)
            status = refusal.status
    rows = [(webhook, webhook.deliveries.all()[:SHOWN]) for webhook in registering.webhooks_of(request.user)]
    context = {"here": "account", "form": form, "secret": secret, "webhooks": rows}
    return render(request, "web/webhooks.html", context, status=422 if form.errors and status == 200 else status)


@login_required
@require_POST
def ping(request: PersonRequest, pk: UUID) -> HttpResponse:
    """Queue a call to try it out."""
    registering.try_out(registering.get_webhook(pk, request.user))
    messages.success(request, "A call is on its way. Reload this page to see how it went.")
    return redirect("webhooks")


@login_required
@require_POST
def remove(request: PersonRequest, pk: UUID) -> HttpResponse:
    """Remove one."""
    registering.remove(pk, request.user)
    messages.success(request, "The webhook is removed. No further call is made.")
    return redirect("webhooks")
