"""One process of a worker's pool: a warm runtime, a heartbeat, and a row that says that it is alive. Celery's signals start
it before its first task and stop it after its last. The parent of the pool never opens the database and never imports
torch: what it holds, every child would inherit."""

from __future__ import annotations

import logging
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import billiard.pool
from celery.signals import worker_process_init, worker_process_shutdown, worker_shutting_down
from django.conf import settings
from django.db import Error, connection
from django.db.backends.signals import connection_created
from django.db.models.functions import Now

from evaluators.runtime import Runtime
from leaderboard.evaluations.heartbeat import Heartbeat
from leaderboard.evaluations.models import Worker

logger = logging.getLogger(__name__)
billiard_pool: Any = billiard.pool

GOODBYE_LOOKS = 10
"""How many tenths of a second a stopping process waits for its parent to have read its last answers. The parent may have
stopped reading (seen in 1 of 6 stops), and billiard's own 300 would then hold every stop up for half a minute. What was
not read is delivered again, and finds its row taken."""


@dataclass(frozen=True)
class Plan:
    """What the parent tells its pool. The pipe's write end is closed when the worker is asked to stop."""

    pool: str
    device: str
    worker: str
    stop_read: int
    stop_write: int


class PoolProcess:
    """The state of this process."""

    def __init__(self, plan: Plan) -> None:
        self.pool = plan.pool
        self.name = f"{plan.worker}/{os.getpid()}"
        self.device, self.layers = "", dict[str, str]()
        self.runtime = Runtime(
            secret=settings.TRACK_SECRET.encode(),
            cache_dir=settings.STATE_DIR / "cache",
            data_dir=Path(settings.FULL_DATA_DIR) if settings.FULL_DATA_DIR else None,
            device=plan.device,
            code_formats=settings.ALLOW_CODE_FORMATS,
        )
        self.heartbeat = Heartbeat(beat=self.say_alive, leave=self.leave, stop_descriptor=plan.stop_read)

    def start(self) -> None:
        """Import torch (in the runtime's own process), find out what the sandbox can do here, and say that we are there."""
        self.runtime.warm()
        self.device, self.layers = self.runtime.workshop.device, self.runtime.layers()
        logger.warning("%s: layers of the sandbox: %s", self.name, told(self.layers))
        try:
            self.say_alive()
        except Error as error:  # the heartbeat says so once it is back
            logger.warning("%s starts while the database is away: %s", self.name, error)
            connection.close()
        self.heartbeat.start()

    def say_alive(self) -> None:
        """Make or touch this process's row."""
        if not Worker.objects.filter(pk=self.name).update(seen_at=Now()):
            Worker.objects.create(
                name=self.name,
                pool=self.pool,
                host=socket.gethostname(),
                pid=os.getpid(),
                device=self.device,
                layers=self.layers,
            )

    def stop(self) -> None:
        """End everything that `start` made, and remove the row."""
        self.heartbeat.end()
        self.runtime.close()
        self._remove_row()

    def leave(self) -> None:
        """End this process at once, whatever its main thread does. Its models end with it, and the next worker on this machine
        tidies up."""
        self._remove_row()
        os._exit(0)

    def _remove_row(self) -> None:
        try:
            Worker.objects.filter(pk=self.name).delete()
        except Error as error:
            logger.warning("%s could not remove its row: %s", self.name, error)


def told(layers: dict[str, str]) -> str:
    """Each layer and its state, for an operator."""
    return "; ".join(f"{name.replace('_', ' ')}: {state}" for name, state in layers.items())


_plan: Plan | None = None
_current: PoolProcess | None = None


def plan(*, pool: str, device: str, worker: str) -> None:
    """Called by the worker's parent before it starts its pool: children inherit the plan."""
    global _plan  # noqa: PLW0603  Celery's signals carry no state of ours
    billiard_pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = GOODBYE_LOOKS
    read, write = os.pipe()
    _plan = Plan(pool=pool, device=device, worker=worker, stop_read=read, stop_write=write)
    worker_process_init.connect(_start)
    worker_process_shutdown.connect(_stop)
    worker_shutting_down.connect(_ask_to_stop)


def current() -> PoolProcess:
    """This process. RuntimeError outside of a worker's pool."""
    if _current is None:
        raise RuntimeError('evaluations run in the pool of "manage.py worker", and nowhere else')
    return _current


def _start(**_: Any) -> None:
    """A process that cannot start ends: Celery then says so and ends the worker, instead of failing one task after another."""
    global _current  # noqa: PLW0603
    assert _plan is not None  # noqa: S101
    connection_created.connect(_end_transactions_of_the_stopped)
    os.setpgid(0, 0)  # a signal to the worker's group is for the parent: it decides how the pool stops
    os.close(_plan.stop_write)
    try:
        _current = PoolProcess(_plan)
        _current.start()
    except Exception as error:
        logger.exception("a pool process could not start")
        raise SystemExit(1) from error


def _end_transactions_of_the_stopped(connection: Any, **_: Any) -> None:
    """A worker that is stopped (SIGSTOP, a machine that sleeps) in the middle of a transaction would keep everybody else off
    the rows that it has locked. The server ends its session after a lease: then its result would be refused anyhow."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET idle_in_transaction_session_timeout = %s", [round(1000 * settings.LEASE_SECONDS)])


def _stop(**_: Any) -> None:
    if _current is not None:
        _current.stop()


def _ask_to_stop(**_: Any) -> None:
    """SIGTERM or Ctrl-C at the parent: its children see the end of the pipe."""
    global _plan  # noqa: PLW0603
    if _plan is not None:
        os.close(_plan.stop_write)
        _plan = None
