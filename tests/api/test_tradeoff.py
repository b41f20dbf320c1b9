"""boards/{slug}/tradeoff/."""

from __future__ import annotations

import pytest

from tests.api.conftest import assert_problem
from tests.web import rows


@pytest.fixture
def path(board, system, user, other_user):
    rows.fill_digits(board, people=[user, other_user], system=system)
    return f"boards/{board.slug}/tradeoff/"


def test_it_answers_front_others_and_what_decided(call, path, board):
    found = call.get(path).json()
    assert (found["board"], found["track_version"], found["slice"]) == (board.slug, board.track.version, None)
    assert found["x"] == {
        "metric": "params", "title": "Parameters", "unit": "count", "direction": "min", "exact": True, "log": True
    }  # fmt: skip
    assert [point["name"] for point in found["front"]] == ["Logistic regression", "ResNeXt, 8 groups"]
    assert found["front"][0]["x"] == {"value": 650.0, "ci_low": None, "ci_high": None}
    assert {point["because"] for point in found["front"]} == {""}
    assert all(point["because"] for point in found["others"])
    assert found["left_out"] == {"no value of Parameters": 3}
    assert set(found["covered"]) == {"hypervolume", "share", "reference_x", "reference_y"}
    assert found["covered"]["reference_x"] == 148_320
    assert not found["bounded"]
    assert len(found["rule"]) == 3


def test_the_two_metrics_can_be_chosen(call, path):
    found = call.get(f"{path}?x=nll&y=params").json()
    assert (found["x"]["metric"], found["y"]["metric"]) == ("nll", "params")


@pytest.mark.parametrize(
    ("query", "field"), [("x=weight", "x"), ("x=nll&y=nll", "y"), ("slice=letters", "slice"), ("z=nll", "z"), ("x=", "x")]
)
def test_a_wrong_choice_is_a_problem_that_names_the_field(call, path, query, field):
    problem = assert_problem(call.get(f"{path}?{query}"), 400, call.get(f"{path}?{query}").json()["code"])
    assert [error["field"] for error in problem["errors"]] == [field]


def test_it_is_not_sent_again_while_nothing_changes(call, path):
    first = call.get(path)
    assert call.get(path, if_none_match=first["ETag"]).status_code == 304


def test_the_id_of_a_private_submission_is_told_to_those_who_answer_for_it(call, mine, path, board):
    sent = board.submissions.get(name="fractal-4 columns")
    sent.visibility = "private"
    sent.save()

    def ids(caller):
        found = caller.get(path).json()
        return {point["name"]: point["submission"] for point in [*found["front"], *found["others"]]}

    assert ids(call)["fractal-4 columns"] is None
    assert ids(mine)["fractal-4 columns"] == str(sent.pk)
