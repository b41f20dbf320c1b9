"""Parts of a deployment are taken away at bad moments; every evaluation still ends exactly once, with its scores. On PostgreSQL
and Redis, in one deployment: each test leaves it with all its parts. Faults at random moments are those of tests/faults."""

from __future__ import annotations

import signal
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import redis as redis_client

from tests.end_to_end.conftest import BOARD, QUICK, assert_ended_once
from tests.services import Deployment, Postgres, Redis, deployment, postgres_server, redis_server, wait_until

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("deployments"), pytest.mark.timeout(600)]

PATH = f"/api/v1/boards/{BOARD}/submissions/"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with TemporaryDirectory() as outside, postgres_server(Path(outside) / "postgres") as server:
        yield server


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, redis: Redis) -> Iterator[Deployment]:
    """Web and scheduler run; `serve` adds the worker."""
    folder = tmp_path_factory.mktemp("server")
    with deployment(folder, database_url=postgres.create_database(), redis_url=redis.url, **QUICK) as server:
        server.start_web()
        server.start_scheduler()
        yield server


def serve(server: Deployment) -> None:
    if "worker" not in server.processes:
        server.start_worker()


def logistic(weight_decay: float) -> dict[str, object]:
    """A submission that computes for a moment; each decay is another one."""
    return {"kind": "config", "model": "logistic", "config": {"weight_decay": weight_decay}}


def wrong(server: Deployment) -> set[str]:
    """What /readyz says is missing."""
    return {check["name"] for check in server.request("GET", "/readyz").body["checks"] if not check["ok"]}


def test_what_is_posted_around_the_loss_of_the_broker_is_evaluated_and_reads_go_on(server: Deployment, redis: Redis) -> None:
    """No worker runs yet, so the only trace of what was posted lies in the database and in the broker."""
    sent = [server.submit(BOARD, name="Posted before", **logistic(0.01))["id"]]
    wait_until(lambda: wrong(server) == {"workers"}, what="readiness says that work waits and no worker serves it")
    redis.process.kill(signal.SIGKILL)
    sent.append(server.submit(BOARD, name="Posted while it was away", **logistic(0.02))["id"])
    for path in ("/", f"/boards/{BOARD}/", f"/api/v1/boards/{BOARD}/standings/", f"/api/v1/submissions/{sent[0]}/"):
        assert server.request("GET", path).status == 200
    wait_until(lambda: wrong(server) == {"workers", "broker"}, what="readiness says that the broker is away too")
    redis.restart()
    sent.append(server.submit(BOARD, name="Posted before it lost everything", **logistic(0.03))["id"])
    redis_client.Redis.from_url(redis.url).flushall()
    serve(server)
    for each in sent:
        assert_ended_once(server, each)
    wait_until(lambda: wrong(server) == set(), what="readiness says that nothing is missing")


def test_the_web_process_killed_during_a_post(server: Deployment) -> None:
    serve(server)
    fields = {"name": "Posted twice", **logistic(0.04)}
    key = {"Idempotency-Key": str(uuid.uuid4())}
    answers: list[object] = []

    def post() -> None:
        try:
            answers.append(server.request("POST", PATH, fields, headers=key))
        except OSError as error:
            answers.append(error)

    posting = [threading.Thread(target=post) for _ in range(6)]
    for thread in posting:
        thread.start()
    server.processes["web"].kill(signal.SIGKILL, group=True)
    for thread in posting:
        thread.join()
    server.start_web()
    again = server.request("POST", PATH, fields, headers=key)
    assert again.status in (200, 201), again
    rows = server.request("GET", "/api/v1/submissions/").body["results"]
    assert [row["id"] for row in rows if row["name"] == "Posted twice"] == [again.body["id"]]
    assert_ended_once(server, again.body["id"])


def test_while_the_database_is_away_everybody_is_told_and_afterwards_it_goes_on(server: Deployment, postgres: Postgres) -> None:
    serve(server)
    postgres.process.kill(signal.SIGQUIT)
    posted = server.request("POST", PATH, {"name": "Posted in vain", **logistic(0.05)})
    assert (posted.status, posted.body["code"]) == (503, "unavailable")
    for answer in (posted, server.request("GET", f"/boards/{BOARD}/"), server.request("GET", f"/api/v1/boards/{BOARD}/")):
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) >= 1
    assert server.request("GET", "/healthz").status == 200
    assert "database" in wrong(server)
    postgres.restart()
    wait_until(lambda: server.request("GET", f"/boards/{BOARD}/").status == 200, what="it can be read again")
    assert_ended_once(server, server.submit(BOARD, name="Posted afterwards", **logistic(0.05))["id"])
