"""What becomes of an outcome when something breaks around it. The runtime here is a stand-in that does as it is told: real
ones run in test_worker."""

from __future__ import annotations

import errno
import logging
import os
import threading
from types import SimpleNamespace

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import OperationalError, connection
from django.db.models.functions import Now

from evaluators.failures import EvaluationCancelled, EvaluationFailure, FailureCode
from leaderboard.evaluations import execution, heartbeat, lifecycle
from leaderboard.evaluations.execution import execute
from leaderboard.evaluations.heartbeat import Heartbeat
from leaderboard.evaluations.models import Evaluation, State
from leaderboard.standings.models import Score
from leaderboard.submissions import storage

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(settings):
    settings.LEASE_SECONDS, settings.HEARTBEAT_SECONDS = 5.0, 0.2


@pytest.fixture
def stop_pipe():
    read, write = os.pipe()
    yield SimpleNamespace(read=read, close=lambda: os.close(write))
    os.close(read)


@pytest.fixture
def process(stop_pipe):
    """A pool process whose runtime calls `process.does(job, on_event, cancel)`."""
    left = threading.Event()
    thread = Heartbeat(beat=lambda: None, leave=left.set, stop_descriptor=stop_pipe.read)
    made = SimpleNamespace(name="w/1", pool="cpu", heartbeat=thread, does=None, jobs=[], left=left)

    def evaluate(job, *, on_event, cancel):
        made.jobs.append(job)
        return made.does(job, on_event, cancel)

    made.runtime = SimpleNamespace(evaluate=evaluate)
    thread.start()
    yield made
    thread.end()
    assert not thread.is_alive()


@pytest.fixture
def evaluation(submission):
    return lifecycle.enqueue(submission)


def run(evaluation, process, does):
    process.does = does
    execute(evaluation.pk, process=process)
    return Evaluation.objects.get(pk=evaluation.pk)


def raising(error):
    def does(job, on_event, cancel):
        raise error

    return does


def waits_for_cancel(job, on_event, cancel):
    assert cancel.wait(timeout=20), "nobody cancelled"
    raise EvaluationCancelled("killed")


def test_the_job_says_what_was_submitted(evaluation, process, result):
    run(evaluation, process, lambda *_: result())
    (job,) = process.jobs
    assert (job.track, job.kind, job.model) == ("digits-classification", "config", "logistic")
    assert job.config == {"weight_decay": 1.0}
    assert job.seeds == tuple(evaluation.seeds)
    assert job.artifact is None


def test_a_failure_keeps_its_log(evaluation, process):
    failure = EvaluationFailure(FailureCode.MODEL_ERROR, "it raised ValueError", log="Traceback ...")
    row = run(evaluation, process, raising(failure))
    assert (row.state, row.failure_code, row.log) == (State.FAILED, "model_error", "Traceback ...")


@pytest.mark.parametrize("error", [ZeroDivisionError(), SoftTimeLimitExceeded(), MemoryError(), OSError(28, "disk full")])
def test_an_error_of_ours_is_a_system_error_that_tells_no_internals(evaluation, process, error, settings):
    settings.MAX_ATTEMPTS = 1
    row = run(evaluation, process, raising(error))
    assert (row.state, row.failure_code) == (State.FAILED, "system_error")
    assert "not your submission's fault" in row.failure_message
    assert "Zero" not in row.failure_message


def test_a_result_that_cannot_be_recorded_is_a_system_error(evaluation, process, result):
    twice = result(scores=result().scores * 2)
    row = run(evaluation, process, lambda *_: twice)
    assert (row.state, row.faults) == (State.QUEUED, 1)
    assert not Score.objects.exists()


def test_a_database_that_is_away_delays_the_result(evaluation, process, result, monkeypatch):
    real, tries = lifecycle.succeed, []

    def flaky(*arguments, **options):
        tries.append(1)
        if len(tries) < 4:
            raise OperationalError("the database is restarting")
        return real(*arguments, **options)

    monkeypatch.setattr(execution.lifecycle, "succeed", flaky)
    assert run(evaluation, process, lambda *_: result()).state == State.SUCCEEDED
    assert len(tries) == 4


def away(*_, **__):
    raise OperationalError("away")


