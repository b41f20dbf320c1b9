"""Two submissions side by side: the paired difference of every metric with interval and p, by slice, and the examples on which
they differ most. Called by the API and the page.

The numbers need scipy and the track's code, which no web process loads; a worker may be busy for minutes. So each web process
keeps one process beside it, started at the first question and gone when idle, that answers one question at a time in tens of
milliseconds. Evaluations never change, so an answer is cached and asking again costs nothing; a GET changes no state.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import IO, Any

from django.conf import settings
from django.core.cache import cache

from leaderboard import permissions
from leaderboard.evaluations.models import Evaluation, State
from leaderboard.permissions import Viewer
from leaderboard.refusals import FieldError, InvalidRequest, Refusal
from leaderboard.standings.models import Part
from leaderboard.standings.results import columns_of
from leaderboard.standings.sight import check_sees, sight_of
from leaderboard.submissions import storage
from leaderboard.submissions.models import Submission

SECONDS = 20.0
CACHE_SECONDS = 24 * 3600
COMMAND = (sys.executable, "-m", "leaderboard.standings.comparison_process")


class Busy(Refusal):
    """Too many comparisons at once, or one that takes too long."""

    status, code, title = 503, "unavailable", "Temporarily unavailable"


@dataclass(frozen=True)
class Difference:
    """a - b in one metric, over everything or one slice. `better`: "a", "b", or "" where neither is at 5 %."""

    metric: str
    slice: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    p: float | None
    method: str
    reason: str
    better: str


@dataclass(frozen=True)
class Example:
    """A test unit on which the two differ: the column's value of each."""

    unit: int
    slice: str
    a: float
    b: float


@dataclass(frozen=True)
class Comparison:
    """Two submissions by their newest results under one track version, over one part of the test ("": all of it). `examples` is
    None for those who may not see columns."""

    a: Submission
    b: Submission
    evaluations: tuple[Evaluation, Evaluation]
    differences: list[Difference]
    column: str
    examples: list[Example] | None
    part: str = ""

    @property
    def track_version(self) -> str:
        """Of both."""
        return self.evaluations[0].track_version


def compare(a: Submission, b: Submission, *, viewer: Viewer, part: str | None = None) -> Comparison:
    """Compare two submissions that the viewer may open, on the part of their test that the viewer sees (see `standings.sight`).
    Raises InvalidRequest where they cannot be compared, NotAllowed where their scores are hidden, Busy."""
    if a.pk == b.pk:
        raise _cannot("b", "a submission cannot be compared with itself")
    pair = _results(a, b)
    parts = _parts(a, b, viewer, part=part)
    document = _document(*pair, parts=parts)
    directions = {metric["name"]: metric["direction"] for metric in a.board.metrics}
    may_see = permissions.may_read_details(viewer, a) and permissions.may_read_details(viewer, b)
    return Comparison(
        a=a,
        b=b,
        evaluations=pair,
        differences=[
            Difference(**each, better=_better(each, directions.get(each["metric"], "none"))) for each in document["differences"]
        ],
        column=document["column"],
        examples=[Example(**each) for each in document["examples"]] if may_see else None,
        part=parts[0],
    )


def _parts(a: Submission, b: Submission, viewer: Viewer, *, part: str | None) -> tuple[str, str]:
    """The part of the test of each that is compared. On two boards the parts are different units, so only whole tests are
    compared across them."""
    if a.board_id != b.board_id and part not in (None, Part.WHOLE):
        raise _cannot("b", "they stand on different boards, whose tests are not divided alike")
    found = []
    for side in (a, b):
        divided = side.board.public_share is not None
        asked = part if a.board_id == b.board_id else Part.WHOLE if divided else None
        sight = sight_of(side.board, viewer, part=asked)
        check_sees(side.board, sight, side)
        found.append(sight.part)
    return found[0], found[1]


def _better(difference: dict[str, Any], direction: str) -> str:
    p, value = difference["p"], difference["value"]
    if p is None or p > 0.05 or not value or direction == "none":
        return ""
    return "a" if (value > 0) == (direction == "max") else "b"


