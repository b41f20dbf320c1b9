"""Bad input: each kind gets its own problem, none gets a 500."""

from __future__ import annotations

import errno
import json
import logging
from urllib.parse import urlencode

import pytest
from django.db import InterfaceError, OperationalError
from hypothesis import HealthCheck, given
from hypothesis import settings as budget
from hypothesis import strategies as st

from leaderboard.api.problems import KINDS, refusal_kinds
from tests.api.conftest import assert_problem

SUBMIT = "boards/digits-classification/submissions/"
STANDINGS = "boards/digits-classification/standings/"
GOOD = {"name": "First", "kind": "config", "model": "logistic", "config": {"steps": 10}}


@pytest.mark.parametrize(
    ("path", "field", "told"),
    [
        ("tracks/?familly=x", "familly", 'Did you mean "family"?'),
        ("tracks/digits-classification/?x=1", "x", "takes no parameters"),
        ("me/?x=1", "x", "takes no parameters"),
        ("tracks/?page_size=0", "page_size", "greater than or equal to 1"),
        ("tracks/?page_size=1000000", "page_size", "less than or equal to 200"),
        ("tracks/?page_size=ten", "page_size", "valid integer"),
        ("tracks/?page_size=10&page_size=20", "page_size", "more than once"),
        ("tracks/?cursor=rubbish", "cursor", "Not a cursor"),
        ("tracks/?cursor=cD0lMDA%3D", "cursor", "Not a cursor"),
        ("tracks/?cursor=%F0%9F%98%80", "cursor", "Not a cursor"),
        ("tracks/?family=%00", "family", "Null characters"),
        ("submissions/?cursor=cD15ZXN0ZXJkYXk%3D", "cursor", "Not a cursor"),
        ("submissions/?state=done", "state", "queued, running, succeeded, failed, cancelled"),
        ("submissions/?kind=pickle", "kind", "config, weights, onnx, predictions"),
        ("boards/digits-classification/standings/?format=xml", "format", "json, csv"),
        ("boards/digits-classification/standings/?best_per=team", "best_per", "competitor, submission"),
        ("boards/digits-classification/standings/?as_of=yesterday", "as_of", "wrong format"),
        ("boards/digits-classification/standings/?order=acuracy", "order", "accuracy"),
        ("boards/digits-classification/standings/?cursor=-1", "cursor", "greater than or equal to 0"),
    ],
)
@pytest.mark.usefixtures("board")
def test_a_query_that_is_not_understood_names_field_and_remedy(mine, path, field, told):
    document = assert_problem(mine.get(path), 400, "invalid_request")
    assert [error["field"] for error in document["errors"]] == [field]
    assert told in document["errors"][0]["detail"]


@pytest.mark.parametrize("wait", ["-1", "31", "nan", "inf", "soon", "1e400", ""])
def test_wait_has_a_range(call, sent, wait):
    document = assert_problem(call.get(f"submissions/{sent.pk}/?wait={wait}"), 400, "invalid_request")
    assert document["errors"][0]["field"] == "wait"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('{"name": "x", }', "line 1, column 15"),
        ('{"name": "x"', "column 13"),
        ('{"config": {"steps": NaN}}', "NaN is not a JSON number"),
        ('{"config": {"steps": -Infinity}}', "-Infinity is not a JSON number"),
        ('{"config": {"steps": 1e999}}', "beyond the range"),
        ('{"config": {"steps": ' + "9" * 5000 + "}}", "digits"),
        ('{"name": "a", "name": "b"}', '"name" is given twice'),
        ('{"name": "a\\u0000b"}', "U+0000"),
        ('{"name": "\\ud800"}', "U+D800"),
        ('{"config": {"\\ud800": 1}}', "U+D800"),
        ('{"config": ' + "[" * 50 + "]" * 50 + "}", "nested"),
        ('{"config": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested"),
        ('{"a":' * 100_000, "nested"),
        ("[1]", "not an array"),
        ("null", "not null"),
        ("3", "not a number"),
        (b'{"name": "\xff"}', "byte 10 is not UTF-8"),
    ],
)
def test_a_body_that_is_not_plain_json_says_where(call, token, board, body, told):
    call.token = token
    document = assert_problem(call.post(SUBMIT, body), 400, "malformed")
    assert told in document["detail"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "nonsense"])
def test_other_media_types_are_refused_with_those_that_are_read(call, token, board, content_type):
    call.token = token
    document = assert_problem(call.post(SUBMIT, GOOD, content_type=content_type), 415, "unsupported_media_type")
    assert "application/json or multipart/form-data" in document["detail"]


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=x"])
def test_a_broken_form_is_malformed(call, token, board, content_type):
    call.token = token
    response = call.post(SUBMIT, b"--x\r\nbroken", content_type=content_type)
    assert response.status_code in (400, 422)
    assert response["Content-Type"] == "application/problem+json"


def test_an_answer_in_a_format_that_there_is_not(call, board):
    assert_problem(call.get("tracks/", accept="application/xml"), 406, "not_acceptable")


def test_a_chunked_body_is_refused_and_not_read_as_empty(call, token, board):
    call.token = token
    response = call("POST", SUBMIT, b"", transfer_encoding="chunked")
    assert_problem(response, 411, "length_required")


