"""How often one person, or one address, may ask: counters of a minute, in the cache that the web processes share. Called by the
API's base view, the form that submits, and token authentication. Log-in and sign-up are counted by allauth, in the settings.

A window begins with the clock's minute, so at its turn up to twice the limit can pass. Counting never fails a request: while
the cache is away everything passes, and the quota of a board, which is kept in the database, still holds.
"""

from __future__ import annotations

import ipaddress
from time import time as clock

from django.conf import settings
from django.core.cache import caches
from django.http import HttpRequest

from leaderboard.refusals import Throttled

WINDOW_SECONDS = 60


def count(limit: str, *, who: str) -> None:
    """One more of `limit` (a key of settings.RATE_LIMITS) by `who`. Raises Throttled beyond the limit; 0 is no limit."""
    allowed = settings.RATE_LIMITS[limit]
    if not allowed:
        return
    now = clock()
    cache, key = caches["limits"], f"limit:{limit}:{who}:{int(now // WINDOW_SECONDS)}"
    cache.add(key, 0, timeout=2 * WINDOW_SECONDS)
    try:
        used = cache.incr(key)
    except ValueError:  # the cache is away, or has dropped the key
        return
    if used > allowed:
        left = WINDOW_SECONDS - now % WINDOW_SECONDS
        raise Throttled(f"too many {WORDS[limit]}: at most {allowed} a minute are taken", retry_after=left)


WORDS = {
    "calls": "calls",
    "visitor_calls": "calls without an account",
    "submissions": "submissions",
    "bad_tokens": "calls with a token that is not valid",
}


def count_call(request: HttpRequest) -> None:
    """A call of the API: by the person, or by the address of a visitor. Raises Throttled."""
    person = getattr(request, "user", None)
    if person is not None and person.is_authenticated:
        count("calls", who=str(person.pk))
    else:
        count("visitor_calls", who=address_of(request))


def count_submission(request: HttpRequest) -> None:
    """Something sent to a board, whether it is accepted or not: by the person, and by the address. Raises Throttled."""
    count("submissions", who=str(request.user.pk))
    count("submissions", who=address_of(request))


def address_of(request: HttpRequest) -> str:
    """The address a request counts for: that of the caller, of an IPv6 address its /64, since one household has all of it."""
    address = ipaddress.ip_address(caller_address(request))
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False).network_address)
    return str(address)


def caller_address(request: HttpRequest) -> str:
    """Where a request comes from: behind settings.PROXY_COUNT proxies, what the outermost of them saw. Whatever a caller adds
    to X-Forwarded-For stands before that, and is not believed."""
    hops = request.headers.get("X-Forwarded-For", "").split(",")
    trusted = settings.PROXY_COUNT
    candidates = [hops[-trusted]] if 0 < trusted <= len(hops) else []
    for candidate in (*candidates, request.META.get("REMOTE_ADDR", "")):
        try:
            return str(ipaddress.ip_address(candidate.strip()))
        except ValueError:
            continue
    return "0.0.0.0"  # noqa: S104 - a Unix socket has no address
