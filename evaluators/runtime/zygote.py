"""The zygote: a process that has imported torch, has one thread, and never computes. For each order it forks a child, which
locks itself down and predicts. `python -m evaluators.runtime.zygote` with inherited descriptors; started by `predictor`.

Everything in here runs before any untrusted input is read. CUDA is never touched: once initialised, it breaks in every fork.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import sys
import sysconfig
import traceback
from pathlib import Path
from typing import Any, NoReturn

from evaluators.runtime import cgroups, namespaces, numerics, sandbox, syscalls
from evaluators.runtime.orders import EXIT_OF_OURS, HANDLE, SIGNALLED, Exit, Order, readable, receive, send

SPARE_CPU_S = 10  # the clock on the wall ends a job; this is for when nobody looks at it

WARM_MODULES = (
    "numpy",
    "torch",
    "torch.func",
    "torch._dynamo",  # optimizers import it at their first step: a second, paid once here
    "safetensors.torch",
    "pydantic",
    "onnx",
    "evaluators.runtime.child",
    "evaluators.runtime.onnx_entrant",
    "evaluators.runtime.prediction_files",
    "evaluators.runtime.weights",
    "encodings.cp437",  # Python imports encodings at their first use: zip archives,
    "encodings.utf_8_sig",  # csv files,
    "encodings.latin_1",  # headers of npy files
)


def main() -> None:
    """Enter the namespaces, fork into them, import, and serve until the parent is gone."""
    options = _options()
    layers: dict[str, str] = {}
    cgroups.enter(options.group)
    if options.box == "enter":
        _continue_in_a_box(options)
    if options.box == "inside":
        layers["bubblewrap"] = sandbox.ACTIVE
    if options.sandbox:
        namespaces.enter(layers, empty_folder=Path(options.empty_folder))
    if layers.get("pid_namespace") == sandbox.ACTIVE:
        _continue_inside(options)
    sandbox.die_with_parent()
    if options.spawned:
        from evaluators.runtime.spawned import SpawnedServer  # noqa: PLC0415 - it is built on this module

        SpawnedServer(options, layers).serve()
    else:
        Zygote(options, layers).serve()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="evaluators.runtime.zygote")
    parser.add_argument("--channel", type=int, required=True, help="the inherited socket")
    parser.add_argument("--parent", type=int, required=True, help="a pidfd of the process to serve")
    parser.add_argument("--empty-folder", required=True)
    parser.add_argument("--user", type=int, required=True, help="the user id that children take when this is root")
    parser.add_argument("--sandbox", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--group", action="append", default=[], help="a control group to enter")
    parser.add_argument("--spawned", action="store_true", help="serve the jobs in this process, as CUDA needs it")
    parser.add_argument("--box", choices=("no", "enter", "inside"), default="no", help="for formats that are code")
    parser.add_argument("--package", action="append", default=[], help="a folder that the box holds")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu")
    return parser.parse_args()


def _continue_in_a_box(options: argparse.Namespace) -> NoReturn:
    """Start this program again in a box. The fork before it makes this process, which has one thread and waits, the parent with
    which the box dies: a parent's death is that of the thread that forked, and the runtime's threads come and go."""
    from evaluators.runtime import box  # noqa: PLC0415 - only here

    _continue_inside(options)
    arguments = [
        *("--channel", str(options.channel), "--parent", str(options.parent), "--user", str(options.user)),
        *("--empty-folder", box.EMPTY, "--box", "inside"),
    ]
    words = box.command(arguments, packages=options.package)
    os.execv(words[0], words)  # noqa: S606 - no shell is wanted


def _continue_inside(options: argparse.Namespace) -> None:
    """Fork: the child is process 1 of the new namespace, where one was made, and goes on; this process waits for it and ends as
    it ends."""
    inner = os.fork()
    if inner == 0:
        return
    os.close(options.channel)
    inner_end = os.pidfd_open(inner)
    if inner_end not in readable([inner_end, options.parent]):
        os.kill(inner, signal.SIGKILL)
    _, status = os.waitpid(inner, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else SIGNALLED - code)


class Zygote:
    """Serves one parent, one job at a time."""

    def __init__(self, options: argparse.Namespace, layers: dict[str, str]) -> None:
        self.channel = socket.socket(fileno=options.channel)
        self.parent: int = options.parent
        self.user: int = options.user
        self.empty_folder = Path(options.empty_folder)
        self.sandbox: bool = options.sandbox
        self.layers = layers
        self.tried: dict[str, str] = {}
        self.device_name = ""
        self.life, self._life_end = os.pipe()  # the children see its end when this process is gone

    def serve(self) -> None:
        """Import, say hello, then one order after the other."""
        for name in WARM_MODULES:
            importlib.import_module(name)
        numerics.warm()
        self.prepare()
        send(self.channel, json.dumps(self._hello()).encode())
        while self._wait_for(self.channel.fileno()):
            raw, fds = receive(self.channel)
            if not raw:
                return
            self.run(Order.from_json(raw), fds)

    def prepare(self) -> None:
        """After the imports, before the hello."""
        gc.collect()
        gc.freeze()  # children collect their own garbage only, and leave these pages shared
        self.tried = self._try_layers() if self.sandbox else {}

    def _hello(self) -> dict[str, Any]:
        return {"layers": {**self.layers, **self.tried}, "versions": versions(), "device_name": self.device_name}

    def _try_layers(self) -> dict[str, str]:
        """What a child can give up on this machine, as a child finds out that does."""
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                layers = sandbox.lock_down(self._rules(memory_mb=64, cpu_s=10, threads=1, untrusted=True))
                os.write(theirs, json.dumps(layers).encode())
            finally:
                os._exit(0)
        os.close(theirs)
        with os.fdopen(ours) as answer:
            text = answer.read()
        os.waitpid(child, 0)
        return dict(json.loads(text)) if text else {"lock_down": "not active: the trial failed"}

    def _wait_for(self, fd: int) -> bool:
        """Wait until `fd` is readable. False when the parent is gone."""
        return self.parent not in readable([fd, self.parent])

    def run(self, order: Order, fds: list[int]) -> None:
        """Fork a child for this order, say which, and how it ended."""
        import_ahead(order)
        if thread_count() != 1:
            raise RuntimeError("the zygote has more than one thread: its children could hang")
        child = self._fork(order, fds)
        for fd in fds:
            os.close(fd)
        handle = os.pidfd_open(child)
        send(self.channel, HANDLE, (handle,))
        if not self._wait_for_end(handle):
            os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)  # before it is reaped: its number cannot be anybody else's yet
        _, status, usage = os.wait4(child, 0)
        os.close(handle)
        cpu_s = usage.ru_utime + usage.ru_stime
        send(self.channel, Exit(os.waitstatus_to_exitcode(status), cpu_s, usage.ru_maxrss / 1024).to_json())

    def _wait_for_end(self, handle: int) -> bool:
        """Wait for the child. False when the parent is gone, or has closed its end."""
        return handle in readable([handle, self.parent, self.channel.fileno()])

    def _fork(self, order: Order, fds: list[int]) -> int:
        active = order.sandbox and self.layers.get("pid_namespace") == sandbox.ACTIVE
        with namespaces.own_processes(active=active):
            child = os.fork()
            if child == 0:
                self._become_child(order, fds)
        return child

    def _become_child(self, order: Order, fds: list[int]) -> NoReturn:
        """Never returns, and never runs the zygote's code again."""
        code = EXIT_OF_OURS
        try:
            self._child(order, fds)
            code = 0
        except BaseException:  # noqa: BLE001 - it must end here
            traceback.print_exc()
        finally:
            os._exit(code)

    def _child(self, order: Order, fds: list[int]) -> None:
        from evaluators.runtime import child  # noqa: PLC0415 - imported when the zygote is warm

        diary = child.Diary()
        diary.mark("start")
        sandbox.die_with_parent()
        os.setsid()
        os.close(self._life_end)
        if readable([self.life], seconds=0):
            return  # the zygote died before the line above
        ends = child.Ends(*fds)
        child.take_streams(ends.log)
        keep_only(fds)
        os.environ.clear()
        child.go_first_when_memory_ends()
        diary.layers |= self.layers
        rules = self._rules(
            memory_mb=order.memory_mb,
            cpu_s=int(order.wall_s * order.threads) + SPARE_CPU_S,
            threads=order.threads,
            untrusted=order.untrusted,
        )
        child.serve(order, ends, rules=rules if order.sandbox else None, diary=diary)

    def _rules(self, *, memory_mb: int, cpu_s: int | None, threads: int, untrusted: bool) -> sandbox.Rules:
        own_mounts = self.layers.get("mount_namespace") == sandbox.ACTIVE
        return sandbox.Rules(
            memory_mb=memory_mb,
            cpu_s=cpu_s,
            threads=threads,
            readable=() if untrusted else readable_folders(),
            importable=readable_folders() if untrusted else (),
            empty_root=self.empty_folder if untrusted and own_mounts else None,
            own_user=self.user if os.geteuid() == 0 else None,
        )


