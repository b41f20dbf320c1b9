"""A server is backed up while it works, destroyed, and restored: on the same kind of database and on the other one. What a
reader sees is the same to the last digit, files to the last byte, and people log in as before."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from benchmarks.post_to_ranked import linear_model
from tests.end_to_end.test_whole_way import BOARD, upload
from tests.services import Deployment, Postgres, deployment, postgres_server, wait_until

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("deployments"), pytest.mark.timeout(900)]

PASSWORD = "correct horse battery"
PEOPLE = f"""
from leaderboard.accounts.models import User
User.objects.filter(username="demo").update(is_superuser=False)
user = User.objects.get(username="demo")
user.set_password("{PASSWORD}")
user.save()
from leaderboard.boards.models import Board
Board.objects.update(daily_quota=1000, max_concurrent=500)
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with TemporaryDirectory() as outside, postgres_server(Path(outside) / "postgres") as server:
        yield server


@pytest.fixture
def new_server(tmp_path: Path, postgres: Postgres) -> Iterator[Any]:
    """new_server(kind): an empty deployment with the database's tables and nothing in them."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def make(kind: str) -> Deployment:
            url = postgres.create_database() if kind == "postgres" else ""
            folder = tmp_path / f"{kind}-{len(list(tmp_path.iterdir()))}"
            return stack.enter_context(deployment(folder, database_url=url))

        yield make


def seen(server: Deployment) -> dict[str, Any]:
    """What a reader sees of all boards and submissions, and the bytes of every file."""
    found: dict[str, Any] = {}
    for path in ("boards/", "submissions/?page_size=100", f"boards/{BOARD}/standings/?page_size=1000", "me/"):
        found[path] = server.request("GET", f"/api/v1/{path}").body
    for each in found["submissions/?page_size=100"]["results"]:
        path = f"submissions/{each['id']}/"
        found[path] = server.request("GET", f"/api/v1/{path}").body
        for file in ("log/", "columns/", "artifact/"):
            answer = server.request("GET", f"/api/v1/{path}{file}")
            found[path + file] = (answer.status, answer.body)
    return found


def log_in(server: Deployment) -> int:
    """The status of a log-in by page: 302 is in, 200 is the form again."""
    page = server.request("GET", "/accounts/login/", token="")
    secret = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.body).group(1)
    cookie = page.headers["set-cookie"].split(";")[0]
    form = f"csrfmiddlewaretoken={secret}&login=demo&password={PASSWORD.replace(' ', '+')}".encode()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Cookie": cookie,
        "Referer": f"http://127.0.0.1:{server.port}/",
    }
    return server.request("POST", "/accounts/login/", form, token="", headers=headers).status


def fill(server: Deployment) -> None:
    """Submissions of three kinds, evaluated and settled; one is withdrawn."""
    server.manage("shell", "-c", PEOPLE)
    sent = [server.submit(BOARD, name="Config", kind="config", model="logistic", config={})["id"]]
    for seed in range(3):
        answer = upload(server, content=linear_model(seed), filename=f"{seed}.onnx", name=f"Linear {seed}", kind="onnx")
        sent.append(answer.body["id"])
    for each in sent:
        assert server.finished(each)["state"] == "succeeded"
    server.request("DELETE", f"/api/v1/submissions/{sent.pop()}/")
    wait_until(lambda: settled(server), what="the board is settled")


def settled(server: Deployment) -> bool:
    code = "from leaderboard.standings.models import *; from django.db.models import F; "
    code += "print(Settlement.objects.filter(settled__lt=F('wanted')).count())"
    return server.manage("shell", "-v", "0", "-c", code).strip() == "0"


def destroy(server: Deployment) -> None:
    server.stop()
    server.processes.clear()
    shutil.rmtree(server.folder)


def test_a_destroyed_server_comes_back_on_either_database(new_server: Any, tmp_path: Path) -> None:
    """SQLite, then PostgreSQL from its backup, then SQLite again from that one's: each shows what the first one showed."""
    first = new_server("sqlite")
    first.start_web()
    first.start_scheduler()
    first.start_worker()
    fill(first)
    file = tmp_path / "1.standings"
    told = first.manage("backup", str(file))
    expected, token = seen(first), first.token
    assert "rows and" in told
    destroy(first)
    for number, kind in enumerate(("postgres", "sqlite"), start=2):
        server = new_server(kind)
        server.manage("restore", str(file), "--replace")
        server.manage("prepare")
        server.token = token
        server.start_web()
        found = seen(server)
        assert list(found) == list(expected)
        for path, body in expected.items():
            assert found[path] == body, f"{kind}: {path}"
        assert log_in(server) == 302
        file = tmp_path / f"{number}.standings"
        server.manage("backup", str(file))
        server.start_worker()
        server.start_scheduler()
        again = server.submit(BOARD, name="After the restore", kind="config", model="logistic", config={"steps": number})
        assert server.finished(again["id"])["state"] == "succeeded"
        destroy(server)


CHECK = """
import json
from leaderboard.evaluations.models import Evaluation
from leaderboard.standings.models import Score, Standing
from leaderboard.submissions import storage
done = Evaluation.objects.filter(state="succeeded")
print(json.dumps({
    "succeeded": done.count(),
    "queued": Evaluation.objects.filter(state="queued").count(),
    "running": Evaluation.objects.filter(state="running").count(),
    "without scores": done.exclude(pk__in=Score._base_manager.values("evaluation")).count(),
    "without standing": done.exclude(submission__in=Standing.objects.values("submission")).count(),
    "files": sum(storage.check(name) is None for name in storage.named_between("", "g")),
}))
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_backup_while_submissions_stream_in_is_of_one_moment(new_server: Any, tmp_path: Path, kind: str) -> None:
    """Every success in it has its scores, its standing and its files; what waits or runs in it is evaluated after a restore."""
    server = new_server(kind)
    server.manage("shell", "-c", PEOPLE)
    server.start_web()
    server.start_scheduler()
    server.start_worker()
    stop = threading.Event()

    def stream() -> None:
        rng = np.random.default_rng(1)
        while not stop.is_set():
            upload(server, content=linear_model(int(rng.integers(2**31))), filename="m.onnx", name="Linear", kind="onnx")

    posting = threading.Thread(target=stream)
    posting.start()
    try:
        wait_until(lambda: count(server, "succeeded") >= 3, seconds=120, what="some are evaluated")
        files = [tmp_path / f"{number}.standings" for number in range(2)]
        for file in files:
            server.manage("backup", str(file))
    finally:
        stop.set()
        posting.join()
    token = server.token
    destroy(server)
    for file in files:
        restored = new_server("sqlite")
        restored.manage("restore", str(file), "--replace")
        found = json.loads(restored.manage("shell", "-v", "0", "-c", CHECK))
        assert found["succeeded"] >= 3
        assert (found["without scores"], found["without standing"], found["running"]) == (0, 0, 0)
        assert found["files"] >= found["succeeded"]
    restored.token = token
    restored.start_web()
    restored.start_scheduler()
    restored.start_worker()
    wait_until(lambda: count(restored, "queued") + count(restored, "running") == 0, seconds=240, what="all are evaluated")
    assert count(restored, "succeeded") == found["succeeded"] + found["queued"]


def count(server: Deployment, state: str) -> int:
    return len(server.request("GET", f"/api/v1/submissions/?state={state}&page_size=100").body["results"])
