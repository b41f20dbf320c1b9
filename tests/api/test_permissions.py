"""Who gets what, for every route and method. The routes come from the URL configuration: one without a row here fails."""

from __future__ import annotations

import pytest

from leaderboard.accounts.tokens import issue_token
from leaderboard.api.serializers.account import token_id
from leaderboard.api.urls import version_1
from leaderboard.claims.models import Claim, Paper
from tests.api.conftest import assert_problem, submit

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PEOPLE = ("visitor", "stranger", "owner", "host", "staff")
EVERYBODY = (200,) * 5
HIDDEN = (404, 404, 200, 200, 200)

# On a private board, about a private submission of its member "owner":  visitor, stranger, owner, host, staff
PRIVATE = {
    ("tracks", "GET"): EVERYBODY,
    ("track", "GET"): EVERYBODY,
    ("reference-models", "GET"): EVERYBODY,
    ("reference-model", "GET"): EVERYBODY,
    ("boards", "GET"): EVERYBODY,
    ("board", "GET"): HIDDEN,
    ("standings", "GET"): HIDDEN,
    ("tradeoff", "GET"): HIDDEN,
    ("board-submissions", "POST"): (401, 404, 422, 422, 403),  # an empty body; staff who are no members may not enter
    ("submissions", "GET"): EVERYBODY,
    ("submission", "GET"): HIDDEN,
    ("submission", "DELETE"): (401, 404, 204, 400, 204),  # a host has to give a reason
    ("cancel", "POST"): (401, 404, 200, 200, 200),
    ("evaluations", "GET"): HIDDEN,
    ("evaluations", "POST"): (401, 404, 409, 409, 409),  # the first one still waits
    ("log", "GET"): HIDDEN,
    ("columns", "GET"): (404,) * 5,  # there are none yet
    ("artifact", "GET"): (404,) * 5,  # a config has none
    ("compare", "GET"): (400,) * 5,  # without the two: test_comparisons asks for some
    ("overall", "GET"): EVERYBODY,
    ("papers", "GET"): EVERYBODY,
    ("paper", "GET"): EVERYBODY,
    ("claims", "GET"): EVERYBODY,
    ("claim", "GET"): HIDDEN,
    ("me", "GET"): (401, 200, 200, 200, 200),
    ("tokens", "GET"): (401, 200, 200, 200, 200),
    ("tokens", "POST"): (401, 400, 400, 400, 400),  # an empty body
    ("token", "DELETE"): (401, 404, 204, 404, 404),
    ("webhooks", "GET"): (401, 200, 200, 200, 200),
    ("webhooks", "POST"): (401, 400, 400, 400, 400),  # an empty body
    ("webhook", "GET"): (401, 404, 404, 404, 404),  # nobody's
    ("webhook", "DELETE"): (401, 404, 404, 404, 404),
    ("webhook-ping", "POST"): (401, 404, 404, 404, 404),
    ("schema", "GET"): EVERYBODY,
}
# The same on an open board, about a public submission, where that differs
PUBLIC = {
    **PRIVATE,
    ("board", "GET"): EVERYBODY,
    ("standings", "GET"): EVERYBODY,
    ("tradeoff", "GET"): EVERYBODY,
    ("board-submissions", "POST"): (401, 422, 422, 422, 422),
    ("submission", "GET"): EVERYBODY,
    ("claim", "GET"): EVERYBODY,
    ("submission", "DELETE"): (401, 403, 204, 403, 204),
    ("cancel", "POST"): (401, 403, 200, 403, 200),  # the open board's host is the system
    ("evaluations", "GET"): EVERYBODY,
    ("evaluations", "POST"): (401, 403, 409, 403, 409),
    ("log", "GET"): EVERYBODY,
    ("artifact", "GET"): (403, 403, 404, 403, 404),
}
ROUTES = [route for route in version_1 if route.name != "nothing"]
HANDLED = {(route.name, method) for route in ROUTES for method in METHODS if hasattr(route.callback.cls, method.lower())}


