"""Around every request: a request id, by which logs find it; and around every call of the API, problem+json also for errors
that arise before a view runs (a wrong Host header, a middleware that fails)."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from leaderboard.api import problems

PREFIX = "/api/v1/"
HEADER = "HTTP_X_REQUEST_ID"
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
Respond = Callable[[HttpRequest], HttpResponseBase]


def problems_and_request_ids(get_response: Respond) -> Respond:
    """The middleware. A sensible X-Request-ID of the caller, or of the proxy, is kept."""

    def respond(request: HttpRequest) -> HttpResponseBase:
        given = request.META.get(HEADER, "")
        request.META[HEADER] = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        response = get_response(request)
        response["X-Request-ID"] = request.META[HEADER]
        if request.path.startswith(PREFIX) and response.status_code >= 400 and isinstance(response, HttpResponse):
            _as_problem(request, response)
        return response

    return respond


def _as_problem(request: HttpRequest, response: HttpResponse) -> None:
    if response.headers.get("Content-Type", "").startswith(problems.CONTENT_TYPE):
        return
    document = problems.of_status(response.status_code, path=request.path).document()
    response.content = json.dumps(document).encode()
    response["Content-Type"] = problems.CONTENT_TYPE
    response["Content-Length"] = str(len(response.content))
