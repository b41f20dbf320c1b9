"""Whole deployments, one of each kind for all tests that do not break them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.services import Deployment, deployment, postgres_server, redis_server

BOARD = "digits-classification"
QUICK = {"LEASE_SECONDS": "4", "HEARTBEAT_SECONDS": "0.5", "REAP_EVERY_SECONDS": "0.5", "REPUBLISH_AFTER_SECONDS": "2"}


def start(server: Deployment, *, workers: int) -> Deployment:
    server.start_web()
    server.start_scheduler()
    for number in range(1, workers + 1):
        server.start_worker(f"worker-{number}")
    return server


def assert_ended_once(server: Deployment, submission: str) -> None:
    """It succeeded with scores and one standing, and no second evaluation was made."""
    done = server.finished(submission)
    assert done["state"] == "succeeded", (done, server.logs())
    assert done["scores"]
    assert done["rank"] >= 1
    evaluations = server.request("GET", f"/api/v1/submissions/{submission}/evaluations/").body["results"]
    assert len(evaluations) == 1
    rows = server.request("GET", f"/api/v1/boards/{BOARD}/standings/").body["results"]
    assert len([row for row in rows if row["submission"] == submission]) == 1


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """SQLite, the in-process broker, one worker."""
    with deployment(tmp_path_factory.mktemp("embedded"), **QUICK) as server:
        yield start(server, workers=1)


@pytest.fixture(scope="session")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """PostgreSQL, Redis, two worker processes."""
    folder = tmp_path_factory.mktemp("one-server")
    with (
        TemporaryDirectory() as outside,  # pytest closes its own folders to the user that PostgreSQL runs as
        postgres_server(Path(outside) / "postgres") as postgres,
        redis_server(folder / "redis") as redis,
        deployment(folder / "standings", database_url=postgres.create_database(), redis_url=redis.url, **QUICK) as server,
    ):
        yield start(server, workers=2)


@pytest.fixture(params=["embedded", "one_server"])
def server(request: pytest.FixtureRequest) -> Deployment:
    """Each test that takes it runs on both kinds of deployment."""
    return request.getfixturevalue(request.param)
