"""Catalogue, boards and standings: fields, order, CSV, pages."""

from __future__ import annotations

import csv
import io
import math
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from leaderboard.api.rendering import StrictJSONRenderer
from leaderboard.standings.settling import settle
from tests.api.conftest import assert_problem, submit

STANDINGS = "boards/digits-classification/standings/"
TRACK = {
    "slug", "family", "title", "question", "role", "accepts", "primary_metric", "version", "available", "url",
}  # fmt: skip
TRACK_DETAIL = TRACK | {
    "about", "data", "full_data", "slices", "axes", "seeds", "budget", "dtype", "metrics", "baselines", "onnx", "predictions",
    "hidden_labels",
}  # fmt: skip
MODEL = {"name", "title", "role", "family", "kind", "home", "papers", "available", "url"}
BOARD = {"slug", "title", "track", "host", "visibility", "opens_at", "closes_at", "hides", "revealed_at", "url"}
BOARD_DETAIL = BOARD | {
    "about", "track_version", "primary_metric", "ranking_metric", "ranking", "rules", "may_submit", "may_not_because", "quota",
    "resets_at", "may_host", "competes_for", "standings_url",
}  # fmt: skip
PAGE = {"board", "track", "track_version", "order", "as_of", "slice", "part", "hidden", "next", "results"}
ROW = {
    "position", "rank", "rank_low", "rank_high", "rule", "reason", "submission", "name", "competitor", "team", "kind", "origin",
    "model", "value", "ci_low", "ci_high", "scores", "worst", "filled", "public_rank", "mine",
    "submitted_at", "evaluated_at",
    "track_version",
}  # fmt: skip
CELL = {"metric", "value", "ci_low", "ci_high", "unit", "direction", "primary", "reason"}


@pytest.fixture
def ranked(user, other_user, board, finish):
    """Three ranked submissions, one without a value."""
    sent = [submit(user, board, name="Good", steps=1), submit(other_user, board, name="Better", steps=2)]
    sent += [submit(user, board, name="=cmd|' /C calc'!A0", steps=3), submit(other_user, board, name="No value", steps=4)]
    for submission, accuracy in zip(sent, (0.8, 0.9, 0.7, None), strict=True):
        finish(submission, accuracy=accuracy)
    settle(board, track_version=board.track.version)
    return sent


@pytest.mark.usefixtures("catalogue")
def test_the_fields_of_tracks(call):
    rows = call.get("tracks/").json()["results"]
    assert [row["slug"] for row in rows] == ["digits-classification", "homophily-and-depth"]
    assert all(set(row) == TRACK for row in rows)
    detail = call.get("tracks/digits-classification/").json()
    assert set(detail) == TRACK_DETAIL
    assert detail["onnx"]["input"]["shape"] == ["n", 1, 8, 8]
    assert detail["budget"] == {"wall_s": 60.0, "threads": 1, "memory_mb": 2048}
    assert call.get("tracks/homophily-and-depth/").json()["onnx"] is None
    assert [row["slug"] for row in call.get("tracks/?role=NodeClassifier").json()["results"]] == ["homophily-and-depth"]
    assert_problem(call.get("tracks/none/"), 404, "not_found")


def test_the_fields_of_reference_models(call, catalogue):
    rows = call.get("reference-models/?role=Classifier").json()["results"]
    assert {row["name"] for row in rows} == {"logistic", "plain-cnn", "nin"}
    assert all(set(row) == MODEL for row in rows)
    detail = call.get("reference-models/logistic/").json()
    assert set(detail) == MODEL | {"source_url", "beats", "slices", "about", "config_schema", "source_hash"}
    model = next(model for model in catalogue["models"] if model["name"] == "logistic")
    assert detail["config_schema"] == model["schema"]


def test_the_fields_of_boards(call, mine, board):
    rows = call.get("boards/").json()["results"]
    assert all(set(row) == BOARD for row in rows)
    seen, own = (caller.get("boards/digits-classification/").json() for caller in (call, mine))
    assert set(seen) == set(own) == BOARD_DETAIL
    assert seen["quota"] is None
    assert "log in" in seen["may_not_because"]
    assert (own["may_submit"], own["may_not_because"]) == (True, None)
    assert own["quota"]["daily_left"] == own["rules"]["daily_quota"] == board.daily_quota
    assert own["resets_at"] == own["quota"]["resets_at"]
    assert set(own["rules"]) == {
        "entry", "opens_at", "closes_at", "daily_quota", "total_quota", "max_concurrent", "accepts", "pool",
        "public_share", "shows", "ladder", "combination", "formula",
    }  # fmt: skip


