"""What a board measures of a result beyond the track's own scores: the parts of a divided test, and a combination of metrics.
Computed from the columns, in workers: when a result comes in, and again for what stands already when a board's host has changed
what is measured. `catch_up` is restartable: each result is measured in a transaction of its own, and those that are done carry
the board's measure. Called by `evaluations.execution`, `evaluations.lifecycle` and `settling`; web processes ask how far it is.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from numpy.typing import NDArray

from evaluators import combining
from evaluators.columns import Columns
from evaluators.runtime.jobs import Result, ScoreValue
from evaluators.splits import public_rows, rows_of
from leaderboard.boards.models import Board
from leaderboard.evaluations.models import Evaluation, State
from leaderboard.standings.models import Measurement, PairedTest, Part, Score
from leaderboard.standings.pairs import track_reader
from leaderboard.standings.policies import Policy
from leaderboard.standings.ranking import record_scores
from leaderboard.standings.rebuilding import refresh
from leaderboard.submissions import storage

if TYPE_CHECKING:
    from evaluators.track import Track

logger = logging.getLogger(__name__)

PARTS = (Part.PUBLIC, Part.PRIVATE)


@dataclass(frozen=True)
class Measured:
    """What was measured under `measure`: scores and curve by part, and the columns of each part as bytes."""

    measure: str
    scores: dict[Part, tuple[ScoreValue, ...]]
    curves: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    columns: dict[Part, bytes] = field(default_factory=dict)


@contextmanager
def kept(found: Measured | None) -> Iterator[None]:
    """Store the columns of the parts before the block names them in a transaction, and again after it what somebody discarded
    in between. Not under a lock, as the columns of the whole are: two locks at once could wait for each other."""
    columns = list(found.columns.values()) if found else []
    for raw in columns:
        storage.store(raw)
    yield
    for raw in columns:
        if not storage.place(hashlib.sha256(raw).hexdigest()).exists():
            storage.store(raw)


def own_scores(evaluation: Evaluation) -> QuerySet[Score]:
    """The track's own scores over the whole test, as every board has them, whatever it shows of them."""
    return Score.every.filter(evaluation=evaluation, part__in=(Part.OPEN, Part.WHOLE)).exclude(metric=combining.NAME)


