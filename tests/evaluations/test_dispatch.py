"""Wake-ups: after the commit, to the right queue, and again if they are lost."""

from __future__ import annotations

import logging
import socket
from datetime import timedelta

import pytest
from django.db import transaction

from leaderboard.celery import EVALUATE, app
from leaderboard.evaluations import dispatch, lifecycle
from leaderboard.evaluations.models import Evaluation, State
from tests.evaluations.conftest import NOW, use_broker
from tests.services import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

LATER = NOW + timedelta(days=900)


def waiting(queue="cpu"):
    """(id, priority) of the messages in a queue, in order of delivery."""
    got = []
    with app.connection_for_read() as connection:
        channel = connection.channel()
        while message := channel.basic_get(queue):
            assert message.headers["task"] == EVALUATE
            got.append((message.decode()[0][0], message.properties["priority"]))
    return got  # closing the connection put them all back


@pytest.fixture
def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]


@pytest.fixture
def broker_away(closed_port):
    use_broker(f"redis://127.0.0.1:{closed_port}/0", {"socket_connect_timeout": 1, "socket_timeout": 1, "max_retries": 0})


def test_a_worker_is_woken_when_the_transaction_commits_and_not_before(submission):
    with transaction.atomic():
        evaluation = lifecycle.enqueue(submission, priority=3)
        assert waiting() == []
    assert waiting() == [(evaluation.pk, 3)]


def test_a_rollback_wakes_nobody(submission):
    with transaction.atomic():
        lifecycle.enqueue(submission)
        transaction.set_rollback(True)
    assert waiting() == []
    assert not Evaluation.objects.exists()


def test_each_pool_has_its_queue_and_lower_priorities_come_first(submit, board):
    ordinary = lifecycle.enqueue(submit(1), priority=5)
    urgent = lifecycle.enqueue(submit(2), priority=0)
    type(board).objects.update(pool="my-gpus")
    elsewhere = lifecycle.enqueue(submit(3), priority=5)
    assert waiting("cpu") == [(urgent.pk, 0), (ordinary.pk, 5)]
    assert waiting("my-gpus") == [(elsewhere.pk, 5)]


def test_a_broker_that_is_away_does_not_fail_the_post(submission, broker_away, caplog):
    with caplog.at_level(logging.WARNING):
        evaluation = lifecycle.enqueue(submission)
    assert Evaluation.objects.get(pk=evaluation.pk).state == State.QUEUED
    assert "the broker is away" in caplog.text


def test_the_sweeper_survives_a_broker_that_is_away(submission, broker_away, caplog):
    lifecycle.enqueue(submission)
    assert dispatch.republish_waiting(now=LATER) == 0
    assert "1 evaluations wait for it" in caplog.text


def lose_everything(queue="cpu"):
    with app.connection_for_write() as connection:
        connection.default_channel.queue_purge(queue)


def test_what_was_lost_is_sent_again_and_only_that(submit):
    evaluations = [lifecycle.enqueue(submit(number)) for number in range(3)]
    lose_everything()
    assert dispatch.republish_waiting(now=LATER) == 3
    assert sorted(waiting()) == [(evaluation.pk, 5) for evaluation in evaluations]
    assert dispatch.republish_waiting(now=LATER + timedelta(days=1)) == 0
    assert len(waiting()) == 3


def test_what_is_lost_again_and_again_is_sent_again_and_again(submission, settings):
    settings.REPUBLISH_AFTER_SECONDS = 0
    evaluation = lifecycle.enqueue(submission)
    for _ in range(5):
        lose_everything()
        wait_until(lambda: dispatch.republish_waiting() == 1, seconds=10, what="it is sent again")
        assert waiting() == [(evaluation.pk, 5)]


def test_a_long_queue_grows_no_duplicates(submit):
    for number in range(4):
        lifecycle.enqueue(submit(number))
    for days in range(5):
        assert dispatch.republish_waiting(now=LATER + timedelta(days=days)) == 0
    assert len(waiting()) == 4


def test_what_was_sent_a_moment_ago_is_not_sent_again(submission):
    lifecycle.enqueue(submission)
    lose_everything()
    assert dispatch.republish_waiting() == 0


def test_what_does_not_wait_is_not_sent_again(submit):
    running, cancelled = lifecycle.enqueue(submit(1)), lifecycle.enqueue(submit(2))
    lifecycle.claim(running.pk, worker="w", pool="cpu")
    lifecycle.cancel(cancelled, by="ada")
    lose_everything()
    assert dispatch.republish_waiting(now=LATER) == 0


def test_each_pool_is_swept_by_its_own_count(submit, board):
    lifecycle.enqueue(submit(1))
    type(board).objects.update(pool="gpu")
    lost = lifecycle.enqueue(submit(2))
    lose_everything("gpu")
    assert dispatch.republish_waiting(now=LATER) == 1
    assert waiting("gpu") == [(lost.pk, 5)]
    assert len(waiting("cpu")) == 1


def test_what_came_back_from_a_lost_worker_is_sent_at_once_and_what_broke_waits_for_the_sweeper(submit):
    lost, broken = lifecycle.enqueue(submit(1)), lifecycle.enqueue(submit(2))
    lose_everything()
    lifecycle.claim(lost.pk, worker="w", pool="cpu", now=NOW)
    lifecycle.expire_leases(now=NOW + timedelta(hours=1))
    failure = lifecycle.EvaluationFailure(lifecycle.FailureCode.SYSTEM_ERROR, "the disk is full")
    lifecycle.fail(lifecycle.claim(broken.pk, worker="w", pool="cpu"), failure)
    assert waiting() == [(lost.pk, 5)]
    assert dispatch.republish_waiting(now=LATER) == 1


def test_the_task_s_limits_lie_behind_the_track_s_budget(submission, board):
    soft, hard = dispatch.time_limits(lifecycle.enqueue(submission))
    assert board.track.spec["budget"]["wall_s"] < soft < hard
