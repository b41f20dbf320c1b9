"""Sending, reading, waiting, cancelling, evaluating again: fields, codes, and what a repeat does."""

from __future__ import annotations

import io
import json
import threading
import time
import uuid

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from evaluators.columns import Columns
from evaluators.failures import EvaluationFailure, FailureCode
from leaderboard.evaluations import lifecycle
from leaderboard.submissions.models import Submission
from leaderboard.submissions.withdrawing import withdraw
from tests.api.conftest import assert_problem, submit

PATH = "boards/digits-classification/submissions/"
GOOD = {"name": "First", "kind": "config", "model": "logistic", "config": {"steps": 10}}
RECEIPT = {"id", "state", "url", "queue_position", "quota"}
QUOTA = {
    "daily_limit", "daily_left", "total_limit", "total_left", "concurrent_limit", "concurrent_used", "resets_at",
}  # fmt: skip
SHORT = {
    "id", "name", "board", "track", "competitor", "team", "kind", "origin", "model", "visibility", "created_at", "state",
    "progress", "stage", "failure", "scores", "rank", "rank_low", "rank_high", "url",
}  # fmt: skip
DETAIL = SHORT | {
    "description", "config", "slices", "filename", "content_hash", "queue_position", "evaluation", "provenance", "may",
}  # fmt: skip
EVALUATION = {
    "number", "state", "progress", "stage", "attempt", "cancel_requested", "failure", "part", "hidden", "scores",
    "slice_scores", "result", "provenance", "track_version", "seeds", "queued_at", "started_at", "finished_at",
}  # fmt: skip
SCORE = {"metric", "value", "ci_low", "ci_high", "unit", "direction", "primary"}


def test_a_config_is_taken_and_its_receipt_leads_to_it(mine, board):
    response = mine.post(PATH, GOOD)
    assert response.status_code == 201
    receipt = response.json()
    assert set(receipt) == RECEIPT
    assert set(receipt["quota"]) == QUOTA
    assert (receipt["state"], receipt["queue_position"]) == ("queued", 1)
    assert receipt["quota"]["daily_left"] == board.daily_quota - 1
    assert response["Location"] == receipt["url"]
    assert mine.get(receipt["url"].removeprefix("http://testserver")).json()["id"] == receipt["id"]


