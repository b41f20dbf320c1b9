"""Who gets what, for every route and method, from the URL configuration: one without a row in tests/permissions/table.py fails.

Each call is made by everybody, on a public and a private board, about a public and a private submission of a person and of a
team. Beside the status, each answer is looked at for markup that somebody typed, and each call for what it leaves in the audit
log."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest
from django.db import transaction
from django.urls import reverse

from leaderboard.api.serializers.account import token_id
from leaderboard.audit.models import AuditEntry
from tests.permissions import table
from tests.permissions.routes import METHODS, Route, routes
from tests.permissions.table import LOGIN, Row
from tests.permissions.world import EVERYBODY, MARKS, Scene, World

pytestmark = pytest.mark.django_db

ROUTES = [route for route in routes() if not route.name.startswith(("admin:", "admin/"))]
API = {route.name.removeprefix("api:"): route for route in ROUTES if route.is_api}
OTHERS = {route.name: route for route in ROUTES if not route.is_api}
UNTESTED = {"mfa", "usersessions"}
"""Prefixes of allauth's routes about one's own second factor and sessions: tests/accounts/test_two_factor.py."""


@dataclass(frozen=True)
class Call:
    route: Route
    method: str
    row: Row


def cases():
    for (name, method), row in table.API.items():
        yield pytest.param(Call(API[name], method, row), id=f"api-{name}-{method}")
    for (name, method), row in {**table.PAGES, **table.ACCOUNTS}.items():
        yield pytest.param(Call(OTHERS[name], method, row), id=f"{name}-{method}")


def test_no_two_routes_have_one_name():
    assert [name for name, count in Counter(route.name for route in routes()).items() if count > 1] == []


def test_the_table_of_the_api_has_exactly_the_calls_that_there_are():
    handled = {
        (name, method)
        for name, route in API.items()
        for method in METHODS
        if hasattr(route.callback.cls, method.lower()) and name != "nothing"
    }
    assert set(table.API) - {("nothing", "GET")} == handled


def test_every_page_is_in_the_table():
    known = {name for name, _ in {**table.PAGES, **table.ACCOUNTS}}
    pages = {name for name in OTHERS if name.split("_")[0] not in UNTESTED}
    assert pages == known


@pytest.mark.parametrize("call", list(cases()))
def test_who_gets_what(world, stored, call):
    wrong = [
        f"{who}, {scene}: {got}, not {wanted}"
        for scene in call.row.scenes
        for who in EVERYBODY
        if (got := ask(world, who, scene, call)) != (wanted := wanted_of(who, scene, call))
    ]
    assert wrong == []


def wanted_of(who: str, scene: Scene, call: Call) -> tuple[object, int]:
    """The outcome, and how many entries are written: one where something succeeded that is logged."""
    outcome = call.row.expected(who, scene)
    succeeded = call.method != "GET" and outcome != LOGIN and int(outcome) < 400
    return outcome, int(succeeded and call.row.audited(who, scene))


def ask(world: World, who: str, scene: Scene, call: Call) -> tuple[object, int]:
    route, row = call.route, call.row
    with transaction.atomic():
        if row.before:
            row.before(world, scene)
        before = AuditEntry.objects.count()
        response = world.call(who, call.method, path_of(world, scene, route, row), body_of(world, row), api=route.is_api)
        outcome = outcome_of(response)
        check_markup(response)
        entries = AuditEntry.objects.count() - before
        transaction.set_rollback(True)
    return outcome, entries


def outcome_of(response) -> object:
    to = response.get("Location", "")
    asks = ("/accounts/login/", "/accounts/reauthenticate/")
    return LOGIN if response.status_code == 302 and to.startswith(asks) else response.status_code


def check_markup(response) -> None:
    """Nothing that somebody typed is markup: on no page, and in no other type that a browser would show."""
    if getattr(response, "streaming", False):
        assert response["Content-Disposition"].startswith("attachment")
        return
    kind = response.get("Content-Type", "").split(";")[0]
    if kind == "text/html":
        body = response.content.decode()
        assert [mark for mark in MARKS if mark in body] == []
    else:
        assert response["X-Content-Type-Options"] == "nosniff"


def path_of(world: World, scene: Scene, route: Route, row: Row) -> str:
    board, submission = world.boards[scene.board], world.submissions[scene]
    values = {
        "slug": board.slug,
        "submission_id": submission.pk,
        "pk": submission.pk,
        "claim_id": world.claims[scene.board].pk,
        "paper_id": "000-001",
        "username": "member",
        "name": "logistic",
        "token_id": token_id(world.token),
        "webhook_id": world.webhook.pk,
        **row.parameters,
    }
    if route.name.split(":")[-1].startswith("team"):
        values["slug"] = world.team.slug
    if route.name.endswith("track"):
        values["slug"] = board.track_id
    if route.name.startswith("webhook"):
        values["pk"] = world.webhook.pk
    if "nothing" in route.name:
        return "/api/v1/nowhere/"
    path = reverse(route.name, kwargs={name: values[name] for name in route.parameters if name != "what"})
    return path + row.query.format(submission=submission.pk)


def body_of(world: World, row: Row) -> object:
    if isinstance(row.body, dict) and row.body.get("token") == "{digest}":
        return {"token": world.token.digest}
    return row.body


@pytest.mark.parametrize(
    ("name", "method"),
    sorted({(name, method) for name in API for method in METHODS if name != "nothing"} - set(table.API)),
)
def test_other_methods_of_the_api_are_refused_with_the_allowed_ones(scratch, name, method):
    response = scratch.call("administrator", method, path_of(scratch, SCENE, API[name], Row(None)), None, api=True)
    assert response.status_code == 405
    assert response.json()["code"] == "method_not_allowed"
    allowed = set(response["Allow"].split(", "))
    assert method not in allowed
    assert {each for known, each in table.API if known == name} <= allowed


OURS = sorted({name for name, _ in table.PAGES} - {"api:docs", "api:problems"})


@pytest.mark.parametrize(
    ("name", "method"), [(name, method) for name in OURS for method in METHODS if (name, method) not in table.PAGES]
)
def test_other_methods_of_our_pages_are_refused(scratch, name, method):
    row = Row(None)
    assert scratch.call("competitor", method, path_of(scratch, SCENE, OTHERS[name], row), None, api=False).status_code == 405


SCENE = Scene("public")


@pytest.mark.parametrize("name", sorted(name for name, method in table.API if method == "GET" and name != "nothing"))
def test_head_answers_as_get_without_a_body(scratch, stored, name):
    path = path_of(scratch, SCENE, API[name], table.API[name, "GET"])
    got, head = (scratch.call("administrator", method, path, None, api=True) for method in ("GET", "HEAD"))
    assert head.status_code == got.status_code
    assert head["Content-Type"] == got["Content-Type"]
    assert head.getvalue() == b""
