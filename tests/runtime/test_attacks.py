"""Attacks from inside the sandbox, as Python code that runs in place of a model's training. Each must fail there, and the
machine around it must not notice."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest

from evaluators.failures import EvaluationFailure, FailureCode
from evaluators.runtime import sandbox
from tests.runtime.ordinary import as_ordinary_user

pytestmark = pytest.mark.sandbox


@pytest.fixture(autouse=True)
def _needs_all_layers(runtime):
    missing = {
        name: state for name, state in runtime.layers().items() if state.startswith("not active") and name != "control_group"
    }
    if missing:
        pytest.skip(f"this machine lacks layers: {missing}")


def outcome(attack, code: str) -> str:
    """What an attack printed under the name `got`, or the name of the error that stopped it."""
    script = f"try:\n    got = {code}\nexcept BaseException as error:\n    got = type(error).__name__\nprint('got', got)"
    lines = attack(script).log.splitlines()
    return next(line for line in lines if line.startswith("got ")).removeprefix("got ")


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/etc/hostname",
        "/proc/1/environ",
        "/proc/self/environ",
        "/dev/kmsg",
        "/root",
        "/",
        "/tmp",
        "/home",
        "/proc",
    ],
)
def test_files_cannot_be_read(attack, path):
    assert outcome(attack, f"open({path!r}).read()") == "PermissionError"
    assert outcome(attack, f"os.listdir({path!r})") in ("PermissionError", "NotADirectoryError")


def test_the_folder_with_the_hidden_labels_cannot_be_read(attack, runtime, cache_dir):
    attack("pass")
    hidden = next((cache_dir / "data").glob("*.arrays"))
    assert hidden.stat().st_size > 0
    assert outcome(attack, f"open({str(hidden)!r}, 'rb').read()") == "PermissionError"


@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm", "/var/tmp", "."])
def test_nothing_can_be_written(attack, folder):
    assert outcome(attack, f"open(os.path.join({folder!r}, 'left-behind'), 'w')") in ("PermissionError", "OSError")


@pytest.mark.parametrize("call", ["os.remove", "os.mkdir", "os.chmod"])
def test_no_path_can_be_changed(attack, tmp_path, call):
    target = tmp_path / "file"
    target.write_text("here")
    target.chmod(0o666)
    tmp_path.chmod(0o777)
    arguments = f"{str(target)!r}" + (", 0" if call == "os.chmod" else "")
    assert outcome(attack, f"{call}({arguments})") in ("PermissionError", "FileExistsError")
    assert target.read_text() == "here"


def test_the_environment_is_empty(attack, monkeypatch):
    assert outcome(attack, "dict(os.environ)") == "{}"


def test_secrets_are_not_in_its_memory(attack):
    """The zygote was never told: neither the track's secret nor the parent's environment."""
    code = (
        "__import__('gc').get_objects() and any(b'a secret of the tests' in o for o in "
        "__import__('gc').get_objects() if isinstance(o, (bytes, bytearray)))"
    )
    assert outcome(attack, code) == "False"


@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"])
@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM"])
def test_no_socket_can_be_made(attack, family, kind):
    code = f"(lambda s: s.socket(s.{family}, s.{kind}))(__import__('socket'))"
    assert outcome(attack, code) == "PermissionError"


def test_no_connection_reaches_a_listening_server(attack):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        port = server.getsockname()[1]
        assert outcome(attack, f"__import__('socket').create_connection(('127.0.0.1', {port}), 1)") == "PermissionError"
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize(
    "code",
    [
        "os.fork()",
        "os.system('id') or 'ran'",
        "os.execv('/bin/sh', ['sh'])",
        "__import__('subprocess').run(['id'])",
        "__import__('multiprocessing').get_context('fork').Process(target=print).start()",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "os.kill(os.getppid(), 9)",
        "os.kill(-1, 9)",
        "os.pidfd_open(1)",
        "os.setuid(0)",
        "os.chroot('/')",
        "os.nice(-5)",
        "os.memfd_create('x')",
        "os.mkfifo('/tmp/x')",
        "os.symlink('/etc', '/tmp/x')",
        "os.sched_setaffinity(0, {0})",
        "__import__('mmap').mmap(-1, 4096)",
    ],
)
def test_calls_that_predicting_does_not_need_are_denied(attack, code):
    assert outcome(attack, code) not in ("None", "ran", "0", "1")
    assert outcome(attack, code) in ("PermissionError", "BlockingIOError", "OSError", "32512", "ProcessLookupError", "-1")


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("ptrace", 101),
        ("process_vm_readv", 310),
        ("bpf", 321),
        ("userfaultfd", 323),
        ("perf_event_open", 298),
        ("io_uring_setup", 425),
        ("keyctl", 250),
        ("add_key", 248),
        ("open_by_handle_at", 304),
        ("mount", 165),
        ("unshare", 272),
        ("setns", 308),
        ("init_module", 175),
        ("kexec_load", 246),
        ("reboot", 169),
        ("pidfd_getfd", 438),
        ("personality", 135),
        ("prctl", 157),
        ("seccomp", 317),
        ("memfd_secret", 447),
        ("a call of tomorrow", 900),
    ],
)
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86-64")
def test_system_calls_are_denied(attack, name, number):
    call = f"c.CDLL(None, use_errno=True).syscall({number}, 0, 0, 0, 0, 0)"
    code = f"(lambda c: ({call}, c.get_errno()))(__import__('ctypes'))"
    assert outcome(attack, code) == "(-1, 1)"


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="another calling convention of x86-64")
def test_the_other_calling_convention_kills(failure_of):
    failure = failure_of("import ctypes; ctypes.CDLL(None).syscall(0x40000000 + 39)")
    assert "SIGSYS" in failure.message


def test_limits_cannot_be_raised_again(attack):
    code = "(lambda r: r.setrlimit(r.RLIMIT_DATA, (r.RLIM_INFINITY, r.RLIM_INFINITY)))(__import__('resource'))"
    assert outcome(attack, code) in ("ValueError", "PermissionError")


def test_a_bomb_of_threads_meets_its_limit(attack):
    code = (
        "import threading\nstarted = 0\ndone = threading.Event()\n"
        "try:\n    while started < 2000:\n        threading.Thread(target=done.wait, daemon=True).start(); started += 1\n"
        "except RuntimeError: pass\ndone.set(); print('got', started)"
    )
    lines = attack(code).log.splitlines()
    assert max(int(line.split()[1]) for line in lines if line.startswith("got ")) < 64


def test_it_is_alone_in_its_process_namespace(attack):
    assert outcome(attack, "(os.getpid(), os.getppid())") == "(1, 0)"


def test_it_holds_its_own_pipes_and_nothing_else(attack):
    code = "[fd for fd in range(3, 64) if not __import__('ctypes').CDLL(None).fcntl(fd, 1) == -1].__len__()"
    assert int(outcome(attack, code)) == 5  # data, twice as it is mapped; answer; log; progress


def test_the_data_in_shared_memory_cannot_be_changed_for_the_next(attack, runtime):
    before = attack("pass").provenance["data_sha256"]
    attack("train.x.fill_(0)")
    result = attack("print('sum', float(train.x.abs().sum()))")
    assert result.provenance["data_sha256"] == before
    assert min(float(line.split()[1]) for line in result.log.splitlines()) > 1


def test_unlimited_growth_of_memory_leaves_the_machine_alone(failure_of):
    before = psutil.virtual_memory().available
    lowest = []
    stop = threading.Event()

    def look():
        while not stop.wait(0.01):
            lowest.append(psutil.virtual_memory().available)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        failure = failure_of("hoard = []\nwhile True:\n    try: hoard.append(bytearray(1 << 20))\n    except MemoryError: pass")
    finally:
        stop.set()
        looking.join()
    assert failure.code in (FailureCode.OUT_OF_MEMORY, FailureCode.TIME_LIMIT)
    assert before - min(lowest) < 4 << 30


def test_no_daemon_survives(attack, runtime):
    before = {process.pid for process in psutil.process_iter()}
    attack("import threading; threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()")
    zygote = psutil.Process(runtime.workshop._zygote.process.pid)
    assert [child for inner in zygote.children() for child in inner.children()] == []
    assert before >= {zygote.pid}


def test_its_user_is_nobody_that_exists(attack):
    if os.geteuid() != 0:
        pytest.skip("the tests do not run as root")
    assert int(outcome(attack, "os.getuid()")) in sandbox.OWN_USERS
    assert outcome(attack, "os.getgroups()") in ("[]", "PermissionError")


def test_the_zygote_keeps_one_thread_and_its_size(attack, runtime):
    inner = psutil.Process(runtime.workshop._zygote.process.pid).children()[0]
    attack("torch.ones(100, 100) @ torch.ones(100, 100)")
    size = inner.memory_info().rss
    for _ in range(10):
        attack("x = torch.ones(1 << 22).sum()")
    assert inner.num_threads() == 1
    assert inner.memory_info().rss - size < 4 << 20


def test_a_strangers_file_is_refused_without_walls():
    layers = {"rlimits": "active", "no_new_privs": "active", "landlock": "not active: …", "seccomp": "active"}
    assert not sandbox.is_enough_for_untrusted(layers)
    assert sandbox.is_enough_for_untrusted({**layers, "landlock": "active (ABI 7)"})
    assert not sandbox.is_enough_for_untrusted({"landlock": "active (ABI 7)"})
    apart = dict.fromkeys(("landlock", "network_namespace", "pid_namespace"), "active")
    assert not sandbox.is_enough_for_untrusted(apart)  # a Unix socket has a path
    assert sandbox.is_enough_for_untrusted({**apart, "empty_root": "active"})


def test_an_ordinary_user_gets_the_layers_too():
    """The same attack with the runtime itself in the hands of an ordinary user."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is closed to other users
        result = as_ordinary_user(LAYERS_AND_ATTACK, folder=Path(folder))
    assert result["user_namespace"] == "active"
    assert result["landlock"].startswith("active")
    assert result["seccomp"].startswith("active")
    assert result["pid_namespace"] == "active"
    assert result["network_namespace"] == "active"
    assert result["got"] == "PermissionError"


