"""One turn of the scheduler at a time: what it does after the database was away, and after its clock was set back."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from leaderboard.evaluations import clocks, lifecycle, scheduler
from leaderboard.evaluations.models import Evaluation, Scheduler, State, Worker
from leaderboard.standings.models import Settlement

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def running(submission, no_broker):
    evaluation = lifecycle.enqueue(submission)
    lifecycle.claim(evaluation.pk, worker="w", pool="cpu")
    return Evaluation.objects.filter(pk=evaluation.pk)


def expired(running) -> None:
    running.update(lease_expires_at=timezone.now() - timedelta(seconds=1))


def test_a_lease_that_a_clock_set_back_made_long_is_as_long_as_any_other(running, settings):
    running.update(lease_expires_at=timezone.now() + timedelta(hours=1))
    scheduler.turn("s")
    left = (running.get().lease_expires_at - timezone.now()).total_seconds()
    assert settings.LEASE_SECONDS - 5 < left <= settings.LEASE_SECONDS + 1


@pytest.mark.parametrize("ahead", [0.0, 30.0])
def test_times_that_may_be_right_are_left_alone(running, settings, ahead):
    expiry = timezone.now() + timedelta(seconds=settings.LEASE_SECONDS + ahead)
    running.update(lease_expires_at=expiry)
    assert clocks.mend() == 0
    assert running.get().lease_expires_at == expiry


def test_after_a_clock_was_set_back_nothing_waits_for_it(running, board):
    far = timezone.now() + timedelta(hours=3)
    Evaluation.objects.update(published_at=far)
    Worker.objects.create(name="dead", pool="cpu", host="here", pid=1, device="cpu", seen_at=far)
    Scheduler.objects.create(name="dead", seen_at=far)
    Settlement.objects.create(board=board, track_version="v", wanted=1, not_before=far, asked_at=far, expires_at=far)
    assert clocks.mend() == 6
    assert clocks.mend() == 0
    latest = timezone.now() + timedelta(seconds=clocks.LONGEST_REST_SECONDS + 1)
    for each in clocks.times():
        assert not each.model.objects.filter(**{f"{each.column}__gt": latest}).exists()


def test_every_time_that_lies_ahead_is_among_those_that_are_mended():
    """Columns that hold a moment in the future: a new one has to be listed, or a clock that is set back makes it wait."""
    listed = {(each.model, each.column) for each in clocks.times()}
    ahead = {"lease_expires_at", "expires_at", "not_before"}
    found = {(model, field.name) for model in (Evaluation, Settlement) for field in model._meta.fields if field.name in ahead}
    assert found <= listed


def test_a_turn_whose_database_is_away_says_so_and_takes_the_other_steps(running, monkeypatch):
    def away():
        raise OperationalError("away")

    monkeypatch.setattr(scheduler, "reap", away)
    assert scheduler.turn("s") is False
    assert Scheduler.objects.filter(pk="s").exists()
    monkeypatch.undo()
    assert scheduler.turn("s") is True


def test_after_an_outage_workers_get_a_lease_s_time_to_renew(running, monkeypatch, settings):
    expired(running)
    settings.LEASE_SECONDS, settings.REAP_EVERY_SECONDS = 0.3, 0.01
    stop, states, sweeps = threading.Event(), [], []

    def sweep():
        """The first turn meets an outage, the others look."""
        states.append(running.get().state)
        sweeps.append(1)
        if states[-1] == State.QUEUED:
            stop.set()
        if len(sweeps) == 1:
            raise OperationalError("away")

    real = scheduler.reap
    monkeypatch.setattr(scheduler, "reap", lambda: real() if len(sweeps) else None)
    monkeypatch.setattr(scheduler, "sweep", sweep)
    scheduler.run(stop=stop)
    assert states[-1] == State.QUEUED
    assert states.count(State.RUNNING) > 2
