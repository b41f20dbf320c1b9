"""A server is backed up while it works, destroyed, and restored: on the same kind of database and on the other one. What a
reader sees is the same to the last digit, files to the last byte, and people log in as before."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import pytest

from benchmarks.post_to_ranked import linear_model
from tests.end_to_end.conftest import QUICK
from tests.end_to_end.test_whole_way import BOARD, upload
from tests.services import Deployment, Postgres, deployment, environment_of, free_port, postgres_server, wait_until

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("deployments"), pytest.mark.timeout(600)]

Servers: TypeAlias = Callable[[str], Deployment]

PASSWORD = "correct horse battery"
PEOPLE = f"""
from leaderboard.accounts.models import User
from leaderboard.boards.models import Board
user = User.objects.get(username="demo")
user.set_password("{PASSWORD}")
user.save()
Board.objects.update(daily_quota=1000)
"""
UNSETTLED = """
from django.db.models import F
from leaderboard.standings.models import Settlement
print(Settlement.objects.filter(settled__lt=F("wanted")).count())
"""
CONTENTS = """
import json
from leaderboard.evaluations.models import Evaluation
from leaderboard.standings.models import Score, Standing
from leaderboard.submissions import storage
done = Evaluation.objects.filter(state="succeeded")
names = list(storage.named_between("", "g"))
for name in names:
    storage.check(name)
print(json.dumps({
    "succeeded": done.count(),
    "waiting": [str(key) for key in Evaluation.objects.filter(state="queued").values_list("submission", flat=True)],
    "others": Evaluation.objects.exclude(state__in=["queued", "succeeded"]).count(),
    "without scores": done.exclude(pk__in=Score._base_manager.values("evaluation")).count(),
    "without standing": done.exclude(submission__in=Standing.objects.values("submission")).count(),
    "files": len(names),
}))
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with TemporaryDirectory() as outside, postgres_server(Path(outside) / "postgres") as server:
        yield server


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """On SQLite, with tracks, boards and a person, and without any submission. It never runs: the tests copy it."""
    with deployment(tmp_path_factory.mktemp("prepared") / "server") as server:
        server.manage("shell", "-c", PEOPLE)
        server.manage("backup", str(server.folder / "prepared.standings"))
        yield server


@pytest.fixture
def bare(tmp_path: Path, postgres: Postgres, prepared: Deployment) -> Iterator[Servers]:
    """bare(kind): a server with its static files, and nothing else: no tables, no files, no token."""
    with ExitStack() as stack:

        def make(kind: str) -> Deployment:
            folder = tmp_path / f"server-{free_port()}"
            shutil.copytree(prepared.folder / "state" / "static", folder / "state" / "static")
            url = postgres.create_database() if kind == "postgres" else ""
            server = Deployment(folder, environment_of(folder, database_url=url, **QUICK), free_port())
            stack.callback(server.stop)
            return server

        yield make


@pytest.fixture
def ready(bare: Servers, prepared: Deployment) -> Servers:
    """ready(kind): a server as `prepared` is; on PostgreSQL by way of its backup."""

    def make(kind: str) -> Deployment:
        server = bare(kind)
        server.token = prepared.token
        if kind == "sqlite":
            shutil.copytree(prepared.folder / "state", server.folder / "state", dirs_exist_ok=True)
        else:
            server.manage("restore", str(prepared.folder / "prepared.standings"))
        return server

    return make


def start(server: Deployment) -> None:
    server.start_web()
    server.start_scheduler()
    server.start_worker()


def destroy(server: Deployment) -> None:
    server.stop()
    server.processes.clear()
    shutil.rmtree(server.folder)


def send(server: Deployment, seed: int) -> str:
    """Post a linear model of its own; the submission's id."""
    answer = upload(server, content=linear_model(seed), filename=f"{seed}.onnx", name=f"Linear {seed}", kind="onnx")
    assert answer.status == 201, answer
    return str(answer.body["id"])


def fill(server: Deployment) -> str:
    """Submissions that are evaluated, of which one is withdrawn, then those of the system, and one, which is returned, that
    nobody has looked at yet. Web still runs."""
    server.start_web()
    sent = [send(server, seed) for seed in range(3)]
    sent.append(server.submit(BOARD, name="Config", kind="config", model="logistic", config={"weight_decay": 0.01})["id"])
    server.start_scheduler()
    server.start_worker()
    for each in sent:
        assert server.finished(each)["state"] == "succeeded"
    assert server.request("DELETE", f"/api/v1/submissions/{sent[0]}/").status in (200, 204)
    wait_until(lambda: server.manage("shell", "-v", "0", "-c", UNSETTLED).strip() == "0", what="the board is settled")
    for name in ("worker", "scheduler"):
        server.processes.pop(name).stop()
    assert "queued" in server.manage("prepare")
    return send(server, 3)