def test_a_json_body_beyond_its_limit_is_refused_before_it_is_parsed(call, token, board):
    call.token = token
    body = '{"name": "' + "x" * (1 << 20) + '"}'
    assert_problem(call.post(SUBMIT, body), 413, "too_large")
    assert_problem(call.post("tokens/", body), 413, "too_large")


def test_a_file_beyond_its_limit_is_refused_by_its_length_alone(call, token, board, settings):
    settings.MAX_ARTIFACT_BYTES = 1000
    call.token = token
    response = call.post(SUBMIT, b"x", content_length=str(2 << 20), content_type="multipart/form-data; boundary=x")
    assert_problem(response, 413, "too_large")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"nmae": "x"}, "nmae"),
        ({"config": [1]}, "config"),
        ({"config": "not json"}, "config"),
        ({"file": "weights.bin"}, "file"),
    ],
)
def test_a_field_that_cannot_be_read(call, token, board, change, field):
    call.token = token
    document = assert_problem(call.post(SUBMIT, GOOD | change), 400, "invalid_request")
    assert [error["field"] for error in document["errors"]] == [field]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": 3}, "name"),
        ({"name": None}, "name"),
        ({"kind": "pickle"}, "kind"),
        ({"kind": {}}, "kind"),
        ({"model": "logistc"}, "model"),
        ({"config": {"step": 10}}, "config.step"),
        ({"config": {"steps": 10**9}}, "config.steps"),
        ({"slices": "digits"}, "slices"),
        ({"slices": ["nowhere"]}, "slices"),
        ({"visibility": "hidden"}, "visibility"),
        ({"description": 3}, "description"),
    ],
)
def test_a_value_that_intake_refuses(call, token, board, change, field):
    call.token = token
    document = assert_problem(call.post(SUBMIT, GOOD | change), 422, "invalid_submission")
    assert field in [error["field"].split("[")[0] for error in document["errors"]]


def test_every_fault_is_told_at_once(call, token, board):
    call.token = token
    document = assert_problem(call.post(SUBMIT, {}), 422, "invalid_submission")
    assert {"name", "kind"} <= {error["field"] for error in document["errors"]}


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("name", "kind", "model", "config", "slices", "file", "description", "visibility")


@budget(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.dictionaries(st.sampled_from(FIELDS), ANYTHING) | ANYTHING)
@pytest.mark.usefixtures("board")
def test_whatever_is_sent_the_answer_is_a_submission_or_a_problem(mine, body):
    response = mine.post(SUBMIT, json.dumps(GOOD | body if isinstance(body, dict) else body))
    assert response.status_code in (201, 400, 409, 413, 422, 429), response.content
    assert response.status_code == 201 or response["Content-Type"] == "application/problem+json"


@budget(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(max_size=30))
@pytest.mark.parametrize("path", ["submissions/", "tracks/", STANDINGS])
@pytest.mark.usefixtures("board")
def test_whatever_a_parameter_is_the_answer_is_no_accident(call, path, value):
    for name in ("cursor", "page_size", "state", "as_of", "order", "version", "user", "role", "format"):
        assert call.get(f"{path}?{urlencode({name: value}, errors='replace')}").status_code in (200, 400)


@pytest.mark.parametrize("path", ["", "nothing/", "tracks", "submissions/1/", "boards/x/y/z/", "tokens/abc/", "%00/"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_an_address_that_is_none(call, db, method, path):
    assert_problem(call(method, path), 404, "not_found")


def test_a_missing_slash_is_named(call, board):
    assert "ends with a slash" in call.get("tracks").json()["detail"]


def test_a_wrong_host_header_is_a_problem_too(call, db):
    assert_problem(call.get("tracks/", host="evil.example"), 400, "malformed")


AWAY = {
    "no connection": OperationalError("no"),
    "lost connection": InterfaceError("connection already closed"),
    "full disk": OSError(errno.ENOSPC, "no space left on device"),
    "held file": BlockingIOError(errno.EAGAIN, "another process holds it"),
}


@pytest.mark.parametrize("error", AWAY.values(), ids=AWAY)
def test_what_the_server_stands_on_is_away_and_asks_to_come_back(call, board, monkeypatch, error):
    def away(*args, **kwargs):
        raise error

    monkeypatch.setattr("leaderboard.permissions.visible_boards", away)
    response = call.get("boards/")
    assert_problem(response, 503, "unavailable")
    assert int(response["Retry-After"]) > 0


def test_an_unexpected_error_is_logged_and_tells_nothing(call, board, monkeypatch, caplog):
    def broken(*args, **kwargs):
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr("leaderboard.permissions.visible_boards", broken)
    with caplog.at_level(logging.ERROR):
        response = call.get("boards/", x_request_id="request-of-mine")
    assert_problem(response, 500, "internal_error")
    assert "secret" not in response.content.decode()
    assert response["X-Request-ID"] == "request-of-mine"
    assert "request-of-mine" in caplog.text
    assert "the secret of the house" in caplog.text


@pytest.mark.parametrize("given", ["", "short", "x" * 100, "line\nbreak-line", "<script>alert</script>"])
def test_a_request_id_that_is_none_is_replaced(call, board, given):
    assert call.get("tracks/", x_request_id=given)["X-Request-ID"] != given


def test_every_kind_of_refusal_is_documented(client, db):
    assert refusal_kinds() <= set(KINDS)
    page = client.get("/api/docs/problems").content.decode()
    for code in KINDS:
        assert f'id="{code}"' in page
