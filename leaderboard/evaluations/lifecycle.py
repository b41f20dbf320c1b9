"""The state machine of an evaluation: the only module that changes `Evaluation.state`. Called by intake (enqueue, cancel),
by workers (claim, renew, succeed, fail, give_back, confirm_cancel) and by the scheduler (expire_leases).

Each move is one conditional UPDATE. It finds its row only in the state that the move starts from and, for a running row,
under the lease of the caller: of two that try, one wins, and the other learns that it lost. Times default to the
database's clock, so that machines whose clocks differ agree on what has expired.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Max, Q
from django.db.models.functions import Now

from evaluators.failures import EvaluationFailure, FailureCode
from evaluators.runtime.jobs import Result
from leaderboard.boards.models import Board
from leaderboard.boards.quota import refund
from leaderboard.evaluations import dispatch
from leaderboard.evaluations.documents import plain_json, plain_text, tail
from leaderboard.evaluations.key import content_of, evaluation_key, expected_device
from leaderboard.evaluations.models import FINAL_STATES, Evaluation, State
from leaderboard.refusals import Conflict, Gone
from leaderboard.standings import measuring, ranking
from leaderboard.standings.measuring import Measured
from leaderboard.submissions import storage
from leaderboard.submissions.models import Submission

logger = logging.getLogger(__name__)

Moment = datetime | Now


class Move(Enum):
    """Every allowed move, as (from, to). A state that starts no move is final. A running row that is to be cancelled
    makes no move but CONFIRM_CANCEL: whoever was told "it will be cancelled" was told the truth."""

    CLAIM = (State.QUEUED, State.RUNNING)
    CANCEL = (State.QUEUED, State.CANCELLED)
    SUCCEED = (State.RUNNING, State.SUCCEEDED)
    FAIL = (State.RUNNING, State.FAILED)
    GIVE_BACK = (State.RUNNING, State.QUEUED)
    CONFIRM_CANCEL = (State.RUNNING, State.CANCELLED)


@dataclass(frozen=True)
class Lease:
    """The right to finish one attempt of one evaluation, for as long as the row carries this token."""

    evaluation_id: int
    token: uuid.UUID
    attempt: int


@dataclass(frozen=True)
class Orders:
    """What the row says to the worker that holds it. `keep`: the lease is still its own. `cancel`: stop, and confirm."""

    keep: bool
    cancel: bool


@dataclass(frozen=True)
class Expired:
    """How many expired leases went which way."""

    requeued: int = 0
    failed: int = 0
    cancelled: int = 0


@transaction.atomic
def enqueue(submission: Submission, *, priority: int = 5) -> Evaluation:
    """Add an evaluation of a submission to the queue, and publish it when the caller's transaction commits.

    priority: 0 first, 9 last. Raises Conflict while another evaluation of the submission waits or runs, and Gone for one that
    was withdrawn.
    """
    board = Board.objects.select_related("track").get(pk=submission.board_id)
    seeds = list(board.track.spec["seeds"])
    _refuse_withdrawn(submission)
    number = Evaluation.objects.filter(submission=submission).aggregate(last=Max("number"))["last"] or 0
    device = expected_device(board.pool)
    evaluation = Evaluation(
        submission=submission,
        number=number + 1,
        track_version=board.track.version,
        key=evaluation_key(track_version=board.track.version, content=content_of(submission), seeds=seeds, device=device),
        pool=board.pool,
        priority=priority,
        seeds=seeds,
    )
    try:
        with transaction.atomic():  # a savepoint: the caller's transaction survives the refusal
            evaluation.save(force_insert=True)
    except IntegrityError as error:
        raise Conflict("this submission is being evaluated already; wait for the result, or cancel it first") from error
    dispatch.publish(evaluation)
    return evaluation


def claim(evaluation_id: int, *, worker: str, pool: str, now: Moment | None = None) -> Lease | None:
    """Take a waiting evaluation of this pool. None if somebody else has it, or it is over, gone or of another pool."""
    moment = now or Now()
    token = uuid.uuid4()
    taken = _move(
        Move.CLAIM,
        Q(pk=evaluation_id, pool=pool),
        attempt=F("attempt") + 1,
        lease_token=token,
        lease_expires_at=_expiry(moment),
        worker=worker,
        started_at=moment,
        progress=0.0,
        stage="",
    )
    if not taken:
        return None
    attempt = Evaluation.objects.values_list("attempt", flat=True).get(pk=evaluation_id)
    return Lease(evaluation_id, token, attempt)


def renew(lease: Lease, *, stage: str, progress: float, now: Moment | None = None) -> Orders:
    """Heartbeat: extend the lease, store how far the evaluation is, and read the orders."""
    kept = Evaluation.objects.filter(_held(lease)).update(
        lease_expires_at=_expiry(now or Now()), stage=stage[:40], progress=min(max(0.0, progress), 1.0)
    )
    return look(lease) if kept else Orders(keep=False, cancel=False)


def look(lease: Lease) -> Orders:
    """Read the orders without renewing: one lookup by primary key."""
    cancel = Evaluation.objects.filter(_held(lease)).values_list("cancel_requested", flat=True).first()
    return Orders(keep=cancel is not None, cancel=bool(cancel))


def succeed(lease: Lease, result: Result, *, key: str, found: Measured | None = None, now: Moment | None = None) -> bool:
    """Record a result: row, scores and standing in one transaction, all or nothing. False if the lease is lost or the
    evaluation is to be cancelled: then nothing has changed.

    key: the evaluation key of what was measured. found: what its board measures beyond its scores. The columns are received
    before the transaction, which stays short, and kept until it is over: nobody discards them in between.
    """
    with measuring.kept(found), storage.staged(result.columns) as received, storage.kept(received):
        return _succeed(lease, result, columns_sha256=received.sha256, key=key, found=found, now=now)


def _succeed(
    lease: Lease, result: Result, *, columns_sha256: str, key: str, found: Measured | None, now: Moment | None
) -> bool:
    document = result.as_document()
    for shown_elsewhere in ("scores", "provenance", "log"):
        del document[shown_elsewhere]
    values = {
        "finished_at": now or Now(),
        "progress": 1.0,
        "track_version": result.track_version,
        "key": key,
        "columns_sha256": columns_sha256,
        "result": plain_json(document),
        "provenance": plain_json({**result.provenance, "attempt": lease.attempt}),
        "log": tail(plain_text(result.log)),
    }
    with transaction.atomic():
        if not _move(Move.SUCCEED, _held(lease), **values):
            return False
        evaluation = Evaluation.objects.select_related("submission__board__track").get(pk=lease.evaluation_id)
        # One placing at a time on a board. "No key": submissions may still be inserted that point to the board.
        boards = Board.objects.select_related("track").select_for_update(no_key=True, of=("self",))
        measuring.record(evaluation, result, found, board=boards.get(pk=evaluation.submission.board_id))
        ranking.place(evaluation)
    return True


def fail(lease: Lease, failure: EvaluationFailure, *, log: str = "", now: Moment | None = None) -> bool:
    """Record a failure. The submission's own faults are final; a system error goes back to the queue until it has happened
    MAX_ATTEMPTS times, then it is final and the quota is refunded. False if the lease is lost or it is to be cancelled.

    What goes back to the queue is not published: the sweeper does that, and so gives the cause some time to pass.
    """
    kept_log = tail(plain_text(log))
    if failure.code != FailureCode.SYSTEM_ERROR:
        return _fail(_held(lease), failure, now=now, log=kept_log)
    evaluation = Evaluation.objects.filter(_held(lease)).first()
    return evaluation is not None and _fault(evaluation, _held(lease), failure, now=now, log=kept_log) is not None


def give_back(lease: Lease, *, reason: str) -> bool:
    """Return an evaluation to the queue because its worker stops: nobody's fault, so it counts as none."""
    with transaction.atomic():
        given = _move(Move.GIVE_BACK, _held(lease), stage=reason[:40], progress=0.0, published_at=Now())
        if given:
            dispatch.publish(Evaluation.objects.get(pk=lease.evaluation_id))
    return given


