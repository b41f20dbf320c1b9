"""Slices that a submission does not enter are scored with their fill baselines, run as any config is, in the same sandbox.
Their columns are kept on disk: a board's baselines are computed once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from evaluators import versions
from evaluators.columns import Columns
from evaluators.runtime.jobs import Job
from evaluators.runtime.ready import Ready
from evaluators.runtime.requests import Request, resolve
from evaluators.track import Baseline

Evaluate = Callable[[Ready, Request], Columns]


def columns_of(ready: Ready, request: Request, *, cache_dir: Path, device: str, evaluate: Evaluate) -> list[Columns]:
    """The columns of every filled slice, by baseline.

    device: where configs run. evaluate: runs predict and score of a config.
    """
    baselines = {baseline.slug: baseline for baseline in ready.track.spec.baselines}
    tables = []
    for slug in sorted(set(request.filled.values())):
        slices = tuple(part for part, fill in request.filled.items() if fill == slug)
        tables.append(_one(ready, request, baselines[slug], slices, cache_dir=cache_dir, device=device, evaluate=evaluate))
    return tables


def _one(
    ready: Ready,
    request: Request,
    baseline: Baseline,
    slices: tuple[str, ...],
    *,
    cache_dir: Path,
    device: str,
    evaluate: Evaluate,
) -> Columns:
    job = Job(
        track=ready.track.spec.slug,
        kind="config",
        model=baseline.model,
        config=baseline.config,
        slices=slices,
        seeds=request.run.seeds,
    )
    path = cache_dir / "fills" / f"{_key(ready, job, device=device)}.npz"
    with contextlib.suppress(OSError, ValueError, KeyError, zipfile.BadZipFile):
        return Columns.from_bytes(path.read_bytes())
    columns = evaluate(ready, resolve(job, ready.track.spec, device=device, partial=True))
    with contextlib.suppress(OSError):  # a full disk costs the next one the time, and this one nothing
        _write(path, columns.to_bytes())
    return columns


def _key(ready: Ready, job: Job, *, device: str) -> str:
    """SHA-256 over everything that the columns depend on: 64 hex digits."""
    parts = {
        "track": ready.version,
        "model": versions.model_hash(job.model),
        "config": job.config,
        "slices": job.slices,
        "seeds": job.seeds,
        "secret": hashlib.sha256(ready.track.secret).hexdigest(),
        "data": ready.loaded.sha256,
        "torch": versions.library_versions()["torch"],
        "device": device,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _write(path: Path, raw: bytes) -> None:
    """Write atomically, readable by the owner only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)
