"""How often one may ask: by person, by address, by what is asked; and that nobody hides behind a header."""

from __future__ import annotations

import pytest
from django.test import Client, RequestFactory

from leaderboard import throttling
from tests.api.conftest import Caller, assert_problem


@pytest.fixture(autouse=True)
def one_window(monkeypatch):
    """No minute turns during a test."""
    monkeypatch.setattr(throttling, "clock", lambda: 1_000_000_007.0)


def test_a_person_who_calls_too_often_is_told_when_to_come_back(settings, call, user, other_user):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "calls": 3}
    ada = call.by(user)
    assert [ada.get("me/").status_code for _ in range(4)] == [200, 200, 200, 429]
    answer = ada.get("me/")
    assert_problem(answer, 429, "throttled")
    assert 1 <= int(answer["Retry-After"]) <= 60
    assert call.by(other_user).get("me/").status_code == 200


def test_another_token_of_the_same_person_is_no_way_round(settings, call, user):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "calls": 1}
    assert [call.by(user).get("me/").status_code for _ in range(2)] == [200, 429]


def test_visitors_count_by_address(settings, board):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "visitor_calls": 2}

    def statuses(address: str) -> list[int]:
        return [Client(REMOTE_ADDR=address).get("/api/v1/boards/").status_code for _ in range(3)]

    assert statuses("203.0.113.5") == [200, 200, 429]
    assert statuses("203.0.113.6") == [200, 200, 429]


def test_zero_is_no_limit(settings, call, board):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "visitor_calls": 0}
    assert {call.get("boards/").status_code for _ in range(20)} == {200}


def test_guessing_tokens_is_slowed_and_does_not_lock_out_true_ones(settings, call, token):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "bad_tokens": 2}
    assert [Caller("st_guess").get("me/").status_code for _ in range(3)] == [401, 401, 429]
    assert Caller(token).get("me/").status_code == 200


@pytest.mark.usefixtures("no_broker")
def test_submissions_are_limited_whether_they_are_accepted_or_not(settings, call, user, board):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "submissions": 2}
    ada = call.by(user)
    path = f"boards/{board.slug}/submissions/"
    assert ada.post(path, {"name": "x", "kind": "config", "model": "nothing"}).status_code == 422
    assert ada.post(path, {"name": "x", "kind": "config", "model": "nothing"}).status_code == 422
    assert_problem(ada.post(path, {"name": "x", "kind": "config", "model": "nothing"}), 429, "throttled")


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "198.51.100.9", "192.0.2.1"),  # nobody is believed
        (1, "198.51.100.9", "198.51.100.9"),
        (1, "6.6.6.6, 198.51.100.9", "198.51.100.9"),  # what the caller added stands first
        (2, "6.6.6.6, 198.51.100.9, 10.0.0.1", "198.51.100.9"),
        (2, "198.51.100.9", "192.0.2.1"),  # past the proxies
        (1, "nonsense", "192.0.2.1"),
        (1, "", "192.0.2.1"),
    ],
)
def test_only_the_counted_proxies_are_believed(settings, proxies, forwarded, expected):
    settings.PROXY_COUNT = proxies
    request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.1", HTTP_X_FORWARDED_FOR=forwarded)
    assert throttling.caller_address(request) == expected


def test_an_ipv6_household_counts_as_one():
    def key(address: str) -> str:
        return throttling.address_of(RequestFactory().get("/", REMOTE_ADDR=address))

    assert key("2001:db8:1:2::1") == key("2001:db8:1:2:ffff::9") != key("2001:db8:1:3::1")
    assert key("") == "0.0.0.0"
