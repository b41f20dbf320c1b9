"""What load balancers and operators ask."""

from __future__ import annotations

from dataclasses import asdict

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from leaderboard.operations.health import readiness


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Liveness: this process answers. Asks nothing of the database or the broker."""
    del request
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Readiness: 200 when everything that is needed works, else 503; the body says which part does not, and whether the server
    is degraded: ready, and an operator should look."""
    del request
    checks = readiness()
    ready = all(check.ok for check in checks if check.needed)
    degraded = not all(check.ok for check in checks)
    body = {"ready": ready, "degraded": degraded, "checks": [asdict(check) for check in checks]}
    return JsonResponse(body, status=200 if ready else 503)
