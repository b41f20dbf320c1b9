"""The supervisor of `manage.py up`: all processes live, or none does. Each test runs it as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.services import ROOT, wait_until

SCRIPT = """
import sys
from leaderboard.operations.supervisor import Child, Supervisor
commands = [line.split() for line in {commands!r}]
children = [Child(f"child {{n}}", command, {{"PATH": "/usr/bin:/bin"}}) for n, command in enumerate(commands)]
supervisor = Supervisor(children, say=lambda text: print(text, flush=True))
supervisor.start()
supervisor.watch(every_tick=lambda: None)
"""


class Supervised:
    """A supervisor process over the given commands."""

    def __init__(self, *commands: str) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", SCRIPT.format(commands=commands)], cwd=ROOT, stdout=subprocess.PIPE
        )
        self.handle = psutil.Process(self.popen.pid)

    def children(self) -> dict[str, psutil.Process]:
        found = {}
        for child in self.handle.children():
            try:
                found[" ".join(child.cmdline())] = child
            except psutil.NoSuchProcess:
                continue
        return found

    def child(self, command: str) -> psutil.Process:
        return wait_until(lambda: self.children().get(command), what=f"{command} runs")

    def close(self) -> None:
        for child in self.handle.children(recursive=True) if self.popen.poll() is None else []:
            child.kill()
        self.popen.kill()
        self.popen.wait()


@pytest.fixture
def two():
    supervised = Supervised("sleep 1001", "sleep 1002")
    supervised.child("sleep 1001")
    supervised.child("sleep 1002")
    yield supervised
    supervised.close()


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_killed_process_is_started_again(two) -> None:
    first = two.child("sleep 1001")
    first.kill()
    wait_until(lambda: two.children().get("sleep 1001") not in (None, first), what="another one runs")
    assert two.child("sleep 1002").is_running()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_signal_ends_all_with_status_zero(two, number) -> None:
    children = list(two.children().values())
    two.popen.send_signal(number)
    assert two.popen.wait(timeout=20) == 0
    assert all(gone(child) for child in children)


def test_when_the_supervisor_is_killed_nothing_is_left(two) -> None:
    children = list(two.children().values())
    two.popen.kill()
    two.popen.wait()
    wait_until(lambda: all(gone(child) for child in children), seconds=5, what="the children are gone")


def test_a_process_that_keeps_ending_ends_everything() -> None:
    supervised = Supervised("false", "sleep 1003")
    try:
        other = supervised.child("sleep 1003")
        assert supervised.popen.wait(timeout=30) != 0
        assert gone(other)
    finally:
        supervised.close()


def test_a_process_that_ignores_the_stop_signal_is_killed(tmp_path: Path, monkeypatch) -> None:
    stubborn = tmp_path / "stubborn.py"
    stubborn.write_text(
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nopen('ready', 'w')\ntime.sleep(1004)\n"
    )
    monkeypatch.chdir(tmp_path)
    from leaderboard.operations import supervisor

    child = supervisor.Child("stubborn", [sys.executable, str(stubborn)], dict(os.environ))
    said: list[str] = []
    watcher = supervisor.Supervisor([child], say=said.append, grace=0.5)
    child.start()
    wait_until((tmp_path / "ready").exists, what="it ignores SIGTERM")
    watcher.stop()
    assert child.process.wait(timeout=5) == -signal.SIGKILL
    assert said == ["stubborn did not stop in time: killing it"]
