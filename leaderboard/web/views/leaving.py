"""The pages on which a person gets their data, and deletes their account."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from leaderboard.accounts.leaving import leave
from leaderboard.accounts.personal_data import personal_data
from leaderboard.refusals import Refusal
from leaderboard.web.forms import LeavingForm
from leaderboard.web.requests import PersonRequest


@login_required
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: PersonRequest) -> HttpResponse:
    """What deleting means, and the form that does it."""
    form = LeavingForm(request.POST if request.method == "POST" else None)
    if request.method != "POST" or not form.is_valid():
        return render(request, "web/leaving.html", {"here": "account", "form": form}, status=422 if form.errors else 200)
    if not request.user.check_password(form.cleaned_data["password"]):
        form.add_error("password", "This is not your password.")
        return render(request, "web/leaving.html", {"here": "account", "form": form}, status=422)
    try:
        leave(request.user, withdraw=form.cleaned_data["submissions"] == "withdraw")
    except Refusal as refusal:
        form.refuse(refusal)
        return render(request, "web/leaving.html", {"here": "account", "form": form}, status=refusal.status)
    logout(request)
    messages.success(request, "Your account is deleted.")
    return redirect("home")


@login_required
@never_cache
@require_safe
def data(request: PersonRequest) -> HttpResponse:
    """Everything that the server holds about the person, as a file."""
    response = JsonResponse(personal_data(request.user), json_dumps_params={"indent": 1})
    response["Content-Disposition"] = 'attachment; filename="standings-data.json"'
    return response
