"""The test stand: one real deployment (PostgreSQL, Redis, web, two workers, two schedulers) whose artifact folder is a disk of
its own, and an observer that looks at it from outside: by SQL, by the process table, by the folders.

Everything that the deployment ever starts is re-parented to this process when its own parent dies, so nothing that is left
running can hide."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import psycopg
from psycopg.rows import dict_row

from tests.services import (
    PYTHON,
    Deployment,
    Postgres,
    Process,
    Redis,
    deployment,
    postgres_server,
    redis_server,
    wait_until,
)

BOARD = "digits-classification"
WORKERS = ("worker-1", "worker-2")
SCHEDULERS = ("scheduler-1", "scheduler-2")
DISK_BYTES = 24 * 2**20
QUICK = {
    "LEASE_SECONDS": "3",
    "HEARTBEAT_SECONDS": "0.5",
    "REAP_EVERY_SECONDS": "0.5",
    "REPUBLISH_AFTER_SECONDS": "1.5",
    "STOP_GRACE_SECONDS": "3",
}
NO_LIMITS = {"SUBMISSIONS_PER_MINUTE": "0", "CALLS_PER_MINUTE": "0"}
"""On a quick machine the stream would meet them."""
ZYGOTE = "evaluators.runtime.zygote"
PR_SET_CHILD_SUBREAPER = 36


@dataclass
class Stand:
    """The running deployment, and everything that a fault needs to get at."""

    server: Deployment
    postgres: Postgres
    redis: Redis
    database_url: str
    has_own_disk: bool
    tree: Path | None = None
    before: set[int] = field(default_factory=set)

    # --- processes

    def start(self) -> None:
        self.server.start_web()
        for name in SCHEDULERS:
            self.start_scheduler(name)
        for name in WORKERS:
            self.start_worker(name)

    def start_worker(self, name: str) -> None:
        self.server.start(name, *self._manage("worker", "--pool", "cpu", "--concurrency", "1"))

    def start_scheduler(self, name: str) -> None:
        self.server.start(name, *self._manage("scheduler"))

    def _manage(self, *words: str) -> list[str]:
        """A management command of the release that is deployed now."""
        return [PYTHON, str((self.tree or Path.cwd()) / "manage.py"), *words]

    def process(self, name: str) -> Process:
        return self.server.processes[name]

    def computing(self, *, seconds: float = 40.0) -> tuple[str, dict[str, Any]]:
        """Wait until a worker is in the predict stage of an evaluation: the worker's name here, and the row."""

        def found() -> tuple[str, dict[str, Any]] | None:
            for row in self.rows("SELECT * FROM evaluations_evaluation WHERE state = 'running' AND stage = 'predict'"):
                parent = int(row["worker"].partition("@")[0].rpartition("-")[2])
                for name in WORKERS:
                    if self.process(name).popen.pid == parent and self.process(name).popen.poll() is None:
                        return name, row
            return None

        return wait_until(found, seconds=seconds, what="a worker computes")

    def family(self, name: str) -> list[psutil.Process]:
        """The worker's parent, its pool process, zygotes and sandboxed children, as they are now."""
        root = psutil.Process(self.process(name).popen.pid)
        return [root, *root.children(recursive=True)]

    def pool_process(self, name: str) -> psutil.Process:
        return next(each for each in psutil.Process(self.process(name).popen.pid).children() if not is_zombie(each))

    def zygotes(self, name: str) -> list[psutil.Process]:
        """Outermost first; the sandboxed children below them say the same of themselves and come last."""
        return [each for each in self.family(name)[1:] if ZYGOTE in command_of(each)]

    def owner_of(self, port: int) -> str | None:
        """The worker with a connection from this local port."""
        for name in WORKERS:
            for each in self.family(name):
                with contextlib.suppress(psutil.Error):
                    if any(link.laddr.port == port for link in each.net_connections("tcp") if link.laddr):
                        return name
        return None

    # --- the database, from outside

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Rows of one query; none while the database is away."""
        try:
            with psycopg.connect(self.database_url, autocommit=True, connect_timeout=2, row_factory=dict_row) as connection:
                return connection.execute(query, values).fetchall()
        except psycopg.OperationalError:
            return []

    def change(self, statement: str, *values: Any) -> int:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(statement, values).rowcount

    # --- the disk

    @property
    def disk(self) -> Path:
        return self.folder / "state" / "files"

    @property
    def folder(self) -> Path:
        return self.server.folder

    def strangers(self) -> list[psutil.Process]:
        """Processes below this one that the stand did not start itself and that have not ended."""
        own = {process.popen.pid for process in (*self.server.processes.values(), self.postgres.process, self.redis.process)}
        children = [each for each in psutil.Process().children() if each.pid not in self.before | own]
        for child in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child.pid, os.WNOHANG)
        return [each for each in children if each.is_running() and not is_zombie(each)]


def is_zombie(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def die(process: psutil.Process) -> None:
    """kill -9, if it is still there."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGKILL)


@contextmanager
def own_disk(folder: Path) -> Iterator[bool]:
    """A small tmpfs at `folder`, where this machine lets us mount one; whether it did."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "standings-test", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(command, check=False, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def adopting_orphans() -> Iterator[set[int]]:
    """While the block runs, orphans below this process become its children; yields the children of before."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield {child.pid for child in psutil.Process().children()}
    finally:
        prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@contextmanager
def stand(folder: Path, settings: dict[str, str] = QUICK) -> Iterator[Stand]:
    """A stand whose processes are not started yet."""
    with ExitStack() as stack:
        before = stack.enter_context(adopting_orphans())
        outside = Path(stack.enter_context(TemporaryDirectory()))
        postgres = stack.enter_context(postgres_server(outside / "postgres"))
        redis = stack.enter_context(redis_server(folder / "redis"))
        mounted = stack.enter_context(own_disk(folder / "standings" / "state" / "files"))
        temporary = folder / "tmp"
        temporary.mkdir()
        url = postgres.create_database()
        server = stack.enter_context(
            deployment(
                folder / "standings", database_url=url, redis_url=redis.url, TMPDIR=str(temporary), **NO_LIMITS, **settings
            )
        )
        built = Stand(server, postgres, redis, url, mounted, before=before)
        built.change("UPDATE boards_board SET daily_quota = 100000, max_concurrent = 1000")
        yield built


def moment(choice: random.Random, *, longest: float = 0.4) -> None:
    """Let a random time pass: the one thing here that is not to be awaited."""
    time.sleep(choice.uniform(0.0, longest))
