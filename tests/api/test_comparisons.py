"""compare/: who may ask, and what comes back."""

from __future__ import annotations

import numpy as np
import pytest

from evaluators import registry
from evaluators.versions import track_version
from tests.api.conftest import assert_problem, submit
from tests.standings.conftest import keep_columns

NONE = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def two(user, other_user, board, finish):
    """A public and a private submission, both with results."""
    board.track.version = track_version(registry.get(board.track_id))
    board.track.save()
    sides = submit(user, board, name="Open", steps=1), submit(other_user, board, name="Hidden", steps=2, visibility="private")
    for side, right in zip(sides, (8, 4), strict=True):
        finish(side)
        keep_columns(side.evaluations.get(), (np.arange(10) < right).astype(float))
    return sides


def test_it_answers_with_every_metric(call, other_user, two):
    a, b = two
    body = call.by(other_user).get(f"compare/?a={a.pk}&b={b.pk}").json()
    assert set(body) == {"a", "b", "track", "track_version", "part", "differences", "column", "examples"}
    assert (body["a"]["name"], body["b"]["competitor"]) == ("Open", "ben")
    assert {"accuracy", "nll", "params"} <= {each["metric"] for each in body["differences"]}
    first = body["differences"][0]
    assert set(first) == {"metric", "slice", "value", "ci_low", "ci_high", "p", "method", "reason", "better"}
    assert first["value"] == pytest.approx(0.4)
    assert [each["unit"] for each in body["examples"]] == [4, 5, 6, 7]  # the owner of the private one sees both


def test_a_submission_that_the_caller_may_not_open_is_not_there(call, two):
    a, b = two
    assert_problem(call.get(f"compare/?a={a.pk}&b={b.pk}"), 404, "not_found")
    assert_problem(call.get(f"compare/?a={b.pk}&b={a.pk}"), 404, "not_found")
    assert_problem(call.get(f"compare/?a={a.pk}&b={NONE}"), 404, "not_found")


@pytest.mark.parametrize("query", ["", "?a=1&b=2", f"?a={NONE}", f"?a={NONE}&b={NONE}&c=1"])
def test_a_bad_question_is_refused(call, db, query):
    assert_problem(call.get(f"compare/{query}"), 400, "invalid_request")


def test_itself_is_refused_with_the_field(call, two):
    body = assert_problem(call.get(f"compare/?a={two[0].pk}&b={two[0].pk}"), 400, "invalid_request")
    assert [error["field"] for error in body["errors"]] == ["b"]
