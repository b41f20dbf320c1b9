"""A person's account: their API tokens. Log-in, sign-up and passwords are allauth's pages."""

from __future__ import annotations

from datetime import timedelta

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from leaderboard.accounts.models import ApiToken
from leaderboard.accounts.tokens import issue_token
from leaderboard.refusals import NotFound, Refusal
from leaderboard.web.forms import TokenForm
from leaderboard.web.requests import PersonRequest


@login_required
@never_cache
@sensitive_variables("text")
@require_http_methods(["GET", "HEAD", "POST"])
def account(request: PersonRequest) -> HttpResponse:
    """The account page. POST makes a token, whose text is on the answer and nowhere else."""
    form = TokenForm(request.POST if request.method == "POST" else None)
    status, text = 200, ""
    if request.method == "POST" and form.is_valid():
        try:
            lifetime = timedelta(days=form.cleaned_data["days"])
            name, scopes = form.cleaned_data["name"], form.cleaned_data["scopes"]
            _, text = issue_token(user=request.user, name=name, lifetime=lifetime, scopes=scopes)
            form = TokenForm()
        except Refusal as refusal:
            form.refuse(refusal)
            status = refusal.status
    context = {"here": "account", "form": form, "new_token": text, "tokens": _tokens(request)}
    return render(request, "web/account.html", context, status=422 if form.errors and status == 200 else status)


@login_required
@require_POST
def revoke_token(request: PersonRequest) -> HttpResponse:
    """Delete one of the person's tokens, named by its digest."""
    deleted, _ = _tokens(request).filter(digest=request.POST.get("token", "")).delete()
    if not deleted:
        raise NotFound("there is no such token of yours; it may have been revoked already")
    messages.success(request, "The token is revoked. Programs that use it are refused from now on.")
    return redirect("account")


def _tokens(request: PersonRequest) -> QuerySet[ApiToken]:
    return ApiToken.objects.filter(user=request.user)
