"""The account: tokens are shown once; log-in, sign-up and passwords stand in the site's style."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from leaderboard.accounts.models import ApiToken, User
from leaderboard.accounts.tokens import issue_token
from tests.web.page import Page, get, post

PASSWORD = "correct horse battery"


def test_a_new_token_works_and_is_shown_once(as_user, client, user):
    page = post(as_user, "/account/", {"name": "laptop", "days": "30", "scopes": ["read", "submit"]}, expect=200)
    text = page.all("code", id="new-token")[0].text
    assert client.get("/api/v1/me/", headers={"Authorization": f"Bearer {text}"}).status_code == 200
    assert text not in get(as_user, "/account/").raw
    assert "laptop" in get(as_user, "/account/").all("tbody")[0].text
    made = ApiToken.objects.get()
    assert made.user == user
    assert made.expiry - made.created == pytest.approx(timedelta(days=30), abs=timedelta(seconds=5))


def test_the_page_with_a_token_is_never_kept(as_user):
    response = as_user.post("/account/", {"name": "laptop", "days": "30", "scopes": ["read", "submit"]})
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        *(("name", typed) for typed in ("", " ", "x" * 81, "a\x07b")),
        *(("days", typed) for typed in ("", "0", "366", "-1", "x")),
    ],
)
def test_a_token_with_a_wrong_field_is_not_made(as_user, field, typed):
    response = as_user.post("/account/", {"name": "laptop", "days": "30", "scopes": ["read", "submit"], field: typed})
    assert response.status_code in (400, 422)
    page = Page(response.content.decode())
    assert page.all("ul", id=f"id_{field}_error")
    assert not ApiToken.objects.exists()


def test_a_revoked_token_is_refused(as_user, client, user):
    made, text = issue_token(user=user, name="old")
    page = as_user.post("/account/tokens/revoke/", {"token": made.digest}, follow=True)
    assert "The token is revoked" in page.content.decode()
    assert client.get("/api/v1/me/", headers={"Authorization": f"Bearer {text}"}).status_code == 401


def test_nobody_revokes_the_tokens_of_others(as_other, user):
    made, _ = issue_token(user=user, name="mine")
    assert as_other.post("/account/tokens/revoke/", {"token": made.digest}).status_code == 404
    assert ApiToken.objects.filter(pk=made.pk).exists()


def test_nobody_sees_the_tokens_of_others(as_other, user):
    issue_token(user=user, name="mine")
    assert "You have no tokens" in get(as_other, "/account/").text


def test_reading_revokes_nothing(as_user, user):
    made, _ = issue_token(user=user, name="mine")
    assert as_user.get(f"/account/tokens/revoke/?token={made.digest}").status_code == 405
    assert ApiToken.objects.exists()


@pytest.mark.parametrize("path", ["/account/", "/account/tokens/revoke/"])
def test_the_account_needs_a_person(client, db, path):
    assert client.post(path)["Location"] == f"/accounts/login/?next={path}"


def test_a_post_without_csrf_token_makes_no_token(user):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(user)
    assert strict.post("/account/", {"name": "x", "days": "3", "scopes": ["read"]}).status_code == 403
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize("login", ["ada", "ada@example.org"])
def test_people_log_in_and_land_where_they_wanted(client, user, board, login):
    path = f"/boards/{board.slug}/submit/"
    page = get(client, f"/accounts/login/?next={path}")
    assert page.field("next").attributes["value"] == path
    response = client.post("/accounts/login/", {"login": login, "password": PASSWORD, "next": path})
    assert response["Location"] == path


def test_a_wrong_password_is_told_above_the_form(client, user):
    page = post(client, "/accounts/login/", {"login": "ada", "password": "no"}, expect=200)
    assert page.all("div", role="alert")
    assert page.all("nav", class_="site-nav")


def test_people_sign_up_and_are_logged_in(client, db):
    fields = {"email": "eva@example.org", "username": "eva", "password1": PASSWORD, "password2": PASSWORD}
    assert client.post("/accounts/signup/", fields).status_code == 302
    assert User.objects.get().username == "eva"
    assert "eva" in get(client, "/account/").text


def test_a_weak_password_is_refused_at_its_field(client, db):
    fields = {"email": "eva@example.org", "username": "eva", "password1": "12345678", "password2": "12345678"}
    page = post(client, "/accounts/signup/", fields, expect=200)
    assert page.all("ul", id="id_password1_error")
    assert page.field("username").attributes["value"] == "eva"


def test_the_password_is_changed(as_user, user):
    new = "another long passphrase"
    as_user.post("/accounts/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new})
    user.refresh_from_db()
    assert user.check_password(new)


def test_people_log_out_by_a_button_on_every_page(as_user, board):
    assert get(as_user, "/").all("form", action="/accounts/logout/", method="post")
    as_user.post("/accounts/logout/")
    assert "Log in" in get(as_user, "/").text
