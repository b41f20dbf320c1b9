"""Bearer tokens: made here, shown once, stored as a digest."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.utils import timezone
from knox.settings import knox_settings

from leaderboard.accounts.models import DEFAULT_SCOPES, ApiToken, Scope, User
from leaderboard.refusals import FieldError, InvalidRequest, MissingScope

LONGEST_LIFE = timedelta(days=365)


def issue_token(
    *,
    user: User,
    name: str,
    lifetime: timedelta | None = None,
    scopes: Iterable[str] = tuple(DEFAULT_SCOPES.split()),
    made_by: ApiToken | None = None,
) -> tuple[ApiToken, str]:
    """A new token of `user` and its text, which cannot be had again. `lifetime` None means the server's default.

    made_by: the token that asks. What it makes does not outlive it, and may do no more.

    Raises InvalidRequest for a name that is empty, too long or unprintable, for a lifetime outside 0 ... 365 days, and for
    scopes that do not exist; MissingScope for those that `made_by` does not have."""
    name = name.strip()
    if not (1 <= len(name) <= 80 and name.isprintable()):
        raise _invalid("name", "a token's name has 1 to 80 printable characters")
    scope = _checked_scope(scopes, made_by=made_by)
    if lifetime is not None and not timedelta(0) < lifetime <= LONGEST_LIFE:
        raise _invalid("lifetime", f"a token lives for more than 0 and at most {LONGEST_LIFE.days} days")
    expiry = _within(made_by, lifetime or knox_settings.TOKEN_TTL)
    return ApiToken.objects.create(user, expiry=expiry, name=name, scope=scope)


def _checked_scope(scopes: Iterable[str], *, made_by: ApiToken | None) -> str:
    wanted = set(scopes)
    unknown = sorted(wanted - set(Scope.values))
    if unknown or not wanted:
        found = f'there is no scope "{unknown[0][:40]}"' if unknown else "a token needs a scope"
        raise _invalid("scopes", f"{found}; scopes are {', '.join(Scope.values)}")
    beyond = sorted(wanted - set(made_by.scopes)) if made_by else []
    if beyond:
        raise MissingScope(f'a token with the scope "{beyond[0]}" cannot be made by one without it')
    return " ".join(scope for scope in Scope.values if scope in wanted)


def _within(made_by: ApiToken | None, lifetime: timedelta) -> timedelta:
    """A stolen token must not make one that outlives it."""
    if made_by is None or made_by.expiry is None:
        return lifetime
    return min(lifetime, made_by.expiry - timezone.now())


def _invalid(field: str, detail: str) -> InvalidRequest:
    return InvalidRequest(detail, errors=(FieldError(field, "invalid", detail),))
