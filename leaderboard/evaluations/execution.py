"""Runs one evaluation in a pool process: claim, compute (or reuse), write the outcome. Called by the Celery task.

The outcome is computed once and written by one function of `lifecycle`. While the database is away, or the disk is full, that
is tried again until it is written or refused: a result that exists is not thrown away because it cannot be stored just now.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection

from evaluators.failures import EvaluationCancelled, EvaluationFailure, FailureCode
from evaluators.runtime.jobs import EntryKind, Job, Result
from leaderboard.evaluations import lifecycle, reuse
from leaderboard.evaluations.heartbeat import Hold, Why
from leaderboard.evaluations.key import content_of, evaluation_key
from leaderboard.evaluations.models import Evaluation
from leaderboard.refusals import DATABASE_AWAY, unavailability
from leaderboard.standings import measuring
from leaderboard.submissions import storage

if TYPE_CHECKING:
    from leaderboard.evaluations.pool_process import PoolProcess

logger = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS = 2.0
FULL_DISK_SECONDS = 60.0
"""How long a worker keeps a result that the disk has no room for. Then it hands the evaluation back: no fault is counted."""

Outcome = Callable[[], bool]


def execute(evaluation_id: int, *, process: PoolProcess) -> None:
    """Run an evaluation to its end, unless it is taken, over or gone."""
    try:
        lease = lifecycle.claim(evaluation_id, worker=process.name, pool=process.pool)
    except DATABASE_AWAY as error:
        logger.warning("evaluation %s waits for the sweeper, the database is away: %s", evaluation_id, error)
        return
    if lease is None:
        logger.info("evaluation %s is not waiting for this worker", evaluation_id)
        return
    with process.heartbeat.holding(lease) as hold:
        outcome = _outcome(hold, process)
        hold.writing = True
        _write(outcome, hold)


def job_of(evaluation: Evaluation) -> Job:
    """What the runtime needs to know. Raises an error of `storage` if the artifact is missing or corrupt."""
    submission = evaluation.submission
    return Job(
        track=submission.board.track_id,
        kind=cast("EntryKind", submission.kind),
        model=submission.model,
        config=submission.config,
        artifact=storage.path(submission.artifact_id) if submission.artifact_id else None,
        slices=tuple(submission.slices),
        seeds=tuple(evaluation.seeds),
    )


def _outcome(hold: Hold, process: PoolProcess) -> Outcome:
    """Compute; whatever happens becomes the one function that writes it."""
    lease = hold.lease
    try:
        evaluation = Evaluation.objects.select_related("submission__board__track").get(pk=lease.evaluation_id)
        result = reuse.earlier_result(evaluation) or _compute(evaluation, hold, process)
        found = measuring.measured(evaluation.submission.board, result)
        return partial(lifecycle.succeed, lease, result, key=_measured_key(evaluation, result), found=found)
    except EvaluationCancelled:
        return _dropped(hold)
    except EvaluationFailure as failure:
        return partial(lifecycle.fail, lease, failure, log=failure.log)
    except SoftTimeLimitExceeded:
        return partial(lifecycle.fail, lease, _broken("loading its data or scoring it took far too long"))
    except DATABASE_AWAY as error:
        logger.warning("evaluation %s is handed back, the database is away: %s", lease.evaluation_id, error)
        return partial(lifecycle.give_back, lease, reason="the database was away")
    except Exception:
        logger.exception("evaluation %s broke", lease.evaluation_id)
        return partial(lifecycle.fail, lease, _broken("something broke on the server's side"))


def _compute(evaluation: Evaluation, hold: Hold, process: PoolProcess) -> Result:
    return process.runtime.evaluate(job_of(evaluation), on_event=hold.report, cancel=hold.cancel)


def _dropped(hold: Hold) -> Outcome:
    if hold.why is Why.CANCELLED:
        return partial(lifecycle.confirm_cancel, hold.lease)
    if hold.why is Why.STOPPING:
        return partial(lifecycle.give_back, hold.lease, reason="its worker stopped")
    return lambda: False  # the lease is somebody else's: nothing may be written


def _write(outcome: Outcome, hold: Hold) -> None:
    """Write the outcome, again and again while it cannot be written, until the worker stops."""
    pause, full_until = 0.1, time.monotonic() + FULL_DISK_SECONDS
    while True:
        try:
            return _write_once(outcome, hold)
        except DATABASE_AWAY as error:
            connection.close()
            if hold.why is Why.STOPPING:
                logger.warning("evaluation %s: the outcome could not be written: %s", hold.lease.evaluation_id, error)
                return None
            time.sleep(pause)
        except OSError as error:
            logger.warning("evaluation %s: its result cannot be stored yet: %s", hold.lease.evaluation_id, error)
            if hold.cancel.wait(pause):
                outcome = _dropped(hold)
            elif time.monotonic() > full_until:
                outcome = partial(lifecycle.give_back, hold.lease, reason="the disk was full")
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _write_once(outcome: Outcome, hold: Hold) -> None:
    try:
        written = outcome()
    except Exception as error:
        if unavailability(error):
            raise
        logger.exception("evaluation %s: its outcome cannot be recorded", hold.lease.evaluation_id)
        written = lifecycle.fail(hold.lease, _broken("its result could not be recorded"))
    if not written and not lifecycle.confirm_cancel(hold.lease):
        logger.warning("evaluation %s: attempt %s lost its lease", hold.lease.evaluation_id, hold.lease.attempt)


def _measured_key(evaluation: Evaluation, result: Result) -> str:
    """The key of what was really measured: by this code, on this device."""
    return evaluation_key(
        track_version=result.track_version,
        content=content_of(evaluation.submission),
        seeds=evaluation.seeds,
        device=result.provenance["device_kind"],
    )


def _broken(what: str) -> EvaluationFailure:
    return EvaluationFailure(
        FailureCode.SYSTEM_ERROR, f"{what}; this is not your submission's fault, and your quota was refunded"
    )
