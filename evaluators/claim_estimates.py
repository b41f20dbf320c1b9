"""Where a clause's expression lies: its value, its 95 % interval and a p against any bound, over test units and over seeds.
Pure numpy and scipy; called by `evaluators.claims`.

Two ways, as for one score (`evaluators.statistics`):

- A linear expression of means is a mean itself: each row's share in it, c (x - mean) / n, is added up by unit and seed, and the
  crossed variance of that table counts what the entrants share (the same units, the same seeds) once, with its sign.
- Anything else is resampled: every value it reads in the same resamples of the same units, and seeds beside it by Student's t.

The interval adds up what units and seeds vary, each counted once. Of p the larger counts, that over units and seeds or
Student's t on the seeds' values alone, as in `evaluators.comparison`: with three seeds the added variances alone were measured
to tell equals apart in 8 % of the cases where trainings vary more than images do. Where each seed has units of its own
(another graph a seed), seeds are clusters, and Student's t on their values is all there is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from evaluators import statistics
from evaluators.claim_language import SEED, Absolute, Number, Scaled, Sum, Term, Value, write_value
from evaluators.claim_rows import Entry, NotMeasuredError, common_slices, is_crossed, jointly_numbered, rows_of, seeds_of
from evaluators.claim_verdicts import LEVEL, Plan
from evaluators.columns import Columns, Floats
from evaluators.comparison import over_seeds
from evaluators.planning import plan_of
from evaluators.resampling import RESAMPLES, bootstrap_seed, weight_chunks
from evaluators.statistics import SEED_RESAMPLES, Spread
from evaluators.track import Track

Look = Callable[[Value], Floats]
"""A value's number: one [], or one for each resample [R]."""
OVER_UNITS_AND_SEEDS = "crossed variance of test units and seeds"
OVER_CLUSTERS = "Student's t over seeds, each with units of its own"
RESAMPLED = "joint bootstrap of test units, and seeds beyond it"
EXACT = "exact"
ROUNDING = 1e-18
"""Variances below this are the rounding of none: seeds that agree to the last bit."""
FEW = 10
"""A p is counted on until so many resamples lie beyond the bound, if a smaller one could still matter."""


class Test(NamedTuple):
    """A two-sided p, and how many resamples it was counted from; 0 where it was not counted."""

    p: float
    resamples: int = 0


@dataclass(frozen=True)
class Located:
    """Where an expression lies. test: whether the truth is at a bound. table: what it is the mean of, by seed (and unit), for
    planning."""

    value: float
    low: float | None
    high: float | None
    test: Callable[[float], Test]
    table: Floats | None
    method: str

    def plan(self, bound: float) -> Plan | None:
        """What it takes to plan for more seeds."""
        return None if self.table is None else plan_of(self.table, margin=bound)


def blocks_for(tests: int) -> int:
    """How many blocks of RESAMPLES it takes to count a p as small as a correction for so many tests may ask for, LEVEL / tests,
    from FEW resamples or more beyond the bound. The smallest p that R resamples can give is 2 / (R + 1)."""
    return math.ceil(2 * FEW * tests / (LEVEL * RESAMPLES))


def is_coarse(p: float, *, resamples: int, tests: int) -> bool:
    """Whether a p was counted from too few resamples beyond its bound to be corrected for so many tests."""
    return 0 < resamples < RESAMPLES * blocks_for(tests) and p < 2 * (FEW + 1) / (resamples + 1)


