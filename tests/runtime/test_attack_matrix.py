"""Every attack from inside every format: one table of each, and each cell is run. An attack is Python code that runs in the
locked-down child where a hole in the format's parser would let it; it must fail there in a way that the table names."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path

import psutil
import pytest

from evaluators.failures import EvaluationCancelled, EvaluationFailure, FailureCode
from tests.runtime import carriers

pytestmark = pytest.mark.sandbox

DENIED = ("PermissionError",)
NOWHERE = ("PermissionError", "FileNotFoundError", "NotADirectoryError")  # an empty root has no such path at all
SOCKET = "(lambda s: s.socket(s.{family}, s.SOCK_STREAM))(__import__('socket'))"

# attack -> code of one expression, and the errors of which one must stop it
STOPPED: dict[str, tuple[str, tuple[str, ...]]] = {
    "read /etc/passwd": ("open('/etc/passwd').read()", NOWHERE),
    "read the database file": ("open({database!r}, 'rb').read()", NOWHERE),
    "read another job's file": ("open({artifact!r}, 'rb').read()", NOWHERE),
    "read the track's labels": ("open({labels!r}, 'rb').read()", NOWHERE),
    "list the labels' folder": ("os.listdir({cache!r})", NOWHERE),
    "read the worker's environment": ("open('/proc/{parent}/environ', 'rb').read()", NOWHERE),
    "read the worker's memory": ("open('/proc/{parent}/mem', 'rb').read(1)", NOWHERE),
    "open a TCP socket": (SOCKET.format(family="AF_INET"), DENIED),
    "open a TCP socket (version 6)": (SOCKET.format(family="AF_INET6"), DENIED),
    "open a UDP socket": ("(lambda s: s.socket(s.AF_INET, s.SOCK_DGRAM))(__import__('socket'))", DENIED),
    "open a Unix socket": (SOCKET.format(family="AF_UNIX"), DENIED),
    "make a pair of sockets": ("__import__('socket').socketpair()", DENIED),
    "fork": ("os.fork()", DENIED),
    "run a program": ("os.execv('/bin/sh', ['sh'])", NOWHERE),
    "signal the parent": ("os.kill(os.getppid() or {parent}, 9)", DENIED),
    "signal everybody": ("os.kill(-1, 9)", DENIED),
    "leave a session behind": ("os.setsid()", DENIED),
    "write a file": ("open('/tmp/left-behind', 'w')", NOWHERE),
    "write to shared memory": ("open('/dev/shm/left-behind', 'w')", NOWHERE),
    "make a file in memory": ("os.memfd_create('x')", DENIED),
    "make a symbolic link": ("os.symlink('/etc/passwd', '/tmp/link')", DENIED),
    "make a hard link": ("os.link('/etc/passwd', '/tmp/link')", DENIED),
    "climb out of the root": ("open('/../' * 40 + 'etc/passwd').read()", NOWHERE),
    "leave by a descriptor": ("os.open('..', os.O_RDONLY, dir_fd=3)", (*NOWHERE, "OSError")),
    "become root": ("os.setuid(0)", DENIED),
}
CALLS = {"ptrace": 101, "process_vm_readv": 310, "kcmp": 312, "io_uring_setup": 425, "bpf": 321, "mount": 165, "clone3": 435}


@pytest.fixture(scope="module")
def walls(runtime):
    """The layers of this machine, all of which the table needs."""
    missing = {name: state for name, state in runtime.layers().items() if state.startswith("not active")}
    if missing.keys() - {"control_group"}:
        pytest.skip(f"this machine lacks layers: {missing}")


@pytest.fixture
def run(runtime, walls, tmp_path):
    """Runs code inside a format; returns what it has printed and the failure that it ended in, if it did."""

    def attack(form: str, code: str, **options) -> tuple[str, EvaluationFailure | None]:
        job = carriers.job(form, code, folder=tmp_path)
        try:
            return runtime.evaluate(job, **options).log, None
        except EvaluationFailure as failure:
            return failure.log, failure

    return attack


@pytest.fixture(scope="module")
def places(runtime, cache_dir, tmp_path_factory):
    """Real files that an attacker would like to have, open to every user, and a real process."""
    from tests.runtime.test_failures import RIDGE

    runtime.evaluate(RIDGE)
    folder = tmp_path_factory.mktemp("secrets")
    for name in ("standings.sqlite3", "artifact"):
        (folder / name).write_text("secret")
        (folder / name).chmod(0o644)
    labels = next((cache_dir / "data").glob("toy-blobs-*.arrays"))
    return {
        "database": str(folder / "standings.sqlite3"),
        "artifact": str(folder / "artifact"),
        "labels": str(labels),
        "cache": str(cache_dir),
        "parent": os.getpid(),
    }


def attempt(code: str) -> str:
    """A script that prints what an expression gave, or the name of the error that stopped it."""
    return (
        f"try:\n    got = repr({code})[:80]\n"
        "except BaseException as error:\n    got = type(error).__name__\n"
        "print('got', got, flush=True)"
    )


def printed(log: str) -> str:
    return next(line.removeprefix("got ") for line in log.splitlines() if line.startswith("got "))


@pytest.mark.parametrize("form", carriers.FORMATS)
def test_every_attack_is_stopped_in_every_format(run, places, form):
    scripts = [attempt(code.format(**places)) for code, _ in STOPPED.values()]
    log, _ = run(form, "\n".join(f"print('attack {i}')\n{script}" for i, script in enumerate(scripts)))
    answers = [printed(part) for part in log.split("attack ")[1 : len(STOPPED) + 1]]
    got = dict(zip(STOPPED, answers, strict=True))
    assert {attack: error for attack, error in got.items() if error not in STOPPED[attack][1]} == {}
    assert not Path("/tmp/left-behind").exists()


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86-64")
@pytest.mark.parametrize("form", carriers.FORMATS)
def test_system_calls_are_denied_in_every_format(run, form):
    code = "import ctypes\nc = ctypes.CDLL(None, use_errno=True)\n" + "\n".join(
        f"print('call {name}', c.syscall({number}, 16, {os.getpid()}, 0, 0, 0, 0), ctypes.get_errno())"
        for name, number in CALLS.items()
    )
    log, _ = run(form, code)
    answers = {line.split()[1]: line.split()[2:] for line in log.splitlines() if line.startswith("call ")}
    assert answers == {name: ["-1", "38" if name == "clone3" else "1"] for name in CALLS}


@pytest.mark.parametrize("form", carriers.FORMATS)
def test_nothing_of_the_server_is_in_its_environment_or_its_descriptors(run, form):
    code = (
        "import fcntl\nheld = []\nfor fd in range(64):\n    try: fcntl.fcntl(fd, fcntl.F_GETFD); held.append(fd)\n"
        "    except OSError: pass\nprint('env', dict(os.environ)); print('held', len(held))"
    )
    log, _ = run(form, code)
    lines = log.splitlines()
    assert "env {}" in lines
    held = next(int(line.split()[1]) for line in lines if line.startswith("held "))
    assert held <= 3 + 4 + 2 + 1  # streams; data, answer, log, progress; mappings of data and libraries; the file


@pytest.mark.parametrize("form", carriers.FORMATS)
def test_an_endless_loop_meets_the_time_limit(run, form):
    _, failure = run(form, "while True: pass", timeout=0.6)
    assert failure.code == FailureCode.TIME_LIMIT


@pytest.mark.parametrize("form", carriers.FORMATS)
def test_a_memory_bomb_meets_its_limit(run, form):
    before = psutil.virtual_memory().available
    _, failure = run(form, "hoard = []\nwhile True: hoard.append(bytearray(1 << 24))")
    assert failure.code == FailureCode.OUT_OF_MEMORY
    assert before - psutil.virtual_memory().available < 2 << 30


@pytest.mark.parametrize("form", carriers.FORMATS)
def test_a_bomb_of_threads_meets_its_limit(run, form):
    code = (
        "import threading\ndone = threading.Event()\nstarted = 0\n"
        "try:\n    while started < 500: threading.Thread(target=done.wait, daemon=True).start(); started += 1\n"
        "except RuntimeError: pass\nprint('got', started, flush=True)\ndone.set()"
    )
    log, _ = run(form, code)
    assert int(printed(log)) < 32


PIPES = """
import stat
for fd in range(3, 64):
    try:
        if stat.S_ISFIFO(os.fstat(fd).st_mode): {act}
    except OSError: pass
