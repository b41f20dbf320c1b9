"""Intake: the only way in. A submission is taken whole, with its file, its charge and its place in the queue, or refused
without a trace. Called by the API, the pages and `boards.seeding`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import PurePath
from typing import Any

from django.conf import settings
from django.core.files.base import File
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from evaluators import limits
from leaderboard.accounts.models import User
from leaderboard.accounts.teams import lock_to_send
from leaderboard.boards.models import Board
from leaderboard.boards.participation import enter
from leaderboard.boards.quota import ACTIVE_STATES, Quota, charge, quota_of
from leaderboard.boards.rules import check_may_submit
from leaderboard.evaluations import lifecycle
from leaderboard.evaluations.models import Evaluation, State
from leaderboard.permissions import check_answers_for, evaluates_for_free, teams_to_send_for
from leaderboard.refusals import Conflict, FieldError, Gone, InvalidRequest, InvalidSubmission, NotAllowed, Refusal
from leaderboard.submissions import storage
from leaderboard.submissions.fields import Entry, Sent, check_entry, check_team
from leaderboard.submissions.formats import check_file
from leaderboard.submissions.models import Artifact, IdempotencyKey, Submission


@dataclass(frozen=True)
class Receipt:
    """The answer to a submission. `queue_position` 1 is next; `created` is False for a repeated Idempotency-Key."""

    submission: Submission
    evaluation: Evaluation
    quota: Quota
    queue_position: int
    created: bool


@dataclass(frozen=True)
class _Order:
    """Who sends what where: what intake knows of a submission besides its fields."""

    user: User
    board: Board
    sent: Sent
    file: File[Any] | None
    origin: str
    key: str
    priority: int
    now: datetime
    team: str = ""


def submit(
    *,
    user: User,
    board: Board,
    name: str,
    kind: str,
    model: str = "",
    config: dict[str, Any] | None = None,
    slices: Sequence[str] = (),
    file: File[Any] | None = None,
    description: str = "",
    visibility: str = "public",
    team: str = "",
    origin: str = "person",
    idempotency_key: str = "",
    priority: int = 5,
) -> Receipt:
    """Take a submission in: all of it, or nothing.

    The values of name, kind, model, config, slices, description, visibility and team may come straight from a request.
    team: the slug of a team of the person, for which this is sent; empty: the person's own.
    idempotency_key: the same key with the same request gives the same submission, however often it is sent.
    priority: 0 first, 9 last.

    Raises NotAllowed, BoardClosed, InvalidSubmission (every wrong field), TooLarge, UnsupportedFormat, QuotaSpent, and
    Conflict for content that the same competitor has on the board already, for somebody who competes for another side there,
    or a key that was used for another request.
    """
    sent = Sent(name, kind, model, config, slices, description, visibility, has_file=file is not None, team=team)
    order = _Order(user, board, sent, file, origin, _checked_key(idempotency_key), priority, now=timezone.now())
    if earlier := _earlier(order):
        return _repeated(earlier, order)
    check_may_submit(board, user, order.now)
    entry = check_entry(sent, board)
    order = replace(order, team=check_team(sent.team, _team_slugs(user)))
    try:
        return _receive(order, entry)
    except (Refusal, IntegrityError):
        if earlier := _earlier(order):  # the same request came twice at once, and the other one was first
            return _repeated(earlier, order)
        raise


def evaluate_again(submission: Submission, user: User, *, priority: int = 5) -> Evaluation:
    """Queue one more evaluation, for its competitor (who pays one submission of the quota), a host of its board, or staff.

    Raises NotAllowed, BoardClosed, QuotaSpent, and Conflict while an evaluation of it waits or runs, and for a member of its
    team who competes for another side on the board.
    """
    check_answers_for(user, submission)
    now = timezone.now()
    board = submission.board
    free = evaluates_for_free(user, board)
    if not free:
        check_may_submit(board, user, now)
    with transaction.atomic():
        Submission.objects.select_for_update(no_key=True).get(pk=submission.pk)
        if submission.evaluations.filter(state__in=ACTIVE_STATES).exists():
            raise Conflict("this submission is being evaluated already; wait for the result, or cancel it first")
        submission.charged_periods = [] if free else _charge_again(submission, user, now=now)
        submission.save(update_fields=["charged_periods"])
        return lifecycle.enqueue(submission, priority=priority)


def queue_position(evaluation: Evaluation) -> int:
    """1 is next in its pool; 0 once it is not waiting."""
    if evaluation.state != State.QUEUED:
        return 0
    before = Q(priority__lt=evaluation.priority) | Q(priority=evaluation.priority, pk__lt=evaluation.pk)
    return Evaluation.objects.filter(before, state=State.QUEUED, pool=evaluation.pool).count() + 1


def _receive(order: _Order, entry: Entry) -> Receipt:
    """The file, if there is one, then everything else."""
    if order.file is None:
        return _take(order, entry, received=None)
    with storage.staged(order.file, limit=settings.MAX_ARTIFACT_BYTES) as received:
        check_file(received.path, kind=entry.kind, filename=_filename(order.file))
        return _take(order, entry, received=received)


def _take(order: _Order, entry: Entry, *, received: storage.Staged | None) -> Receipt:
    """Store, charge and queue, or nothing of it."""
    content_hash = _content_hash(entry, received.sha256 if received else "")
    _refuse_duplicate(order, content_hash)
    keeping: AbstractContextManager[None] = storage.kept(received) if received else nullcontext()
    try:
        with keeping, transaction.atomic():
            return _insert(order, entry, content_hash=content_hash, received=received)
    except IntegrityError:
        _refuse_duplicate(order, content_hash)  # the same content came twice at once
        raise


def _insert(order: _Order, entry: Entry, *, content_hash: str, received: storage.Staged | None) -> Receipt:
    # Charging comes first: it locks the competitor's quota, so that from here on their submissions come one after another.
    team = lock_to_send(slug=order.team, user=order.user) if order.team else None
    enter(order.board, order.user, team)
    periods = charge(order.board, order.user, now=order.now, team=team)
    if team:
        _refuse_duplicate(order, content_hash)  # for a person, the database refuses it
    submission = Submission.objects.create(
        **asdict(entry),
        board=order.board,
        user=order.user,
        team=team,
        origin=order.origin,
        artifact=_artifact(received) if received else None,
        filename=_filename(order.file) if order.file else "",
        content_hash=content_hash,
        charged_periods=periods,
        created_at=order.now,
    )
    if order.key:
        IdempotencyKey.objects.create(
            user=order.user,
            key=order.key,
            request_hash=_request_hash(order, received.sha256 if received else ""),
            submission=submission,
        )
    # The row above points to the account: one that is being deleted is deleted by now, or has to wait.
    if not User.objects.filter(pk=order.user.pk, is_active=True).exists():
        raise NotAllowed("your account was closed meanwhile")
    evaluation = lifecycle.enqueue(submission, priority=order.priority)
    return _receipt(submission, evaluation, now=order.now, created=True)


def _charge_again(submission: Submission, user: User, *, now: datetime) -> list[str]:
    """Whoever of a team asks, the team pays, and the person competes for it."""
    team = lock_to_send(slug=submission.team.slug, user=user) if submission.team else None
    enter(submission.board, user, team)
    return charge(submission.board, user, now=now, team=team)


def _team_slugs(user: User) -> list[str]:
    return list(teams_to_send_for(user).values_list("slug", flat=True))


def _artifact(received: storage.Staged) -> Artifact:
    return Artifact.objects.get_or_create(sha256=received.sha256, defaults={"size": received.size})[0]


def _receipt(submission: Submission, evaluation: Evaluation, *, now: datetime, created: bool) -> Receipt:
    return Receipt(
        submission=submission,
        evaluation=evaluation,
        quota=quota_of(submission.board, submission.user, now=now, team=submission.team),
        queue_position=queue_position(evaluation),
        created=created,
    )


def _refuse_duplicate(order: _Order, content_hash: str) -> None:
    sender = Q(user=order.user) | Q(team__slug=order.team) if order.team else Q(user=order.user)
    same = Submission.objects.filter(sender, board=order.board, content_hash=content_hash).first()
    if same is not None:
        who = "your team has" if same.team_id else "you have"
        raise Conflict(
            f'{who} sent the same to "{order.board.title}" already: "{same.name}", submission {same.pk}; '
            "evaluate that again instead",
            code="duplicate_submission",
            errors=(FieldError("submission", "duplicate_submission", str(same.pk)),),
        )


def _earlier(order: _Order) -> IdempotencyKey | None:
    if not order.key:
        return None
    rows = IdempotencyKey.objects.select_related("submission__board__track", "submission__user", "submission__team")
    return rows.filter(user=order.user, key=order.key).first()


def _repeated(earlier: IdempotencyKey, order: _Order) -> Receipt:
    """The answer that the first request with this key was given, as things stand now."""
    sha256 = ""
    if order.file is not None:
        with storage.staged(order.file, limit=settings.MAX_ARTIFACT_BYTES) as received:
            sha256 = received.sha256
    if _request_hash(order, sha256) != earlier.request_hash:
        raise Conflict(
            f'the Idempotency-Key "{order.key}" was used for another request already (submission {earlier.submission_id}); '
            "take a new key for a new request",
            code="idempotency_key_reused",
        )
    newest = earlier.submission.evaluations.order_by("-number").first()
    if newest is None:
        raise Gone(f'the Idempotency-Key "{order.key}" made submission {earlier.submission_id}, which was withdrawn')
    return _receipt(earlier.submission, newest, now=order.now, created=False)


def _checked_key(key: str) -> str:
    if len(key) > limits.MAX_IDEMPOTENCY_KEY or not key.isprintable():
        detail = f"an Idempotency-Key has at most {limits.MAX_IDEMPOTENCY_KEY} printable characters"
        raise InvalidRequest(detail, errors=(FieldError("Idempotency-Key", "invalid", detail),))
    return key


def _filename(file: File[Any]) -> str:
    """The name that the sender's machine gave the file, for showing only."""
    name = PurePath((file.name or "").replace("\\", "/")).name
    return "".join(character for character in name if character.isprintable())[:200] or "upload"


def _content_hash(entry: Entry, artifact: str) -> str:
    """What is evaluated, and nothing else: not its name, description or visibility."""
    return _hash([entry.kind, entry.model, entry.config, entry.slices, artifact])


def _request_hash(order: _Order, artifact: str) -> str:
    try:
        fields = {name: value for name, value in asdict(order.sent).items() if name != "team" or value}
        return _hash([order.board.slug, fields, artifact])
    except RecursionError as error:
        raise InvalidSubmission("the request nests too deeply") from error


def _hash(parts: list[Any]) -> str:
    """SHA-256 of the parts as JSON in one spelling. What JSON does not have is hashed by its representation."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=repr)
    return hashlib.sha256(text.encode()).hexdigest()
