"""The parent's handle on a zygote process: start it, hear its hello, hand it orders, end it. Torch-free.

The zygote lives in a session and an environment of its own: nothing of the parent's environment reaches it but where to find
modules and devices.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import socket
import subprocess
import sys
from pathlib import Path

from evaluators import limits
from evaluators.failures import EvaluationFailure, FailureCode
from evaluators.runtime import box, numerics, orders, sandbox
from evaluators.runtime.owned_folder import OwnedFolder

START_S = 120.0
END_S = 5.0
PASSED_ON = (
    "PATH",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
    "LANG",
    "TMPDIR",
    "CUDA_HOME",
    *limits.SETTABLE,
)


class ZygoteGoneError(Exception):
    """The zygote ended, or never started."""


class ZygoteProcess:
    """A running zygote. `layers` and `versions` are what it said of itself. spawned: it serves jobs itself, and never forks.
    boxed: it runs in a box (`box`), for formats that are code."""

    def __init__(
        self, *, folder: Path, sandboxed: bool, spawned: bool, device: str, groups: list[Path], boxed: bool = False
    ) -> None:
        self._empty = OwnedFolder(folder)
        self.channel, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.pidfd_open(os.getpid())
        try:
            self.process = subprocess.Popen(
                [
                    *self._command(other.fileno(), parent),
                    *("--sandbox" if sandboxed else "--no-sandbox", "--device", device),
                    *(["--spawned"] if spawned else []),
                    *(["--box", "enter"] if boxed else []),
                    *(word for folder in (box.package_folders() if boxed else ()) for word in ("--package", folder)),
                    *(word for group in groups for word in ("--group", str(group))),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(other.fileno(), parent),
                env=_environment(),
                cwd="/",
                start_new_session=True,
            )
        finally:
            other.close()
            os.close(parent)
        self.spawned = spawned
        self.layers: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self.device_name = ""

    def _command(self, channel: int, parent: int) -> list[str]:
        user = secrets.choice(sandbox.OWN_USERS)
        return [
            *(sys.executable, "-P", "-m", "evaluators.runtime.zygote"),
            *("--channel", str(channel), "--parent", str(parent), "--empty-folder", self._empty.name, "--user", str(user)),
        ]

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def answers(self) -> bool:
        """Whether it runs, and its end of the channel is open."""
        gone = select.poll()
        gone.register(self.channel, select.POLLHUP)
        return self.alive and not gone.poll(0)

    def greet(self) -> None:
        """Wait until it is warm. ZygoteGoneError if it ends instead, or takes longer than START_S."""
        hello = json.loads(self._next(seconds=START_S))
        self.layers, self.versions, self.device_name = hello["layers"], hello["versions"], hello.get("device_name", "")

    def submit(self, order: orders.Order, fds: tuple[int, ...]) -> int:
        """Hand over an order; the answer is a pidfd of the process that serves it, which the caller closes."""
        try:
            orders.send(self.channel, order.to_json(), fds)
            _, received = self._next_with_fds(seconds=START_S)
        except OSError as error:
            raise ZygoteGoneError(str(error)) from error
        except ValueError as error:
            raise EvaluationFailure(FailureCode.INVALID_ARTIFACT, "the config is larger than 100 kB") from error
        return received[0]

    def await_exit(self, *, seconds: float) -> orders.Exit:
        """How the child ended."""
        return orders.Exit.from_json(self._next(seconds=seconds))

    def died_of(self) -> int:
        """Exit code of a server that ended, or minus the signal."""
        try:
            code = self.process.wait(timeout=END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        return orders.SIGNALLED - code if code > orders.SIGNALLED else code

    def close(self) -> None:
        """End it, and everything that it forked; confirmed."""
        self.channel.close()
        self.process.kill()
        self.process.wait()
        self._empty.cleanup()

    def _next(self, *, seconds: float) -> bytes:
        return self._next_with_fds(seconds=seconds)[0]

    def _next_with_fds(self, *, seconds: float) -> tuple[bytes, list[int]]:
        ready = orders.readable([self.channel.fileno()], seconds=seconds)
        raw, fds = orders.receive(self.channel) if ready else (b"", [])
        if not raw:
            raise ZygoteGoneError("the zygote process ended" if ready else f"the zygote did not answer within {seconds:.0f} s")
        return raw, fds


def _environment() -> dict[str, str]:
    """What a zygote may know of its parent's environment: no secrets, no addresses."""
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    folders = [str(Path(folder).resolve()) for folder in sys.path if Path(folder).is_dir()]
    return {**kept, **numerics.ENVIRONMENT, "PYTHONPATH": os.pathsep.join(folders), "PYTHONDONTWRITEBYTECODE": "1"}
