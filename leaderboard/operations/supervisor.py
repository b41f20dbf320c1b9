"""Runs several processes as one: all of them live, or none does. Used by `manage.py up`.

A process that ends is started again; one that keeps ending ends everything. SIGINT and SIGTERM stop all of them in order;
if the supervisor itself is killed, the kernel kills its children (PR_SET_PDEATHSIG)."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

PR_SET_PDEATHSIG: Final = 1
RESTARTS: Final = 5
WINDOW_SECONDS: Final = 60.0
GRACE_SECONDS: Final = 10.0
"""How long a process may take to stop beyond what it was promised for its work."""

libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent ends. Runs in the child, between fork and exec."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class KeepsEndingError(RuntimeError):
    """A process ended too often; the message names it and its last exit status."""


@dataclass
class Child:
    """One supervised process: how it is started, and when it was."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    starts: list[float] = field(default_factory=list)

    def start(self) -> None:
        """Start it in a process group of its own, so that the terminal's Ctrl-C reaches the supervisor alone."""
        now = time.monotonic()
        self.starts = [at for at in self.starts if now - at < WINDOW_SECONDS] + [now]
        self.process = subprocess.Popen(
            self.command,
            env=dict(self.environment),
            process_group=0,
            preexec_fn=die_with_parent,  # noqa: PLW1509  the supervisor has one thread
        )

    def ended(self) -> bool:
        """Whether it is no longer running."""
        return self.process is None or self.process.poll() is not None

    def send(self, number: signal.Signals) -> None:
        """Signal its whole process group, if it is there."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                return


class Supervisor:
    """Starts children in the given order, stops them in reverse. grace: seconds from the order to stop until the kill."""

    def __init__(self, children: Sequence[Child], *, say: Callable[[str], None], grace: float = GRACE_SECONDS) -> None:
        self.children = list(children)
        self.grace = grace
        self.say = say
        self.stopping = False

    def start(self) -> None:
        """Start everything, and from now on stop everything on SIGINT and SIGTERM."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask_to_stop)
        for child in self.children:
            child.start()

    def _ask_to_stop(self, number: int, frame: object) -> None:
        del number, frame
        self.stopping = True

    def watch(self, *, every_tick: Callable[[], None]) -> None:
        """Blocks until it is asked to stop, then stops all. Raises KeepsEndingError, after stopping all."""
        try:
            while not self.stopping:
                every_tick()
                for child in self.children:
                    if child.ended() and not self.stopping:
                        self._restart(child)
                time.sleep(0.2)
        finally:
            self.stop()

    def _restart(self, child: Child) -> None:
        status = child.process.returncode if child.process else None
        if len(child.starts) >= RESTARTS:
            raise KeepsEndingError(
                f"{child.name} ended {len(child.starts)} times within a minute (last status {status}): stopping"
            )
        self.say(f"{child.name} ended with status {status}: starting it again")
        child.send(signal.SIGKILL)
        child.start()

    def stop(self) -> None:
        """SIGTERM to all, in reverse order of starting; SIGKILL to the groups of those that do not end in time."""
        for child in reversed(self.children):
            child.send(signal.SIGTERM)
        deadline = time.monotonic() + self.grace
        for child in reversed(self.children):
            if child.process is not None:
                try:
                    child.process.wait(timeout=max(deadline - time.monotonic(), 0.1))
                except subprocess.TimeoutExpired:
                    self.say(f"{child.name} did not stop in time: killing it")
            child.send(signal.SIGKILL)
