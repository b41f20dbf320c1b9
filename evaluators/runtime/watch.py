"""Watching one child from outside: its answer, log and progress as they come, its time and memory limits, and cancellation.
Ends with the child gone, whatever happens. Torch-free."""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from evaluators import limits
from evaluators.columns import Array
from evaluators.failures import EvaluationCancelled, EvaluationFailure, FailureCode
from evaluators.runtime.framing import AnswerReader, BrokenAnswerError, Header
from evaluators.runtime.orders import EXIT_OF_OURS, Exit, Order, readable
from evaluators.runtime.zygote_process import ZygoteGoneError, ZygoteProcess

TICK_S = 0.05  # how soon a cancellation or a memory limit is noticed
REAP_S = 30.0
NOTICE_BYTES = 128
LOG_HEAD, LOG_TAIL = limits.MAX_LOG_BYTES * 3 // 4 - NOTICE_BYTES, limits.MAX_LOG_BYTES // 4
PIPE_BYTES = 1 << 20
PIECE = 1 << 16
MAX_PROGRESS_LINE = 64


@dataclass(frozen=True)
class Answer:
    """What came back. `moments`: CLOCK_MONOTONIC seconds on this side."""

    header: Header
    arrays: dict[str, Array]
    log: str
    exit: Exit
    moments: dict[str, float]


@dataclass
class Log:
    """The first and the last part of a stream of any length."""

    head: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)
    size: int = 0

    def add(self, piece: bytes) -> None:
        """Take a piece."""
        self.size += len(piece)
        room = LOG_HEAD - len(self.head)
        self.head += piece[:room]
        self.tail += piece[room:]
        del self.tail[:-LOG_TAIL]

    @property
    def text(self) -> str:
        """What is kept, with a notice where something was cut."""
        cut = self.size - len(self.head) - len(self.tail)
        notice = f"\n[… {cut} bytes of the log were cut here …]\n".encode() if cut > 0 else b""
        return bytes(self.head + notice + self.tail).decode(errors="replace").replace("\0", "")


