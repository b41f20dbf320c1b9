"""Errors as problem+json (RFC 9457). Takes any exception that a view let out, gives one response. Called by REST framework
(`handle_exception`), and by `api.middleware` for errors that arise before a view runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, UnreadablePostError
from rest_framework import exceptions
from rest_framework.response import Response

from leaderboard import refusals
from leaderboard.refusals import FieldError, Refusal, unavailability

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
DOCUMENTATION = "/api/docs/problems"


@dataclass(frozen=True)
class Kind:
    """A kind of problem: what its `type` URI stands for. `about` is shown on the page that documents it."""

    code: str
    status: int
    title: str
    about: str


KINDS: dict[str, Kind] = {
    kind.code: kind
    for kind in (
        Kind("malformed", 400, "The request cannot be read", "The body is not what its Content-Type says, or breaks off."),
        Kind("invalid_request", 400, "The request is not valid", "Parameters or fields are unknown, missing or out of range."),
        Kind("refused", 400, "The request was refused", "The server declines, and says why in `detail`."),
        Kind("not_authenticated", 401, "Authentication is needed", "Send `Authorization: Bearer <token>`, or log in."),
        Kind("invalid_token", 401, "The token is not valid", "It is mistyped, expired, deleted, or its account is closed."),
        Kind("not_allowed", 403, "Not allowed", "You may see this, but not do that to it."),
        Kind("missing_scope", 403, "The token may not do this", "The token lacks the scope that `detail` names; make another."),
        Kind("csrf_failed", 403, "The CSRF check failed", "A browser session must send its CSRF token; programs use a token."),
        Kind("second_factor_required", 403, "A second factor is needed", "Set one up on your account's page; tokens work on."),
        Kind("board_closed", 403, "The board is closed", "The board is not open yet, or no more. Its rules say when it is."),
        Kind("not_found", 404, "Not found", "There is nothing here, or nothing that you may see."),
        Kind("method_not_allowed", 405, "Method not allowed", "The header `Allow` lists the methods of this address."),
        Kind("not_acceptable", 406, "Not acceptable", "The address cannot answer in the format that `Accept` asks for."),
        Kind("conflict", 409, "Conflict", "A duplicate, or a move that the state of the thing does not allow."),
        Kind("withdrawn", 410, "It was withdrawn", "The submission was withdrawn; what was sent and its results are gone."),
        Kind("length_required", 411, "Length required", "A body needs a Content-Length; chunked bodies are not read."),
        Kind("precondition_failed", 412, "Precondition failed", "The thing is not in the version that `If-Match` names."),
        Kind("too_large", 413, "The upload is too large", "The body or the file is beyond its limit."),
        Kind("unsupported_format", 415, "The file's format is not accepted", "The track, or the server, does not take it."),
        Kind("unsupported_media_type", 415, "Unsupported media type", "The Content-Type of the body is not accepted here."),
        Kind("invalid_submission", 422, "The submission is not valid", "`errors` names each field, and what would be right."),
        Kind("quota_spent", 429, "The quota is spent", "Wait for `Retry-After` seconds. Cancelling before start refunds."),
        Kind("throttled", 429, "Too many requests", "Wait for `Retry-After` seconds."),
        Kind("internal_error", 500, "Internal error", "A fault of the server. It is logged under the X-Request-ID."),
        Kind("unavailable", 503, "Temporarily unavailable", "Database or disk are away. Try again after `Retry-After`."),
    )
}


@dataclass(frozen=True)
class Problem:
    """One problem: its kind, and what is special about this case. `code` is the kind's unless the case has its own."""

    kind: Kind
    detail: str
    errors: tuple[FieldError, ...] = ()
    code: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The body of the answer."""
        return {
            "type": f"{DOCUMENTATION}#{self.kind.code}",
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "code": self.code or self.kind.code,
            "errors": [asdict(error) for error in self.errors],
        }


class LengthRequired(exceptions.APIException):
    """A body without Content-Length: WSGI would hand it over as empty, and nobody would notice."""

    status_code, default_code = 411, "length_required"
    default_detail = "Send a Content-Length: bodies with Transfer-Encoding: chunked are not read."


def handle_exception(exc: Exception, context: dict[str, Any]) -> Response:
    """REST framework's EXCEPTION_HANDLER: every exception becomes a problem, an unexpected one is logged first."""
    problem = problem_of(exc)
    if problem.kind.status >= 500:
        request = context["request"]
        logger.error("%s: %s [%s]", problem.kind.title, request.path, request.META.get("HTTP_X_REQUEST_ID"), exc_info=exc)
    return Response(problem.document(), status=problem.kind.status, headers=problem.headers, content_type=CONTENT_TYPE)


