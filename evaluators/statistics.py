"""Intervals of scores from columns. Pure numpy and scipy: takes a track and its columns, gives one Estimate a metric.

Two things are random in a score: which test units were drawn, and how training went under each seed. Both count here. Where
every seed answers the same units the design is crossed, and with unit effects u, seed effects s and their interaction us

    Var(mean) = var_u / n + var_s / S + var_us / (n S)

is estimated without bias from the row and column means of the table [S, n] (Searle, Casella & McCulloch 1992, ch. 4). Its
t quantile is the mean of those of n - 1 and S - 1 degrees of freedom, weighted by the two variances (Cochran & Cox 1950):
simulated over 27 designs with 3, 5 and 10 seeds it covers 93.4 to 96.9 %, Satterthwaite's degrees of freedom 92.7 to 98.4 %.
The exception is a column on which test units do not differ at all and three seeds differ a little (92 %). Where each seed has
units of its own (another graph a seed) seeds are clusters, and only their means count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from evaluators.columns import Columns, Floats
from evaluators.resampling import bootstrap_seed, weight_chunks
from evaluators.track import Metric, Track

CONFIDENCE = 0.95
SEED_RESAMPLES = 200
CLUSTER = "cluster"
"""Name of the index column that says which units were drawn together, where a track has such groups: they count as one."""


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval. A value that could not be had is None, with the reason; so is an interval."""

    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Spread:
    """Variance of a mean, and how many of its roots the 95 % interval reaches to either side."""

    variance: float
    quantile: float

    @property
    def half_width(self) -> float:
        """Half of the 95 % interval."""
        return self.quantile * math.sqrt(self.variance)


def t_quantile(degrees: float) -> float:
    """The two-sided 95 % quantile of Student's t; of the normal for infinite `degrees`."""
    tail = 0.5 + CONFIDENCE / 2
    return float(special.ndtri(tail) if math.isinf(degrees) else special.stdtrit(degrees, tail))


def wilson(p: float, n: float, *, quantile: float) -> tuple[float, float]:
    """Score interval of a proportion `p` seen in `n` trials (Wilson 1927, eq. 5). `n` may be an effective, broken number."""
    z2 = quantile**2
    center = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = quantile / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    # At p = 0 and p = 1 the formula gives the bound itself, but for rounding.
    return (0.0 if p == 0 else max(0.0, center - half)), (1.0 if p == 1 else min(1.0, center + half))


@dataclass(frozen=True)
class Components:
    """What the variance of a mean is made of. `units` and `seeds`: as if only these had been drawn (each holds the interaction
    once); `both`: the interaction of units and seeds alone, 0 where it cannot be told from them. NaN: cannot be known."""

    units: Spread
    seeds: Spread
    both: float

    @property
    def total(self) -> Spread:
        """Variance over units and seeds together, with Cochran & Cox's quantile."""
        if math.isnan(self.units.variance):
            return self.seeds
        if math.isnan(self.seeds.variance):
            return self.units
        over_units, over_seeds = self.units.variance, max(self.seeds.variance - self.both, 0.0)
        if over_units + over_seeds == 0:
            return Spread(0.0, self.units.quantile)
        quantile = (over_units * self.units.quantile + over_seeds * self.seeds.quantile) / (over_units + over_seeds)
        return Spread(over_units + over_seeds, quantile)


def spread_of_mean(column: Floats, *, unit: NDArray[np.int64], seed: NDArray[np.int64]) -> Spread:
    """Variance of the mean of a column [rows] whose rows are (unit, seed) pairs, over units and over seeds. NaN where one unit
    and one seed are all there is. Clusters may stand for units: rows of one unit may be many."""
    return components_of(column, unit=unit, seed=seed).total