class Reader:
    """The numbers of some values, jointly: units are numbered alike in all of them, and entrants are read on the slices that
    all of them entered. tests: how many tests there are to correct for, which says how small a p may have to be."""

    def __init__(self, track: Track, entries: Mapping[str, Entry], values: Sequence[Value], *, tests: int = 1) -> None:
        self.track = track
        self.tests = tests
        self.values = list(dict.fromkeys(values))
        self.metrics = {metric.name: metric for metric in track.spec.metrics}
        common = common_slices([entries[name] for name in {value.entrant for value in values}])
        rows = {value: rows_of(value, entries[value.entrant], common) for value in self.values}
        self.rows = dict(zip(rows, jointly_numbered(list(rows.values())), strict=True))
        self.units = max(columns.units for columns in self.rows.values())
        self.numbers = {value: self._reduced(value, columns) for value, columns in self.rows.items()}
        self.drawn: dict[tuple[Value, int], Floats] = {}

    def look(self, value: Value) -> Floats:
        """The value: []."""
        return self.numbers[value]

    def draws(self, value: Value, block: int = 0) -> Floats:
        """The value in each of a block of resamples of the units: [R]. The first block is that of all intervals."""
        if (value, block) not in self.drawn:
            name = self.track.spec.slug
            chunks = weight_chunks(self.units, bootstrap_seed(f"{name}, block {block}" if block else name))
            parts = [
                np.broadcast_to(self.track.reduce(self.rows[value], weights)[value.metric], len(weights)) for weights in chunks
            ]
            self.drawn[value, block] = np.concatenate(parts)
        return self.drawn[value, block]

    def by_seed(self, of: Callable[[Look], Floats]) -> Floats:
        """An expression for each seed alone: [S]. An entrant with one replicate stands against every seed of the others; fewer
        than two common seeds: [0]."""
        seeds = self.common_seeds()
        if len(seeds) < 2:
            return np.zeros(0)
        found = np.array([float(of(lambda value, seed=seed: self._at_seed(value, seed))) for seed in seeds])  # type: ignore[misc]
        return found if np.isfinite(found).all() else np.zeros(0)

    def common_seeds(self) -> list[int]:
        """The seeds that all entrants with several replicates have."""
        sets = [set(seeds_of(columns)) for columns in self.rows.values()]
        several = [seeds for seeds in sets if len(seeds) > 1]
        return sorted(set.intersection(*several)) if several else []

    def crossed(self) -> bool:
        """Whether every seed has the same units."""
        return all(is_crossed(columns) for columns in self.rows.values())

    def moves(self, of: Callable[[Look], Floats]) -> Floats:
        """An expression for each seed alone in the same resamples of the units: [S, r]."""
        weights = next(iter(weight_chunks(self.units, bootstrap_seed(self.track.spec.slug))))[:SEED_RESAMPLES]
        seeds = self.common_seeds()
        moved = [of(lambda value, seed=seed: self._at_seed(value, seed, weights)) for seed in seeds]  # type: ignore[misc]
        return np.stack([np.broadcast_to(each, len(weights)) for each in moved])

    def _at_seed(self, value: Value, seed: int, weights: Floats | None = None) -> Floats:
        columns = self.rows[value]
        if len(seeds_of(columns)) > 1:
            columns = columns.select(seed=seed)
        return np.asarray(self.track.reduce(columns, weights)[value.metric])

    def _reduced(self, value: Value, columns: Columns) -> Floats:
        number = np.asarray(self.track.reduce(columns)[value.metric], dtype=np.float64)
        if not np.isfinite(number):
            raise NotMeasuredError(f"{write_value(value)} has no finite value")
        return number


def evaluate(of: Sum, look: Look) -> Floats:
    """The expression's number(s)."""
    return np.asarray(sum(sign * _term(term, look) for sign, term in of.terms), dtype=np.float64)


def _term(term: Term, look: Look) -> Floats:
    match term:
        case Number(number):
            return np.asarray(number)
        case Value():
            return look(term)
        case Absolute(of):
            return np.abs(evaluate(of, look))
        case Scaled(factor, of):
            return np.asarray(factor * _term(of, look))


def locate_sum(of: Sum, reader: Reader) -> Located:
    """Where a sum lies: exactly if it is made of facts, as a mean if it is linear in means, else by resampling."""
    parts = _linear(of)
    kinds = {reader.metrics[value.metric].estimator for value in reader.values}
    if kinds <= {"fact"} or parts == []:
        return _exact(float(evaluate(of, reader.look)))
    if parts is not None and kinds <= {"mean", "proportion", "fact"}:
        return _locate_mean(of, parts, reader)
    return locate(lambda look: evaluate(of, look), reader)


