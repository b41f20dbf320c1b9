"""Starts a worker."""

from __future__ import annotations

import os
import re
import socket
import tempfile
import warnings
from argparse import ArgumentParser, ArgumentTypeError
from multiprocessing.util import Finalize
from typing import Any

from celery.exceptions import SecurityWarning
from django.conf import settings
from django.core.management.base import BaseCommand

from evaluators.runtime.owned_folder import OwnedFolder
from leaderboard.celery import app
from leaderboard.evaluations import pool_process

READ_SECONDS = 60.0
"""How long a worker waits for an answer of Redis: longer than any read that blocks for messages."""

LAST = -1000
"""The pool's temporary files (multiprocessing.util.get_temp_dir) go at priority -100."""


class Command(BaseCommand):
    """A Celery worker with the settings that the life of an evaluation relies on."""

    help = (
        "Evaluates what waits in one pool. SIGTERM or Ctrl-C: what runs gets STOP_GRACE_SECONDS to finish, then goes back to "
        "the queue."
    )

    requires_system_checks = ()  # they import every page and form, which a worker does not have

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--pool", type=pool_name, default="cpu", help="cpu, gpu, or a name that a board asks for")
        parser.add_argument(
            "--concurrency", type=positive, default=None, help="evaluations at once; default: one per core, and one on a GPU"
        )
        parser.add_argument(
            "--device", choices=("auto", "cpu", "cuda"), default=None, help="default: auto; cpu in the pool cpu"
        )

    def handle(
        self, *args: Any, pool: str, concurrency: int | None, device: str | None, verbosity: int, **options: Any
    ) -> None:
        del args, options
        name = f"{pool}-{os.getpid()}@{socket.gethostname()}"
        device = device or ("cpu" if pool == "cpu" else "auto")
        pool_process.plan(pool=pool, device=device, worker=name)
        if "socket_timeout" in app.conf.broker_transport_options:
            app.conf.broker_transport_options = {**app.conf.broker_transport_options, "socket_timeout": READ_SECONDS}
        processes = concurrency or default_concurrency(device)
        os.environ["CELERY_SKIP_CHECKS"] = "1"
        # Celery warns root of pickles in messages: ours are JSON, and nothing else is accepted
        warnings.filterwarnings("ignore", category=SecurityWarning)
        _use_own_temporary_folder()
        app.worker_main(
            [
                *(() if verbosity > 1 else ("--quiet",)),
                *("worker", "--hostname", name, "--queues", pool, "--concurrency", str(processes), "--pool", "prefork"),
                # gossip and mingle let workers talk about each other: ours talk to the database
                *("--without-gossip", "--without-mingle", "--loglevel", "INFO" if verbosity > 1 else "WARNING"),
            ]
        )


def _use_own_temporary_folder() -> None:
    """What this worker and its libraries write to temporary files lies in one folder. It is removed when this process ends, and
    by the next worker if this one is killed."""
    inside = settings.STATE_DIR / "temporary"
    inside.mkdir(exist_ok=True, mode=0o700)
    folder = OwnedFolder(inside)
    os.environ["TMPDIR"] = tempfile.tempdir = folder.name
    # after the pool has removed its own files from it: finalizers run from the highest priority to the lowest
    Finalize(None, folder.cleanup, exitpriority=LAST)


def default_concurrency(device: str) -> int:
    """Processes of a worker: several on one GPU would share its memory, and each would lack what the others took."""
    return len(os.sched_getaffinity(0)) if device == "cpu" else 1


def pool_name(text: str) -> str:
    """A pool is also the name of a queue, and of a folder."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,39}", text):
        raise ArgumentTypeError(f'"{text}" cannot name a pool: lower-case letters, digits, - and _, at most 40')
    return text


def positive(text: str) -> int:
    """A count of at least one."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f'"{text}" is not a count: 1 or more')
    return int(text)
