"""The page of last resort: for whatever no view and no middleware has answered."""

from __future__ import annotations

import sys

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.decorators.csrf import requires_csrf_token

from leaderboard.refusals import unavailability


@requires_csrf_token
def server_error(request: HttpRequest) -> HttpResponse:
    """503 where the database or the disk is away, with the time to come back; else 500. Asks the database nothing: the
    template gets no request, so no user is looked up."""
    del request
    refusal = unavailability(sys.exc_info()[1])
    if refusal is None:
        return HttpResponse(render_to_string("500.html"), status=500)
    context = {"status": refusal.status, "title": refusal.title, "detail": refusal.detail, "retry_seconds": refusal.retry_after}
    page = HttpResponse(render_to_string("web/error.html", context), status=refusal.status)
    page["Retry-After"] = str(round(refusal.retry_after or 1))
    return page