def components_of(column: Floats, *, unit: NDArray[np.int64], seed: NDArray[np.int64]) -> Components:
    """Variance of the mean of a column [rows] by source; rows are (unit, seed) pairs, in any number for each pair.

    Every source is estimated from the sums of residuals over its groups (`clustered_spread`), which for a full table [S, n] are
    the analysis of variance's row and column means, and for a table with gaps the two-way clustered variance of Cameron,
    Gelbach & Miller (2011, eq. 2.11). Where each unit belongs to one seed, seeds are clusters and nothing else counts.
    """
    seeds, of_seed = np.unique(seed, return_inverse=True)
    units, of_unit = np.unique(unit, return_inverse=True)
    over_units, over_seeds = clustered_spread(column, cluster=of_unit), clustered_spread(column, cluster=of_seed)
    if len(seeds) == 1:
        return Components(over_units, over_seeds, 0.0)
    cells, of_cell = np.unique(of_unit * len(seeds) + of_seed, return_inverse=True)
    freedom = len(cells) - len(units) - len(seeds) + 1
    if freedom < 1:
        return Components(Spread(math.nan, math.nan), over_seeds, 0.0)
    residual = column - column.mean()
    size = np.bincount(of_cell)
    alone = (
        np.bincount(of_cell, weights=residual)
        - size * _group_means(residual, of_unit)[cells // len(seeds)]
        - size * _group_means(residual, of_seed)[cells % len(seeds)]
    )
    both = float((alone**2).sum()) * len(cells) / freedom / len(column) ** 2
    return Components(over_units, over_seeds, both)


def clustered_spread(column: Floats, *, cluster: NDArray[np.int64]) -> Spread:
    """Variance of the mean of a column [rows] whose rows come in independent clusters, with its t quantile.

    The sums of residuals over clusters, corrected for leverage (Bell & McCaffrey 2002, CR2; for a mean the correction is
    1 / (1 - share of the cluster)), with their degrees of freedom: G - 1 for equal clusters, fewer for unequal ones (Imbens &
    Kolesar 2016, eq. 10). Equal clusters of one row: the plain standard error. NaN where there is one cluster.
    """
    _, of_cluster = np.unique(cluster, return_inverse=True)
    share = np.bincount(of_cluster) / max(len(column), 1)
    if len(share) < 2:
        return Spread(math.nan, math.nan)
    sums = np.bincount(of_cluster, weights=column - column.mean())
    variance = float((sums**2 / (1 - share)).sum()) / len(column) ** 2
    leverage = share**2 / (1 - share)
    degrees = 1 / float((share**2).sum() + leverage.sum() ** 2 - (leverage**2).sum())
    return Spread(variance, t_quantile(degrees))


def _group_means(column: Floats, group: NDArray[np.int64]) -> Floats:
    return np.asarray(np.bincount(group, weights=column) / np.bincount(group))


def proportion_interval(p: float, units: int, spread: Spread) -> tuple[float, float]:
    """Wilson's interval at the effective sample size: the units over the design effect, which is the variance over that of
    independent trials (Kish 1965; Korn & Graubard 1998 use the same device for exact intervals). Where nothing but the drawing
    of units varies, it is Wilson's interval itself."""
    independent = p * (1 - p) / max(units - 1, 1)
    if spread.variance == 0 or math.isclose(spread.variance, independent, rel_tol=1e-9):
        return wilson(p, units, quantile=t_quantile(math.inf))
    return wilson(p, units * independent / spread.variance, quantile=spread.quantile)


def bias_corrected(value: float, resampled: Floats, *, units: float = math.inf) -> tuple[float, float]:
    """Bias-corrected percentile interval (Efron 1981) of `value` from its resamples [R]; NaN resamples are left out, and too
    many of them give NaN.

    units: how many were drawn. A bootstrap distribution is too narrow by sqrt((n - 1) / n) and normal where t is due: the
    percentiles are taken that much further out (Hesterberg 2015, "expanded percentile", sec. 5.3).
    """
    known = resampled[np.isfinite(resampled)]
    if len(known) < 0.9 * len(resampled):
        return math.nan, math.nan
    below = (np.sum(known < value) + 0.5 * np.sum(known == value)) / len(known)
    shift = special.ndtri(np.clip(below, 1 / len(known), 1 - 1 / len(known)))
    z = t_quantile(units - 1) * (1.0 if math.isinf(units) else math.sqrt(units / (units - 1)))
    low, high = special.ndtr(2 * shift - z), special.ndtr(2 * shift + z)
    return float(np.quantile(known, low)), float(np.quantile(known, high))


def estimate(track: Track, columns: Columns) -> dict[str, Estimate]:
    """Every metric of the track over the given rows (all of them, one slice, one axis setting), with its interval."""
    values = {name: float(value) for name, value in track.reduce(columns).items()}
    functions = [metric for metric in track.spec.metrics if metric.estimator == "function"]
    names = [metric.name for metric in functions if math.isfinite(values[metric.name])]
    drawn = resampled(track, columns, names=names)
    over_seeds = spread_over_seeds(track, columns, names=names) if drawn else {}
    return {
        metric.name: _estimate(metric, values[metric.name], columns, drawn.get(metric.name), over_seeds.get(metric.name))
        for metric in track.spec.metrics
    }


def resampled(track: Track, columns: Columns, *, names: Sequence[str], units: int | None = None) -> dict[str, Floats]:
    """The named metrics in every resample of the test units: [RESAMPLES] each, the same resamples for every submission of a
    track with as many units. Clusters are drawn whole, where there are any. Nothing where there is one unit.

    units: how many the test has, where the last ones could be missing from these columns.
    """
    cluster, groups = clusters_of(columns)
    groups = max(groups, units or 0) if cluster is None else groups
    if not names or groups < 2:
        return {}
    chunks = weight_chunks(groups, bootstrap_seed(track.spec.slug))
    parts = [track.reduce(columns, weights if cluster is None else weights[:, cluster]) for weights in chunks]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def spread_over_seeds(track: Track, columns: Columns, *, names: Sequence[str]) -> dict[str, Spread]:
    """Variance of the named metrics' mean over seeds, beyond what the bootstrap of units accounts for. Nothing for one seed."""
    if len(np.unique(columns.index["seed"])) < 2:
        return {}
    return {name: seed_spread(replicates) for name, replicates in by_seed(track, columns, names=names).items()}


@dataclass(frozen=True)
class Replicates:
    """A metric of each seed, [S]; and in resamples of the test units that are the same for all, [S, r]: r is 0 where seeds have
    units of their own."""

    values: Floats
    moved: Floats


def by_seed(track: Track, columns: Columns, *, names: Sequence[str], units: int | None = None) -> dict[str, Replicates]:
    """The named metrics, each seed by itself. units: as for `resampled`."""
    parts = [columns.select(seed=seed) for seed in np.unique(columns.index["seed"])]
    values = [track.reduce(part) for part in parts]
    crossed = len(parts[0].unit) > 0 and all(np.array_equal(part.unit, parts[0].unit) for part in parts)
    cluster, groups = clusters_of(columns)
    groups = max(groups, units or 0) if cluster is None else groups
    weights = next(iter(weight_chunks(groups, bootstrap_seed(track.spec.slug))))[:SEED_RESAMPLES]
    weights = weights if cluster is None else weights[:, cluster]
    moves = [track.reduce(part, weights) for part in parts] if crossed else []
    empty = np.empty((len(parts), 0))
    return {
        name: Replicates(
            np.array([float(value[name]) for value in values]), np.array([move[name] for move in moves]) if moves else empty
        )
        for name in names
    }


def seed_spread(replicates: Replicates) -> Spread:
    """Variance of the mean over seeds, beyond what the bootstrap of units accounts for.

    A seed's value moves because of the seed and because seeds take the units differently. The bootstrap has the latter
    already; it is measured as the variance between seeds of how each seed's value moves in the same resample.
    """
    values, moved = replicates.values, replicates.moved
    whole = clustered_spread(values, cluster=np.arange(len(values)))
    both = 0.0
    if len(values) > 1 and moved.size:
        both = float(np.nanmean((moved - values[:, None]).var(axis=0, ddof=1))) / len(values)
    return Spread(max(whole.variance - both, 0.0) if math.isfinite(both) else whole.variance, whole.quantile)


def clusters_of(columns: Columns) -> tuple[NDArray[np.int64] | None, int]:
    """The cluster of each unit [units], numbered from 0 (None: units are their own), and how many there are."""
    if CLUSTER not in columns.index:
        return None, columns.units
    names, of_row = np.unique(columns.index[CLUSTER], return_inverse=True)
    of_unit = np.zeros(columns.units, dtype=np.int64)
    of_unit[columns.unit] = of_row
    return of_unit, len(names)


def _estimate(metric: Metric, value: float, columns: Columns, drawn: Floats | None, over_seeds: Spread | None) -> Estimate:
    if not math.isfinite(value):
        return Estimate(None, reason="not measured here" if math.isnan(value) else "infinite")
    low, high = math.nan, math.nan
    if metric.estimator in ("proportion", "mean"):
        low, high = _mean_interval(metric, value, columns)
    elif drawn is not None:
        low, high = bias_corrected(value, drawn, units=clusters_of(columns)[1])
        if over_seeds is not None:
            low, high = widened(value, over_seeds, low, high)
    if not (math.isfinite(low) and math.isfinite(high)):
        return Estimate(value)
    return Estimate(value, max(low, metric.lower), min(high, metric.upper))


def _mean_interval(metric: Metric, value: float, columns: Columns) -> tuple[float, float]:
    column = columns.values[metric.column]
    keep = ~np.isnan(column)
    cluster, _ = clusters_of(columns)
    unit = columns.unit[keep] if cluster is None else cluster[columns.unit[keep]]
    spread = spread_of_mean(column[keep], unit=unit, seed=np.asarray(columns.index["seed"][keep], dtype=np.int64))
    if math.isnan(spread.variance):
        return math.nan, math.nan
    if metric.estimator == "proportion":
        return proportion_interval(value, len(np.unique(unit)), spread)
    return value - spread.half_width, value + spread.half_width


def widened(value: float, over_seeds: Spread, low: float, high: float) -> tuple[float, float]:
    """Add what varies over seeds to a bootstrap interval, each side by itself (Zou & Donner 2008 recover variances from
    limits so)."""
    if not math.isfinite(over_seeds.variance):
        return low, high
    return value - math.hypot(value - low, over_seeds.half_width), value + math.hypot(high - value, over_seeds.half_width)
