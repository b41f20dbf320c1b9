"""The paired tests of the head of a board, kept once computed: evaluations never change. Called by `settling`, in workers:
this is where scipy and a track's code are loaded, and no web process comes here."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from django.conf import settings
from django.db.models import Min
from django.db.models.functions import Now
from django.utils import timezone

from evaluators import registry
from evaluators.combining import Combination, combined
from evaluators.ordering import Compare, Direction, Entry, Integers, Paired, differences_of, ranks_from_tests, stretched
from evaluators.versions import track_version
from leaderboard.evaluations.models import Evaluation
from leaderboard.standings.models import PairedTest
from leaderboard.submissions import storage

if TYPE_CHECKING:
    from evaluators.columns import Columns
    from evaluators.comparison import Resamples
    from evaluators.track import Metric, Track

logger = logging.getLogger(__name__)

Pair = tuple[int, int]

TRY_AGAIN = (timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6), timedelta(days=1))
"""When a test is tried again whose files could not be read: the store may be away, or heal. After these it is left alone."""


def stored_tests(evaluations: Sequence[int], *, metric: str, part: str = "") -> dict[Pair, Paired]:
    """The tests that are known among these evaluations, by (smaller id, larger id): the difference smaller - larger."""
    rows = PairedTest.objects.filter(first__in=evaluations, second__in=evaluations, metric=metric, part=part)
    return {(first, second): Paired(*found) for first, second, *found in rows.values_list("first", "second", "difference", "p")}


def complete_tests(
    evaluations: Sequence[int],
    *,
    track: str,
    version: str,
    metric: str,
    keep: Callable[[], None],
    part: str = "",
    recipe: Combination | None = None,
) -> dict[Pair, Paired] | None:
    """Every pair of these evaluations, after computing and keeping the missing ones. None where the installed track is not the
    version that they were measured with, so that its code cannot read their columns.

    part: of the test, whose columns are compared. recipe: what `metric` is where it is no metric of the track.
    keep: called between pairs; whoever has lost the right to go on raises there.
    """
    known = stored_tests(evaluations, metric=metric, part=part)
    failures = _due(evaluations, metric=metric, part=part)
    known = {pair: test for pair, test in known.items() if pair not in failures}
    missing = [pair for pair in combinations(sorted(evaluations), 2) if pair not in known]
    if not missing:
        return known
    from evaluators.comparison import Resamples  # noqa: PLC0415  loads scipy

    reader = track_reader(track, version=version)
    if reader is None:
        return None
    columns = _columns_of({evaluation for pair in missing for evaluation in pair}, part=part)
    resamples = Resamples(*_metric_of(combined(reader, recipe), metric))
    for pair in missing:
        keep()
        test = _test(resamples, pair, columns)
        test.part = part
        if not columns.keys() >= set(pair):
            _put_off(test, failures=failures.get(pair, 0) + 1)
        _keep(test)
        known[pair] = Paired(test.difference, test.p)
    return known


def next_try(evaluations: Sequence[int], *, metric: str, part: str = "") -> datetime | None:
    """When the first of these tests that could not be made is tried again."""
    rows = PairedTest.objects.filter(first__in=evaluations, second__in=evaluations, metric=metric, part=part)
    return rows.aggregate(first=Min("again_at"))["first"]


def _due(evaluations: Sequence[int], *, metric: str, part: str) -> dict[Pair, int]:
    """The tests that are to be tried again by now, and how often they have failed."""
    tests = PairedTest.objects.filter(first__in=evaluations, second__in=evaluations, metric=metric, part=part)
    rows = tests.filter(again_at__lte=Now())
    return {(first, second): failures for first, second, failures in rows.values_list("first", "second", "failures")}


def _put_off(test: PairedTest, *, failures: int) -> None:
    test.failures = failures
    test.again_at = timezone.now() + TRY_AGAIN[failures - 1] if failures <= len(TRY_AGAIN) else None


def _keep(test: PairedTest) -> None:
    """Over the failure that may be kept in its place."""
    PairedTest.objects.bulk_create(
        [test],
        update_conflicts=True,
        unique_fields=["first", "second", "metric", "part"],
        update_fields=["difference", "p", "method", "reason", "failures", "again_at"],
    )


class Contestant(NamedTuple):
    """A member of the head: its evaluation, its value, and its interval as `evaluators.ordering` stretches it, which may be
    mirrored as less is better."""

    evaluation: int
    value: float
    floor: float
    ceiling: float


def contestant(entry: Entry, *, evaluation: int) -> Contestant:
    """Of an entry that is ranked."""
    value = np.array([math.nan if entry.value is None else entry.value])
    ends = [np.array([math.nan if end is None else end]) for end in (entry.low, entry.high)]
    low, high = stretched(value, *ends)
    return Contestant(evaluation, float(value[0]), float(low[0]), float(high[0]))


def comparing(tests: Mapping[Pair, Paired], contestants: Mapping[Any, Contestant]) -> Compare:
    """The tests as `evaluators.ordering` asks for them: by keys, a - b. Where a pair could not be tested, the stretched
    intervals decide: disjoint ones count as a difference beyond doubt."""

    def compare(key_a: Any, key_b: Any) -> Paired:
        a, b = contestants[key_a], contestants[key_b]
        found = tests.get((min(a.evaluation, b.evaluation), max(a.evaluation, b.evaluation)))
        if found is None or found.p is None or found.difference is None:
            return Paired(a.value - b.value, 0.0 if a.floor > b.ceiling or b.floor > a.ceiling else 1.0)
        return found if a.evaluation < b.evaluation else Paired(-found.difference, found.p)

    return compare


def tested_ranks(
    tests: Mapping[Pair, Paired], head: Sequence[Contestant], *, direction: Direction
) -> tuple[Integers, Integers]:
    """(rank, rank_high) of the members of the head among each other."""
    compare = comparing(tests, dict(enumerate(head)))
    return ranks_from_tests(*differences_of(compare, range(len(head))), direction=direction)


def track_reader(slug: str, *, version: str) -> Track | None:
    """The track, to reduce columns with; None where it is not installed in this version."""
    try:
        found = registry.get(slug)
    except LookupError:
        return None
    if track_version(found) != version:
        return None
    return found(secret=settings.TRACK_SECRET.encode())


COLUMNS = {"": "columns_sha256", "public": "measurement__public_sha256", "private": "measurement__private_sha256"}
"""Where the columns of each part of a test are named."""


def _columns_of(evaluations: set[int], *, part: str) -> dict[int, Columns | None]:
    """Those whose files can be read just now: the others are logged, and cost their pairs only. None: it never will be,
    since it is no columns."""
    from evaluators.columns import Columns  # noqa: PLC0415  workers only

    found: dict[int, Columns | None] = {}
    for key, sha256 in Evaluation.objects.filter(pk__in=evaluations).values_list("pk", COLUMNS[part]):
        try:
            found[key] = Columns.from_bytes(storage.read(sha256 or ""))
        except OSError as error:
            logger.warning("the columns of evaluation %s cannot be read now: %s", key, error)
        except (LookupError, ValueError) as error:
            logger.warning("the columns of evaluation %s cannot be read: %s", key, error)
            found[key] = None
    return found


def _metric_of(track: Track, name: str) -> tuple[Track, Metric]:
    return track, next(each for each in track.spec.metrics if each.name == name)


def _test(resamples: Resamples, pair: Pair, columns: Mapping[int, Columns | None]) -> PairedTest:
    """One test. What cannot be tested is kept as such, with the reason: it would fail again each time."""
    from evaluators.comparison import compare  # noqa: PLC0415  loads scipy

    test = PairedTest(first_id=pair[0], second_id=pair[1], metric=resamples.metric.name)
    first, second = columns.get(pair[0]), columns.get(pair[1])
    if first is None or second is None:
        test.reason = "the columns of one of the two cannot be read"
        return test
    try:
        found = compare(resamples.track, first, second, metric=resamples.metric, resamples=resamples)
    except (ValueError, KeyError, IndexError, ArithmeticError) as error:
        logger.warning("evaluations %s and %s cannot be compared", *pair, exc_info=True)
        test.reason = f"their columns do not fit each other ({error})"[:200]
        return test
    test.difference, test.p = _finite(found.value), _finite(found.p)
    test.method, test.reason = found.method[:80], found.reason[:200]
    return test


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
