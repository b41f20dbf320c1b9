"""What a token may do of what its owner may."""

from __future__ import annotations

import http.client

import pytest

from leaderboard.accounts.models import ApiToken, Scope
from leaderboard.accounts.tokens import issue_token
from leaderboard.api.schema import openapi
from leaderboard.api.urls import version_1
from tests.api.conftest import Caller, assert_problem

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
CALLS = [
    (route.name, method)
    for route in version_1
    for method in METHODS
    if route.name != "nothing" and hasattr(route.callback.cls, method.lower())
]
ROUTES = {route.name: route for route in version_1}
HOSTING = {
    ("boards", "POST"),
    ("board", "PATCH"),
    *((f"board-{name}", method) for name in ("members", "cohosts") for method in ("GET", "POST")),
    *((f"board-{name}", "DELETE") for name in ("member", "cohost")),
    ("board-audit", "GET"),
}


def needed(call: tuple[str, str]) -> str:
    if call in HOSTING:
        return "host"
    return "read" if call[1] == "GET" else "submit"


def path_of(name: str) -> str:
    from django.urls import reverse

    values = {"slug": "none", "name": "none", "username": "none", "paper_id": "none", "claim_id": "1", "token_id": "0" * 32}
    nobody = "00000000-0000-4000-8000-000000000000"
    values |= {"submission_id": nobody, "webhook_id": nobody}
    pattern = ROUTES[name].pattern
    return reverse(f"api:{name}", kwargs={key: values[key] for key in (pattern.converters or pattern.regex.groupindex)})


def caller_with(user, *scopes: str) -> Caller:
    return Caller(issue_token(user=user, name="scoped", scopes=scopes)[1])


@pytest.mark.parametrize("call", CALLS, ids="-".join)
def test_every_call_needs_its_scope_and_no_other(user, call):
    name, method = call
    others = [scope for scope in Scope.values if scope != needed(call)]
    refused = caller_with(user, *others)(method, path_of(name), {} if method in ("POST", "PATCH") else None)
    detail = assert_problem(refused, 403, "missing_scope")["detail"]
    assert f'the scope "{needed(call)}"' in detail
    taken = caller_with(user, needed(call))(method, path_of(name), {} if method in ("POST", "PATCH") else None)
    assert b"missing_scope" not in taken.content


@pytest.mark.parametrize("call", CALLS, ids="-".join)
def test_the_schema_names_the_scope_of_every_call(call):
    name, method = call
    if name == "schema":
        return
    view = ROUTES[name].callback.cls
    operations = [
        operation
        for path, methods in openapi()["paths"].items()
        for verb, operation in methods.items()
        if verb == method.lower() and path.replace("{", "").count("/") == path_of(name).count("/")
    ]
    assert view().scope_of(method) == needed(call)
    assert {"bearer": [needed(call)]} in [each for operation in operations for each in operation["security"]]


def test_a_session_may_do_whatever_its_person_may(client, user, board):
    board.cohosts.add(user)
    client.force_login(user)
    address = f"/api/v1/boards/{board.slug}/"
    assert client.patch(address, {"daily_quota": 3}, content_type="application/json").status_code == 200


def test_scopes_are_chosen_shown_and_default_to_reading_and_submitting(user):
    caller = caller_with(user, "read", "submit")
    assert caller.post("tokens/", {"name": "plain"}).json()["scopes"] == ["read", "submit"]
    assert caller.post("tokens/", {"name": "reader", "scopes": ["read"]}).json()["scopes"] == ["read"]
    assert [each["scopes"] for each in caller.get("tokens/").json()["results"]] == [
        ["read"],
        ["read", "submit"],
        ["read", "submit"],
    ]


@pytest.mark.parametrize("scopes", [["admin"], [], ["read", "read", "read", "read"], "read", [1], None])
def test_scopes_that_do_not_exist_are_refused(user, scopes):
    answer = caller_with(user, "read", "submit").post("tokens/", {"name": "x", "scopes": scopes})
    assert_problem(answer, 400, "invalid_request")


def test_a_token_cannot_make_a_mightier_one(user):
    answer = caller_with(user, "submit").post("tokens/", {"name": "x", "scopes": ["submit", "host"]})
    assert_problem(answer, 403, "missing_scope")
    assert ApiToken.objects.count() == 1


def test_tokens_from_before_there_were_scopes_read_and_submit(user):
    from django.db import connection

    token, text = issue_token(user=user, name="old", scopes=["read"])
    with connection.cursor() as cursor:  # as the release back inserts: without naming the column
        cursor.execute("DELETE FROM accounts_apitoken")
        columns = "digest, token_key, user_id, created, expiry, name, last_used"
        cursor.execute(
            f"INSERT INTO accounts_apitoken ({columns}) VALUES (%s, %s, %s, %s, NULL, 'old', NULL)",
            [token.digest, token.token_key, user.pk, token.created],
        )
    assert Caller(text).get("tokens/").json()["results"][0]["scopes"] == ["read", "submit"]


@pytest.mark.django_db(transaction=True)
def test_revoking_takes_effect_on_the_next_call_of_an_open_connection(live_server, user):
    token, text = issue_token(user=user, name="ci")
    connection = http.client.HTTPConnection(live_server.thread.host, live_server.thread.port, timeout=20)

    def status() -> int:
        connection.request("GET", "/api/v1/me/", headers={"Authorization": f"Bearer {text}"})
        answer = connection.getresponse()
        answer.read()
        return answer.status

    assert status() == 200
    assert status() == 200
    ApiToken.objects.filter(pk=token.pk).delete()
    assert status() == 401
    connection.close()
