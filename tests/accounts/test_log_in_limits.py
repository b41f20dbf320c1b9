"""Guessing passwords, and signing up by the hundred."""

from __future__ import annotations

import pytest
from django.test import Client

from leaderboard.accounts.models import User

PASSWORD = "correct horse battery"


def try_to_log_in(password: str, *, login: str = "ada", address: str = "203.0.113.5") -> bool:
    """Whether it works."""
    client = Client(REMOTE_ADDR=address)
    client.post("/accounts/login/", {"login": login, "password": password})
    return "_auth_user_id" in client.session


def test_an_account_is_locked_after_five_wrong_passwords_from_anywhere(user, other_user):
    assert not any(try_to_log_in("guess", address=f"203.0.113.{n}") for n in range(5))
    assert not try_to_log_in(PASSWORD, address="198.51.100.1")
    assert try_to_log_in(PASSWORD, login="ben", address="198.51.100.1")


def test_who_knows_the_password_unlocks_nothing_for_guessers(user):
    for _ in range(3):
        try_to_log_in("guess")
    assert try_to_log_in(PASSWORD)
    assert not any(try_to_log_in(f"guess {n}", address=f"203.0.113.{n}") for n in range(5))
    assert not try_to_log_in(PASSWORD)


def test_one_address_cannot_try_many_accounts(user):
    for n in range(10):
        try_to_log_in("guess", login=f"person{n}")
    assert not try_to_log_in(PASSWORD)
    assert try_to_log_in(PASSWORD, address="198.51.100.1")


def test_one_address_signs_up_a_few_people(db):
    statuses = []
    for n in range(22):
        fields = {"email": f"p{n}@example.org", "username": f"p{n}", "password1": PASSWORD, "password2": PASSWORD}
        statuses.append(Client().post("/accounts/signup/", fields).status_code)
    assert statuses == [302] * 20 + [429] * 2
    assert User.objects.count() == 20


def test_a_page_tells_who_tried_too_often(db):
    for _ in range(21):
        answer = Client().post("/accounts/signup/", {})
    assert "Too many tries" in answer.content.decode()


def test_sign_up_can_be_closed(settings, client, db):
    settings.OPEN_SIGNUP = False
    fields = {"email": "eva@example.org", "username": "eva", "password1": PASSWORD, "password2": PASSWORD}
    assert client.post("/accounts/signup/", fields).status_code == 200
    assert not User.objects.exists()
    assert "Sign up" not in client.get("/accounts/login/").content.decode()


@pytest.mark.parametrize("password", ["short9xyz", "1234567890", "password123", "adaadaada1"])
def test_weak_passwords_are_refused(db, client, password):
    fields = {"email": "ada@example.org", "username": "adaadaada", "password1": password, "password2": password}
    client.post("/accounts/signup/", fields)
    assert not User.objects.exists()


def test_where_e_mail_must_be_verified_nobody_is_in_before(settings, client, db, mailoutbox):
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    fields = {"email": "eva@example.org", "username": "eva", "password1": PASSWORD, "password2": PASSWORD}
    client.post("/accounts/signup/", fields)
    assert "_auth_user_id" not in client.session
    link = next(line for line in mailoutbox[0].body.split() if "/confirm-email/" in line)
    path = link.partition("testserver")[2]
    assert client.get(path).status_code == 200
    client.post(path)
    assert try_to_log_in(PASSWORD, login="eva")


def test_a_new_password_ends_the_other_sessions(user):
    here, there = Client(), Client()
    for client in (here, there):
        client.post("/accounts/login/", {"login": "ada", "password": PASSWORD})
    new = "another long passphrase"
    here.post("/accounts/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new})
    assert there.get("/account/").status_code == 302


def test_other_sessions_can_be_ended(user):
    here, there = Client(), Client()
    for client in (here, there):
        client.post("/accounts/login/", {"login": "ada", "password": PASSWORD})
        assert client.get("/account/").status_code == 200
    here.post("/accounts/sessions/")
    assert there.get("/account/").status_code == 302
    assert here.get("/account/").status_code == 200