LAYERS_AND_ATTACK = """
import json, sys
from pathlib import Path
from tests.runtime.conftest import register
from evaluators.runtime import Job, Runtime
register()
code = "try: open('/etc/passwd'); print('got', 'read')\\nexcept Exception as e: print('got', type(e).__name__)"
with Runtime(secret=b"x", cache_dir=Path(sys.argv[1]) / "cache", device="cpu") as runtime:
    result = runtime.evaluate(Job(track="toy-blobs", kind="config", model="toy-hostile", config={"code": code}))
    layers = runtime.layers() | {"got": result.log.split()[1]}
print(json.dumps(layers | result.provenance["sandbox"]))
"""


def test_time_stands_still_for_nobody(failure_of):
    """A model that catches every signal and exception ends all the same."""
    code = (
        "import signal\nfor number in range(1, 32):\n    try: signal.signal(number, signal.SIG_IGN)\n    except OSError: pass\n"
        "while True:\n    try: time.sleep(1)\n    except BaseException: pass"
    )
    start = time.monotonic()
    assert failure_of(code, timeout=0.3).code == FailureCode.TIME_LIMIT
    assert time.monotonic() - start < 30


def test_evaluation_failure_is_what_callers_catch(failure_of):
    assert isinstance(failure_of("open('/etc/passwd')"), EvaluationFailure)