def test_a_database_that_was_away_for_longer_than_the_lease_costs_no_attempt(
    evaluation, process, result, monkeypatch, settings
):
    settings.LEASE_SECONDS = 0.2
    real, overdue = lifecycle.succeed, Evaluation.objects.filter(lease_expires_at__lt=Now())

    def back_too_late(*arguments, **options):
        return real(*arguments, **options) if overdue.exists() else away()

    monkeypatch.setattr(lifecycle, "renew", away)
    monkeypatch.setattr(lifecycle, "look", away)
    monkeypatch.setattr(execution.lifecycle, "succeed", back_too_late)
    row = run(evaluation, process, lambda *_: result())
    assert (row.state, row.attempt, row.faults) == (State.SUCCEEDED, 1, 0)


def test_a_worker_that_stops_while_the_database_is_away_leaves_the_attempt_to_the_reaper(
    *, evaluation, process, result, monkeypatch, settings, stop_pipe
):
    settings.STOP_GRACE_SECONDS = 0.1
    monkeypatch.setattr(lifecycle, "renew", away)
    monkeypatch.setattr(lifecycle, "look", away)

    def does(job, on_event, cancel):
        stop_pipe.close()
        return result()

    with monkeypatch.context() as patch:
        patch.setattr(execution.lifecycle, "succeed", away)
        assert run(evaluation, process, does).state == State.RUNNING
    Evaluation.objects.update(lease_expires_at="2026-01-01T00:00:00Z")
    assert lifecycle.expire_leases().requeued == 1


@pytest.fixture
def full_disk(monkeypatch):
    """The store refuses until the function is called."""
    real, full = storage.staged, [True]

    def staged(source, **options):
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(source, **options)

    monkeypatch.setattr(storage, "staged", staged)
    return full.clear


def test_a_result_waits_for_room_on_the_disk(evaluation, process, result, full_disk):
    def does(job, on_event, cancel):
        threading.Timer(0.5, full_disk).start()
        return result()

    row = run(evaluation, process, does)
    assert (row.state, row.attempt, row.faults) == (State.SUCCEEDED, 1, 0)


def test_a_worker_does_not_wait_for_ever_for_room_on_the_disk(evaluation, process, result, full_disk, monkeypatch):
    monkeypatch.setattr(execution, "FULL_DISK_SECONDS", 0.3)
    row = run(evaluation, process, lambda *_: result())
    assert (row.state, row.faults, row.stage) == (State.QUEUED, 0, "the disk was full")


@pytest.mark.parametrize("ends", ["cancelled", "stopping", "lost"])
def test_waiting_for_room_on_the_disk_ends_when_the_evaluation_does(
    *, evaluation, process, result, full_disk, stop_pipe, settings, ends
):
    settings.STOP_GRACE_SECONDS = 0.1

    def end():
        if ends == "cancelled":
            lifecycle.cancel(evaluation, by="ada")
        elif ends == "stopping":
            stop_pipe.close()
        else:
            Evaluation.objects.update(lease_expires_at="2026-01-01T00:00:00Z")
            lifecycle.expire_leases()
        connection.close()

    timer = threading.Timer(0.3, end)

    def does(job, on_event, cancel):
        timer.start()
        return result()

    row = run(evaluation, process, does)
    timer.join()
    assert row.state == (State.CANCELLED if ends == "cancelled" else State.QUEUED)
    assert row.faults == (1 if ends == "lost" else 0)


def test_a_database_that_is_away_at_the_claim_is_the_sweepers_business(evaluation, process, monkeypatch, caplog):
    monkeypatch.setattr(lifecycle, "claim", away)
    with caplog.at_level(logging.WARNING):
        assert run(evaluation, process, None).state == State.QUEUED
    assert "waits for the sweeper" in caplog.text


def test_a_cancel_reaches_the_runtime_and_is_confirmed(evaluation, process):
    started = threading.Event()

    def does(job, on_event, cancel):
        started.set()
        return waits_for_cancel(job, on_event, cancel)

    worker = threading.Thread(target=lambda: run(evaluation, process, does))
    worker.start()
    assert started.wait(timeout=10)
    lifecycle.cancel(evaluation, by="ada")
    worker.join(timeout=20)
    assert Evaluation.objects.get(pk=evaluation.pk).state == State.CANCELLED


