"""How a request says who it is: a bearer token, or a browser session with its CSRF token.

Authentication deletes nothing: an expired token is refused, and its row goes when its owner deletes it. The time of
last use is bookkeeping that no answer but the owner's list of tokens shows. It is written at most once a minute, also by
GETs (a token that only reads is in use too), and a database that cannot be written does not stop a read.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import DatabaseError
from django.db.models import Q
from django.utils import timezone
from knox.crypto import hash_token
from knox.settings import knox_settings
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from leaderboard import throttling
from leaderboard.accounts.models import ApiToken, User
from leaderboard.accounts.two_factor import lacks_second_factor
from leaderboard.refusals import SecondFactorRequired

REALM = 'Bearer realm="standings"'
USE_IS_RECORDED_EVERY = timedelta(minutes=1)

logger = logging.getLogger(__name__)


class BearerAuthentication(BaseAuthentication):
    """Authorization: Bearer <token>. Other schemes are somebody else's, unless they carry a token of ours."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        """The owner of the token, and the token. Raises AuthenticationFailed (401) for one that is not valid."""
        scheme, _, rest = get_authorization_header(request).decode("latin-1").strip().partition(" ")
        if scheme.lower() != "bearer":
            if any(part.startswith(knox_settings.TOKEN_PREFIX) for part in (scheme, rest.strip())):
                raise AuthenticationFailed("Write the header as: Authorization: Bearer <token>.")
            return None
        now = timezone.now()
        token = find_token(rest.strip(), now=now)
        if token is None:
            throttling.count("bad_tokens", who=throttling.address_of(request))
            raise AuthenticationFailed("The token is mistyped, expired or deleted, or its account is closed.")
        record_use(token, now=now)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """The challenge of a 401; RFC 6750 names an error only where a token was sent."""
        return f'{REALM}, error="invalid_token"' if get_authorization_header(request) else REALM


def find_token(text: str, *, now: datetime) -> ApiToken | None:
    """The valid token with this text, its user with it: one indexed query. None if it is unknown, expired, or its account
    is closed. Only the digest is compared in the database, so timing tells nothing of the text."""
    found = ApiToken.objects.filter(Q(expiry=None) | Q(expiry__gt=now), digest=hash_token(text), user__is_active=True)
    return found.select_related("user").first()


def record_use(token: ApiToken, *, now: datetime) -> None:
    """Set the time of last use, at most once a minute."""
    stale = now - USE_IS_RECORDED_EVERY
    if token.last_used is not None and token.last_used > stale:
        return
    try:
        ApiToken.objects.filter(Q(last_used=None) | Q(last_used__lte=stale), pk=token.pk).update(last_used=now)
    except DatabaseError:
        logger.warning("the time of last use of a token could not be written", exc_info=True)


class BrowserAuthentication(SessionAuthentication):
    """The session cookie, with the CSRF check on everything that is not a read."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        """The person who is logged in. Raises SecondFactorRequired where the server asks them for one that they lack."""
        found = super().authenticate(request)
        if found is not None and lacks_second_factor(found[0]):
            raise SecondFactorRequired("this server asks you for a second factor; set it up on your account's page")
        return found

    def enforce_csrf(self, request: Request) -> None:
        """Raises PermissionDenied (403) with a code of its own."""
        try:
            super().enforce_csrf(request)
        except PermissionDenied as error:
            raise PermissionDenied(f"{error.detail} Programs send a token instead.", code="csrf_failed") from None
