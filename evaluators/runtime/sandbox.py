"""Lock-down of a child: the process gives up, layer by layer, whatever predicting does not need. Takes Rules, returns which
layers hold. Called by `child` before it looks at anything that a submitter sent; nothing here can be undone."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evaluators import limits
from evaluators.runtime import landlock, namespaces, seccomp, syscalls

OWN_USERS = range(1_900_000_000, 2_000_000_000)  # ids that no system hands out
ADDRESS_SPACE_SLACK = 4 << 30  # reserved, never written: thread arenas and stacks
ACTIVE = "active"
OWN_STATUS = "/proc/self"  # what a process uses is read there
NO_WALLS = "this worker has no wall around the files and the network of a stranger's model: it evaluates configs only"


@dataclass(frozen=True)
class Rules:
    """What a child may use.

    memory_mb, cpu_s, threads: beyond what the process holds when it locks itself down; cpu_s None: no limit.
    readable: folders whose files may be read (modules that Python imports late); empty means none at all.
    importable: folders whose files may be read before the lock-down: Landlock binds only those threads that start under it, and
        libraries start some when they are imported.
    empty_root: an empty folder that becomes the root; None keeps the root.
    own_user: take this user id (needs root); None keeps it.
    weak: a server that outlives the job, or a GPU driver, must go on working: no_new_privs and limits only, and none of them on
        memory or threads.
    """

    memory_mb: int
    cpu_s: int | None
    threads: int
    readable: tuple[str, ...] = ()
    importable: tuple[str, ...] = ()
    empty_root: Path | None = None
    own_user: int | None = None
    weak: bool = False


def before_imports(rules: Rules) -> None:
    """The first wall around the files, before libraries are imported that a zygote must not hold. `lock_down` says whether
    Landlock holds, so nothing is said here."""
    with contextlib.suppress(OSError):
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        landlock.restrict((*rules.importable, OWN_STATUS))


def lock_down(rules: Rules) -> dict[str, str]:
    """Give up everything that `rules` do not grant. Returns each layer with "active" or why it is not.

    Raises OSError where even no_new_privs or the limits cannot be had.
    """
    layers: dict[str, str] = {}
    _limit_resources(rules)
    layers["rlimits"] = ACTIVE
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    layers["no_new_privs"] = ACTIVE
    if rules.weak:
        return layers
    root = rules.empty_root
    if root is not None:
        _attempt(layers, "empty_root", lambda: namespaces.empty_root(root))
    # Landlock before the user changes: the folders may be hidden from the new one.
    _attempt(layers, "landlock", lambda: landlock.restrict(rules.readable))
    walled = layers["landlock"].startswith(ACTIVE)
    _attempt(layers, "user", lambda: _become_nobody(rules.own_user, keep_reading=walled and bool(rules.readable)))
    _attempt(layers, "seccomp", seccomp.restrict)
    return layers


def is_enough_for_untrusted(layers: dict[str, str]) -> bool:
    """Whether files of strangers may be opened: they need a wall around the files, the network and other processes. A network
    namespace alone is none: a Unix socket is reached by its path."""
    held = active(layers)
    files = held & {"landlock", "empty_root"}
    network = "seccomp" in held or held >= {"network_namespace", "empty_root"}
    processes = held & {"seccomp", "pid_namespace"}
    return bool(files and network and processes)


def active(layers: dict[str, str]) -> set[str]:
    """Names of the layers that hold."""
    return {name for name, state in layers.items() if state.startswith(ACTIVE)}


def _attempt(layers: dict[str, str], name: str, give_up: Callable[[], str | None]) -> None:
    try:
        detail = give_up()
    except OSError as error:
        layers[name] = f"not active: {error.strerror}"
    else:
        layers[name] = f"{ACTIVE} ({detail})" if detail else ACTIVE


def _become_nobody(own_user: int | None, *, keep_reading: bool) -> str:
    """Leave root for a user id that nobody else has, and drop every capability. keep_reading: but the right to read modules
    that root keeps from others; Landlock says which folders those are."""
    kept = 0
    if own_user is not None and os.geteuid() == 0:
        if keep_reading:
            syscalls.prctl(syscalls.PR_SET_KEEPCAPS, 1)
            kept = syscalls.READ_ANY_FILE
        os.setgroups([])
        try:
            os.setresgid(own_user, own_user, own_user)
            os.setresuid(own_user, own_user, own_user)
        except OSError:  # a container that maps few ids
            os.setresgid(namespaces.NOBODY, namespaces.NOBODY, namespaces.NOBODY)
            os.setresuid(namespaces.NOBODY, namespaces.NOBODY, namespaces.NOBODY)
    syscalls.drop_capabilities(but=kept)
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    die_with_parent()  # changing the user id cleared it
    return f"id {os.geteuid()}"


def die_with_parent() -> None:
    """The kernel kills this process when the process that forked it ends."""
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit_resources(rules: Rules) -> None:
    used = _memory_in_use()
    extra = rules.memory_mb << 20
    if not rules.weak:
        _limit(resource.RLIMIT_DATA, used["VmData"] + extra)
        _limit(resource.RLIMIT_AS, used["VmSize"] + extra + ADDRESS_SPACE_SLACK)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_MEMLOCK, 0)
    _limit(resource.RLIMIT_MSGQUEUE, 0)
    _limit(resource.RLIMIT_NOFILE, limits.MAX_DESCRIPTORS)
    if rules.own_user is not None and not rules.weak:
        _limit(
            resource.RLIMIT_NPROC, rules.threads + limits.MAX_THREADS_BESIDE
        )  # counts the processes of this user id: ours alone
    if rules.cpu_s is not None:
        _limit(resource.RLIMIT_CPU, int(resource.getrusage(resource.RUSAGE_SELF).ru_utime) + rules.cpu_s)


def _limit(kind: int, value: int) -> None:
    """Set a soft and hard limit, or keep the hard one where it is lower already."""
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _memory_in_use() -> dict[str, int]:
    """VmData and VmSize of this process in bytes."""
    lines = (line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return {name: int(value.split()[0]) << 10 for name, value in lines if name in ("VmData", "VmSize")}