def locate(of: Callable[[Look], Floats], reader: Reader) -> Located:
    """Where any function of the values lies, by the joint bootstrap."""
    value = float(of(reader.look))
    if not math.isfinite(value):
        raise NotMeasuredError("the expression has no finite value here")
    by_seed = reader.by_seed(of)
    if len(by_seed) > 1 and not reader.crossed():
        return _over_clusters(value, by_seed)
    if reader.units < 2:
        return _unknown(value)
    low, high = statistics.bias_corrected(value, _block(of, reader, 0), units=reader.units)
    if math.isnan(low):
        return _unknown(value)
    seeds = _beyond_units(by_seed, reader.moves(of)) if len(by_seed) > 1 else Spread(0.0, 0.0)

    def test(bound: float) -> Test:
        return _counted(of, reader, bound, least=over_seeds(by_seed - bound))

    low, high = value - math.hypot(value - low, seeds.half_width), value + math.hypot(high - value, seeds.half_width)
    return Located(value, low, high, test, by_seed if len(by_seed) else None, RESAMPLED)


def _over_clusters(value: float, by_seed: Floats) -> Located:
    """Seeds with units of their own: Student's t on their values."""
    spread = statistics.clustered_spread(by_seed, cluster=np.arange(len(by_seed)))
    low, high = value - spread.half_width, value + spread.half_width
    return Located(value, low, high, lambda bound: Test(_student_p(value - bound, spread)), by_seed, OVER_CLUSTERS)


def _beyond_units(by_seed: Floats, moved: Floats) -> Spread:
    """What seeds [S] vary beyond what the resamples of their units [S, r] explain; see `statistics.spread_over_seeds`."""
    whole = statistics.clustered_spread(by_seed, cluster=np.arange(len(by_seed)))
    explained = float(np.nanmean((moved - by_seed[:, None]).var(axis=0, ddof=1))) / len(by_seed)
    return Spread(max(whole.variance - explained, 0.0) if math.isfinite(explained) else whole.variance, whole.quantile)


# --- linear expressions of means


@dataclass(frozen=True)
class _Cells:
    """What each unit under each seed adds to a mean: `z` [cells], whose mean is the expression's value."""

    z: Floats
    unit: NDArray[np.int64]
    seed: NDArray[np.int64]

    def spread(self) -> Spread:
        found = statistics.spread_of_mean(self.z, unit=self.unit, seed=self.seed)
        return Spread(0.0, found.quantile) if found.variance < ROUNDING else found

    def table(self) -> Floats:
        """[S, n], NaN where a unit is not of a seed."""
        seeds, row = np.unique(self.seed, return_inverse=True)
        units, column = np.unique(self.unit, return_inverse=True)
        table = np.full((len(seeds), len(units)), np.nan)
        table[row, column] = self.z
        return table


def _locate_mean(of: Sum, parts: list[tuple[float, Value]], reader: Reader) -> Located:
    value = float(evaluate(of, reader.look))
    estimated = [(factor, each) for factor, each in parts if reader.metrics[each.metric].estimator != "fact"]
    cells = _cells(value, estimated, reader)
    spread = cells.spread()
    if not math.isfinite(spread.variance):
        return _unknown(value)
    n = len(np.unique(cells.unit))
    shares = [factor for factor, each in estimated if reader.metrics[each.metric].estimator == "proportion"]
    wilson = _wilson_of(value, parts[0], n, spread, reader) if len(parts) == 1 and shares else None
    if spread.variance == 0 and shares:
        spread = _never_seen(n, weight=sum(map(abs, shares)))
    low, high = wilson or (value - spread.half_width, value + spread.half_width)
    by_seed = reader.by_seed(lambda look: evaluate(of, look))

    def test(bound: float) -> Test:
        return Test(max(_student_p(value - bound, spread), over_seeds(by_seed - bound)))

    method = OVER_UNITS_AND_SEEDS if reader.crossed() else OVER_CLUSTERS
    return Located(value, low, high, test, cells.table(), method)


