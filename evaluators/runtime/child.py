"""What happens in the process that predicts: lock down, build the entrant, run the track's predict stage, send the answer.
Called by the zygote right after the fork, or by a spawned server between jobs; it never returns an exception."""

from __future__ import annotations

import contextlib
import importlib
import mmap
import os
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from evaluators.columns import Array
from evaluators.data import arrays
from evaluators.failures import EvaluationFailure, FailureCode
from evaluators.runtime import box, entrants, framing, numerics, sandbox
from evaluators.runtime.jobs import PROGRAM
from evaluators.runtime.orders import Order
from evaluators.track import Run, Track

REPORT_EVERY_S = 0.05


@dataclass(frozen=True)
class Ends:
    """The child's descriptors."""

    data: int
    answer: int
    log: int
    progress: int
    artifact: int | None = None


@dataclass
class Diary:
    """What the child notes down for the header of its answer."""

    marks: dict[str, float] = field(default_factory=dict)
    layers: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def mark(self, step: str) -> None:
        """A step begins now."""
        self.marks[step] = time.monotonic()


def serve(order: Order, ends: Ends, *, rules: sandbox.Rules | None, diary: Diary) -> None:
    """Do one job, and write its answer. rules: None where the process is locked down already."""
    outputs: Mapping[str, Array] = {}
    refusal = None
    try:
        outputs = _work(order, ends, rules=rules, diary=diary)
        listed = framing.describe(outputs)
    except BaseException as error:  # noqa: BLE001 - whatever a model raises becomes one sentence
        traceback.print_exc()
        listed, refusal = (), explain(error, memory_mb=order.memory_mb)
    sys.stdout.flush()
    sys.stderr.flush()
    header = framing.Header(arrays=listed, refusal=refusal, marks=diary.marks, layers=diary.layers, notes=diary.notes)
    framing.write_answer(ends.answer, header, outputs if refusal is None else {})


def _work(order: Order, ends: Ends, *, rules: sandbox.Rules | None, diary: Diary) -> Mapping[str, Array]:
    track = load_attribute(order.track)(secret=b"")
    public = map_arrays(ends.data)
    if rules is not None and order.untrusted:
        sandbox.before_imports(rules)
    entrants.prepare(order, ends.artifact)
    numerics.apply(threads=order.threads, dtype=order.dtype, device=order.device)
    if rules is not None:
        diary.mark("lock-down")
        diary.layers |= sandbox.lock_down(rules)
        _check_walls(order, diary.layers)
    diary.mark("build")
    report = _reporter(ends.progress)
    report(0.0)  # from here on, what happens may be the model's doing (`watch`)
    run = Run(slices=order.slices, seeds=order.seeds, device=order.device, report=report)
    predict = entrants.open_entrant(order, artifact=ends.artifact, track=track, public=public, run=run, notes=diary.notes)
    diary.mark("predict")
    outputs = predict()
    diary.mark("answer")
    return _as_arrays(outputs, track)


def _check_walls(order: Order, layers: dict[str, str]) -> None:
    """What was tried when the process started must hold now too, or the file stays closed."""
    if order.untrusted and not sandbox.is_enough_for_untrusted(layers):
        raise EvaluationFailure(FailureCode.SYSTEM_ERROR, sandbox.NO_WALLS)
    if order.kind == PROGRAM and not box.is_enough_for_code(layers):
        raise EvaluationFailure(FailureCode.SYSTEM_ERROR, box.NO_BOX)


def load_attribute(reference: str) -> Any:
    """The object behind "module:attribute". A module of ours that cannot be imported is the server's fault."""
    module, _, attribute = reference.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:
        raise EvaluationFailure(FailureCode.SYSTEM_ERROR, f'"{reference}" cannot be imported on this server') from error


def map_arrays(fd: int) -> dict[str, Array]:
    """The public data: private pages, so a model may write to its copy."""
    return arrays.unpack(memoryview(mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)))


def _reporter(fd: int) -> Any:
    """Writes the share that is done, at most every REPORT_EVERY_S."""
    told = 0.0

    def report(fraction: float) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= REPORT_EVERY_S or fraction >= 1:
            told = now
            os.write(fd, b"%.4f\n" % float(fraction))

    return report


def _as_arrays(outputs: object, track: Track) -> dict[str, Array]:
    if not isinstance(outputs, Mapping) or not all(isinstance(array, np.ndarray) for array in outputs.values()):
        raise EvaluationFailure(
            FailureCode.SYSTEM_ERROR, f"the predict stage of {track.spec.slug} must return numpy arrays by name"
        )
    return dict(outputs)


def explain(error: BaseException, *, memory_mb: int) -> framing.Refusal:
    """One sentence for the submitter; the traceback is in the log."""
    if isinstance(error, EvaluationFailure):
        return framing.Refusal(code=error.code, message=error.message[:2000])
    if is_out_of_memory(error):
        return framing.Refusal(code=FailureCode.OUT_OF_MEMORY, message=f"the model needed more than {memory_mb} MB of memory")
    text = " ".join(str(error).split())
    sentence = f"the model raised {type(error).__name__}: {text}" if text else f"the model raised {type(error).__name__}"
    return framing.Refusal(code=FailureCode.MODEL_ERROR, message=sentence[:400])


def is_out_of_memory(error: BaseException) -> bool:
    """Python's own error, and the words with which torch and onnxruntime say it."""
    words = "can't allocate memory", "bad_alloc", "bad allocation", "CUDA out of memory", "Failed to allocate memory"
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)


def go_first_when_memory_ends() -> None:
    """Of all processes, the kernel shall pick this one."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def take_streams(log: int) -> None:
    """stdin is empty; stdout and stderr, Python's and the libraries', go to the log."""
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    for name in ("stdout", "stderr"):
        setattr(sys, name, open(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False))  # noqa: SIM115