def test_a_form_carries_a_file_and_a_config_as_text(token, board):
    file = SimpleUploadedFile("predictions.npy", _npy(np.zeros((2, 10), np.float32)))
    fields = {"name": "File", "kind": "predictions", "description": "By hand.", "visibility": "private", "file": file}
    response = Client().post(f"/api/v1/{PATH}", fields, headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 201, response.content
    sent = Submission.objects.get(pk=response.json()["id"])
    assert (sent.filename, sent.visibility, sent.description) == ("predictions.npy", "private", "By hand.")
    form = {"name": "Text", "kind": "config", "model": "logistic", "config": json.dumps({"steps": 11})}
    response = Client().post(f"/api/v1/{PATH}", form, headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 201, response.content
    assert Submission.objects.get(pk=response.json()["id"]).config["steps"] == 11


def test_slices_are_an_array_in_json_and_repeated_in_a_form(mine, token, graph_board):
    config = {"name": "A", "kind": "config", "model": "gcn"}
    slices = [part["slug"] for part in graph_board.track.spec["slices"]]
    first = mine.post("boards/homophily-and-depth/submissions/", config | {"slices": slices, "config": {"depth": 3}})
    assert first.status_code == 201, first.content
    form = Client().post(
        "/api/v1/boards/homophily-and-depth/submissions/",
        config | {"slices": slices, "name": "B"},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert form.status_code == 201, form.content


def test_a_form_with_a_repeated_name_is_refused(token, board):
    form = {"name": ["A", "B"], "kind": "config", "model": "logistic"}
    response = Client().post(f"/api/v1/{PATH}", form, headers={"Authorization": f"Bearer {token}"})
    assert_problem(response, 400, "invalid_request")


def test_a_repeat_with_the_same_key_gives_the_same_submission(mine, board):
    key = str(uuid.uuid4())
    first = mine.post(PATH, GOOD, idempotency_key=key)
    again = mine.post(PATH, GOOD, idempotency_key=key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert again.json()["quota"]["daily_left"] == first.json()["quota"]["daily_left"]
    assert_problem(mine.post(PATH, GOOD | {"name": "Other"}, idempotency_key=key), 409, "idempotency_key_reused")


def test_a_key_is_its_owners_own(call, user, other_user, board):
    first = call.by(user).post(PATH, GOOD, idempotency_key="shared-key")
    other = call.by(other_user).post(PATH, GOOD, idempotency_key="shared-key")
    assert (first.status_code, other.status_code) == (201, 201)
    assert first.json()["id"] != other.json()["id"]


@pytest.mark.parametrize("key", ["x" * 256, "a\tb"])
def test_a_key_that_cannot_be_kept_is_refused(mine, board, key):
    assert_problem(mine.post(PATH, GOOD, idempotency_key=key), 400, "invalid_request")


def test_the_same_content_without_a_key_is_a_conflict(mine, board):
    mine.post(PATH, GOOD)
    response = mine.post(PATH, GOOD)
    assert response.status_code == 409
    assert response.json()["type"].endswith("#conflict")


def test_a_spent_quota_says_when_to_come_back(mine, board):
    board.daily_quota = 0
    board.save()
    response = mine.post(PATH, GOOD)
    assert_problem(response, 429, "quota_spent")
    assert 0 < int(response["Retry-After"]) <= 24 * 3600


def test_a_closed_board_is_its_own_problem(mine, board):
    from datetime import timedelta

    from django.utils import timezone

    board.opens_at = timezone.now() + timedelta(hours=1)
    board.save()
    response = mine.post(PATH, GOOD)
    assert_problem(response, 403, "board_closed")
    assert int(response["Retry-After"]) <= 3600
    assert mine.get("boards/digits-classification/").json()["may_submit"] is False


def test_the_fields_of_a_waiting_submission(call, sent):
    body = call.get(f"submissions/{sent.pk}/").json()
    assert set(body) == DETAIL
    assert set(body["evaluation"]) == EVALUATION
    assert (body["state"], body["progress"], body["failure"], body["scores"], body["rank"]) == ("queued", 0, None, [], None)
    assert body["queue_position"] == 1
    assert body["may"] == {"read_details": True, "read_artifact": False, "answer": False}


def test_the_fields_of_a_scored_submission(call, sent, finish):
    finish(sent)
    body = call.get(f"submissions/{sent.pk}/").json()
    assert set(body) == DETAIL
    assert (body["state"], body["rank"], body["rank_low"], body["rank_high"]) == ("succeeded", 1, 1, 1)
    assert [set(score) for score in body["scores"]] == [SCORE, SCORE]
    primary, missing = body["scores"]
    assert primary == {
        "metric": "accuracy", "value": 0.9, "ci_low": 0.89, "ci_high": 0.91, "unit": "share", "direction": "max",
        "primary": True,
    }  # fmt: skip
    assert missing["value"] is None
    assert [set(score) for score in body["evaluation"]["slice_scores"]] == [SCORE | {"slice"}]
    assert body["provenance"]["torch"] == "2.13.0"
    assert body["evaluation"]["result"]["facts"] == {"params": 650.0}


def test_the_fields_of_a_failed_submission(call, sent):
    evaluation = sent.evaluations.get()
    lease = lifecycle.claim(evaluation.pk, worker="tests", pool=evaluation.pool)
    lifecycle.fail(lease, EvaluationFailure(FailureCode.MODEL_ERROR, "it broke; mend it"), log="boom")
    body = call.get(f"submissions/{sent.pk}/").json()
    assert body["state"] == "failed"
    assert body["failure"] == {"code": "model_error", "message": "it broke; mend it"}
    assert call.get(f"submissions/{sent.pk}/log/").content == b"boom"


def test_lists_have_the_short_fields_and_narrow(call, sent, user, board, finish):
    other = submit(user, board, name="Second", steps=11)
    finish(other)
    listed = call.get("submissions/").json()
    assert set(listed) == {"next", "previous", "results"}
    assert all(set(row) == SHORT for row in listed["results"])
    assert [row["name"] for row in listed["results"]] == ["Second", "First"]
    for query, names in {
        "state=queued": ["First"],
        "state=succeeded": ["Second"],
        "state=running": [],
        "user=ada": ["Second", "First"],
        "user=nobody": [],
        "board=digits-classification&kind=config": ["Second", "First"],
        "board=none": [],
        "kind=onnx": [],
        "origin=baseline": [],
    }.items():
        assert [row["name"] for row in call.get(f"submissions/?{query}").json()["results"]] == names, query


def test_state_means_the_newest_evaluation(mine, sent, finish):
    finish(sent)
    assert mine.post(f"submissions/{sent.pk}/evaluations/").status_code == 201
    assert mine.get("submissions/?state=succeeded").json()["results"] == []
    again = mine.get("submissions/?state=queued").json()["results"]
    assert [(row["id"], row["rank"]) for row in again] == [(str(sent.pk), 1)]


def test_pages_follow_each_other_without_gap_or_repeat(call, user, board):
    board.max_concurrent = 20
    board.save()
    sent = {str(submit(user, board, name=f"No. {steps}", steps=steps).pk) for steps in range(1, 8)}
    path, seen = "/api/v1/submissions/?page_size=3", []
    while path:
        page = call.get(path).json()
        seen.append([row["id"] for row in page["results"]])
        last, path = page, page["next"] and page["next"].removeprefix("http://testserver")
    assert [len(part) for part in seen] == [3, 3, 1]
    assert {key for part in seen for key in part} == sent
    before = call.get(last["previous"].removeprefix("http://testserver")).json()
    assert [row["id"] for row in before["results"]] == seen[1]


def test_queries_of_a_list_do_not_grow_with_its_rows(call, user, board, finish):
    board.max_concurrent = 50
    board.save()

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert call.get("submissions/").status_code == 200
        return len(captured)

    finish(submit(user, board, name="No. 1", steps=1))
    one = queries()
    for steps in range(2, 12):
        finish(submit(user, board, name=f"No. {steps}", steps=steps))
    assert queries() == one


def test_cancelling_a_waiting_one_ends_it_and_refunds_it(mine, sent, board):
    left = mine.get("boards/digits-classification/").json()["quota"]["daily_left"]
    response = mine.post(f"submissions/{sent.pk}/cancel/")
    assert (response.status_code, response.json()["state"]) == (200, "cancelled")
    assert mine.get("boards/digits-classification/").json()["quota"]["daily_left"] == left + 1
    assert_problem(mine.post(f"submissions/{sent.pk}/cancel/"), 409, "conflict")


def test_evaluating_again_adds_one(mine, sent, finish):
    finish(sent)
    response = mine.post(f"submissions/{sent.pk}/evaluations/")
    assert response.status_code == 201
    assert response.json()["evaluation"]["number"] == 2
    rows = mine.get(f"submissions/{sent.pk}/evaluations/").json()["results"]
    assert [(row["number"], row["state"]) for row in rows] == [(2, "queued"), (1, "succeeded")]
    assert all(set(row) == EVALUATION for row in rows)


def test_no_get_changes_anything(call, staff, sent, finish):
    finish(sent)
    caller = call.by(staff)
    caller.get("me/")
    from leaderboard.api.urls import version_1

    for name in [route.name for route in version_1 if "submission_id" in route.pattern.converters]:
        with CaptureQueriesContext(connection) as captured:
            caller.get(f"submissions/{sent.pk}/{'' if name == 'submission' else name + '/'}")
        assert all(query["sql"].lstrip().startswith(("SELECT", "PRAGMA")) for query in captured), name


def test_log_and_columns_of_a_chosen_evaluation(mine, sent, finish):
    finish(sent, log="first\n")
    mine.post(f"submissions/{sent.pk}/evaluations/")
    finish(sent, log="second <b>ü</b>\n")
    log = mine.get(f"submissions/{sent.pk}/log/")
    assert log["Content-Type"] == "text/plain; charset=utf-8"
    assert log["X-Content-Type-Options"] == "nosniff"
    assert log.content.decode() == "second <b>ü</b>\n"
    assert mine.get(f"submissions/{sent.pk}/log/?evaluation=1").content == b"first\n"
    assert_problem(mine.get(f"submissions/{sent.pk}/log/?evaluation=3"), 404, "not_found")
    columns = mine.get(f"submissions/{sent.pk}/columns/")
    assert columns["Content-Disposition"] == f'attachment; filename="{sent.pk}-2.npz"'
    assert Columns.from_bytes(b"".join(columns.streaming_content)).values["correct"].tolist() == [1, 1, 1, 1]


@pytest.mark.usefixtures("board")
def test_the_artifact_comes_back_byte_for_byte_to_those_who_may(mine, user, other_user, staff):
    content = _npy(np.zeros((2, 10), np.float32))
    file = SimpleUploadedFile('evil"\r\n; name.npy', content)
    fields = {"name": "File", "kind": "predictions", "file": file}
    sent = Client().post(f"/api/v1/{PATH}", fields, headers={"Authorization": f"Bearer {mine.token}"}).json()
    path = f"submissions/{sent['id']}/artifact/"
    for who in (user, staff):
        response = mine.by(who).get(path)
        assert b"".join(response.streaming_content) == content
        assert response["Content-Disposition"].startswith("attachment;")
        assert response["Content-Type"] == "application/octet-stream"
        tag = response["ETag"]
        assert mine.by(who).get(path, if_none_match=tag).status_code == 304
    for who in (None, other_user):
        assert_problem(mine.by(who).get(path), 403, "not_allowed")
        assert_problem(mine.by(who).get(path, if_none_match=tag), 403, "not_allowed")


def test_reads_have_weak_tags_and_answer_304(mine, sent, finish):
    path = f"submissions/{sent.pk}/"
    first = mine.get(path)
    tag = first["ETag"]
    assert tag.startswith('W/"')
    assert {"Authorization", "Cookie"} <= {name.strip() for name in first["Vary"].split(",")}
    assert "private" in first["Cache-Control"]
    same = mine.get(path, if_none_match=tag)
    assert (same.status_code, same.content, same["ETag"]) == (304, b"", tag)
    finish(sent)
    changed = mine.get(path, if_none_match=tag)
    assert (changed.status_code, changed.json()["state"]) == (200, "succeeded")
    assert changed["ETag"] != tag


@pytest.mark.parametrize("path", ["tracks/", "reference-models/logistic/", "boards/", "me/", "schema/", "submissions/{}/log/"])
def test_every_kind_of_read_has_a_tag(mine, sent, path):
    tag = mine.get(path.format(sent.pk))["ETag"]
    assert mine.get(path.format(sent.pk), if_none_match=tag).status_code == 304


def test_one_tag_is_not_anothers(call, user, other_user, board):
    mine, theirs = (call.by(who).get("me/") for who in (user, other_user))
    assert mine["ETag"] != theirs["ETag"]


@pytest.fixture
def unheard(monkeypatch):
    """Rows that are committed here wake no worker: the broker has no part in these tests."""
    monkeypatch.setattr("leaderboard.evaluations.dispatch.publish", lambda evaluation: None)


@pytest.mark.django_db(transaction=True)
def test_wait_answers_when_the_state_changes(unheard, call, sent, monkeypatch):
    asleep, evaluation = threading.Event(), sent.evaluations.get()
    sleep = time.sleep

    def noticed(seconds: float) -> None:
        asleep.set()
        sleep(seconds)

    def claim() -> None:
        asleep.wait()
        lifecycle.claim(evaluation.pk, worker="tests", pool=evaluation.pool)
        connection.close()

    monkeypatch.setattr("leaderboard.evaluations.waiting.time.sleep", noticed)
    worker = threading.Thread(target=claim)
    worker.start()
    answer = call.get(f"submissions/{sent.pk}/?wait=30")
    worker.join()
    assert answer.json()["state"] == "running"  # and not "queued", as after thirty seconds without a change


@pytest.mark.django_db(transaction=True)
def test_wait_ends_with_what_there_is(unheard, call, sent):
    assert call.get(f"submissions/{sent.pk}/?wait=0.2").json()["state"] == "queued"


def test_wait_answers_at_once_where_nothing_can_change_any_more(call, sent, finish, monkeypatch):
    finish(sent)
    monkeypatch.setattr("leaderboard.evaluations.waiting.time.sleep", lambda seconds: pytest.fail("it waited"))
    assert call.get(f"submissions/{sent.pk}/?wait=30").json()["state"] == "succeeded"


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def test_a_withdrawn_submission_is_gone_from_every_address_and_list(mine, call, sent, finish):
    finish(sent)
    path = f"submissions/{sent.pk}/"
    response = mine("DELETE", path)
    assert (response.status_code, response.content) == (204, b"")
    for caller in (mine, call):
        for below in ("", "log/", "columns/", "artifact/", "evaluations/"):
            problem = assert_problem(caller.get(path + below), 410, "withdrawn")
            assert "was withdrawn by its competitor" in problem["detail"]
        assert caller.get("submissions/").json()["results"] == []
        assert_problem(caller.get(f"compare/?a={sent.pk}&b={uuid.uuid4()}"), 410, "withdrawn")
    for action in ("cancel/", "evaluations/"):
        assert_problem(mine.post(path + action), 410, "withdrawn")
    assert mine("DELETE", path).status_code == 204, "twice is as once"
    assert mine.get(f"boards/{sent.board.slug}/standings/").json()["results"] == []


def test_a_host_withdraws_with_a_reason(call, host, user, secret):
    caller, path = call.by(host), f"submissions/{secret.pk}/"
    problem = assert_problem(caller("DELETE", path), 400, "invalid_request")
    assert problem["errors"][0]["field"] == "reason"
    assert caller("DELETE", path + "?reason=it+is+empty").status_code == 204
    assert "it is empty" in assert_problem(call.by(user).get(path), 410, "withdrawn")["detail"]


def test_who_waits_for_a_submission_that_is_withdrawn_is_told(mine, sent, user, monkeypatch):
    from leaderboard.evaluations import waiting

    look = waiting.time.sleep
    monkeypatch.setattr(waiting.time, "sleep", lambda seconds: withdraw(sent, user) or look(0))
    assert_problem(mine.get(f"submissions/{sent.pk}/?wait=20"), 410, "withdrawn")
