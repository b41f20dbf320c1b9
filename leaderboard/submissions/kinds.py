"""Which kinds of submission a track takes on this server. The tracks name theirs; programs, which are code, are taken beside
ONNX where the operator has said so, and while a worker has the sandbox for them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from evaluators.runtime.jobs import CODE_FORMATS, PROGRAM
from evaluators.runtime.jobs import accepted_kinds as kinds_of
from leaderboard.evaluations.models import Worker
from leaderboard.evaluations.overdue import SILENT_SECONDS


def accepted_kinds(spec: dict[str, Any]) -> tuple[str, ...]:
    """The kinds that a track with this spec takes here."""
    return kinds_of(spec["accepts"], code=settings.ALLOW_CODE_FORMATS)


def why_not_here(kind: str, *, pool: str) -> str:
    """Why no worker of the pool could open a submission of this kind; empty where one can, or where none is there to ask."""
    if kind != PROGRAM:
        return ""
    since = timezone.now() - timedelta(seconds=SILENT_SECONDS)
    layers = list(Worker.objects.filter(seen_at__gte=since, pool=pool).values_list("layers", flat=True))
    if not layers or any(each.get(CODE_FORMATS, "").startswith("active") for each in layers):
        return ""
    return (
        "no worker here has the sandbox that programs (TorchScript, exported programs) need: send an ONNX file, or ask the "
        "server's operator for bubblewrap and namespaces"
    )