def test_the_table_has_exactly_the_calls_that_there_are():
    assert set(PRIVATE) == HANDLED


@pytest.fixture
def by(call, user, other_user, host, staff):
    """A caller for each kind of person."""
    people = dict(zip(PEOPLE, (None, other_user, user, host, staff), strict=True))
    return lambda who: call.by(people[who])


@pytest.fixture
def path_of(user):
    token = issue_token(user=user, name="mine")[0]

    def path(route: str, submission) -> str:
        slug = "digits-classification" if route == "track" else submission.board.slug
        claim = Claim.objects.create(board=submission.board, statement="Nothing is lost.", check_text="accuracy(logistic) >= 0")
        Paper.objects.get_or_create(pk="000-001", defaults={"title": "A paper", "system": "A", "status": "planned"})
        values = {"slug": slug, "name": "logistic", "submission_id": submission.pk, "token_id": token_id(token)}
        values |= {"webhook_id": "00000000-0000-4000-8000-000000000000"}
        values |= {"claim_id": claim.pk, "paper_id": "000-001"}
        from django.urls import reverse

        pattern = next(found for found in ROUTES if found.name == route).pattern
        wanted = {name: values[name] for name in (pattern.converters or pattern.regex.groupindex)}
        return reverse(f"api:{route}", kwargs=wanted)

    return path


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize("called", sorted(PRIVATE), ids="-".join)
def test_private(by, path_of, secret, called, who):
    route, method = called
    response = by(who)(method, path_of(route, secret), {} if method == "POST" else None)
    assert response.status_code == PRIVATE[called][PEOPLE.index(who)], response.content


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize("called", sorted(PUBLIC), ids="-".join)
def test_public(by, path_of, sent, called, who):
    route, method = called
    response = by(who)(method, path_of(route, sent), {} if method == "POST" else None)
    assert response.status_code == PUBLIC[called][PEOPLE.index(who)], response.content


@pytest.mark.parametrize(
    ("route", "method"), sorted({(route.name, method) for route in ROUTES for method in METHODS} - HANDLED)
)
def test_other_methods_are_refused_with_the_allowed_ones(call, path_of, sent, route, method):
    response = call(method, path_of(route, sent))
    assert_problem(response, 405, "method_not_allowed")
    assert method not in response["Allow"]
    assert {allowed for name, allowed in HANDLED if name == route} <= set(response["Allow"].split(", "))


@pytest.mark.parametrize("route", sorted(route.name for route in ROUTES if (route.name, "GET") in HANDLED))
def test_head_answers_as_get_without_a_body(call, staff, path_of, sent, route):
    caller = call.by(staff)
    got, head = (caller(method, path_of(route, sent)) for method in ("GET", "HEAD"))
    assert head.status_code == got.status_code
    assert head["Content-Type"] == got["Content-Type"]
    assert head.content == b""


def test_a_hidden_thing_and_none_are_refused_in_the_same_words(call, other_user, secret):
    caller = call.by(other_user)
    none = "00000000-0000-4000-8000-000000000000"
    hidden = caller.get(f"submissions/{secret.pk}/").content.decode()
    assert hidden.replace(str(secret.pk), "") == caller.get(f"submissions/{none}/").content.decode().replace(none, "")


@pytest.mark.parametrize("who", ["visitor", "stranger"])
def test_lists_do_not_leak(by, secret, private_board, who):
    private = submit(secret.user, private_board, name="Public on a private board", steps=11)
    caller = by(who)
    listed = caller.get("submissions/").content.decode() + caller.get("boards/").content.decode()
    for word in (str(secret.pk), str(private.pk), private_board.slug + '"'):
        assert word not in listed


def test_filters_do_not_leak(call, other_user, secret):
    for query in ("board=secret", f"user={secret.user.username}", "state=queued", "kind=config", "model=logistic"):
        assert call.by(other_user).get(f"submissions/?{query}").json()["results"] == []