def whole_curve(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The curve over the whole test, wherever it is kept."""
    kept = Measurement.objects.filter(evaluation=evaluation).values_list("curves", flat=True).first() or {}
    return list(kept.get(Part.WHOLE) or evaluation.result.get("curve", ()))


def measured(board: Board, result: Result) -> Measured | None:
    """What the board measures of a result beyond its scores; None where that is nothing, or cannot be had: then `catch_up`
    tries again, and the result itself is not lost."""
    if not board.measure:
        return None
    try:
        return _measured(board, result.columns, version=result.track_version)
    except Exception:
        logger.exception("board %s: a result could not be measured by its parts", board.slug)
        return None


def record(evaluation: Evaluation, result: Result, found: Measured | None, *, board: Board) -> None:
    """Store the scores of a result as its board measures them. Part of the transaction that commits it."""
    record_scores(evaluation, result.scores, part=_whole(board))
    if not board.measure and board.public_share is None:
        return
    if found is not None and found.measure == board.measure:
        _store(evaluation, found)
    if board.public_share is not None:
        _set_curve_aside(evaluation)


def catch_up(board: Board, *, track_version: str, policy: Policy, keep: Callable[[], None]) -> list[int]:
    """Measure what the board has measured otherwise until now, and show it; the evaluations that were.

    keep: renews the right to go on, in each transaction.
    """
    waiting = list(behind(board, track_version=track_version).order_by("-id").values_list("pk", flat=True))
    if not waiting or (board.measure and track_reader(board.track_id, version=track_version) is None):
        return []
    return [key for key in waiting if _measure_again(key, board, policy, keep)]


def behind(board: Board, *, track_version: str) -> QuerySet[Evaluation]:
    """Results that were measured under something else than what the board measures now."""
    rows = Evaluation.objects.filter(submission__board=board, track_version=track_version, state=State.SUCCEEDED)
    if not board.measure:
        return rows.filter(measurement__isnull=False)
    return rows.filter(Q(measurement=None) | ~Q(measurement__measure=board.measure))


def progress_of(board: Board) -> tuple[int, int] | None:
    """(done, all): how many results of the track's version of today are measured as the board measures now; None where all are.
    A count; nothing is computed."""
    if not board.measure:
        return None
    left = behind(board, track_version=board.track.version).count()
    rows = Evaluation.objects.filter(submission__board=board, track_version=board.track.version, state=State.SUCCEEDED)
    total = rows.count() if left else 0
    return (total - left, total) if left else None


def part_of(columns: Columns, *, board: Board) -> NDArray[np.bool_]:
    """Which rows are of the public part: bool [rows]. Units that were drawn together stay together."""
    assert board.public_share is not None  # noqa: S101
    return public_rows(columns, secret=settings.TRACK_SECRET.encode(), name=f"board {board.pk}", share=board.public_share)


def _measured(board: Board, raw: bytes, *, version: str) -> Measured | None:
    reader = track_reader(board.track_id, version=version)
    if reader is None:
        return None
    columns, track = Columns.from_bytes(raw), combining.combined(reader, board.recipe)
    if board.public_share is None:
        return Measured(board.measure, {Part.OPEN: _combination_only(_scores(track, columns))})
    public = part_of(columns, board=board)
    parts = {Part.PUBLIC: rows_of(columns, public), Part.PRIVATE: rows_of(columns, ~public)}
    scores = {part: _scores(track, some) for part, some in parts.items()}
    scores[Part.WHOLE] = _combination_only(_scores(track, columns)) if board.recipe else ()
    return Measured(
        board.measure,
        scores,
        curves={part: _curve(reader, some) for part, some in parts.items()},
        columns={part: some.to_bytes() for part, some in parts.items()},
    )


def _scores(track: Track, columns: Columns) -> tuple[ScoreValue, ...]:
    from evaluators.runtime import numerics, scoring  # noqa: PLC0415  loads scipy

    if not len(columns.unit):
        return tuple(_no_units(score) for score in _empty_scores(track))
    with numerics.one_blas_thread():
        return scoring.score_values(track, scoring.renumbered(columns))


def _empty_scores(track: Track) -> Iterable[ScoreValue]:
    for metric in track.spec.metrics:
        yield ScoreValue(metric.name, "", None, None, None, "", metric.unit, metric.direction, metric.primary)


def _no_units(score: ScoreValue) -> ScoreValue:
    return replace(score, reason="no test unit is in this part")


def _combination_only(scores: Iterable[ScoreValue]) -> tuple[ScoreValue, ...]:
    return tuple(score for score in scores if score.metric == combining.NAME)


def _curve(track: Track, columns: Columns) -> list[dict[str, Any]]:
    from evaluators.runtime import numerics, scoring  # noqa: PLC0415  loads scipy

    with numerics.one_blas_thread():
        return [asdict(point) for point in scoring.curve(track, columns)] if len(columns.unit) else []


def _measure_again(key: int, board: Board, policy: Policy, keep: Callable[[], None]) -> bool:
    evaluation = Evaluation.objects.get(pk=key)
    try:
        raw = storage.read(evaluation.columns_sha256)
        found = _measured(board, raw, version=evaluation.track_version) if board.measure else None
    except (OSError, LookupError, ValueError, ArithmeticError) as error:
        logger.warning("evaluation %s cannot be measured by the parts of its board: %s", key, error)
        return False
    with kept(found), transaction.atomic():
        keep()
        _forget(evaluation, whole=_whole(board))
        if found is not None:
            _store(evaluation, found)
        if board.public_share is not None:
            _set_curve_aside(evaluation)
        refresh(key, policy)
    return True


def _whole(board: Board) -> Part:
    """What scores over the whole test are marked as."""
    return Part.OPEN if board.public_share is None else Part.WHOLE


def _forget(evaluation: Evaluation, *, whole: Part) -> None:
    """Back to the track's own scores, under the mark that they have on the board now."""
    Score.every.filter(evaluation=evaluation).filter(Q(part__in=PARTS) | Q(metric=combining.NAME)).delete()
    Score.every.filter(evaluation=evaluation).update(part=whole)
    if curve := whole_curve(evaluation):
        evaluation.result["curve"] = curve
        Evaluation.objects.filter(pk=evaluation.pk).update(result=evaluation.result)
    Measurement.objects.filter(evaluation=evaluation).delete()
    stale = PairedTest.objects.filter(Q(first=evaluation) | Q(second=evaluation))
    stale.filter(Q(metric=combining.NAME) | Q(part__in=PARTS)).delete()


def _store(evaluation: Evaluation, found: Measured) -> None:
    files = {f"{part}_sha256": hashlib.sha256(raw).hexdigest() for part, raw in found.columns.items()}
    Measurement.objects.update_or_create(
        evaluation=evaluation, defaults={"measure": found.measure, "curves": found.curves, **files}
    )
    for part, scores in found.scores.items():
        record_scores(evaluation, scores, part=part)


def _set_curve_aside(evaluation: Evaluation) -> None:
    """The curve of the whole test goes where parts are kept, out of what every reader of a result sees."""
    if not evaluation.result.get("curve"):
        return
    row, _ = Measurement.objects.get_or_create(evaluation=evaluation, defaults={"measure": ""})
    row.curves = {**row.curves, Part.WHOLE.value: evaluation.result["curve"]}
    row.save(update_fields=["curves"])
    evaluation.result = {**evaluation.result, "curve": []}
    Evaluation.objects.filter(pk=evaluation.pk).update(result=evaluation.result)


def unmeasured(evaluations: Sequence[int], *, measure: str) -> set[int]:
    """Those of the evaluations whose parts or combination are not those of the board's measure (yet)."""
    if not measure:
        return set()
    done = Measurement.objects.filter(evaluation__in=evaluations, measure=measure)
    return set(evaluations) - set(done.values_list("evaluation_id", flat=True))