def test_the_fields_of_standings(call, ranked):
    page = call.get(STANDINGS).json()
    assert set(page) == PAGE
    assert (page["order"], page["as_of"], page["next"]) == ("accuracy", None, None)
    assert all(set(row) == ROW for row in page["results"])
    assert all(set(cell) == CELL for row in page["results"] for cell in row["scores"])
    assert [row["name"] for row in page["results"]] == ["Better", "Good", ranked[2].name, "No value"]
    assert [row["rank"] for row in page["results"]] == [1, 2, 3, None]
    assert page["results"][3]["reason"]
    assert [row["position"] for row in page["results"]] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("best_per=competitor", ["Better", "Good"]),
        ("kind=onnx", []),
        ("order=accuracy&kind=config&page_size=1", ["Better"]),
        ("as_of=2020-01-01T00:00:00Z", []),
        ("version=" + "0" * 64, []),
    ],
)
@pytest.mark.usefixtures("ranked")
def test_standings_narrow(call, query, names):
    assert [row["name"] for row in call.get(f"{STANDINGS}?{query}").json()["results"]] == names


@pytest.mark.usefixtures("ranked")
def test_standings_now_are_those_as_of_now(call):
    now = (timezone.now() + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    then = call.get(f"{STANDINGS}?as_of={now}").json()["results"]
    assert [row["name"] for row in then] == [row["name"] for row in call.get(STANDINGS).json()["results"]]


@pytest.mark.usefixtures("ranked")
def test_pages_of_standings_follow_each_other(call):
    path, names = f"/api/v1/{STANDINGS}?page_size=3", []
    while path:
        page = call.get(path).json()
        names.append([row["name"] for row in page["results"]])
        path = page["next"] and page["next"].removeprefix("http://testserver")
    assert [len(part) for part in names] == [3, 1]


@pytest.mark.parametrize(("query", "accept"), [("?format=csv", "application/json"), ("", "text/csv"), ("?format=csv", "*/*")])
def test_csv_has_the_same_rows_and_runs_nothing(call, ranked, query, accept):
    response = call.get(STANDINGS + query, accept=accept)
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert "digits-classification.csv" in response["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(response.content.decode())))
    json_rows = call.get(STANDINGS).json()["results"]
    assert [float(row["accuracy"]) for row in rows[:3]] == [row["value"] for row in json_rows[:3]]
    assert rows[2]["name"] == "'" + ranked[2].name
    assert rows[3]["accuracy"] == ""
    assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row.values())
    assert call.get(STANDINGS + query, accept=accept, if_none_match=response["ETag"]).status_code == 304


def test_a_wrong_query_for_csv_is_still_problem_json(call, board):
    assert_problem(call.get(f"{STANDINGS}?format=csv&order=none"), 400, "invalid_request")
    assert_problem(call.get("boards/none/standings/?format=csv"), 404, "not_found")


def test_a_private_submission_has_a_row_that_leads_nowhere(call, user, board, finish):
    submission = submit(user, board, name="Quiet", visibility="private")
    finish(submission)
    assert [(row["name"], row["submission"]) for row in call.get(STANDINGS).json()["results"]] == [("Quiet", None)]
    assert str(submission.pk) not in call.get(f"{STANDINGS}?format=csv").content.decode()
    assert call.by(user).get(STANDINGS).json()["results"][0]["submission"] == str(submission.pk)


def test_queries_of_standings_do_not_grow_with_rows(call, user, board, finish):
    board.max_concurrent = 50
    board.save()

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert call.get(STANDINGS).status_code == 200
        return len(captured)

    finish(submit(user, board, name="No. 1", steps=1))
    one = queries()
    for steps in range(2, 10):
        finish(submit(user, board, name=f"No. {steps}", steps=steps))
    assert queries() == one


def test_what_is_not_a_number_is_null_in_json():
    document = {"a": math.nan, "b": [math.inf, 1.5, {"c": -math.inf}], "d": (1, None)}
    assert StrictJSONRenderer().render(document) == b'{"a":null,"b":[null,1.5,{"c":null}],"d":[1,null]}'