def test_a_cancel_that_comes_with_the_result_wins(evaluation, process, result):
    def does(job, on_event, cancel):
        lifecycle.cancel(evaluation, by="ada")
        return result()

    assert run(evaluation, process, does).state == State.CANCELLED
    assert not Score.objects.exists()


def test_a_lost_lease_stops_the_runtime_and_writes_nothing(evaluation, process):
    def does(job, on_event, cancel):
        Evaluation.objects.update(lease_expires_at="2026-01-01T00:00:00Z")
        lifecycle.expire_leases()
        return waits_for_cancel(job, on_event, cancel)

    row = run(evaluation, process, does)
    assert (row.state, row.faults, row.attempt) == (State.QUEUED, 1, 1)


def test_a_stopping_worker_hands_back(evaluation, process, stop_pipe, settings):
    settings.STOP_GRACE_SECONDS = 0.1

    def does(job, on_event, cancel):
        stop_pipe.close()
        return waits_for_cancel(job, on_event, cancel)

    row = run(evaluation, process, does)
    assert (row.state, row.faults, row.stage) == (State.QUEUED, 0, "its worker stopped")


def test_a_process_that_does_not_drop_its_evaluation_hands_it_back_and_leaves(
    *, evaluation, process, result, stop_pipe, settings, monkeypatch
):
    settings.STOP_GRACE_SECONDS = 0.1
    monkeypatch.setattr(heartbeat, "LEAVE_SECONDS", 0.2)

    def does(job, on_event, cancel):
        stop_pipe.close()
        assert process.left.wait(timeout=20)
        return result()

    row = run(evaluation, process, does)
    assert (row.state, row.faults, row.stage) == (State.QUEUED, 0, "its worker stopped")


def test_progress_and_stage_are_stored_while_it_runs(evaluation, process, result):
    seen = []

    def does(job, on_event, cancel):
        for stage in ("load", "predict"):
            on_event(SimpleNamespace(stage=stage, progress=0.5))
            for _ in range(200):
                row = Evaluation.objects.get(pk=evaluation.pk)
                if row.stage == stage and row.progress == 0.5:
                    seen.append(stage)
                    break
                cancel.wait(timeout=0.05)
        return result()

    assert run(evaluation, process, does).state == State.SUCCEEDED
    assert seen == ["load", "predict"]


def test_the_lease_of_a_long_evaluation_is_renewed(evaluation, process, result):
    def does(job, on_event, cancel):
        first = Evaluation.objects.get(pk=evaluation.pk).lease_expires_at
        for _ in range(200):
            if Evaluation.objects.get(pk=evaluation.pk).lease_expires_at > first:
                return result()
            cancel.wait(timeout=0.05)
        raise AssertionError("the lease was not renewed")

    assert run(evaluation, process, does).state == State.SUCCEEDED


def test_an_earlier_result_whose_columns_are_gone_is_measured_again(submit, other_user, process, result, own_files):
    first = run(lifecycle.enqueue(submit(1, config={"epochs": 2})), process, lambda *_: result(70))
    for file in own_files.rglob(first.columns_sha256):
        file.unlink()
    second = run(lifecycle.enqueue(submit(1, by=other_user, config={"epochs": 2})), process, lambda *_: result(71))
    assert second.state == State.SUCCEEDED
    assert "reused_from" not in second.provenance


def test_a_reused_result_says_so_and_is_equal_in_every_number(submit, other_user, process, result):
    first = run(lifecycle.enqueue(submit(1, config={"epochs": 2})), process, lambda *_: result(70))
    second = run(lifecycle.enqueue(submit(1, by=other_user, config={"epochs": 2})), process, None)
    assert second.provenance["reused_from"] == first.pk
    assert (second.result, second.key) == (first.result, first.key)
    values = [[(s.metric, s.slice, s.value, s.ci_low, s.ci_high) for s in row.scores.all()] for row in (first, second)]
    assert values[0] == values[1]
    third = run(lifecycle.enqueue(submit(2, by=other_user, config={"epochs": 3})), process, lambda *_: result(72))
    assert "reused_from" not in third.provenance
