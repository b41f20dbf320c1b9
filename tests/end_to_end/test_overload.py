"""Bad input and too much of it, over real HTTP: every refusal says what is wrong, and when to come back."""

from __future__ import annotations

import pickle
import socket
from contextlib import ExitStack
from typing import Any

import pytest

from tests.end_to_end.test_whole_way import upload
from tests.services import Deployment

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("deployments"), pytest.mark.timeout(600)]

BOARD = "digits-classification"
POST = f"/api/v1/boards/{BOARD}/submissions/"
JSON = {"Content-Type": "application/json"}


def test_two_hundred_idle_connections_keep_nobody_waiting(embedded: Deployment) -> None:
    """Browsers keep their connections open; so may somebody who means harm."""
    with ExitStack() as stack:
        for _ in range(200):
            idle = stack.enter_context(socket.create_connection(("127.0.0.1", embedded.port), timeout=20))
            idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert idle.recv(4096).startswith(b"HTTP/1.1 200")
        assert embedded.request("GET", "/api/v1/boards/").status == 200


def test_a_post_beyond_a_limit_says_when_to_come_back(embedded: Deployment) -> None:
    """429, for the limit of evaluations that wait at once; the other limits stand in tests/boards and tests/api."""
    sent: list[Any] = []
    for number in range(6):
        config = {"weight_decay": 0.011 + number / 1000}
        fields = {"name": f"slow {number}", "kind": "config", "model": "plain-cnn", "config": config}
        sent.append(embedded.request("POST", POST, fields))
    for answer in sent:
        if answer.status == 201:
            embedded.request("POST", f"/api/v1/submissions/{answer.body['id']}/cancel/")
    refused = next(answer for answer in sent if answer.status != 201)
    assert (refused.status, refused.body["code"]) == (429, "too_many_concurrent")
    assert int(refused.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"x" * (3 << 20), JSON, 413, "too_large"),
        (b"name=a", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        (b"{", JSON, 400, "malformed"),
        (b'{"name": "a", "kind": "onnx"}', JSON, 422, "invalid_submission"),
    ],
    ids=["413", "415 form", "415 text", "400", "422"],
)
def test_bad_input_gets_its_status_and_the_server_goes_on(
    embedded: Deployment, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = embedded.request("POST", POST, body, headers=headers)
    assert (answer.status, answer.body["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert embedded.request("GET", "/api/v1/me/").status == 200


def test_a_pickle_is_an_unsupported_format(embedded: Deployment) -> None:
    answer = upload(embedded, content=pickle.dumps({"a": 1}), filename="a.npz", name="Pickle", kind="predictions")
    assert (answer.status, answer.body["code"]) == (415, "unsupported_format"), answer
