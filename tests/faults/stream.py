"""A stream of submissions, and a reader beside it, that go on whatever happens. The sender does what a good client does: the
same request with the same Idempotency-Key until it is answered. Both remember every status that they were given."""

from __future__ import annotations

import http.client
import io
import json
import random
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tests.faults.stand import BOARD, Stand
from tests.services import Answer, multipart

OUTSTANDING = 4
PATIENCE_SECONDS = 120.0
TEST_ROWS = 901
AWAY = (OSError, http.client.HTTPException, ValueError)


@dataclass
class Entry:
    """One submission: what was sent, and what came of it. `body` and `headers` are the request."""

    number: int
    fields: dict[str, Any]
    file: bytes | None
    filename: str
    submission: str = ""


def entry(number: int, *, choice: random.Random) -> Entry:
    """Entries differ from each other in content, so that each is measured. One in three computes for half a second."""
    kind = number % 6
    if kind in (1, 4):
        fields = {"kind": "config", "model": "plain-cnn", "config": {"epochs": 3, "lr": 0.01 + number * 1e-6}}
    elif kind == 2:
        return Entry(number, {"kind": "predictions"}, predictions(choice.randrange(2**32)), "answers.npz")
    elif kind == 5:
        return Entry(number, {"kind": "onnx"}, linear_onnx(choice.randrange(2**32)), "model.onnx")
    else:
        fields = {"kind": "config", "model": "logistic", "config": {"epochs": 2, "lr": 0.02 + number * 1e-6}}
    return Entry(number, fields, None, "")


def predictions(seed: int) -> bytes:
    """Logits of a guesser."""
    logits = np.random.default_rng(seed).normal(size=(TEST_ROWS, 10)).astype(np.float32)
    buffer = io.BytesIO()
    np.savez(buffer, logits=logits)
    return buffer.getvalue()


def linear_onnx(seed: int) -> bytes:
    """A random linear classifier."""
    weights = np.random.default_rng(seed).normal(size=(64, 10)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["logits"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [None, 10])],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


@dataclass
class Stream:
    """Sends from a thread of its own until it is stopped; `posted` grows."""

    stand: Stand
    seed: int
    posted: list[Entry] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    reads: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)
    key_prefix: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._choice = random.Random(self.seed)
        self._threads = [threading.Thread(target=self._send, name="sender"), threading.Thread(target=self._read, name="reader")]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=60)

    def _send(self) -> None:
        number = 0
        while not self._stop.is_set():
            if self._outstanding() >= OUTSTANDING:
                self._stop.wait(0.05)
                continue
            each = entry(number, choice=self._choice)
            if self._post(each):
                self.posted.append(each)
                number += 1
            self._stop.wait(self._choice.uniform(0.0, 0.3))

    def _outstanding(self) -> int:
        found = self.stand.rows("SELECT count(*) AS n FROM evaluations_evaluation WHERE state IN ('queued', 'running')")
        return found[0]["n"] if found else 0

    def _post(self, each: Entry) -> bool:
        """Until it is accepted, however long that takes: it may have been already, and only the answer got lost."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            answer = self._ask(each)
            if answer is not None and answer.status in (200, 201):
                each.submission = answer.body["id"]
                return True
            time.sleep(0.2)
        self.unexpected.append(f"entry {each.number} was not accepted within {PATIENCE_SECONDS} s")
        return False

    def _ask(self, each: Entry) -> Answer | None:
        name = {"name": f"Entry {each.number}", **each.fields}
        body, headers = json.dumps(name).encode(), {"Content-Type": "application/json"}
        if each.file is not None:
            body, headers = multipart(name, filename=each.filename, content=each.file)
        headers["Idempotency-Key"] = f"{self.key_prefix}-{each.number}"
        try:
            answer = self.stand.server.request("POST", f"/api/v1/boards/{BOARD}/submissions/", body, headers=headers)
        except AWAY as error:
            self.statuses[type(error).__name__] += 1
            return None
        self.statuses[str(answer.status)] += 1
        self._judge("POST", answer, allowed=(200, 201, 503))
        return answer

    def _read(self) -> None:
        paths = (f"/boards/{BOARD}/", f"/api/v1/boards/{BOARD}/standings/", "/api/v1/submissions/", "/")
        while not self._stop.wait(0.15):
            path = self._choice.choice(paths)
            try:
                answer = self.stand.server.request("GET", path)
            except AWAY as error:
                self.reads[type(error).__name__] += 1
                continue
            self.reads[str(answer.status)] += 1
            self._judge(path, answer, allowed=(200, 503))

    def _judge(self, what: str, answer: Answer, *, allowed: tuple[int, ...]) -> None:
        """A 503 says when to come back, and nothing else but what is allowed is ever answered."""
        patient = answer.status != 503 or "retry-after" in answer.headers
        if answer.status not in allowed or not patient:
            self.unexpected.append(f"{time.strftime('%X')} {what}: {answer.status} {str(answer.body)[:300]}")
