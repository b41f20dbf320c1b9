"""The filter as a program, run by an interpreter of classic BPF, for both architectures: what it lets through, and what not."""

from __future__ import annotations

import errno
import struct

import pytest

from evaluators.runtime import seccomp, syscalls

ALLOWED, DENIED = seccomp.ALLOW, seccomp.ERRNO | errno.EPERM
MACHINES = ["x86_64", "aarch64"]


def answer(machine: str, number: int, *arguments: int, arch: int | None = None, pid: int = 7) -> int:
    """What the filter returns for a call."""
    packet = struct.pack(
        "<IIQ6Q", number, seccomp.AUDIT_ARCH[machine] if arch is None else arch, 0, *(*arguments, *[0] * 6)[:6]
    )
    lines = list(struct.iter_unpack("=HBBI", seccomp.program(machine, pid=pid)))
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, k = lines[at]
        at += 1
        if code == seccomp.RETURN:
            return k
        if code == seccomp.LOAD:
            (accumulator,) = struct.unpack_from("<I", packet, k)
            continue
        holds = {
            seccomp.JUMP_EQUAL: accumulator == k,
            seccomp.JUMP_AT_LEAST: accumulator >= k,
            seccomp.JUMP_ANY_BIT: bool(accumulator & k),
        }[code]
        at += if_true if holds else if_false


@pytest.mark.parametrize("machine", MACHINES)
def test_everything_on_the_list_is_allowed(machine):
    column = seccomp.COLUMN[machine]
    for name, numbers in seccomp.FREE.items():
        if numbers[column] is not None:
            assert answer(machine, numbers[column]) == ALLOWED, name


@pytest.mark.parametrize("machine", MACHINES)
def test_everything_else_is_denied(machine):
    column = seccomp.COLUMN[machine]
    special = {seccomp.CLONE, seccomp.CLONE3, seccomp.MMAP, seccomp.TGKILL, seccomp.PRLIMIT64}
    known = {numbers[column] for numbers in (*seccomp.FREE.values(), *special)}
    for number in set(range(600)) - known:
        assert answer(machine, number) == DENIED, number


@pytest.mark.parametrize(
    ("machine", "names"),
    [
        (
            "x86_64",
            {41: "socket", 42: "connect", 56: "clone", 57: "fork", 58: "vfork", 59: "execve", 62: "kill", 101: "ptrace"},
        ),
        ("aarch64", {198: "socket", 203: "connect", 220: "clone", 221: "execve", 129: "kill", 117: "ptrace", 40: "mount"}),
    ],
)
def test_well_known_ways_out_are_denied(machine, names):
    for number, name in names.items():
        assert answer(machine, number) == DENIED, name


@pytest.mark.parametrize("machine", MACHINES)
def test_threads_may_be_made_and_processes_may_not(machine):
    column = seccomp.COLUMN[machine]
    assert answer(machine, seccomp.CLONE[column], syscalls.CLONE_THREAD | 0x100) == ALLOWED
    assert answer(machine, seccomp.CLONE[column], 17) == DENIED
    assert answer(machine, seccomp.CLONE3[column]) == seccomp.ERRNO | errno.ENOSYS


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(("flags", "expected"), [(0x22, ALLOWED), (0x2, ALLOWED), (0x21, DENIED), (0x1, DENIED), (0x3, DENIED)])
def test_memory_may_be_mapped_but_not_shared(machine, flags, expected):
    assert answer(machine, seccomp.MMAP[seccomp.COLUMN[machine]], 0, 4096, 3, flags) == expected


@pytest.mark.parametrize("machine", MACHINES)
def test_a_process_signals_and_limits_itself_only(machine):
    column = seccomp.COLUMN[machine]
    assert answer(machine, seccomp.TGKILL[column], 7, 7, 6) == ALLOWED
    assert answer(machine, seccomp.TGKILL[column], 8, 8, 6) == DENIED
    assert answer(machine, seccomp.TGKILL[column], 7, 7, 9) == DENIED
    assert answer(machine, seccomp.PRLIMIT64[column], 0) == ALLOWED
    assert answer(machine, seccomp.PRLIMIT64[column], 8) == DENIED


@pytest.mark.parametrize("machine", MACHINES)
def test_another_architecture_is_killed(machine):
    assert answer(machine, 0, arch=0x40000003) == seccomp.KILL


def test_the_x32_numbers_are_killed():
    assert answer("x86_64", seccomp.X32_BIT | 1) == seccomp.KILL


@pytest.mark.parametrize("machine", MACHINES)
def test_jumps_fit_the_instruction(machine):
    assert len(seccomp.program(machine, pid=1)) // 8 < 4096
