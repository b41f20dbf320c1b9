"""Real servers for tests: Redis, PostgreSQL, and whole deployments of Standings, on free ports, with their data in a
temporary folder. Each is a context manager that stops what it started."""

from __future__ import annotations

import http.client
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leaderboard.operations import serving
from leaderboard.operations.supervisor import die_with_parent

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable


def free_port() -> int:
    """A TCP port of the loopback address that nothing listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition: Callable[[], Any], *, seconds: float = 30.0, what: str) -> Any:
    """Poll a condition of another process every 20 ms until it is truthy; the truthy value. AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def multipart(fields: dict[str, str], *, filename: str, content: bytes) -> tuple[bytes, dict[str, str]]:
    """A form with one file, as curl -F would send it."""
    edge = "standings-test-boundary"
    parts = [
        f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n\r\n'.encode()
    body = b"".join([*parts, head, content, f"\r\n--{edge}--\r\n".encode()])
    return body, {"Content-Type": f"multipart/form-data; boundary={edge}"}


@dataclass
class Process:
    """A server process in a process group of its own."""

    command: list[str]
    log: Path
    environment: dict[str, str] | None = None
    user: str | None = None
    popen: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> Process:
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                self.command, env=self.environment, stdout=log, stderr=log, process_group=0, cwd=ROOT, user=self.user,
                group=self.user, extra_groups=[] if self.user else None,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - a test run that is killed leaves no server behind
            )  # fmt: skip
        return self

    def kill(self, number: signal.Signals = signal.SIGKILL, *, group: bool = False) -> None:
        """Signal the process, or its whole group, and wait for its end where the signal ends it."""
        try:
            (os.killpg if group else os.kill)(self.popen.pid, number)
        except ProcessLookupError:
            return
        if number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            self.popen.wait(timeout=60)

    def stop(self) -> None:
        """SIGTERM, then SIGKILL to what is left of the group."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.popen.wait(timeout=30)
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait(timeout=10)


@dataclass
class Redis:
    """A Redis server that can be killed and started again on the same port with the same data."""

    folder: Path
    port: int
    process: Process

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def restart(self) -> None:
        self.process.start()
        wait_until(lambda: accepts(self.port), what="redis answers again")


@contextmanager
def redis_server(folder: Path, *, persistent: bool = True) -> Iterator[Redis]:
    """redis-server on a free port, with the append-only file on (or with no persistence at all)."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [
        *("redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""),
        *("--appendonly", "yes" if persistent else "no", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"),
    ]
    process = Process(command, folder / "log").start()
    try:
        wait_until(lambda: accepts(port), what="redis answers")
        yield Redis(folder, port, process)
    finally:
        process.stop()


@dataclass
class Postgres:
    """A PostgreSQL server; `create_database` makes an empty database and gives its URL."""

    folder: Path
    port: int
    process: Process
    made: int = 0

    def create_database(self) -> str:
        import psycopg

        self.made += 1
        name = f"standings_{os.getpid()}_{self.made}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def url(self, database: str) -> str:
        return f"postgres://standings@127.0.0.1:{self.port}/{database}"

    def restart(self) -> None:
        self.process.start()
        wait_until(self.answers, what="postgres answers again")

    def answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def postgres_server(folder: Path) -> Iterator[Postgres]:
    """PostgreSQL on a free port. It refuses to run as root, so as root it runs as the package's own user."""
    folder.mkdir(parents=True, exist_ok=True)
    user = "postgres" if os.geteuid() == 0 else None
    binaries = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    data = folder / "data"
    if user:
        entry = pwd.getpwnam(user)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        for parent in folder.parents:
            if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o011)  # the server's user must be able to pass
    log = folder / "log"
    log.touch()
    if user:
        shutil.chown(log, user)
    subprocess.run(
        [str(binaries / "initdb"), "-D", str(data), "-U", "standings", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
        check=True, stdout=subprocess.DEVNULL, user=user, group=user, extra_groups=[] if user else None, cwd="/",
    )  # fmt: skip
    port = free_port()
    command = [
        *(str(binaries / "postgres"), "-D", str(data), "-p", str(port), "-k", str(folder)),
        *("-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-c", "shared_buffers=64MB"),
    ]
    server = Postgres(folder, port, Process(command, log, user=user).start())
    try:
        wait_until(server.answers, what="postgres answers")
        yield server
    finally:
        server.process.kill(signal.SIGQUIT)
        server.process.stop()


@dataclass
class Answer:
    """An HTTP answer: its status, headers and body (parsed where it is JSON)."""

    status: int
    headers: dict[str, str]
    body: Any


@dataclass
class Deployment:
    """A running Standings: web, scheduler and workers as processes, reached by HTTP as a user would."""

    folder: Path
    environment: dict[str, str]
    port: int
    token: str = ""
    processes: dict[str, Process] = field(default_factory=dict)

    def manage(self, *arguments: str, check: bool = True) -> str:
        """Run a management command to its end; its standard output."""
        done = subprocess.run(
            [PYTHON, "manage.py", *arguments], env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, name: str, *command: str) -> Process:
        """Start (again) one named process."""
        process = Process(list(command), self.folder / f"{name}.log", self.environment)
        self.processes[name] = process
        return process.start()

    def start_web(self) -> Process:
        process = self.start("web", *serving.web_command(address="127.0.0.1", port=self.port))
        wait_until(self.answers, what="the web server answers")
        return process

    def start_scheduler(self) -> Process:
        return self.start("scheduler", *serving.scheduler_command())

    def start_worker(self, name: str = "worker", *, pool: str = "cpu", concurrency: int = 1) -> Process:
        return self.start(name, *serving.worker_command(pool=pool, concurrency=concurrency))

    def answers(self) -> bool:
        try:
            return self.request("GET", "/healthz").status == 200
        except OSError:
            return False

    def request(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, token: str | None = None
    ) -> Answer:
        """One HTTP request with the deployment's token (`token=""` for none); dictionaries travel as JSON."""
        sent = dict(headers or {})
        bearer = self.token if token is None else token
        if bearer:
            sent.setdefault("Authorization", f"Bearer {bearer}")
        if isinstance(body, dict | list):
            body, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            raw = response.read()
            kind = response.headers.get_content_type()
            parsed = json.loads(raw) if raw and "json" in kind else raw.decode() if kind.startswith("text/") else raw
            return Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, parsed)
        finally:
            connection.close()

    def submit(self, board: str, **fields: Any) -> dict[str, Any]:
        """POST a submission as JSON; its receipt."""
        answer = self.request("POST", f"/api/v1/boards/{board}/submissions/", fields)
        assert answer.status == 201, answer
        return answer.body

    def finished(self, submission: str, *, seconds: float = 120.0) -> dict[str, Any]:
        """Wait by long polls until a submission's newest evaluation is final; the submission. AssertionError with the logs."""
        path = f"/api/v1/submissions/{submission}/?wait=5"

        def final() -> dict[str, Any] | None:
            try:
                body = self.request("GET", path).body
            except OSError:
                return None
            return body if body.get("state") in ("succeeded", "failed", "cancelled") else None

        try:
            return wait_until(final, seconds=seconds, what=f"{submission} is final")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.logs()}") from None

    def logs(self) -> str:
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-4000:]}" for path in self.folder.glob("*.log"))

    def stop(self) -> None:
        for process in reversed(self.processes.values()):
            process.stop()


def environment_of(folder: Path, *, database_url: str = "", redis_url: str = "", **extra: str) -> dict[str, str]:
    """A clean environment for the processes of a deployment: nothing of the tester's own settings comes along."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {
        **kept,
        "DJANGO_SETTINGS_MODULE": "leaderboard.settings",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
        "STATE_DIR": str(folder / "state"),
        "SECRET_KEY": "not-so-secret-in-tests-0123456789-0123456789-0123456789",
        "TRACK_SECRET": "tests",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        **extra,
    }


@contextmanager
def deployment(folder: Path, *, database_url: str = "", redis_url: str = "", **extra: str) -> Iterator[Deployment]:
    """A migrated deployment with a synced catalogue and a demo user's token, and no process running yet."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = environment_of(folder, database_url=database_url, redis_url=redis_url, **extra)
    server = Deployment(folder, environment, free_port())
    with ExitStack() as stack:
        stack.callback(server.stop)
        server.manage("migrate", "--verbosity", "0")
        server.manage("createcachetable")
        server.manage("collectstatic", "--noinput", "--verbosity", "0")
        server.manage("sync_catalogue")
        server.token = server.manage("create_token", "--create-user", "demo").strip()
        yield server
