"""overall/."""

from __future__ import annotations

from tests.api.conftest import assert_problem
from tests.web.overall_rows import fill_overall


def test_it_answers_players_tracks_and_rule(call, board):
    fill_overall(board)
    found = call.get("overall/").json()
    assert found["family"] is None
    assert found["families"] == ["graph_nodes", "image_classification"]
    assert len(found["tracks"]) == 7
    assert len(found["rule"]) == 5
    ada = found["players"][0]
    assert (ada["player"], ada["rank"], ada["rank_high"], ada["strength"]) == ("person:ada", 1, 2, 1.84)
    assert (ada["strength_low"], ada["strength_high"]) == (1.84 - 0.6, 1.84 + 0.6)
    assert ada["entries"][0]["board"] == board.slug
    unranked = found["players"][-1]
    assert (unranked["rank"], unranked["strength_low"]) == (None, None)
    assert unranked["reason"]
    assert "runs" not in str(found)


def test_one_family(call, board):
    fill_overall(board)
    assert call.get("overall/?family=image_classification").json()["family"] == "image_classification"
    problem = assert_problem(call.get("overall/?family=letters"), 400, "invalid_request")
    assert [error["field"] for error in problem["errors"]] == ["family"]


def test_before_anything_is_computed_it_is_empty(call, db):
    found = call.get("overall/").json()
    assert (found["players"], found["tracks"], found["computed_at"]) == ([], [], None)


def test_it_is_not_sent_again_while_nothing_changes(call, board):
    fill_overall(board)
    first = call.get("overall/")
    assert call.get("overall/", if_none_match=first["ETag"]).status_code == 304
