"""What every page may ask about the server. A context processor, named in the settings."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest


def server(request: HttpRequest) -> dict[str, bool]:
    """Whether people can sign up, and whether e-mail leaves this server."""
    del request
    return {"open_signup": settings.OPEN_SIGNUP, "sends_mail": settings.SENDS_MAIL}