def _cells(value: float, parts: list[tuple[float, Value]], reader: Reader) -> _Cells:
    """The rows' shares in the expression, added up by unit and seed."""
    seeds = reader.common_seeds() or [0]
    units: list[NDArray[np.int64]] = []
    replicates: list[NDArray[np.int64]] = []
    shares: list[Floats] = []
    for factor, each in parts:
        columns = reader.rows[each]
        column = columns.values[reader.metrics[each.metric].column]
        keep = ~np.isnan(column)
        share = factor * (column[keep] - column[keep].mean()) / keep.sum()
        own = np.asarray(columns.index[SEED][keep], dtype=np.int64)
        copies: list[int | None] = [*seeds] if len(np.unique(own)) == 1 else [None]
        for copy in copies:  # one replicate stands against every seed of the others
            units.append(columns.unit[keep])
            replicates.append(own if copy is None else np.full(len(own), copy, dtype=np.int64))
            shares.append(share / len(copies))
    unit, seed, share = np.concatenate(units), np.concatenate(replicates), np.concatenate(shares)
    cells, of_cell = np.unique(np.stack([unit, seed]), axis=1, return_inverse=True)
    total = np.asarray(np.bincount(of_cell.ravel(), weights=share), dtype=np.float64)
    return _Cells(z=value + total * len(total), unit=cells[0], seed=cells[1])


def _never_seen(n: int, *, weight: float) -> Spread:
    """The spread where no unit differs from another: what no unit of n shows has a share below z^2 / (n + z^2) (Wilson)."""
    quantile = statistics.t_quantile(math.inf)
    bound = statistics.wilson(0.0, n, quantile=quantile)[1]
    return Spread((weight * bound / quantile) ** 2, quantile)


def _wilson_of(value: float, part: tuple[float, Value], n: int, spread: Spread, reader: Reader) -> tuple[float, float]:
    """Wilson's interval for a single proportion, moved and scaled as the expression does."""
    factor, each = part
    p = float(reader.look(each))
    ends = statistics.proportion_interval(p, n, Spread(spread.variance / factor**2, spread.quantile))
    moved = sorted(value + factor * (end - p) for end in ends)
    return moved[0], moved[1]


def _linear(of: Sum) -> list[tuple[float, Value]] | None:
    """The values of a sum with their factors, equal ones joined; None if it is not linear in them."""
    factors: dict[Value, float] = {}
    for sign, term in of.terms:
        factor, inner = (term.factor, term.of) if isinstance(term, Scaled) else (1.0, term)
        if isinstance(inner, Absolute):
            return None
        if isinstance(inner, Value):
            factors[inner] = factors.get(inner, 0.0) + sign * factor
    return [(factor, value) for value, factor in factors.items() if factor]


# --- tests


def _exact(value: float) -> Located:
    return Located(value, value, value, lambda bound: Test(0.0 if value != bound else 1.0), None, EXACT)


def _unknown(value: float) -> Located:
    return Located(value, None, None, lambda _: Test(1.0), None, "too few test units for an interval")


def _student_p(distance: float, spread: Spread) -> float:
    """Two-sided p of a distance under the t whose 95 % quantile the spread has: it is below 5 % where the interval ends."""
    if spread.variance == 0:
        return 0.0 if distance else 1.0
    statistic = -abs(distance) / math.sqrt(spread.variance)
    if spread.quantile <= statistics.t_quantile(math.inf) * (1 + 1e-6):
        return float(2 * special.ndtr(statistic))
    degrees = special.stdtridf(0.5 + statistics.CONFIDENCE / 2, spread.quantile)
    return float(2 * special.stdtr(degrees, statistic))


def _block(of: Callable[[Look], Floats], reader: Reader, block: int) -> Floats:
    """The expression in each of a block of resamples."""
    return np.asarray(of(lambda value: reader.draws(value, block)), dtype=np.float64)


def _counted(of: Callable[[Look], Floats], reader: Reader, bound: float, *, least: float) -> Test:
    """Two-sided: twice the smaller share of resamples beyond the bound, +1 rule (Efron & Tibshirani 1993, ch. 15.4). Where few
    lie beyond it and a smaller p could matter, more are drawn (as Besag & Clifford 1991 count a Monte Carlo p). At least
    `least`, what seeds alone say."""
    below = above = known = 0
    for block in range(blocks_for(reader.tests)):
        drawn = _block(of, reader, block)
        below, above = below + int((drawn <= bound).sum()), above + int((drawn >= bound).sum())
        known += int(np.isfinite(drawn).sum())
        p = min(1.0, 2 * (min(below, above) + 1) / (known + 1))
        if p <= least:
            return Test(least)
        if min(below, above) >= FEW:
            break
    return Test(p, RESAMPLES * (block + 1))
