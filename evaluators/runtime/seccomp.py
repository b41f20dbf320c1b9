"""A seccomp filter of our own: computing, memory, threads, and the descriptors that are already open. Everything else (sockets,
new processes, ptrace, signals to others, mounts, bpf, keys, io_uring, …) is answered with EPERM, so a new kernel call is denied
before we know of it. Takes nothing, binds the calling thread and all it creates. Kernel: seccomp(2), classic BPF."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct

from evaluators.runtime import syscalls

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
COLUMN = {"x86_64": 0, "aarch64": 1}
X32_BIT = 0x40000000
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
SET_MODE_FILTER, ALL_THREADS = 1, 1
MAP_SHARED = 1

LOAD, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
OFFSET_NUMBER, OFFSET_ARCH, OFFSET_ARGUMENTS = 0, 4, 16

# name: (x86_64, aarch64); None where the architecture has no such call
FREE: dict[str, tuple[int, int | None]] = {
    # open descriptors
    "read": (0, 63),
    "write": (1, 64),
    "readv": (19, 65),
    "writev": (20, 66),
    "pread64": (17, 67),
    "pwrite64": (18, 68),
    "preadv": (295, 69),
    "pwritev": (296, 70),
    "preadv2": (327, 286),
    "pwritev2": (328, 287),
    "lseek": (8, 62),
    "close": (3, 57),
    "close_range": (436, 436),
    "dup": (32, 23),
    "fstat": (5, 80),
    "fcntl": (72, 25),
    "poll": (7, 73),
    "ppoll": (271, 73),
    "select": (23, 72),
    "pselect6": (270, 72),
    # paths: what they may reach is Landlock's and the mount namespace's business
    "open": (2, 56),
    "openat": (257, 56),
    "stat": (4, 79),
    "lstat": (6, 79),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "access": (21, 48),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "readlink": (89, 78),
    "readlinkat": (267, 78),
    "getdents64": (217, 61),
    "getcwd": (79, 17),
    "statfs": (137, 43),
    "fstatfs": (138, 44),
    # memory
    "brk": (12, 214),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "mprotect": (10, 226),
    "madvise": (28, 233),
    "mincore": (27, 232),
    "membarrier": (324, 283),
    "get_mempolicy": (239, 236),
    # threads and time
    "futex": (202, 98),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "set_tid_address": (218, 96),
    "gettid": (186, 178),
    "getpid": (39, 172),
    "getppid": (110, 173),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "getcpu": (309, 168),
    "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "times": (100, 153),
    "getrusage": (98, 165),
    "sysinfo": (99, 179),
    "uname": (63, 160),
    "getrandom": (318, 278),
    "getrlimit": (97, 163),
    # signals of its own
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "arch_prctl": (158, None),
}
CLONE, CLONE3, MMAP, TGKILL, PRLIMIT64 = (56, 220), (435, 435), (9, 222), (234, 131), (302, 261)


def _instruction(code: int, k: int, *, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, k & 0xFFFFFFFF)


def _when_number(number: int, then: list[bytes]) -> list[bytes]:
    """Run `then`, which must end in a return, when the call has this number."""
    return [_instruction(JUMP_EQUAL, number, if_false=len(then)), *then]


def _argument(index: int) -> bytes:
    """Load the low word of an argument (both architectures are little-endian)."""
    return _instruction(LOAD, OFFSET_ARGUMENTS + 8 * index)


def program(machine: str, *, pid: int) -> bytes:
    """The filter as BPF. pid: the process's own number, to which alone it may signal."""
    column = COLUMN[machine]
    allow, deny, kill = _instruction(RETURN, ALLOW), _instruction(RETURN, ERRNO | errno.EPERM), _instruction(RETURN, KILL)
    lines = [
        _instruction(LOAD, OFFSET_ARCH),
        _instruction(JUMP_EQUAL, AUDIT_ARCH[machine], if_true=1),
        kill,
        _instruction(LOAD, OFFSET_NUMBER),
    ]
    if machine == "x86_64":
        lines += [_instruction(JUMP_AT_LEAST, X32_BIT, if_false=1), kill]
    for number in sorted({number for numbers in FREE.values() if (number := numbers[column]) is not None}):
        lines += _when_number(number, [allow])
    lines += _when_number(CLONE3[column], [_instruction(RETURN, ERRNO | errno.ENOSYS)])  # glibc then falls back to clone
    threads_only = [_argument(0), _instruction(JUMP_ANY_BIT, syscalls.CLONE_THREAD, if_false=1), allow, deny]
    lines += _when_number(CLONE[column], threads_only)
    private_only = [_argument(3), _instruction(JUMP_ANY_BIT, MAP_SHARED, if_false=1), deny, allow]
    lines += _when_number(MMAP[column], private_only)  # shared memory would escape RLIMIT_DATA
    # Not even itself by SIGKILL, which would look like a death from outside: that is the server's fault, and costs no quota.
    own_signals = [
        _argument(0),
        _instruction(JUMP_EQUAL, pid, if_false=3),
        _argument(2),
        _instruction(JUMP_EQUAL, signal.SIGKILL, if_true=1),
        allow,
        deny,
    ]
    lines += _when_number(TGKILL[column], own_signals)
    lines += _when_number(PRLIMIT64[column], [_argument(0), _instruction(JUMP_EQUAL, 0, if_false=1), allow, deny])
    return b"".join([*lines, deny])


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def restrict() -> str:
    """Install the filter for every thread of the process: onnxruntime starts one when it is imported, and a thread without
    the filter would be a way around it. Needs no_new_privs. OSError where the kernel or the architecture has none."""
    if syscalls.MACHINE not in AUDIT_ARCH:
        raise OSError(errno.ENOSYS, f"no filter is written for {syscalls.MACHINE}")
    lines = program(syscalls.MACHINE, pid=os.getpid())
    loaded = _Program(len(lines) // 8, lines)
    stray = syscalls.by_machine("seccomp", SET_MODE_FILTER, ALL_THREADS, ctypes.cast(ctypes.byref(loaded), ctypes.c_void_p))
    if stray:
        raise OSError(errno.EPERM, "a thread cannot be bound")
    return f"{len(lines) // 8} instructions"