def confirm_cancel(lease: Lease, *, now: Moment | None = None) -> bool:
    """The worker has killed a running evaluation that was to be cancelled. False if the lease is lost or nobody asked."""
    return _move(Move.CONFIRM_CANCEL, _held(lease), finished_at=now or Now())


def cancel(evaluation: Evaluation, *, by: str, now: Moment | None = None) -> Evaluation:
    """Cancel a waiting evaluation at once, and refund it; ask the worker of a running one to kill it (the row turns to
    `cancelled` when it has). Asking twice is the same as once. Returns the row as it is now.

    by: who asked, for the server's log. Raises Conflict where it is over already.
    """
    logger.info("evaluation %s: cancel asked for by %s", evaluation.pk, by)
    while True:  # each turn means that it changed hands in between
        if _cancel_waiting(evaluation, now=now or Now()) or _ask_worker_to_cancel(evaluation):
            return _fresh(evaluation)
        current = _fresh(evaluation)
        if current.state in FINAL_STATES:
            raise Conflict(f"this evaluation has {_PAST[State(current.state)]} already; there is nothing left to cancel")


def expire_leases(*, now: Moment | None = None, limit: int = 1000) -> Expired:
    """The reaper: rows whose worker fell silent go back to the queue; to `failed` after MAX_ATTEMPTS, with a refund; to
    `cancelled` where that was asked for. Several reapers may run at once: each lease is taken away once."""
    overdue = Evaluation.objects.filter(state=State.RUNNING, lease_expires_at__lt=now or Now()).order_by("lease_expires_at")
    ends = [_expire(evaluation, now=now) for evaluation in overdue[:limit]]
    return Expired(requeued=ends.count(State.QUEUED), failed=ends.count(State.FAILED), cancelled=ends.count(State.CANCELLED))


