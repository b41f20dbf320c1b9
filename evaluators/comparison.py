"""Is A better than B? Paired tests on the same test units, and over training seeds; of the two the larger p counts, because a
difference must stand against both other test units and other trainings. Pure numpy and scipy.

One metric at a time: `compare(track, a, b, metric=...)` gives the difference a - b with its interval and p. `holm` corrects
several. A proportion answered by one replicate each is tested by McNemar's exact test, any other mean by sign flips, and a
function of the columns by the joint bootstrap in which both submissions are resampled with the same units.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from evaluators import statistics
from evaluators.columns import Columns, Floats
from evaluators.ordering import holm
from evaluators.statistics import Replicates, Spread
from evaluators.track import Metric, Track

__all__ = ["Difference", "compare", "holm", "mcnemar", "over_seeds", "sign_flip", "sign_flips"]

FLIPS = 10_000
FLIP_CELLS = 2_000_000  # of flips x units at a time: 8 MB in float32


@dataclass(frozen=True)
class Difference:
    """a - b in one metric. `better`: a is better than b in the metric's direction at the given p; p is two-sided.
    `method` names the test that decided; `reason` says why there is no p."""

    metric: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    p: float | None
    method: str
    reason: str = ""


class Resamples:
    """A metric in the resamples of submissions that are each compared with several others: drawn once for each. Lives as long
    as the columns that it is asked for."""

    def __init__(self, track: Track, metric: Metric) -> None:
        self.track, self.metric = track, metric
        self._whole: dict[tuple[int, int], Floats | None] = {}
        self._seeds: dict[tuple[int, int], Replicates] = {}

    def of(self, columns: Columns, *, units: int) -> Floats | None:
        """[RESAMPLES], as `statistics.resampled` gives it; None where one unit cannot be resampled."""
        key, name = (id(columns), units), self.metric.name
        if key not in self._whole:
            self._whole[key] = statistics.resampled(self.track, columns, names=[name], units=units).get(name)
        return self._whole[key]

    def by_seed(self, columns: Columns, *, units: int) -> Replicates:
        """As `statistics.by_seed` gives it."""
        key, name = (id(columns), units), self.metric.name
        if key not in self._seeds:
            self._seeds[key] = statistics.by_seed(self.track, columns, names=[name], units=units)[name]
        return self._seeds[key]


def compare(
    track: Track, a: Columns, b: Columns, *, metric: Metric, margin: float = 0.0, resamples: Resamples | None = None
) -> Difference:
    """The paired difference a - b of two submissions' columns (whole, or the same selection of both).

    margin: p tests whether the difference is `margin`, in the metric's unit; value and interval are those of a - b itself.
    resamples: those of this track and metric, where one side is compared with others too.
    """
    mine, theirs = (float(track.reduce(columns)[metric.name]) for columns in (a, b))
    if not (math.isfinite(mine) and math.isfinite(theirs)):
        return Difference(metric.name, None, None, None, None, "", reason="one of the two has no value here")
    value = mine - theirs
    if metric.estimator == "fact":
        return Difference(metric.name, value, None, None, None, "", reason="a fact is known, not estimated")
    if metric.estimator in ("proportion", "mean"):
        return _compare_means(metric, a, b, value=value, margin=margin)
    return _compare_functions(resamples or Resamples(track, metric), a, b, value=value, margin=margin)


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided exact p of McNemar's test (1947) from the units that exactly one of the two got right."""
    return min(1.0, 2 * float(special.bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


def sign_flip(differences: Floats, *, flips: int = FLIPS, seed: int = 0) -> float:
    """Two-sided p of the mean of paired differences [n] under random sign flips (Fisher 1935); never zero, by the +1 rule of
    Phipson & Smyth (2010)."""
    return float(sign_flips(differences[None], flips=flips, seed=seed)[0])


def sign_flips(differences: Floats, *, flips: int = FLIPS, seed: int = 0) -> Floats:
    """`sign_flip` of every row of [k, n] with the same flips, as matrix products: [k]. NaN is no difference.

    In float32: a sum that comes within 1e-5 standard deviations of the one that was seen counts as extreme, which is exact
    for ties and errs on the side of a larger p.
    """
    known = np.nan_to_num(differences)
    known = known[:, known.any(axis=0)]
    scale = np.sqrt((known**2).sum(axis=1, keepdims=True))
    rows = (known / np.where(scale > 0, scale, 1.0)).astype(np.float32)
    seen = np.abs(rows.sum(axis=1, keepdims=True, dtype=np.float64)) - 1e-5
    extreme = np.zeros(len(rows), dtype=np.int64)
    for signs in _sign_chunks(rows.shape[1], flips=flips, seed=seed):
        extreme += (np.abs(rows @ signs.T) >= seen).sum(axis=1)
    return np.asarray((extreme + 1) / (flips + 1))


def _sign_chunks(units: int, *, flips: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """[r, units] of -1 and 1, `flips` rows in all."""
    rng = np.random.default_rng(seed)
    width = -(-units // 8)
    size = max(1, FLIP_CELLS // max(units, 1))
    for start in range(0, flips, size):
        count = min(size, flips - start)
        bits = np.frombuffer(rng.bytes(count * width), dtype=np.uint8).reshape(count, width)
        yield np.unpackbits(bits, axis=1, count=units).astype(np.float32) * 2 - 1


def over_seeds(differences: Floats) -> float:
    """Two-sided p of Student's t with S - 1 degrees of freedom on the differences of the replicates [S]; 1 where S < 2 says
    nothing. Replicates that differ by the same amount each time are certain: p = 0."""
    if len(differences) < 2:
        return 0.0
    spread = float(differences.std(ddof=1))
    mean = float(differences.mean())
    if spread <= 1e-15 * max(1.0, abs(mean)):
        return 0.0 if mean else 1.0
    return float(2 * stats.t.sf(abs(mean) / (spread / math.sqrt(len(differences))), len(differences) - 1))


def _compare_means(metric: Metric, a: Columns, b: Columns, *, value: float, margin: float) -> Difference:
    pairs = _paired_table(a, b, column=metric.column)
    if not pairs.table.size:
        return Difference(metric.name, value, None, None, None, "", reason="the two share no test units")
    cells = ~np.isnan(pairs.table)
    seeds, units = np.nonzero(cells)
    spread = statistics.spread_of_mean(pairs.table[cells], unit=pairs.cluster[units], seed=seeds)
    test, p_units = _test_units(pairs, binary=metric.estimator == "proportion", margin=margin)
    p_seeds = over_seeds(np.nanmean(pairs.table, axis=1) - margin)
    p, method = (p_units, f"{test} on test units") if p_units >= p_seeds else (p_seeds, "Student's t over seeds")
    half = spread.half_width
    low, high = (value - half, value + half) if math.isfinite(half) else (None, None)
    return Difference(metric.name, value, low, high, p, method)


def _test_units(pairs: _Pairs, *, binary: bool, margin: float) -> tuple[str, float]:
    """Name and p of the test over units, or over the clusters that they come in: a cluster's differences flip together."""
    per_unit = np.nanmean(pairs.table, axis=0)
    alone = len(np.unique(pairs.cluster)) == len(per_unit)
    if binary and alone and pairs.replicates == (1, 1) and margin == 0:
        return "McNemar", mcnemar(int((per_unit > 0).sum()), int((per_unit < 0).sum()))
    return "sign flips", sign_flip(np.bincount(pairs.cluster, weights=per_unit - margin).astype(np.float64))


def _compare_functions(resamples: Resamples, a: Columns, b: Columns, *, value: float, margin: float) -> Difference:
    """With unit effects u, seed effects s and their interaction us, the variance of the difference is

        var_u / n + var_us / (n S) + var_s / S.

    The bootstrap of units has the first two; what seeds add to them (`statistics.seed_spread`) is the third, and widens either
    side of the interval. The interaction counts once."""
    name, size = resamples.metric.name, max(a.units, b.units)
    drawn = [resamples.of(columns, units=size) for columns in (a, b)]
    if drawn[0] is None or drawn[1] is None:
        return Difference(name, value, None, None, None, "", reason="one test unit cannot be resampled")
    resampled = drawn[0] - drawn[1]
    cluster, clusters = statistics.clusters_of(a)
    low, high = statistics.bias_corrected(value, resampled, units=size if cluster is None else clusters)
    if math.isnan(low):
        return Difference(name, value, None, None, None, "", reason="too few resamples have a value")
    differences, spread = _over_seeds(a, b, *(resamples.by_seed(columns, units=size) for columns in (a, b)))
    low, high = statistics.widened(value, spread, low, high)
    p_units, p_seeds = _bootstrap_p(resampled, margin=margin), over_seeds(differences - margin)
    p, method = (p_units, "joint bootstrap of test units") if p_units >= p_seeds else (p_seeds, "Student's t over seeds")
    return Difference(name, value, low, high, p, method)


def _bootstrap_p(resampled: Floats, *, margin: float) -> float:
    """Two-sided p: twice the smaller share of resamples beyond the margin (Efron & Tibshirani 1993, ch. 15.4), +1 rule."""
    known = resampled[np.isfinite(resampled)]
    tail = min(int((known <= margin).sum()), int((known >= margin).sum()))
    return min(1.0, 2 * (tail + 1) / (len(known) + 1))


@dataclass(frozen=True)
class _Pairs:
    """table: differences [S, n], NaN where a unit is not of a seed. cluster: int64 [n], what units were drawn together.
    replicates: how many each side had."""

    table: Floats
    cluster: NDArray[np.int64]
    replicates: tuple[int, int]


def _paired_table(a: Columns, b: Columns, *, column: str) -> _Pairs:
    """Rows of both sides averaged within (seed, unit). Equal seeds are paired; a side with one replicate stands against
    every replicate of the other; otherwise the replicates of each side are averaged first."""
    mine, theirs = _cells(a, column), _cells(b, column)
    seeds_a, seeds_b = list(mine), list(theirs)
    size = max(len(row) for row in [*mine.values(), *theirs.values()])
    grids = [
        np.stack([np.pad(row, (0, size - len(row)), constant_values=np.nan) for row in side.values()])
        for side in (mine, theirs)
    ]
    if seeds_a != seeds_b and len(seeds_a) > 1 and len(seeds_b) > 1:
        grids = [_mean_over_seeds(grid) for grid in grids]
    table = grids[0] - grids[1]
    units, seeds = ~np.isnan(table).all(axis=0), ~np.isnan(table).all(axis=1)
    return _Pairs(table[seeds][:, units], _cluster_of_units(a, size)[units], (len(seeds_a), len(seeds_b)))


def _mean_over_seeds(grid: Floats) -> Floats:
    """[1, n] from [S, n]; NaN where no seed has the unit."""
    count = (~np.isnan(grid)).sum(axis=0, keepdims=True)
    return np.where(count > 0, np.nansum(grid, axis=0, keepdims=True) / np.maximum(count, 1), np.nan)


def _cluster_of_units(columns: Columns, size: int) -> NDArray[np.int64]:
    cluster, groups = statistics.clusters_of(columns)
    own = np.arange(columns.units) if cluster is None else cluster
    return np.append(own, groups + np.arange(size - len(own)))


def _cells(columns: Columns, column: str) -> dict[int, Floats]:
    """Mean of the column by unit, for each seed."""
    cells = {}
    for seed in np.unique(columns.index["seed"]):
        own = columns.select(seed=seed)
        values = own.values[column]
        keep = ~np.isnan(values)
        total = np.bincount(own.unit[keep], weights=values[keep])
        count = np.bincount(own.unit[keep])
        cells[int(seed)] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return cells


def _over_seeds(a: Columns, b: Columns, mine: Replicates, theirs: Replicates) -> tuple[Floats, Spread]:
    """The differences of the replicates, paired as in `_paired_table`, and what seeds add to the variance of their mean."""
    paired = np.array_equal(np.unique(a.index["seed"]), np.unique(b.index["seed"]))
    if not paired and min(len(mine.values), len(theirs.values)) > 1:
        apart = statistics.seed_spread(mine), statistics.seed_spread(theirs)
        return np.array([mine.values.mean() - theirs.values.mean()]), _sum_of(*apart)
    differences = mine.values - theirs.values  # one replicate stands against every one of the other side
    resamples = min(mine.moved.shape[1], theirs.moved.shape[1])
    return differences, statistics.seed_spread(Replicates(differences, mine.moved[:, :resamples] - theirs.moved[:, :resamples]))


def _sum_of(one: Spread, other: Spread) -> Spread:
    """Of two independent means, with the quantile of Cochran & Cox (1950)."""
    total = one.variance + other.variance
    if total == 0:
        return one
    return Spread(total, (one.variance * one.quantile + other.variance * other.quantile) / total)
