"""The front door of the runtime: `Runtime.evaluate` takes a Job through load, predict, score and reduce to a Result.

Importing this file imports no torch. A Runtime serves one job at a time: callers on other threads wait for their turn.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import numpy as np

from evaluators.columns import Columns
from evaluators.failures import EvaluationCancelled, EvaluationFailure, FailureCode
from evaluators.runtime import fills, numerics, outputs, provenance, requests, scoring
from evaluators.runtime.jobs import Event, Job, OnEvent, Result
from evaluators.runtime.ready import Ready, make_ready
from evaluators.runtime.watch import Answer, Watch
from evaluators.runtime.workshop import Workshop

T = TypeVar("T")

# Each stage in the child lasts until the next mark.
CHILD_STAGES = (
    ("fork", "start"),
    ("prepare", "lock-down"),
    ("lock-down", "build"),
    ("build", "predict"),
    ("predict", "answer"),
)


def _ignore(event: Event) -> None:
    del event


def _system_fault(work: Callable[[], T], what: str) -> T:
    """Run trusted code; anything that it raises is the server's fault, and its details are for the operator only."""
    try:
        return work()
    except (EvaluationFailure, EvaluationCancelled):
        raise
    except Exception as error:
        raise EvaluationFailure(FailureCode.SYSTEM_ERROR, f"{what} ({type(error).__name__})") from error


@contextlib.contextmanager
def _artifact(path: Path | None) -> Iterator[int | None]:
    """A read-only descriptor of the uploaded file."""
    if path is None:
        yield None
        return
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise EvaluationFailure(FailureCode.SYSTEM_ERROR, f"the stored file cannot be read ({error.strerror})") from error
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise EvaluationFailure(FailureCode.SYSTEM_ERROR, "the stored file is not a regular file")
        yield fd
    finally:
        os.close(fd)


@dataclass
class Stages:
    """Wall seconds by stage, in order."""

    seconds: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.monotonic)

    def end(self, stage: str, *, at: float | None = None) -> None:
        """`stage` lasted from the end of the one before until now, or until `at` (CLOCK_MONOTONIC seconds)."""
        now = time.monotonic() if at is None else max(at, self._since)
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._since
        self._since = now


class Runtime:
    """Evaluates jobs in sandboxed processes.

    secret:    seeds the hidden test splits. cache_dir: data and fill columns, readable by the owner only.
    data_dir:  the field's standard files, for full data. device: "auto", "cpu" or "cuda".
    sandbox:   False runs models without lock-down, for a developer's own models on a machine that has no sandbox.
    spawned:   serve jobs in one spawned process instead of forked ones, as CUDA needs it; None: only there.
    code_formats: take programs too, which are code, in a box.
    """

    def __init__(
        self,
        *,
        secret: bytes,
        cache_dir: Path,
        data_dir: Path | None = None,
        device: str = "auto",
        sandbox: bool = True,
        spawned: bool | None = None,
        code_formats: bool = False,
    ) -> None:
        cache_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.secret, self.cache_dir, self.data_dir, self.sandbox = secret, cache_dir, data_dir, sandbox
        self.workshop = Workshop(folder=cache_dir, device=device, sandboxed=sandbox, spawned=spawned, code_formats=code_formats)
        self._ready: dict[str, Ready] = {}
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def warm(self) -> None:
        """Start the zygote, and import what scoring needs, so that the first job finds both ready."""
        with self._turn:
            self.workshop.open()
            self.workshop.warm_scoring()

    def layers(self) -> dict[str, str]:
        """Each layer of the sandbox on this machine: "active", or why it is not."""
        with self._turn:
            return self.workshop.layers()

    def close(self) -> None:
        """End all processes and give shared memory back."""
        with self._turn:
            self.workshop.close()
            while self._ready:
                self._ready.popitem()[1].loaded.close()

    def evaluate(
        self,
        job: Job,
        *,
        on_event: OnEvent = _ignore,
        cancel: threading.Event | None = None,
        timeout: float | None = None,
    ) -> Result:
        """Evaluate one job. timeout: wall seconds of the predict stage, if less than the track's budget.

        Raises EvaluationFailure (with the predict stage's log) or EvaluationCancelled; no process of the job is left then.
        """
        with self._turn:
            return _Evaluation(self, job, on_event, cancel or threading.Event(), timeout).run()

    def prepare(self, slug: str) -> Ready:
        """The track with its data, loaded once."""
        if slug not in self._ready:
            self._ready[slug] = make_ready(slug, secret=self.secret, data_dir=self.data_dir, cache_dir=self.cache_dir)
        return self._ready[slug]