def problem_of(exc: Exception) -> Problem:
    """The problem that an exception is. Unexpected ones give away nothing about themselves."""
    refusal = exc if isinstance(exc, Refusal) else unavailability(exc)
    if refusal is not None:
        return _of_refusal(refusal)
    if isinstance(exc, exceptions.ValidationError):
        return _of_validation(exc)
    if isinstance(exc, exceptions.APIException):
        return _of_rest_framework(exc)
    return _of_django(exc)


def _of_refusal(exc: Refusal) -> Problem:
    kind = KINDS.get(type(exc).code) or Kind(exc.code, exc.status, exc.title, "")
    return Problem(kind, exc.detail, errors=exc.errors, code=exc.code, headers=_retry_after(exc.retry_after))


def _of_validation(exc: exceptions.ValidationError) -> Problem:
    errors = tuple(_flat(exc.detail))
    told = [f"{error.field}: {error.detail}" if error.field else error.detail for error in errors[:3]]
    more = [f"and {len(errors) - 3} more"] if len(errors) > 3 else []
    return Problem(KINDS["invalid_request"], "; ".join(told + more), errors=errors)


def _of_rest_framework(exc: exceptions.APIException) -> Problem:
    headers = _retry_after(getattr(exc, "wait", None))
    if challenge := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    code = str(exc.get_codes())
    kind = KINDS[_REST_FRAMEWORK_CODES.get(code, "") or _code_of_status(exc.status_code)]
    return Problem(kind, _DETAILS.get(code, str(exc.detail)), headers=headers)


def _of_django(exc: Exception) -> Problem:
    for kind, code, detail in _DJANGO:
        if isinstance(exc, kind):
            return Problem(KINDS[code], detail)
    return Problem(KINDS["internal_error"], "Something went wrong on the server, and was logged.")


def of_status(status: int, *, path: str) -> Problem:
    """A problem for an error of which only the status is known: an answer that was made before any view ran."""
    kind = KINDS[_code_of_status(status)]
    told = "Something in its head is wrong: is the Host header one of this server's names?" if status == 400 else kind.about
    return Problem(Kind(kind.code, status, kind.title, kind.about), f"{path}: {told}")


_REST_FRAMEWORK_CODES = {
    "authentication_failed": "invalid_token",
    "csrf_failed": "csrf_failed",
    "parse_error": "malformed",
    "unsupported_media_type": "unsupported_media_type",
}

_DETAILS = {
    "not_authenticated": "This needs an account: send Authorization: Bearer <token>, or log in.",
}

_DJANGO: tuple[tuple[type[Exception], str, str], ...] = (
    (Http404, "not_found", KINDS["not_found"].about),
    (PermissionDenied, "not_allowed", "You may not do this."),
    (RequestDataTooBig, "too_large", "The fields of the form are too large together."),
    (UnreadablePostError, "malformed", "The body broke off before its Content-Length was reached."),
    (SuspiciousOperation, "malformed", "The request is not one that this server reads."),
)


def _code_of_status(status: int) -> str:
    if status < 400 or status >= 500:
        return "unavailable" if status == 503 else "internal_error"
    return next((kind.code for kind in KINDS.values() if kind.status == status), "malformed")


def _retry_after(seconds: float | None) -> dict[str, str]:
    return {} if seconds is None else {"Retry-After": str(max(1, round(seconds)))}


def _flat(detail: Any, path: str = "") -> Iterator[FieldError]:
    if isinstance(detail, dict):
        for name, part in detail.items():
            yield from _flat(part, path if name == "non_field_errors" else f"{path}.{name}".lstrip("."))
    elif isinstance(detail, list):
        for position, part in enumerate(detail):
            nested = isinstance(part, dict | list)
            yield from _flat(part, f"{path}.{position}".lstrip(".") if nested else path)
    else:
        yield FieldError(field=path, code=str(detail.code or "invalid"), detail=str(detail))


def refusal_kinds() -> set[str]:
    """The codes of all kinds of refusal, for the test that each is documented."""
    found = [Refusal]
    for kind in found:
        found.extend(kind.__subclasses__())
    return {kind.code for kind in found if kind.__module__ == refusals.__name__}
