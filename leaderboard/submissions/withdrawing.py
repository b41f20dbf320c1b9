"""Withdrawing: what was sent goes, and that it was sent stays. Called by the API, the pages, the administration, and by
`accounts.leaving`.

Gone at once: name, description, config, model, file, content hash, evaluations with their logs, scores and columns, standings
and paired tests. Left: the row with its id, board, competitor, kind and times, and who withdrew it, when and why. The board
settles its ranks again, and claims that rested on it are judged again, since both look at what is there.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable
from datetime import datetime
from functools import partial

from django.db import transaction
from django.utils import timezone

from leaderboard.evaluations import lifecycle
from leaderboard.permissions import Viewer, withdraws_as
from leaderboard.refusals import FieldError, InvalidRequest
from leaderboard.standings import waking
from leaderboard.submissions import storage
from leaderboard.submissions.models import Submission

logger = logging.getLogger(__name__)

LONGEST_REASON = 300


def withdraw(submission: Submission, user: Viewer, *, reason: str = "", now: datetime | None = None) -> bool:
    """Withdraw a submission; whether it was there until now: doing it again does nothing.

    reason: required of a host, shown to those who answer for the submission. Raises NotAllowed, InvalidRequest.
    """
    now = now or timezone.now()
    by, reason = withdraws_as(user, submission, now=now), " ".join(reason.split())
    if by == Submission.Withdrawer.HOST and not reason:
        raise _bad_reason("say why you withdraw somebody else's submission: its competitor will read it")
    if len(reason) > LONGEST_REASON or not reason.isprintable():
        raise _bad_reason(f"a reason has at most {LONGEST_REASON} printable characters")
    return empty(submission.pk, by=by, reason=reason, now=now)


def empty(key: uuid.UUID, *, by: Submission.Withdrawer, reason: str = "", now: datetime) -> bool:
    """Withdraw without asking who does it."""
    with transaction.atomic():
        # "No key": a result that lands meanwhile may still point to the submission, and is deleted with the others.
        rows = Submission.objects.select_for_update(no_key=True, of=("self",))
        submission = rows.filter(pk=key, withdrawn_at=None).first()
        if submission is None:
            return False
        files = _files_of(submission)
        versions = list(submission.standings.values_list("track_version", flat=True))
        lifecycle.forget(submission)
        _leave_trace(submission, by=by, reason=reason, now=now)
        waking.ask_again(submission.board_id, versions)
        transaction.on_commit(partial(_discard, files))
    logger.info("submission %s was withdrawn by %s", key, by)
    return True


def _leave_trace(submission: Submission, *, by: str, reason: str, now: datetime) -> None:
    submission.name, submission.description, submission.filename = "withdrawn", "", ""
    submission.model, submission.config, submission.slices, submission.artifact = "", {}, [], None
    # Of its own: the same content may be sent again.
    submission.content_hash = f"withdrawn-{uuid.uuid4().hex}"
    submission.charged_periods = []
    submission.withdrawn_at, submission.withdrawn_by, submission.withdrawal_reason = now, by, reason
    submission.save()


def _files_of(submission: Submission) -> set[str]:
    """The stored files that its rows name. Each goes unless another row names it too."""
    found = {submission.artifact_id or ""}
    for field in storage.naming_fields():
        path = {"Evaluation": "submission", "Measurement": "evaluation__submission"}.get(field.model.__name__)
        if path is not None:
            found.update(field.model._base_manager.filter(**{path: submission}).values_list(field.name, flat=True))  # noqa: SLF001
    return found - {""}


def _discard(files: Iterable[str]) -> None:
    """What cannot be removed now is an orphan, which a scrub finds."""
    for sha256 in files:
        try:
            storage.discard(sha256)
        except OSError as error:
            logger.warning("the file %s of a withdrawn submission stays: %s", sha256, error)


def _bad_reason(detail: str) -> InvalidRequest:
    return InvalidRequest(detail, errors=(FieldError("reason", "invalid", detail),))