class _Evaluation:
    """One job on its way through the stages."""

    def __init__(self, runtime: Runtime, job: Job, on_event: OnEvent, cancel: threading.Event, timeout: float | None) -> None:
        self.runtime, self.job, self.on_event, self.cancel, self.timeout = runtime, job, on_event, cancel, timeout
        self.stages = Stages()

    def run(self) -> Result:
        self.on_event(Event("load", 0.0))
        ready = _system_fault(lambda: self.runtime.prepare(self.job.track), f'the data of "{self.job.track}" cannot be loaded')
        self.runtime.workshop.open()
        request = requests.resolve(
            self.job,
            ready.track.spec,
            device=self.runtime.workshop.device_of(self.job.kind),
            code=self.runtime.workshop.code_formats,
        )
        self.stages.end("load")
        filling = fills.columns_of(
            ready,
            request,
            cache_dir=self.runtime.cache_dir,
            device=self.runtime.workshop.device,
            evaluate=self._evaluate_fill,
        )
        if request.filled:
            self.stages.end("fill")
        answer = self._predict(ready, request)
        self.on_event(Event("score", 0.0))
        entered = self._score(ready, request, answer)
        columns = Columns.concatenate([entered, *filling])
        self.stages.end("score")
        return self._result(ready, request, answer, columns)

    def _evaluate_fill(self, ready: Ready, request: requests.Request) -> Columns:
        return self._score(ready, request, self._predict(ready, request, aside=True))

    def _predict(self, ready: Ready, request: requests.Request, *, aside: bool = False) -> Answer:
        """Run the predict stage in the sandbox. aside: for a fill, which is not part of this job's stages."""
        spec, wanted = ready.track.spec, ready.track.outputs(ready.loaded.data.public, request.run)
        wall_s = min(spec.budget.wall_s, self.timeout or spec.budget.wall_s)
        order = request.order(spec, wall_s=wall_s, sandbox=self.runtime.sandbox)
        if self.cancel.is_set():
            raise EvaluationCancelled("cancelled before the model ran")
        with _artifact(request.job.artifact) as artifact:
            watch = Watch(
                self.runtime.workshop.process_for(order),
                order,
                accept=lambda header: outputs.check_header(header, wanted),
                progress=lambda share: None if aside else self.on_event(Event("predict", share)),
                cancel=self.cancel,
                killed_for_memory=self.runtime.workshop.killed_for_memory,
            )
            answer = self.runtime.workshop.serve(watch, ready.loaded.sealed, artifact)
        if not aside:
            self._note_stages(answer)
        outputs.check_finite(answer.arrays, wanted)
        return answer

    def _note_stages(self, answer: Answer) -> None:
        """The child's own marks, as far as they lie between ours: it could write anything there."""
        moments, marks = answer.moments, answer.header.marks
        self.stages.end("send", at=moments["send"])
        latest = moments["answer"]
        for stage, next_mark in CHILD_STAGES:
            if next_mark in marks:
                self.stages.end(stage, at=min(marks[next_mark], latest))
        self.stages.end("receive", at=moments["received"])

    def _score(self, ready: Ready, request: requests.Request, answer: Answer) -> Columns:
        with numerics.one_blas_thread():
            return _system_fault(
                lambda: ready.track.score(answer.arrays, ready.loaded.data, request.run), "scoring failed on the server"
            )

    def _result(self, ready: Ready, request: requests.Request, answer: Answer, columns: Columns) -> Result:
        track = ready.track
        with numerics.one_blas_thread():
            scores, curve = scoring.score_values(track, columns), scoring.curve(track, columns)
        self.stages.end("reduce")
        raw = columns.to_bytes()
        self.stages.end("pack")
        return Result(
            track=track.spec.slug,
            track_version=ready.version,
            columns=raw,
            scores=scores,
            curve=curve,
            facts={name: float(value) for name, value in columns.facts.items() if np.isfinite(value)},
            filled=request.filled,
            stages=self.stages.seconds,
            provenance=provenance.of(ready, request, answer, self.runtime.workshop),
            log=answer.log,
        )