"""
ANSWERS = {
    "ten gigabytes": ("[os.write(fd, bytes(1 << 20)) for _ in range(10_000)]", "garbage"),
    "a pickle": ("os.write(fd, __import__('pickle').dumps({'a': [1]}) * 1000)", "garbage"),
    "nothing": ("os.close(fd)", "before it answered"),
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("form", carriers.FORMATS)
def test_an_answer_that_is_none_is_the_models_fault(run, form, answer):
    act, words = ANSWERS[answer]
    _, failure = run(form, PIPES.format(act=act) + "os._exit(0)", timeout=5)
    assert failure.code == FailureCode.MODEL_ERROR
    assert words in failure.message


OUR_FAULT = (
    'import struct, json\ntext = json.dumps({"refusal": {"code": "system_error", "message": "the disk broke"}}).encode()\n'
    + PIPES.format(act="os.write(fd, struct.pack('<4sI', b'STN1', len(text)) + text)")
    + "os._exit(0)"
)
DEATHS = {
    "says that the server broke": OUR_FAULT,
    "ends with the exit code of our own faults": "os._exit(70)",
    "kills itself by SIGKILL": "import ctypes; ctypes.CDLL(None).syscall(234, os.getpid(), os.getpid(), 9); os._exit(1)",
    "aborts": "os.abort()",
}


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize("form", carriers.FILES)
def test_no_stranger_can_call_its_own_fault_the_servers(run, form, death):
    """A fault of the server's is tried again, and costs no quota."""
    _, failure = run(form, DEATHS[death], timeout=5)
    assert failure.code == FailureCode.MODEL_ERROR


