"""Calls: who is told of what, signed, tried again, given up, and never twice at once."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from leaderboard.boards.models import Board
from leaderboard.evaluations import lifecycle
from leaderboard.submissions.withdrawing import withdraw
from leaderboard.webhooks import calling, registering
from leaderboard.webhooks.models import Delivery, Webhook
from tests.api.conftest import submit

pytestmark = [pytest.mark.usefixtures("no_broker"), pytest.mark.django_db(transaction=True)]


@pytest.fixture
def since():
    return timezone.now() - timedelta(hours=1)


@pytest.fixture
def hook(receiver, user) -> tuple[Webhook, str]:
    return registering.register(user=user, url=receiver.url)


@pytest.fixture
def over(hook, board, user):
    """A submission of `user` that was cancelled after the webhook was made."""
    submission = submit(user, board, name="over")
    lifecycle.cancel(submission.evaluations.get(), by="a test")
    return submission


def due_now() -> None:
    Delivery.objects.exclude(next_try_at=None).update(next_try_at=timezone.now() - timedelta(seconds=1))


def test_the_owner_is_told_where_to_read_and_no_score(receiver, hook, over, since):
    assert calling.queue_news(since=since) == 1
    calling.make_calls()
    headers, body = receiver.calls[0]
    told = json.loads(body)
    assert told.pop("finished_at")
    assert told == {
        "event": "evaluation.cancelled",
        "submission": str(over.pk),
        "name": "over",
        "board": over.board.slug,
        "evaluation": 1,
        "state": "cancelled",
        "path": f"/api/v1/submissions/{over.pk}/",
    }
    assert headers["path"] == "/hook?x=1"
    assert headers["Standings-Event"] == "evaluation.cancelled"
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.next_try_at, delivery.attempts) == (204, None, 1)
    assert headers["Standings-Delivery"] == str(delivery.pk)


def test_a_call_is_signed_with_the_secret_that_was_shown(receiver, hook, over, since):
    calling.queue_news(since=since)
    calling.make_calls()
    headers, body = receiver.calls[0]
    moment = int(headers["Standings-Signature"].split(",")[0].removeprefix("t="))
    assert abs(moment - time.time()) < 60
    assert headers["Standings-Signature"] == calling.signature(body, secret=hook[1].encode(), moment=moment)
    assert hook[1] not in Webhook.objects.get().secret


def test_looking_twice_calls_once(receiver, hook, over, since):
    assert [calling.queue_news(since=since) for _ in range(3)] == [1, 0, 0]
    calling.make_calls()
    calling.make_calls()
    assert len(receiver.calls) == 1


def test_calls_about_what_is_withdrawn_go_with_it(receiver, hook, over, user, since):
    calling.queue_news(since=since)
    withdraw(over, user)
    assert not Delivery.objects.exists()
    calling.make_calls()
    assert receiver.calls == []


def test_what_ended_before_the_webhook_is_not_told(receiver, board, user, since):
    submission = submit(user, board, name="before")
    lifecycle.cancel(submission.evaluations.get(), by="a test")
    registering.register(user=user, url=receiver.url)
    assert calling.queue_news(since=since) == 0


def test_nobody_is_told_of_what_others_sent(receiver, hook, board, other_user, since):
    submission = submit(other_user, board, name="not yours")
    lifecycle.cancel(submission.evaluations.get(), by="a test")
    assert calling.queue_news(since=since) == 0


def test_a_host_is_told_of_every_submission_and_a_former_host_of_none(receiver, board, user, other_user, since):
    Board.objects.filter(pk=board.pk).update(host=other_user)
    registering.register(user=other_user, url=receiver.url, board=board.slug)
    for n, expected in ((1, 1), (2, 0)):
        submission = submit(user, board, name=f"entry {n}", steps=n)
        lifecycle.cancel(submission.evaluations.get(), by="a test")
        assert calling.queue_news(since=since) == expected
        Board.objects.filter(pk=board.pk).update(host=user)


@pytest.mark.parametrize("status", [500, 404, 429, 302, 301])
def test_what_is_not_taken_is_tried_again_later_and_later(receiver, hook, over, since, status):
    receiver.statuses = [status] * 3
    calling.queue_news(since=since)
    waits = []
    for _ in range(4):
        calling.make_calls()
        delivery = Delivery.objects.get()
        waits.append(delivery.next_try_at and (delivery.next_try_at - timezone.now()).total_seconds())
        due_now()
    assert waits[:3] == pytest.approx([30, 120, 600], abs=20)
    assert waits[3] is None
    assert (delivery.attempts, delivery.status) == (4, 204)


def test_what_is_never_taken_is_given_up_and_five_such_switch_the_webhook_off(receiver, hook, over, since):
    receiver.statuses = [500] * 100
    for _ in range(calling.GIVE_UP_AFTER):
        assert Webhook.objects.get().active
        registering.try_out(hook[0])
        for _ in range(len(calling.RETRY_SECONDS) + 1):
            due_now()
            calling.make_calls()
    assert not Delivery.objects.exclude(next_try_at=None).exists()
    assert not Webhook.objects.get().active
    registering.try_out(hook[0])
    assert Webhook.objects.get().active


def test_an_address_that_turned_private_is_not_called(receiver, hook, over, since, settings):
    settings.WEBHOOK_NETWORKS = []
    calling.queue_news(since=since)
    calling.make_calls()
    assert not receiver.calls
    assert "not a public address" in Delivery.objects.get().error


def test_many_schedulers_make_each_call_once(receiver, hook, since):
    for _ in range(12):
        registering.try_out(hook[0])

    def look(_: int) -> None:
        calling.make_calls()
        connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(look, range(4)))
    identities = [headers["Standings-Delivery"] for headers, _ in receiver.calls]
    assert len(identities) == len(set(identities)) == 12


def test_a_call_that_was_cut_short_is_made_again(receiver, hook):
    delivery = registering.try_out(hook[0])
    assert calling._take(delivery.pk, Delivery.objects.get().next_try_at)  # and its scheduler dies
    calling.make_calls()
    assert not receiver.calls
    due_now()
    calling.make_calls()
    assert len(receiver.calls) == 1


def test_a_secret_that_cannot_be_read_is_said(receiver, hook, settings):
    settings.SECRET_KEY = "another"
    registering.try_out(hook[0])
    calling.make_calls()
    assert not receiver.calls
    assert "make it anew" in Delivery.objects.get().error


def test_the_documented_check_of_a_signature_is_right():
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
    names: dict = {}
    exec(page.split("```python")[1].split("```")[0], names)
    now = int(time.time())
    signed = calling.signature(b"{}", secret=b"s", moment=now)
    assert names["is_genuine"](signed, b"{}", "s")
    assert not names["is_genuine"](signed, b"{ }", "s")
    assert not names["is_genuine"](signed, b"{}", "other")
    assert not names["is_genuine"](calling.signature(b"{}", secret=b"s", moment=now - 400), b"{}", "s")
