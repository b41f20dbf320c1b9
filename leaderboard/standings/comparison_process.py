"""The process beside a web process that compares two submissions: `python -m leaderboard.standings.comparison_process`.

It exists so that no web process loads scipy or a track's code: these are 120 MB and a second of start. One JSON document a line
comes in, one a line goes out; it ends with its input, or after IDLE_SECONDS without work. Started by `comparing`.
"""

from __future__ import annotations

import json
import math
import os
import select
import sys
from pathlib import Path
from typing import Any

import numpy as np

from evaluators import combining, registry
from evaluators.columns import Columns, Floats
from evaluators.track import Metric, Track
from evaluators.versions import track_version

IDLE_SECONDS = 300.0
EXAMPLES = 12


def main() -> None:
    """Answer requests until there are no more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    while select.select([sys.stdin], [], [], IDLE_SECONDS)[0]:
        line = sys.stdin.readline()
        if not line:
            return
        answers.write(json.dumps(_answer(json.loads(line)), allow_nan=False) + "\n")
        answers.flush()


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    """A comparison, or {"error": one sentence}."""
    try:
        kind = registry.get(request["track"])
        if track_version(kind) != request["version"]:
            return {"error": "the track has changed since they were measured, so their results cannot be read any more"}
        a, b = (Columns.from_bytes(Path(request[side]).read_bytes()) for side in ("a", "b"))
        return compared(_track(kind, request.get("combination")), a, b)
    except (OSError, LookupError, ValueError, ArithmeticError) as error:
        print(f"comparison failed: {error!r}", file=sys.stderr)  # noqa: T201  the log of the web process
        return {"error": "their stored results do not fit each other"}


def _track(kind: type[Track], combination: Any) -> Track:
    """The track, with the combination of its metrics that orders the board of the two, if one does."""
    recipe = combining.read(combination, [metric.model_dump() for metric in kind.spec.metrics]) if combination else None
    return combining.combined(kind(secret=b"unused"), recipe)


def compared(track: Track, a: Columns, b: Columns) -> dict[str, Any]:
    """Differences a - b: every metric over everything, then over each slice where there are several; and the test examples on
    which the two differ most, in the column of the first metric that has one."""
    differences = [_difference(track, metric, a, b, part="") for metric in track.spec.metrics]
    if len(track.spec.slices) > 1:
        for part in track.spec.slices:
            mine, theirs = a.select(slice=part.slug), b.select(slice=part.slug)
            estimated = [metric for metric in track.spec.metrics if metric.estimator != "fact"]
            differences += [_difference(track, metric, mine, theirs, part=part.slug) for metric in estimated]
    ordered = sorted(track.spec.metrics, key=lambda metric: not metric.primary)
    column = next((metric.column for metric in ordered if metric.column), "")
    return {"differences": differences, "column": column, "examples": most_different(a, b, column) if column else []}


def most_different(a: Columns, b: Columns, column: str) -> list[dict[str, Any]]:
    """The units with the largest difference of the column, averaged over seeds and settings; of equal ones the first."""
    units = max(a.units, b.units)
    mine, theirs = (_by_unit(columns, column, units) for columns in (a, b))
    gap = np.abs(mine - theirs)
    known = np.flatnonzero(gap > 0)  # NaN, a unit that one of them does not have, is no difference
    worst = known[np.lexsort((known, -gap[known]))][:EXAMPLES]
    slices = dict(zip(a.unit.tolist(), a.index["slice"].tolist(), strict=True)) if "slice" in a.index else {}
    return [
        {"unit": int(unit), "slice": slices.get(int(unit), ""), "a": float(mine[unit]), "b": float(theirs[unit])}
        for unit in worst
    ]


def _by_unit(columns: Columns, column: str, units: int) -> Floats:
    values = columns.values[column]
    keep = ~np.isnan(values)
    total = np.bincount(columns.unit[keep], weights=values[keep], minlength=units)
    count = np.bincount(columns.unit[keep], minlength=units)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _difference(track: Track, metric: Metric, a: Columns, b: Columns, *, part: str) -> dict[str, Any]:
    from evaluators.comparison import compare  # noqa: PLC0415  this module is imported by tests and tools without scipy

    found = compare(track, a, b, metric=metric)
    numbers = {name: _finite(getattr(found, name)) for name in ("value", "ci_low", "ci_high", "p")}
    reason = found.reason or ("" if numbers["value"] is not None else "one of the two has no value here")
    return {"metric": metric.name, "slice": part, **numbers, "method": found.method, "reason": reason}


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


if __name__ == "__main__":
    main()