@pytest.mark.parametrize("form", carriers.FORMATS)
def test_no_daemon_is_left_behind(run, runtime, form):
    run(form, "pass")
    before = family(runtime, form)
    run(form, "import threading; threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()")
    assert family(runtime, form) == before


def family(runtime, form: str) -> list[psutil.Process]:
    """The zygote that serves this format, and all below it; the child that runs comes last."""
    workshop = runtime.workshop
    zygote = workshop._boxed if form == "exported program" else workshop._zygote
    outer = psutil.Process(zygote.process.pid)
    return [outer, *outer.children(recursive=True)]


@pytest.mark.parametrize("form", carriers.FILES)
def test_every_thread_is_bound_also_those_that_libraries_start(runtime, walls, tmp_path, form):
    """onnxruntime starts a thread when it is imported, before the filter is there."""
    cancel, found = threading.Event(), []

    def on_event(event):
        if event.stage == "predict" and not found:
            found.extend(threads_of(family(runtime, form)[-1]))
            cancel.set()

    job = carriers.job(form, "time.sleep(1000)", folder=tmp_path)
    with pytest.raises(EvaluationCancelled):
        runtime.evaluate(job, on_event=on_event, cancel=cancel)
    assert found
    for status in found:
        assert (status["Seccomp"], status["NoNewPrivs"], int(status["CapEff"], 16)) == ("2", "1", 0)
        assert os.geteuid() != 0 or int(status["Uid"].split()[0]) > 1_000_000


def threads_of(child: psutil.Process) -> list[dict[str, str]]:
    """/proc/.../status of every thread."""
    lines = [path.read_text().splitlines() for path in Path(f"/proc/{child.pid}/task").glob("*/status")]
    return [dict(line.split(":\t", 1) for line in status if ":\t" in line) for status in lines]


def test_no_packet_reaches_a_server_that_listens(run):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        address = server.getsockname()
        log, _ = run("onnx", attempt(f"__import__('socket').socket().connect({address!r})"))
        assert printed(log) == "PermissionError"
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_time_out_leaves_no_process_and_no_lock_on_the_next_job(run, runtime):
    for form in carriers.FORMATS:
        run(form, f"import signal\nsignal.signal({signal.SIGTERM:d}, signal.SIG_IGN)\nwhile True: time.sleep(1)", timeout=0.3)
    start = time.monotonic()
    log, _ = run("npz", "print('served')")
    assert "served" in log
    assert time.monotonic() - start < 20
