"""Tokens and sessions."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from leaderboard.accounts.models import ApiToken
from leaderboard.accounts.tokens import issue_token
from leaderboard.api.authentication import USE_IS_RECORDED_EVERY
from tests.api.conftest import Caller, assert_problem


def writes(captured: CaptureQueriesContext) -> list[str]:
    words = ("INSERT", "UPDATE", "DELETE")
    return [query["sql"] for query in captured.captured_queries if query["sql"].lstrip().upper().startswith(words)]


def test_a_token_says_who_calls(call, token, user):
    call.token = token
    assert call.get("me/").json() == {
        "username": "ada",
        "email": "ada@example.org",
        "is_staff": False,
        "joined_at": user.date_joined.isoformat().replace("+00:00", "Z"),
    }


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_the_scheme_is_not_case_sensitive(call, token, scheme):
    assert call.get("me/", authorization=f"{scheme} {token}").status_code == 200


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Bearer st_wrong", "Bearer {}x", "Bearer {} {}", "{}", "Token {}", "Bearer \xff\xfe", "Bearer \0"],
)
def test_a_bad_token_is_refused_everywhere(call, token, board, header):
    for path in ("me/", "tracks/"):
        response = call.get(path, authorization=header.format(token, token))
        assert_problem(response, 401, "invalid_token")
        assert response["WWW-Authenticate"].startswith("Bearer ")
        assert 'error="invalid_token"' in response["WWW-Authenticate"]


def test_no_token_is_asked_for_one(call, db):
    response = call.get("me/")
    assert_problem(response, 401, "not_authenticated")
    assert response["WWW-Authenticate"] == 'Bearer realm="standings"'


def test_basic_authentication_of_a_proxy_is_none_of_ours(call, board):
    assert call.get("tracks/", authorization="Basic dXNlcjpwYXNz").status_code == 200


def test_an_expired_token_is_refused_and_not_deleted_by_a_get(call, user):
    row, text = issue_token(user=user, name="old")
    ApiToken.objects.filter(pk=row.pk).update(expiry=timezone.now() - timedelta(seconds=1))
    call.token = text
    with CaptureQueriesContext(connection) as captured:
        assert_problem(call.get("me/"), 401, "invalid_token")
    assert writes(captured) == []
    assert ApiToken.objects.filter(pk=row.pk).exists()


def test_an_expired_token_beside_a_good_one_stays(call, token, user):
    row, _ = issue_token(user=user, name="old")
    ApiToken.objects.filter(pk=row.pk).update(expiry=timezone.now() - timedelta(days=1))
    call.token = token
    assert call.get("me/").status_code == 200
    assert ApiToken.objects.filter(pk=row.pk).exists()


def test_a_closed_account_has_no_valid_token(call, token, user):
    user.is_active = False
    user.save()
    call.token = token
    assert_problem(call.get("me/"), 401, "invalid_token")


def test_use_is_recorded_once_a_minute(call, token, user):
    call.token = token
    call.get("me/")
    first = user.auth_token_set.get().last_used
    assert first is not None
    with CaptureQueriesContext(connection) as captured:
        call.get("me/")
    assert writes(captured) == []
    user.auth_token_set.update(last_used=first - USE_IS_RECORDED_EVERY)
    call.get("me/")
    assert user.auth_token_set.get().last_used > first


def test_a_read_costs_one_query_to_authenticate(call, token):
    call.token = token
    call.get("me/")
    with CaptureQueriesContext(connection) as captured:
        call.get("me/")
    assert len(captured) == 1


def test_a_session_reads_without_and_writes_with_its_csrf_token(user):
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(user)
    assert client.get("/api/v1/me/").status_code == 200
    refused = client.post("/api/v1/tokens/", {"name": "x"}, content_type="application/json")
    assert_problem(refused, 403, "csrf_failed")
    client.get("/accounts/logout/")  # a page with a form sets the cookie
    csrf = client.cookies["csrftoken"].value
    made = client.post("/api/v1/tokens/", {"name": "x"}, content_type="application/json", headers={"X-CSRFToken": csrf})
    assert made.status_code == 201


def test_a_token_needs_no_csrf_token(token):
    call = Caller(token, Client(enforce_csrf_checks=True))
    assert call.post("tokens/", {"name": "x"}).status_code == 201


def test_a_new_token_is_shown_once_and_works(call, token):
    call.token = token
    response = call.post("tokens/", {"name": "laptop", "days": 7})
    assert response.status_code == 201
    assert "no-store" in response["Cache-Control"]
    made = response.json()
    assert set(made) == {"id", "name", "scopes", "starts_with", "created_at", "expires_at", "last_used_at", "token"}
    assert Caller(made["token"]).get("me/").status_code == 200
    listed = call.get("tokens/")
    assert made["token"] not in listed.content.decode()
    assert {row["name"] for row in listed.json()["results"]} == {"tests", "laptop"}


def test_a_token_made_by_a_token_does_not_outlive_it(call, user):
    row, call.token = issue_token(user=user, name="short", lifetime=timedelta(days=1))
    made = call.post("tokens/", {"name": "long", "days": 300}).json()
    assert ApiToken.objects.get(name="long").expiry <= row.expiry + timedelta(seconds=1)
    assert made["expires_at"] is not None


def test_a_deleted_token_is_refused(call, token):
    call.token = token
    row = call.get("tokens/").json()["results"][0]
    assert call("DELETE", f"tokens/{row['id']}/").status_code == 204
    assert_problem(call.get("me/"), 401, "invalid_token")


@pytest.mark.parametrize(
    "change", [{"name": ""}, {"name": "x" * 81}, {"name": "a\nb"}, {"days": 0}, {"days": 366}, {"days": 1.5}, {"dayz": 1}]
)
def test_a_token_that_cannot_be(mine, change):
    assert_problem(mine.post("tokens/", {"name": "x"} | change), 400, "invalid_request")
