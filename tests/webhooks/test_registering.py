"""Webhooks by the API and by the page."""

from __future__ import annotations

import pytest
from django.test import Client

from leaderboard.boards.models import Board
from leaderboard.webhooks import registering
from leaderboard.webhooks.models import Delivery, Webhook
from tests.api.conftest import Caller, assert_problem
from tests.web.page import get, post


@pytest.fixture
def ada(user) -> Caller:
    return Caller().by(user)


def test_a_webhook_is_made_listed_tried_and_removed(ada, receiver):
    made = ada.post("webhooks/", {"url": receiver.url})
    assert made.status_code == 201
    assert "no-store" in made["Cache-Control"]
    document = made.json()
    assert len(document.pop("secret")) >= 40
    assert ada.get("webhooks/").json()["results"] == [document]
    path = f"webhooks/{document['id']}/"
    assert ada.post(f"{path}ping/").status_code == 202
    assert [call["event"] for call in ada.get(path).json()["deliveries"]] == ["ping"]
    assert ada("DELETE", path).status_code == 204
    assert_problem(ada.get(path), 404, "not_found")
    assert not Delivery.objects.exists()


def test_another_persons_webhook_is_not_there(ada, receiver, other_user):
    theirs, _ = registering.register(user=other_user, url=receiver.url)
    assert ada.get("webhooks/").json()["results"] == []
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "ping/")):
        assert_problem(ada(method, f"webhooks/{theirs.pk}/{path}"), 404, "not_found")
    assert Webhook.objects.get().active


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "https://169.254.169.254/latest/meta-data/", "http://x.org/", "x"])
def test_an_address_that_is_not_called_is_refused_at_its_field(ada, url):
    problem = assert_problem(ada.post("webhooks/", {"url": url}), 400, "invalid_request")
    assert problem["errors"][0]["field"] == "url"
    assert not Webhook.objects.exists()


def test_only_hosts_are_told_of_a_whole_board(ada, receiver, board, user):
    assert_problem(ada.post("webhooks/", {"url": receiver.url, "board": board.slug}), 403, "not_allowed")
    Board.objects.filter(pk=board.pk).update(host=user)
    assert ada.post("webhooks/", {"url": receiver.url, "board": board.slug}).json()["board"] == board.slug


def test_nobody_has_more_than_ten(ada, receiver):
    for _ in range(registering.MOST):
        assert ada.post("webhooks/", {"url": receiver.url}).status_code == 201
    assert_problem(ada.post("webhooks/", {"url": receiver.url}), 409, "conflict")


def test_the_page_shows_the_secret_once_and_removes(user, receiver):
    client = Client()
    client.force_login(user)
    page = post(client, "/account/webhooks/", {"url": receiver.url, "board": ""}, expect=200)
    secret = page.all("code", id="new-secret")[0].text
    again = get(client, "/account/webhooks/")
    assert secret not in again.raw
    assert receiver.url in again.text
    webhook = Webhook.objects.get()
    assert client.post(f"/account/webhooks/{webhook.pk}/ping/").status_code == 302
    assert "waits" in get(client, "/account/webhooks/").text
    client.post(f"/account/webhooks/{webhook.pk}/remove/")
    assert not Webhook.objects.exists()


def test_the_page_tells_what_is_wrong_with_an_address(user):
    client = Client()
    client.force_login(user)
    page = post(client, "/account/webhooks/", {"url": "https://10.0.0.1/", "board": ""}, expect=400)
    assert "not a public address" in page.all("ul", id="id_url_error")[0].text


def test_reading_removes_and_calls_nothing(user, receiver):
    webhook, _ = registering.register(user=user, url=receiver.url)
    client = Client()
    client.force_login(user)
    for what in ("ping", "remove"):
        assert client.get(f"/account/webhooks/{webhook.pk}/{what}/").status_code == 405
    assert Webhook.objects.exists()
    assert not Delivery.objects.exists()
