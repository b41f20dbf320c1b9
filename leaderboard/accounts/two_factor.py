"""Who must log in with a second factor, and what those who have none yet may do: set it up, and log out. A middleware, after
authentication."""

from __future__ import annotations

from collections.abc import Callable

from allauth.mfa.adapter import get_adapter
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from leaderboard.accounts.models import User

Respond = Callable[[HttpRequest], HttpResponseBase]


def lacks_second_factor(user: object) -> bool:
    """Whether settings.TWO_FACTOR asks `user` for a second factor that they have not set up."""
    if not isinstance(user, User) or settings.TWO_FACTOR == "optional":
        return False
    if settings.TWO_FACTOR == "administrators" and not user.is_staff:
        return False
    return not get_adapter().is_mfa_enabled(user)


def require_second_factor(get_response: Respond) -> Respond:
    """The middleware. Pages send to the set-up; the API's calls by session are refused there (`api.authentication`)."""

    def respond(request: HttpRequest) -> HttpResponseBase:
        open_to_all = request.path.startswith(("/accounts/", "/static/", "/api/"))
        if open_to_all or not lacks_second_factor(getattr(request, "user", None)):
            return get_response(request)
        messages.info(request, "This server asks you for a second factor: set it up to go on.")
        return redirect(reverse("mfa_activate_totp"))

    return respond
