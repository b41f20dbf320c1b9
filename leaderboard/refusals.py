"""Refusals: everything that the server declines to do, as typed exceptions. One handler turns them into problem+json
(`api.problems`), another into a page or a form message (`web`). Raised by the apps' functions, never by views."""

from __future__ import annotations

import errno
from dataclasses import dataclass

from django.db import InterfaceError, OperationalError

DATABASE_AWAY = (OperationalError, InterfaceError)
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
RETRY_SECONDS = 5.0


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field of a request. `field` is dotted: "config.learning_rate"."""

    field: str
    code: str
    detail: str


class Refusal(Exception):
    """Base: an HTTP status, a stable `code`, and `detail`, one sentence that says what is wrong and what would be right."""

    status = 400
    code = "refused"
    title = "The request was refused"

    def __init__(
        self, detail: str, *, errors: tuple[FieldError, ...] = (), code: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors
        self.code = code or type(self).code
        self.retry_after = retry_after


class InvalidRequest(Refusal):
    """A query or a body that asks for something that does not exist; `errors` names each field."""

    status, code, title = 400, "invalid_request", "The request is not valid"


class NotFound(Refusal):
    """There is no such thing, or the caller may not know that there is."""

    status, code, title = 404, "not_found", "Not found"


class InvalidSubmission(Refusal):
    """Fields that cannot be accepted; `errors` names each."""

    status, code, title = 422, "invalid_submission", "The submission is not valid"


class TooLarge(Refusal):
    """A body or a file beyond its limit."""

    status, code, title = 413, "too_large", "The upload is too large"


class UnsupportedFormat(Refusal):
    """A file whose format the track, or the server, does not take."""

    status, code, title = 415, "unsupported_format", "The file's format is not accepted"


class NotAllowed(Refusal):
    """The caller may see the thing, but not do this to it."""

    status, code, title = 403, "not_allowed", "Not allowed"


class SecondFactorRequired(NotAllowed):
    """The server asks this person for a second factor, and they have set up none."""

    status, code, title = 403, "second_factor_required", "A second factor is needed"


class MissingScope(NotAllowed):
    """The token may not do what its owner may."""

    status, code, title = 403, "missing_scope", "The token may not do this"


class BoardClosed(NotAllowed):
    """The board is not open yet, or no more."""

    status, code, title = 403, "board_closed", "The board is closed"


class QuotaSpent(Refusal):
    """The caller's quota on the board is used up until `retry_after` seconds from now."""

    status, code, title = 429, "quota_spent", "The quota is spent"


class Throttled(Refusal):
    """The caller asks more often than the server takes; come back in `retry_after` seconds."""

    status, code, title = 429, "throttled", "Too many requests"


class Gone(Refusal):
    """What there was here was withdrawn; it does not come back."""

    status, code, title = 410, "withdrawn", "It was withdrawn"


class Conflict(Refusal):
    """The request does not fit the state of the thing: a duplicate, or a move that its state does not allow."""

    status, code, title = 409, "conflict", "Conflict"


class Unavailable(Refusal):
    """Something that the server stands on is away for a moment: the database, or room on the disk."""

    status, code, title = 503, "unavailable", "Temporarily unavailable"


def unavailability(error: BaseException | None) -> Unavailable | None:
    """The refusal that an error of the database or of the disk is to whoever asked; None for every other error."""
    if isinstance(error, DATABASE_AWAY):
        return Unavailable(
            "the database cannot be reached just now; nothing was lost, try again in a moment", retry_after=RETRY_SECONDS
        )
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return Unavailable(
            "the server's disk is full, so nothing can be stored just now; nothing was lost, try again later",
            retry_after=60.0,
        )
    if isinstance(error, BlockingIOError):
        return Unavailable("the server is busy with that file just now; nothing was lost, try again", retry_after=RETRY_SECONDS)
    return None