def _results(a: Submission, b: Submission) -> tuple[Evaluation, Evaluation]:
    """The newest results that were measured with the same version of the same track."""
    if a.board.track_id != b.board.track_id:
        raise _cannot("b", f"they stand on different tracks, {a.board.track_id} and {b.board.track_id}")
    of_a, of_b = _newest(a), _newest(b)
    if not of_a or not of_b:
        raise _cannot("b" if of_a else "a", f'"{(b if of_a else a).name}" has no result yet')
    shared = of_a.keys() & of_b.keys()
    if not shared:
        raise _cannot("b", "they were measured with different versions of the track; evaluate the older one again")
    version = max(shared, key=lambda each: of_a[each].pk)
    return of_a[version], of_b[version]


def _newest(submission: Submission) -> dict[str, Evaluation]:
    """The newest result for each track version."""
    return {
        each.track_version: each
        for each in submission.evaluations.select_related("measurement").filter(state=State.SUCCEEDED).order_by("number")
    }


def _cannot(field: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"these two cannot be compared: {why}", errors=(FieldError(field, "not_comparable", why),))


def _document(a: Evaluation, b: Evaluation, *, parts: tuple[str, str]) -> dict[str, Any]:
    files = [columns_of(each, part) for each, part in zip((a, b), parts, strict=True)]
    board = a.submission.board
    recipe = board.combination if board.recipe and board.pk == b.submission.board_id else None
    question = {"track": board.track_id, "version": a.track_version, "combination": recipe}
    told = json.dumps([question, a.pk, b.pk, files], sort_keys=True)
    key = f"comparison-{hashlib.sha256(told.encode()).hexdigest()}"
    known = cache.get(key)
    if known is not None:
        return dict(known)
    try:
        paths = {side: str(storage.path(name)) for side, name in zip("ab", files, strict=True)}
    except (OSError, ValueError, LookupError) as error:
        raise _cannot("a", "the stored results of one of them cannot be read") from error
    answer = _process.ask({**question, **paths})
    if "error" in answer:
        raise _cannot("b", answer["error"])
    cache.set(key, answer, CACHE_SECONDS)
    return answer


class _Process:
    """The process beside this one. One question at a time; who waits longer than SECONDS is sent away."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._running: subprocess.Popen[bytes] | None = None

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """The answer. Raises Busy."""
        if not self._turn.acquire(timeout=SECONDS):
            raise Busy("too many comparisons are waiting; try again soon", retry_after=SECONDS)
        try:
            return self._ask(question)
        finally:
            self._turn.release()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        for _ in range(2):  # one that went away while idle is replaced
            running = self._started()
            answer = _exchange(running, json.dumps(question).encode() + b"\n")
            if answer is not None:
                return dict(json.loads(answer))
            timed_out = running.poll() is None
            self._end()
            if timed_out:
                break
        raise Busy(f"comparing these two took longer than {SECONDS:.0f} seconds, or failed; try again", retry_after=SECONDS)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._running is None or self._running.poll() is not None:
            self._end()
            self._running = subprocess.Popen(
                COMMAND,
                cwd=settings.BASE_DIR,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        return self._running

    def _end(self) -> None:
        if self._running is not None:
            self._running.kill()
            self._running.communicate()
            self._running = None


def _exchange(process: subprocess.Popen[bytes], line: bytes) -> bytes | None:
    """One line there, one line back. None if the process is gone or silent."""
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None  # noqa: S101
    assert stdout is not None  # noqa: S101
    try:
        stdin.write(line)
        stdin.flush()
    except OSError:
        process.wait()
        return None
    answer = _read_line(stdout, deadline=time.monotonic() + SECONDS)
    if answer == b"":
        process.wait()
    return answer or None


def _read_line(pipe: IO[bytes], *, deadline: float) -> bytes | None:
    """None if it does not come in time; empty if the pipe is closed."""
    descriptor, received = pipe.fileno(), b""
    while not received.endswith(b"\n"):
        if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return None
        chunk = os.read(descriptor, 65536)
        if not chunk:
            return b""
        received += chunk
    return received


_process = _Process()