def import_ahead(order: Order) -> None:
    """Import what the child will need, so that the next child finds it too. What fails here fails in the child, with a log."""
    for reference in (order.track, order.model):
        if reference:
            with contextlib.suppress(Exception):
                importlib.import_module(reference.partition(":")[0])


def readable_folders() -> tuple[str, ...]:
    """Where Python finds modules that it imports late: the standard library, the installed packages, and our own. Not all of
    sys.path, which may hold somebody's home or the server's state."""
    paths = sysconfig.get_paths()
    root = Path(__file__).parents[2]
    names = "stdlib", "platstdlib", "purelib", "platlib"
    return (*dict.fromkeys(paths[name] for name in names), str(root / "evaluators"), str(root / "reference_models"))


def keep_only(fds: list[int]) -> None:
    """Close every descriptor but the standard three and these."""
    first = 3
    for fd in sorted(fds):
        syscalls.close_range(first, fd - 1)
        first = fd + 1
    syscalls.close_range(first, 0x7FFFFFFF)


def thread_count() -> int:
    """Threads of this process."""
    return len(list(Path("/proc/self/task").iterdir()))


def versions() -> dict[str, str]:
    """Python and the libraries that can change a number."""
    from importlib.metadata import version  # noqa: PLC0415

    names = "torch", "numpy", "scipy", "scikit-learn", "onnxruntime"
    return {"python": sys.version.split()[0], **{name: version(name) for name in names}}


if __name__ == "__main__":
    main()
