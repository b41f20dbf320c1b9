"""`manage.py up`: the whole server in one foreground process, from nothing to serving."""

from __future__ import annotations

import socket
import time
import urllib.request
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from leaderboard.operations import serving
from leaderboard.operations.supervisor import GRACE_SECONDS, Child, KeepsEndingError, Supervisor

START_SECONDS = 60


class Command(BaseCommand):
    """Migrates, syncs tracks and boards, makes first users, then serves: web, worker and scheduler."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--address", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--workers", type=int, default=1, help="evaluations that run at once")

    def handle(self, *args: Any, address: str, port: int, workers: int, **options: Any) -> None:
        del args, options
        refuse_taken_port(address=address, port=port)
        call_command("prepare", stdout=self.stdout)
        call_command("create_demo_users", stdout=self.stdout)
        grace = settings.STOP_GRACE_SECONDS + GRACE_SECONDS
        supervisor = Supervisor(children(address=address, port=port, workers=workers), say=self.say, grace=grace)
        supervisor.start()
        try:
            supervisor.watch(every_tick=Announcement(address=address, port=port, say=self.say))
        except KeepsEndingError as error:
            raise CommandError(str(error)) from error
        self.say("Stopped.")

    def say(self, text: str) -> None:
        """One line for the person at the terminal, at once."""
        self.stdout.write(text)
        self.stdout.flush()


class Announcement:
    """Says the address once, as soon as the web server answers; says so if it does not answer in time."""

    def __init__(self, *, address: str, port: int, say: Callable[[str], None]) -> None:
        host = "127.0.0.1" if address in ("0.0.0.0", "::") else address  # noqa: S104
        self.url = f"http://{host}:{port}/"
        self.say = say
        self.deadline = time.monotonic() + START_SECONDS
        self.done = False

    def __call__(self) -> None:
        """One look, where nothing was said yet."""
        if self.done:
            return
        if answers(f"{self.url}healthz"):
            self.say(f"Standings is serving at {self.url}   (Ctrl-C stops it)")
        elif time.monotonic() > self.deadline:
            self.say(f"The web server did not answer at {self.url} within {START_SECONDS} seconds; see the messages above.")
        else:
            return
        self.done = True


def answers(url: str) -> bool:
    """Whether a GET of `url` succeeds."""
    try:
        urllib.request.urlopen(url, timeout=2).close()  # noqa: S310
    except OSError:
        return False
    return True


def refuse_taken_port(*, address: str, port: int) -> None:
    """Raises CommandError if something listens there already: better now than after a minute of preparation."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise CommandError(
                f"port {port} at {address} cannot be used ({error.strerror}); choose another one: make up PORT={port + 1}"
            ) from error


def children(*, address: str, port: int, workers: int) -> list[Child]:
    """The processes of the embedded server, in the order of their start."""
    environment = serving.environment()
    return [
        Child("scheduler", serving.scheduler_command(), environment),
        Child("worker", serving.worker_command(pool="cpu", concurrency=workers), environment),
        Child("web server", serving.web_command(address=address, port=port), environment),
    ]