class Pipes:
    """Three pipes from the child: answer, log, progress."""

    def __init__(self) -> None:
        pairs = [os.pipe() for _ in range(3)]
        self.ours = [pair[0] for pair in pairs]
        self.theirs = [pair[1] for pair in pairs]
        self.answer, self.log, self.progress = self.ours
        for fd in self.ours:
            os.set_blocking(fd, False)
        with contextlib.suppress(OSError):  # a hint: fewer switches between the two processes
            fcntl.fcntl(self.answer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def hand_over(self) -> None:
        """The child has its ends now."""
        while self.theirs:
            os.close(self.theirs.pop())

    def close(self) -> None:
        """Close what is open."""
        self.hand_over()
        while self.ours:
            os.close(self.ours.pop())


class Watch:
    """One order from hand-over to the end of its child.

    accept:   sees the header of the answer, and raises EvaluationFailure if it is not what was asked for.
    progress: is told the share that is done.
    killed_for_memory: how often the kernel has killed for this worker's memory limit so far.
    """

    def __init__(
        self,
        zygote: ZygoteProcess,
        order: Order,
        *,
        accept: Callable[[Header], None],
        progress: Callable[[float], None],
        cancel: threading.Event,
        killed_for_memory: Callable[[], int] = lambda: 0,
    ) -> None:
        self.zygote, self.order, self.cancel = zygote, order, cancel
        self.accept, self.progress, self.killed_for_memory = accept, progress, killed_for_memory
        self.log = Log()
        self.moments: dict[str, float] = {}
        self._progress_line = b""
        self._began = False
        self._end: Exit | None = None
        self._killed_before = killed_for_memory()

    def run(self, data: int, artifact: int | None) -> Answer:
        """Hand over, watch, and return the answer. Raises EvaluationFailure (with the log) or EvaluationCancelled."""
        pipes = Pipes()
        try:
            return self._run(pipes, (data, *pipes.theirs, *(() if artifact is None else (artifact,))))
        except ZygoteGoneError as error:
            message = f"the process that runs models ended: {error}"
            raise self._with_log(EvaluationFailure(FailureCode.SYSTEM_ERROR, message)) from error
        except EvaluationFailure as failure:
            raise self._with_log(failure) from failure.__cause__
        finally:
            pipes.close()

    def _with_log(self, failure: EvaluationFailure) -> EvaluationFailure:
        failure.log = self.log.text
        return failure

    def _run(self, pipes: Pipes, fds: tuple[int, ...]) -> Answer:
        self.moments["send"] = time.monotonic()
        child = self.zygote.submit(self.order, fds)
        reader = AnswerReader(pipes.answer, self._accept)
        try:
            pipes.hand_over()
            self.moments["sent"] = time.monotonic()
            self._watch(reader, pipes, child)
            self._end = end = self.zygote.await_exit(seconds=REAP_S)
            self._drain(reader, pipes)
            self.moments["received"] = time.monotonic()
            return self._judge(reader, end)
        except ZygoteGoneError as error:
            if not self.zygote.spawned:
                raise
            self._drain(reader, pipes)  # the server ran the model itself: its end is the model's
            raise self._death(Exit(self.zygote.died_of(), 0.0, 0.0)) from error
        finally:
            self._settle(child)
            os.close(child)

    def _settle(self, child: int) -> None:
        """Leave no process behind, and no message that the next order could take for its own."""
        if self.zygote.spawned:
            if self._end is None:
                self.zygote.close()
            return
        kill(child)
        if self._end is None:
            with contextlib.suppress(ZygoteGoneError):
                self._end = self.zygote.await_exit(seconds=REAP_S)

    def _accept(self, header: Header) -> None:
        """Header of an answer, just read: nothing of its payload has been yet."""
        self.moments["answer"] = time.monotonic()
        if header.refusal is not None:
            if header.arrays:
                raise BrokenAnswerError("the answer both refuses and holds arrays")
            return
        self.accept(header)

    def _watch(self, reader: AnswerReader, pipes: Pipes, child: int) -> None:
        """Take in what comes until the zygote says that the child has ended."""
        deadline = self.moments["sent"] + self.order.wall_s
        memory = MemoryWatch(child, self.order.memory_mb)
        open_pipes = set(pipes.ours)
        channel = self.zygote.channel.fileno()
        while True:
            ready = readable([channel, *open_pipes], seconds=TICK_S)
            open_pipes -= {fd for fd in ready if fd != channel and not self._take(fd, reader, pipes)}
            if channel in ready:
                return
            self._check_limits(deadline, memory)

    def _take(self, fd: int, reader: AnswerReader, pipes: Pipes) -> bool:
        """Read a piece from one pipe. False at its end."""
        if fd == pipes.answer:
            try:
                return reader.read()
            except BrokenAnswerError as error:
                raise EvaluationFailure(FailureCode.MODEL_ERROR, f"the model's process sent garbage: {error}") from None
        piece = os.read(fd, PIECE)
        if fd == pipes.log:
            self.log.add(piece)
        else:
            self._read_progress(piece)
        return bool(piece)

    def _read_progress(self, piece: bytes) -> None:
        """Lines of decimal numbers; anything else is passed over, for it is only shown."""
        self._began = self._began or bool(piece)
        *lines, rest = (self._progress_line + piece).split(b"\n")
        self._progress_line = rest[-MAX_PROGRESS_LINE:]
        for line in lines[-1:]:
            with contextlib.suppress(ValueError):
                share = float(line[:MAX_PROGRESS_LINE])
                if math.isfinite(share):
                    self.progress(min(max(share, 0.0), 1.0))

    def _check_limits(self, deadline: float, memory: MemoryWatch) -> None:
        if self.cancel.is_set():
            raise EvaluationCancelled("cancelled while the model was running")
        if time.monotonic() > deadline:
            raise _over_time(self.order)
        if memory.exceeded():
            raise _over_memory(self.order)

    def _drain(self, reader: AnswerReader, pipes: Pipes) -> None:
        """Take what the ended child left in its pipes; each is bounded by the size of a pipe."""
        for fd in pipes.ours:
            with contextlib.suppress(BlockingIOError):
                while self._take(fd, reader, pipes):
                    pass

    def _judge(self, reader: AnswerReader, end: Exit) -> Answer:
        if reader.header is None or not reader.complete or end.status != 0:
            raise self._death(end)
        refusal = reader.header.refusal
        if refusal is not None:
            claims_our_fault = refusal.code == FailureCode.SYSTEM_ERROR and self._is_the_models_doing
            raise EvaluationFailure(FailureCode.MODEL_ERROR if claims_our_fault else refusal.code, refusal.message)
        return Answer(reader.header, reader.arrays, self.log.text, end, self.moments)

    @property
    def _is_the_models_doing(self) -> bool:
        """Whether a stranger's file was open by then: its process may say anything, and a fault of the server's would be tried
        again and cost no quota."""
        return self.order.untrusted and self._began

    def _death(self, end: Exit) -> EvaluationFailure:
        """Why a child ended without an answer."""
        if end.status == -signal.SIGKILL and self.killed_for_memory() > self._killed_before:
            return _over_memory(self.order)
        if end.status in (-signal.SIGXCPU, -signal.SIGKILL) and end.cpu_s >= self.order.wall_s * self.order.threads:
            return _over_time(self.order)
        if end.status == -signal.SIGKILL or (end.status == EXIT_OF_OURS and not self._is_the_models_doing):
            return EvaluationFailure(FailureCode.SYSTEM_ERROR, "the model's process was ended from outside")
        if end.status < 0:
            name = signal.Signals(-end.status).name
            return EvaluationFailure(
                FailureCode.MODEL_ERROR, f"the model's process died of {name} ({signal.strsignal(-end.status)})"
            )
        return EvaluationFailure(
            FailureCode.MODEL_ERROR, f"the model's process ended with exit code {end.status} before it answered"
        )


class MemoryWatch:
    """Anonymous memory of a process beyond what it began with: the backstop where no control group limits it."""

    def __init__(self, child: int, limit_mb: int) -> None:
        self._status = Path(f"/proc/{_pid_of(child)}/status")
        self._limit_kb = limit_mb << 10
        self._base_kb = self._anonymous_kb()

    def exceeded(self) -> bool:
        """Whether it holds more than its limit now."""
        return self._anonymous_kb() - self._base_kb > self._limit_kb

    def _anonymous_kb(self) -> int:
        try:
            lines = (line.split() for line in self._status.read_text().splitlines())
        except OSError:
            return 0  # it has ended
        return sum(int(line[1]) for line in lines if line and line[0] in ("RssAnon:", "RssShmem:"))


def _pid_of(pidfd: int) -> int:
    """The process number behind a pidfd, as this process sees it."""
    lines = Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pid:"))


def kill(child: int) -> None:
    """Kill the process behind a pidfd, and wait until it has ended."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(child, signal.SIGKILL)
    if not readable([child], seconds=REAP_S):
        raise EvaluationFailure(FailureCode.SYSTEM_ERROR, "the model's process could not be killed")


def _over_time(order: Order) -> EvaluationFailure:
    message = (
        f"the evaluation took longer than its {order.wall_s:g} seconds on this track: make the model or its training smaller"
    )
    return EvaluationFailure(FailureCode.TIME_LIMIT, message)


def _over_memory(order: Order) -> EvaluationFailure:
    return EvaluationFailure(FailureCode.OUT_OF_MEMORY, f"the model needed more than {order.memory_mb} MB of memory")