def seen(server: Deployment) -> dict[str, Any]:
    """What a reader sees of all boards and submissions, and the bytes of every file."""
    lists = ("boards/", "submissions/?page_size=100", f"boards/{BOARD}/standings/?page_size=100", "me/")
    found = {path: server.request("GET", f"/api/v1/{path}").body for path in lists}
    for each in found["submissions/?page_size=100"]["results"]:
        path = f"submissions/{each['id']}/"
        for file in ("", "evaluations/", "log/", "columns/", "artifact/"):
            answer = server.request("GET", f"/api/v1/{path}{file}")
            found[path + file] = (answer.status, answer.body)
    return found


def log_in(server: Deployment) -> int:
    """The status of a log-in by page: 302 is in, 200 is the form again."""
    page = server.request("GET", "/accounts/login/", token="")
    secret = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.body).group(1)
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Cookie": page.headers["set-cookie"].split(";")[0],
        "Referer": f"http://127.0.0.1:{server.port}/",
    }
    form = f"csrfmiddlewaretoken={secret}&login=demo&password={PASSWORD.replace(' ', '+')}".encode()
    return server.request("POST", "/accounts/login/", form, token="", headers=headers).status


def test_a_destroyed_server_comes_back_on_either_database(bare: Servers, ready: Servers, tmp_path: Path) -> None:
    """SQLite; on an empty PostgreSQL from its backup; and over another SQLite server from that one's. Each shows what the first
    one showed, has nothing twice, and evaluates what waited."""
    first = ready("sqlite")
    waiting = fill(first)
    files = [tmp_path / "1.standings", tmp_path / "2.standings"]
    first.manage("backup", str(files[0]))
    expected = seen(first)
    assert sum(answer[0] == 200 for path, answer in expected.items() if path.endswith("artifact/")) == 3
    assert {row["rank"] for row in expected[f"boards/{BOARD}/standings/?page_size=100"]["results"]} >= {1}
    destroy(first)
    for number, (server, options) in enumerate(((bare("postgres"), []), (ready("sqlite"), ["--replace"]))):
        server.token, server.port = first.token, first.port
        server.manage("restore", str(files[number]), *options)
        assert "every reference entrant is queued or evaluated already" in server.manage("prepare")
        server.start_web()
        found = seen(server)
        assert list(found) == list(expected)
        for path, body in expected.items():
            assert found[path] == body, path
        assert log_in(server) == 302
        if number == 0:
            server.manage("backup", str(files[1]))
        server.start_worker()
        done = server.finished(waiting)
        assert (done["state"], bool(done["scores"])) == ("succeeded", True)
        destroy(server)


@contextmanager
def crowd(server: Deployment, *, people: int = 3) -> Iterator[list[str]]:
    """While the block runs, so many people each post a model, wait for its result, and post the next: something always waits or
    runs. The list grows by the id of each that is evaluated."""
    evaluated: list[str] = []
    stop = threading.Event()

    def compete(number: int) -> None:
        seed = 1000 * number
        while not stop.is_set():
            evaluated.append(server.finished(send(server, seed))["id"])
            seed += 1

    threads = [threading.Thread(target=compete, args=(number,)) for number in range(people)]
    for thread in threads:
        thread.start()
    try:
        yield evaluated
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_backup_while_submissions_stream_in_is_of_one_moment(ready: Servers, tmp_path: Path, kind: str) -> None:
    """Every success in it has its scores, its standing and its files; what waited or ran is evaluated after a restore."""
    server = ready(kind)
    files = [tmp_path / f"{number}.standings" for number in range(2)]
    start(server)
    with crowd(server) as evaluated:
        for number, file in enumerate(files, start=1):
            wait_until(lambda number=number: len(evaluated) >= 3 * number, seconds=120, what="some more are evaluated")
            server.manage("backup", str(file))
    destroy(server)
    restored = ready("sqlite")
    for number, file in enumerate(files, start=1):
        restored.manage("restore", str(file), "--replace")
        found = json.loads(restored.manage("shell", "-v", "0", "-c", CONTENTS))
        assert found["succeeded"] >= 3 * number
        assert found["waiting"]
        assert (found["without scores"], found["without standing"], found["others"]) == (0, 0, 0)
        assert found["files"] >= found["succeeded"] + len(found["waiting"])
    start(restored)
    assert {restored.finished(each)["state"] for each in found["waiting"]} == {"succeeded"}