def forget(submission: Submission) -> None:
    """Delete every evaluation of a submission that is being withdrawn, with scores and standings. Within the caller's
    transaction, which has locked the submission. One that waits is refunded, as by cancelling; a worker that runs one finds its
    lease gone and kills it, and no result lands any more."""
    rows = Evaluation.objects.filter(submission=submission)
    if State.QUEUED in list(rows.select_for_update().values_list("state", flat=True)):
        refund(submission)
    rows.delete()


def _refuse_withdrawn(submission: Submission) -> None:
    """Whoever withdraws it now waits until this transaction is over, and takes the new evaluation too."""
    if not Submission.objects.select_for_update(no_key=True).filter(pk=submission.pk, withdrawn_at=None).exists():
        raise Gone("this submission was withdrawn: there is nothing left to evaluate")


def release_all() -> int:
    """After a restore: what ran when the backup was made runs nowhere any more. It waits again, nobody's fault; what was to be
    cancelled is. Nothing is published. How many rows moved."""
    running = Evaluation.objects.filter(state=State.RUNNING).values_list("pk", flat=True)
    return sum(
        _move(Move.CONFIRM_CANCEL, Q(pk=key), finished_at=Now())
        or _move(Move.GIVE_BACK, Q(pk=key), stage="", progress=0.0, worker="", published_at=Now())
        for key in list(running)
    )


_PAST = {State.SUCCEEDED: "succeeded", State.FAILED: "failed", State.CANCELLED: "been cancelled"}
_LOST = EvaluationFailure(
    FailureCode.SYSTEM_ERROR,
    "the machines that evaluated it were lost each time; this is not your submission's fault, and your quota was refunded",
)


def _move(move: Move, where: Q, **values: Any) -> bool:
    """The one place that writes `state`: at most one row moves, and only from where the move starts."""
    start, end = move.value
    if start is State.RUNNING:
        where &= Q(cancel_requested=move is Move.CONFIRM_CANCEL)
        values |= {"lease_token": None, "lease_expires_at": None}
    return Evaluation.objects.filter(where, state=start).update(state=end, **values) == 1


def _held(lease: Lease) -> Q:
    return Q(pk=lease.evaluation_id, state=State.RUNNING, lease_token=lease.token)


def _expiry(moment: Moment) -> Any:
    return moment + timedelta(seconds=settings.LEASE_SECONDS)


def _fresh(evaluation: Evaluation) -> Evaluation:
    return Evaluation.objects.get(pk=evaluation.pk)


def _expire(evaluation: Evaluation, *, now: Moment | None) -> State | None:
    """Take one lease away, unless it was renewed or taken since it was read: the expiry is part of the condition."""
    where = Q(pk=evaluation.pk, lease_token=evaluation.lease_token, lease_expires_at__lt=now or Now())
    if _move(Move.CONFIRM_CANCEL, where, finished_at=now or Now()):
        return State.CANCELLED
    end = _fault(evaluation, where, _LOST, now=now)
    if end is State.QUEUED:
        dispatch.publish(evaluation)
    return end


def _fault(evaluation: Evaluation, where: Q, failure: EvaluationFailure, *, now: Moment | None, **values: Any) -> State | None:
    """Count a fault of the system: back to the queue, or the end. None if the row was not there to be moved."""
    faults = evaluation.faults + 1
    with transaction.atomic():
        if faults >= settings.MAX_ATTEMPTS:
            if _fail(where, failure, now=now, faults=faults, **values):
                refund(evaluation.submission)
                return State.FAILED
        elif _move(Move.GIVE_BACK, where, faults=faults, stage="", progress=0.0, published_at=now or Now(), **values):
            return State.QUEUED
    return None


def _fail(where: Q, failure: EvaluationFailure, *, now: Moment | None, **values: Any) -> bool:
    return _move(
        Move.FAIL,
        where,
        failure_code=failure.code.value,
        failure_message=plain_text(failure.message)[:500],
        finished_at=now or Now(),
        **values,
    )


def _cancel_waiting(evaluation: Evaluation, *, now: Moment) -> bool:
    with transaction.atomic():
        cancelled = _move(Move.CANCEL, Q(pk=evaluation.pk), finished_at=now)
        if cancelled:
            refund(evaluation.submission)
    return cancelled


def _ask_worker_to_cancel(evaluation: Evaluation) -> bool:
    return Evaluation.objects.filter(pk=evaluation.pk, state=State.RUNNING).update(cancel_requested=True) == 1
