"""What goes into the runtime and what comes out: plain values, no torch. Read by the command line and by the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from evaluators.track import Kind

EntryKind = Kind | Literal["program"]
"""What can be submitted: the kinds that tracks name, and programs (TorchScript, torch.export), which are code."""

CODE_FORMATS = "code_formats"
"""The layer of a worker that says whether it can open them."""

PROGRAM: Literal["program"] = "program"


def accepted_kinds(accepts: Sequence[str], *, code: bool) -> tuple[str, ...]:
    """The kinds that a track takes on a server. code: whether the server takes formats that are code; those keep to the
    track's ONNX contract."""
    return (*accepts, PROGRAM) if code and "onnx" in accepts else tuple(accepts)


@dataclass(frozen=True)
class Job:
    """One evaluation to run.

    track:    slug. kind: what was submitted. model and config: for kinds "config" and "weights".
    artifact: the uploaded file, for all kinds but "config".
    slices:   slices entered; empty means all that the entrant's card names, or all of the track.
    seeds:    empty means the track's.
    """

    track: str
    kind: EntryKind
    model: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    artifact: Path | None = None
    slices: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()


@dataclass(frozen=True)
class ScoreValue:
    """One metric over everything (`slice` empty) or over one slice. `value` is None where it could not be had: see `reason`."""

    metric: str
    slice: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    reason: str
    unit: str
    direction: str
    primary: bool


@dataclass(frozen=True)
class CurvePoint:
    """The primary metric at one setting of one axis."""

    axis: str
    at: float
    value: float | None
    ci_low: float | None
    ci_high: float | None


STAGES = (
    *("load", "fill", "send", "fork", "prepare", "lock-down", "build", "predict", "receive"),
    *("score", "reduce", "pack"),
)
"""Every stage of an evaluation, in order."""


def in_order(stages: Mapping[str, float]) -> dict[str, float]:
    """Seconds by stage in the order of the stages, which a database that sorts the keys of documents forgets."""
    return {
        name: stages[name] for name in sorted(stages, key=lambda name: STAGES.index(name) if name in STAGES else len(STAGES))
    }


@dataclass(frozen=True)
class Result:
    """A succeeded evaluation. `columns` is Columns.to_bytes(). `stages` are wall seconds by stage, in order.
    `filled` names the slices that were not entered, with the baseline that stands in for them."""

    track: str
    track_version: str
    columns: bytes
    scores: tuple[ScoreValue, ...]
    curve: tuple[CurvePoint, ...]
    facts: dict[str, float]
    filled: dict[str, str]
    stages: dict[str, float]
    provenance: dict[str, Any]
    log: str

    def as_document(self) -> dict[str, Any]:
        """JSON-ready, without the columns."""
        document = asdict(self)
        del document["columns"]
        return document


@dataclass(frozen=True)
class Event:
    """Progress of a running evaluation: the stage ("load", "predict", "score") and the share of it that is done, 0 ... 1."""

    stage: str
    progress: float


OnEvent = Callable[[Event], None]
