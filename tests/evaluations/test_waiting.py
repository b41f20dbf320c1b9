"""What those who wait are told."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connection, connections

from leaderboard.evaluations import lifecycle, waiting
from leaderboard.evaluations.models import State
from leaderboard.evaluations.waiting import wait_for_change
from leaderboard.refusals import Gone


@pytest.mark.django_db
@pytest.mark.parametrize("seconds", [0.0, -5.0])
def test_who_does_not_want_to_wait_is_answered_at_once_with_one_look(submission, seconds, django_assert_num_queries):
    evaluation = lifecycle.enqueue(submission)
    with django_assert_num_queries(2):
        assert wait_for_change(submission, seconds=seconds) == evaluation


@pytest.mark.django_db
def test_what_is_over_is_told_at_once(submission):
    lifecycle.cancel(lifecycle.enqueue(submission), by="ada")
    started = time.monotonic()
    assert wait_for_change(submission, seconds=30).state == State.CANCELLED
    assert time.monotonic() - started < 10


@pytest.mark.django_db
def test_the_newest_evaluation_counts(submission):
    lifecycle.cancel(lifecycle.enqueue(submission), by="ada")
    newest = lifecycle.enqueue(submission)
    assert wait_for_change(submission, seconds=0.1) == newest


@pytest.mark.django_db
def test_a_submission_without_an_evaluation_is_an_error(submission):
    with pytest.raises(Gone):
        wait_for_change(submission, seconds=30)


@pytest.mark.django_db(transaction=True)
def test_a_change_ends_the_wait(submission):
    evaluation = lifecycle.enqueue(submission)
    answers, looked = [], threading.Event()

    def note(execute, *arguments):
        try:
            return execute(*arguments)
        finally:
            looked.set()

    def wait():
        with connection.execute_wrapper(note):
            answers.append(wait_for_change(submission, seconds=30).state)
        connections.close_all()

    waiter = threading.Thread(target=wait)
    waiter.start()
    assert looked.wait(timeout=20)
    lifecycle.claim(evaluation.pk, worker="w", pool="cpu")
    waiter.join(timeout=20)
    assert answers == [State.RUNNING]


@pytest.mark.django_db
def test_when_every_seat_is_taken_the_next_is_answered_at_once(submission, monkeypatch):
    evaluation = lifecycle.enqueue(submission)
    seats = threading.BoundedSemaphore(1)
    monkeypatch.setattr(waiting, "_seats", seats)
    seats.acquire()
    monkeypatch.setattr(waiting.time, "sleep", lambda seconds: pytest.fail(f"it waited {seconds} s"))
    assert wait_for_change(submission, seconds=30) == evaluation
    seats.release()
    assert wait_for_change(submission, seconds=0) == evaluation
    assert seats.acquire(blocking=False), "a reader gives its seat back"
