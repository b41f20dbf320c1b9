"""The second factor: set up, asked for at log-in, made a duty by setting; and its secret encrypted."""

from __future__ import annotations

import re

import pytest
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from cryptography.fernet import InvalidToken
from django.test import Client

from leaderboard.accounts.tokens import issue_token

PASSWORD = "correct horse battery"


def code_of(secret: str) -> str:
    """What an authenticator app shows now."""
    return format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time()))))


def log_in(client: Client, username: str = "ada"):
    return client.post("/accounts/login/", {"login": username, "password": PASSWORD})


def set_up(client: Client) -> str:
    """Set up the second factor as a person does; the secret of the app."""
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    secret = re.search(r'value="([A-Z2-7]{16,})"', client.get("/accounts/2fa/totp/activate/").content.decode())[1]
    done = client.post("/accounts/2fa/totp/activate/", {"code": code_of(secret)})
    assert done.status_code == 302, done.content.decode()
    return secret


@pytest.fixture
def person(client, user) -> Client:
    """`user`, logged in."""
    log_in(client)
    return client


def test_who_has_a_second_factor_needs_it_to_log_in(person, user):
    secret = set_up(person)
    other = Client()
    asked = log_in(other)
    assert asked["Location"].startswith("/accounts/2fa/authenticate/")
    assert other.get("/account/").status_code == 302  # not in yet
    wrong = other.post("/accounts/2fa/authenticate/", {"code": "000000"})
    assert "Incorrect code" in wrong.content.decode()
    right = other.post("/accounts/2fa/authenticate/", {"code": code_of(secret)})
    assert right.status_code == 302
    assert other.get("/account/").status_code == 200


def test_a_recovery_code_works_once(person):
    set_up(person)
    codes = re.findall(r"^\s*(\d{8})\s*$", person.get("/accounts/2fa/recovery-codes/download/").content.decode(), re.MULTILINE)
    assert len(codes) == 10
    for expected in (302, 200):
        other = Client()
        log_in(other)
        assert other.post("/accounts/2fa/authenticate/", {"code": codes[0]}).status_code == expected


def test_codes_are_not_guessed(person):
    set_up(person)
    other = Client()
    log_in(other)
    answers = [other.post("/accounts/2fa/authenticate/", {"code": f"{n:06}"}).content.decode() for n in range(12)]
    assert "Too many failed" in answers[-1]


def test_the_secret_of_the_app_is_encrypted_with_the_servers_key(person, settings):
    secret = set_up(person)
    stored = Authenticator.objects.get(type="totp").data["secret"]
    assert secret not in stored
    assert get_adapter().decrypt(stored) == secret
    settings.SECRET_KEY = "another"
    with pytest.raises(InvalidToken):
        get_adapter().decrypt(stored)


@pytest.mark.parametrize(("rule", "sent_away"), [("optional", False), ("administrators", True), ("everybody", True)])
def test_a_server_that_asks_for_it_sends_administrators_to_set_it_up(settings, client, staff, rule, sent_away):
    settings.TWO_FACTOR = rule
    log_in(client, "root")
    for path in ("/", "/account/", "/admin/"):
        answer = client.get(path)
        assert (answer.status_code == 302) is sent_away, path
        if sent_away:
            assert answer["Location"] == "/accounts/2fa/totp/activate/"
    answer = client.get("/api/v1/me/")
    assert answer.status_code == (403 if sent_away else 200)
    if sent_away:
        assert answer.json()["code"] == "second_factor_required"
        set_up(client)
        assert client.get("/account/").status_code == 200
        assert client.get("/api/v1/me/").status_code == 200


def test_a_server_that_asks_administrators_leaves_others_alone(settings, person):
    settings.TWO_FACTOR = "administrators"
    assert person.get("/account/").status_code == 200


def test_tokens_work_where_a_second_factor_is_asked_for(settings, client, user):
    settings.TWO_FACTOR = "everybody"
    _, text = issue_token(user=user, name="program")
    assert client.get("/api/v1/me/", headers={"Authorization": f"Bearer {text}"}).status_code == 200


def test_visitors_read_where_a_second_factor_is_asked_for(settings, client, board):
    settings.TWO_FACTOR = "everybody"
    assert client.get("/").status_code == 200


def test_setting_it_up_asks_for_the_password_again(person):
    assert person.get("/accounts/2fa/totp/activate/")["Location"].startswith("/accounts/reauthenticate/")


def test_the_administration_has_no_door_of_its_own(client, staff):
    assert client.get("/admin/login/")["Location"].startswith("/accounts/login/")
    client.post("/admin/login/", {"username": "root", "password": PASSWORD})
    assert "_auth_user_id" not in client.session
