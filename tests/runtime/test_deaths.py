"""Kill -9 of each process in turn: the others end or carry on, and no evaluation is ever half done."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from evaluators.failures import EvaluationFailure, FailureCode
from evaluators.runtime import Job, Runtime

RIDGE = Job(track="toy-blobs", kind="config", model="toy-ridge")
SLEEPER = Job(track="toy-blobs", kind="config", model="toy-hostile", config={"code": "report(0.5)\ntime.sleep(1000)"})


@pytest.fixture
def own_runtime(tmp_path):
    with Runtime(secret=b"s", cache_dir=tmp_path, device="cpu") as runtime:
        runtime.warm()
        yield runtime


def inner_zygote(runtime) -> psutil.Process:
    outer = psutil.Process(runtime.workshop._zygote.process.pid)
    return next(iter(outer.children()), outer)


def assert_gone(pids: list[int], *, seconds: float = 10) -> None:
    """Every process has ended, or ends within a moment."""
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        ended, _, _ = select.select([handle], [], [], seconds)
        os.close(handle)
        assert ended, f"process {pid} still runs"


@pytest.mark.parametrize("victim", ["outer", "inner"])
def test_a_killed_zygote_takes_its_child_along_and_is_replaced(own_runtime, victim):
    family: list[int] = []

    def on_event(event):
        if event.stage == "predict":
            inner = inner_zygote(own_runtime)
            family.extend(child.pid for child in inner.children(recursive=True))
            os.kill(own_runtime.workshop._zygote.process.pid if victim == "outer" else inner.pid, signal.SIGKILL)

    with pytest.raises(EvaluationFailure) as caught:
        own_runtime.evaluate(SLEEPER, on_event=on_event)
    assert caught.value.code == FailureCode.SYSTEM_ERROR
    assert family
    assert_gone(family)
    assert own_runtime.evaluate(RIDGE).scores[0].value > 0.5


def test_a_zygote_killed_between_jobs_is_replaced_unnoticed(own_runtime):
    own_runtime.evaluate(RIDGE)
    process = own_runtime.workshop._zygote.process
    process.kill()
    process.wait()
    assert own_runtime.evaluate(RIDGE).scores[0].value > 0.5


def test_a_child_killed_from_outside_is_the_systems_fault(own_runtime):
    def on_event(event):
        if event.stage == "predict":
            for child in inner_zygote(own_runtime).children():
                child.kill()

    with pytest.raises(EvaluationFailure) as caught:
        own_runtime.evaluate(SLEEPER, on_event=on_event)
    assert caught.value.code == FailureCode.SYSTEM_ERROR
    assert own_runtime.evaluate(RIDGE).scores[0].value > 0.5


@pytest.mark.parametrize("thread", [False, True])
def test_nothing_survives_the_death_of_its_parent(tmp_path, thread):
    script = textwrap.dedent("""
        import sys, threading
        from pathlib import Path
        import psutil
        from tests.runtime.conftest import register
        from tests.runtime.test_deaths import SLEEPER, inner_zygote
        from evaluators.runtime import Runtime
        register()
        runtime = Runtime(secret=b"s", cache_dir=Path(sys.argv[1]), device="cpu")
        starter = threading.Thread(target=runtime.warm)  # a thread that has ended when the job runs
        starter.start(); starter.join()
        def on_event(event):
            if event.stage == "predict":
                inner = inner_zygote(runtime)
                print(inner.parent().pid, inner.pid, *(child.pid for child in inner.children()), flush=True)
        run = lambda: runtime.evaluate(SLEEPER, on_event=on_event)
        threading.Thread(target=run).start() if sys.argv[2] == "True" else run()
    """)
    root = str(Path(__file__).parents[2])
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), str(thread)], stdout=subprocess.PIPE, text=True, cwd=root
    )
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) >= 3
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert_gone(pids)


def test_close_ends_every_process(tmp_path):
    runtime = Runtime(secret=b"s", cache_dir=tmp_path, device="cpu")
    runtime.warm()
    inner = inner_zygote(runtime)
    pids = [inner.pid, inner.parent().pid]
    groups = list(runtime.workshop._group.folders)
    runtime.close()
    assert_gone(pids)
    assert not [folder for folder in groups if folder.exists()]
    assert not list(tmp_path.glob("owned-*"))


def test_a_runtime_works_in_a_daemonic_process(tmp_path):
    """As Celery's prefork children are, which may not use multiprocessing."""
    script = textwrap.dedent("""
        import multiprocessing, sys
        from pathlib import Path
        def work(folder):
            from tests.runtime.conftest import register
            from tests.runtime.test_deaths import RIDGE
            from evaluators.runtime import Runtime
            register()
            with Runtime(secret=b"s", cache_dir=Path(folder), device="cpu") as runtime:
                assert runtime.evaluate(RIDGE).scores[0].value > 0.5
        child = multiprocessing.get_context("fork").Process(target=work, args=(sys.argv[1],), daemon=True)
        child.start(); child.join(); sys.exit(child.exitcode)
    """)
    root = str(Path(__file__).parents[2])
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, cwd=root, timeout=120).returncode == 0
