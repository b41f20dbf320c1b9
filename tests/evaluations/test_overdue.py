"""What is beyond its limits is found, and only that; operators are told by log, /readyz, command and administration."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from evaluators.failures import EvaluationFailure, FailureCode
from leaderboard.evaluations import dispatch, lifecycle, overdue, scheduler
from leaderboard.evaluations.models import Evaluation, Scheduler, Worker
from leaderboard.standings.models import Score, Standing

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_broker")]


@pytest.fixture
def worker(db):
    return Worker.objects.create(name="w", pool="cpu", host="here", pid=1, device="cpu")


@pytest.fixture
def waiting(submission):
    return lifecycle.enqueue(submission)


def row(evaluation):
    return Evaluation.objects.filter(pk=evaluation.pk)


def ago(**span):
    return timezone.now() - timedelta(**span)


def succeeded(evaluation, result):
    lease = lifecycle.claim(evaluation.pk, worker="w", pool="cpu")
    assert lifecycle.succeed(lease, result(), key="0" * 64)


def break_it(evaluation, result, how):
    """Make the database hold what no code of ours writes, or what takes hours."""
    if how == "waiting":
        row(evaluation).update(queued_at=ago(hours=2))
    elif how in ("running", "lease"):
        lifecycle.claim(evaluation.pk, worker="w", pool="cpu")
        if how == "running":
            hard = dispatch.time_limits(row(evaluation).select_related("submission__board__track").get())[1]
            row(evaluation).update(started_at=ago(seconds=hard + 60))
        else:
            row(evaluation).update(lease_expires_at=ago(minutes=5))
    else:
        succeeded(evaluation, result)
        if how == "unfinished":
            row(evaluation).update(finished_at=None)
        elif how == "without_scores":
            Score.objects.all().delete()
        else:
            Standing.objects.all().delete()


@pytest.mark.parametrize("how", sorted(overdue.KINDS))
def test_each_kind_is_found(worker, waiting, result, how):
    assert overdue.find() == []
    break_it(waiting, result, how)
    (found,) = overdue.find()
    assert (found.evaluation, found.what) == (waiting.pk, how)
    assert found.seconds is None or found.seconds > 50
    assert str(found).startswith(f"evaluation {waiting.pk}: ")


def test_what_waits_for_a_worker_that_is_not_there_is_the_workers_check_s_business(waiting):
    row(waiting).update(queued_at=ago(hours=2))
    assert overdue.find() == []


def test_waiting_counts_from_the_last_attempt(worker, waiting):
    row(waiting).update(queued_at=ago(hours=5), started_at=ago(minutes=5))
    assert overdue.find() == []


def test_what_lives_and_what_ended_well_is_never_found(worker, submit, result):
    succeeded(lifecycle.enqueue(submit(1)), result)
    failed = lifecycle.claim(lifecycle.enqueue(submit(2)).pk, worker="w", pool="cpu")
    lifecycle.fail(failed, EvaluationFailure(FailureCode.MODEL_ERROR, "bad"))
    lifecycle.cancel(lifecycle.enqueue(submit(3)), by="ada")
    lifecycle.claim(lifecycle.enqueue(submit(4)).pk, worker="w", pool="cpu")
    Evaluation.objects.update(queued_at=ago(days=9))
    assert overdue.find() == []


def test_what_ended_long_ago_is_looked_at_only_when_asked(waiting, result):
    break_it(waiting, result, "without_scores")
    row(waiting).update(finished_at=ago(days=3))
    assert overdue.find(since=ago(days=1)) == []
    assert len(overdue.find()) == 1


def test_the_scheduler_s_look_is_logged_kept_and_told_by_readiness(*, worker, waiting, result, client, caplog, admin_client):
    scheduler.turn("s")
    with caplog.at_level(logging.ERROR):
        assert overdue.report(scheduler="s") == []
    assert caplog.records == []
    assert client.get("/readyz").json()["degraded"] is False
    break_it(waiting, result, "without_standing")
    with caplog.at_level(logging.ERROR):
        overdue.report(scheduler="s")
    (record,) = caplog.records
    assert (record.evaluation, record.what) == (waiting.pk, "without_standing")
    body = client.get("/readyz").json()
    assert (body["ready"], body["degraded"]) == (True, True)
    told = {check["name"]: check["detail"] for check in body["checks"]}["evaluations"]
    assert told == "beyond their limits: 1 has succeeded and stands on no board"
    page = admin_client.get("/admin/evaluations/scheduler/").content.decode()
    assert f"evaluation {waiting.pk}: has succeeded and stands on no board" in page


def test_one_of_several_schedulers_that_looked_last_is_believed(worker, waiting, result):
    Scheduler.objects.create(name="old")
    break_it(waiting, result, "without_scores")
    assert len(overdue.report(scheduler="old")) == 1
    Standing.objects.all().delete()
    Evaluation.objects.all().delete()
    Scheduler.objects.create(name="new")
    overdue.report(scheduler="new")
    assert overdue.last_report() == []


def test_the_command_ends_with_status_one_if_it_finds_any(worker, waiting, result, capsys):
    call_command("check_evaluations")
    assert capsys.readouterr().out == "0 beyond their limits\n"
    break_it(waiting, result, "lease")
    with pytest.raises(SystemExit) as ended:
        call_command("check_evaluations")
    assert ended.value.code == 1
    assert f"evaluation {waiting.pk}: is held by a worker that fell silent" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["evaluation", "worker", "scheduler"])
def test_the_administration_shows_rows_and_changes_none(worker, waiting, admin_client, kind):
    Scheduler.objects.create(name="s")
    assert admin_client.get(f"/admin/evaluations/{kind}/").status_code == 200
    key = {"evaluation": waiting.pk, "worker": "w", "scheduler": "s"}[kind]
    assert admin_client.get(f"/admin/evaluations/{kind}/{key}/change/").status_code == 200
    assert admin_client.post(f"/admin/evaluations/{kind}/{key}/change/", {}).status_code == 403
    assert admin_client.get(f"/admin/evaluations/{kind}/add/").status_code == 403
