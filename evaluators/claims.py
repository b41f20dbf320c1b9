"""Judges a claim from stored columns: each clause of its check becomes an effect (more than 0 where it holds) with interval
and p. `judge` takes a track, a check and the entrants' columns. Called by `evaluators.claim_orders`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from evaluators.claim_changes import with_values
from evaluators.claim_estimates import (
    EXACT,
    Located,
    Look,
    Reader,
    Test,
    locate,
    locate_sum,
)
from evaluators.claim_language import (
    SEED,
    SLICE,
    Between,
    Check,
    Clause,
    Comparison,
    Contains,
    Setting,
    Share,
    Sum,
    Trend,
    Value,
    Vocabulary,
    check_names,
    entrants_of,
    expanded,
    values_of,
    write_clause,
    write_value,
)
from evaluators.claim_rows import Entry, NotMeasuredError
from evaluators.claim_shares import Cases, shared
from evaluators.claim_verdicts import Evidence, Finding
from evaluators.columns import Floats
from evaluators.track import Track

LEAST_POINTS = 3


def judge(track: Track, check: Check, entries: Mapping[str, Entry], *, claims: int = 1) -> list[Finding]:
    """A finding for each clause, with `better` and its kin written out. Entrants that are missing give findings without effect.
    claims: how many claims it will be corrected for, which says how finely a p is counted.

    Raises ClaimSyntaxError for names that the track does not have.
    """
    vocabulary = Vocabulary.of(track.spec.model_dump(mode="json"), entrants=[*entries, *entrants_of(check)])
    check_names(check, vocabulary)
    clauses = expanded(check, vocabulary)
    return [_find(track, clause, entries, vocabulary, tests=claims * len(clauses)) for clause in clauses]


def _find(track: Track, clause: Clause, entries: Mapping[str, Entry], vocabulary: Vocabulary, *, tests: int) -> Finding:
    text = write_clause(clause)
    missing = [value.entrant for value in values_of(clause) if value.entrant not in entries]
    if missing:
        return Finding(text, reason=f"{missing[0]} has no result")
    try:
        points = _points(clause, entries, vocabulary)
        if isinstance(clause, Share):
            return _shared(text, clause, points, track, entries, tests=tests)
        return _judged(text, clause, Reader(track, entries, points, tests=tests), points)
    except NotMeasuredError as missing_value:
        return Finding(text, reason=str(missing_value))


def _points(clause: Clause, entries: Mapping[str, Entry], vocabulary: Vocabulary) -> list[Value]:
    """Every value that is read; along a sweep, at each of its settings."""
    if isinstance(clause, Trend):
        return [clause.value.moved(clause.axis, setting) for setting in vocabulary.settings(clause.axis)]
    if isinstance(clause, Share):
        return [each.moved(clause.axis, at) for at in _cases(clause, entries, vocabulary) for each in values_of(clause.case)]
    return values_of(clause)


def _cases(clause: Share, entries: Mapping[str, Entry], vocabulary: Vocabulary) -> list[Setting]:
    own = [entries[value.entrant] for value in values_of(clause)]
    if clause.axis == SEED:
        shared = set.intersection(*({int(seed) for seed in entry.columns.index[SEED]} for entry in own))
        return [float(seed) for seed in sorted(shared)]
    if clause.axis == SLICE:
        return [part for part in vocabulary.slices if all(part in entry.slices for entry in own)]
    return list(vocabulary.settings(clause.axis))


def _judged(text: str, clause: Clause, reader: Reader, points: Sequence[Value]) -> Finding:
    values = tuple(_evidence(point, reader, clause) for point in dict.fromkeys(points))
    match clause:
        case Comparison(left, op, right):
            ahead, behind = (left, right) if op == ">=" else (right, left)
            return _beyond(text, locate_sum(_difference(ahead, behind), reader), values)
        case Between(of, low, high):
            return _within(text, locate_sum(of, reader), *_real_bounds(of, low, high, reader), values)
        case Trend(low=low, high=high):
            if clause.kind == "spearman":
                low, high = _inside_limits(low, high, -1.0, 1.0)
            return _within(text, locate(lambda look: _trend(clause, points, look), reader), low, high, values)
        case Contains(value, number, within):
            return _compatible(text, locate_sum(Sum(((1, value),)), reader), number, within, values)
    raise TypeError(f"{clause} should have been written out")


def _difference(ahead: Sum, behind: Sum) -> Sum:
    return Sum((*ahead.terms, *((-sign, term) for sign, term in behind.terms)))


def _evidence(value: Value, reader: Reader, clause: Clause) -> Evidence:
    """The value with an interval of its own."""
    alone = Sum(((1, value),))
    metric = reader.metrics[value.metric].estimator
    located = locate_sum(alone, _Alone(reader, value)) if metric != "function" else locate(lambda look: look(value), reader)
    at = dict(value.at).get(clause.axis) if isinstance(clause, Trend) else None
    low, high = (None, None) if metric == "fact" else (located.low, located.high)
    return Evidence(write_value(value), located.value, low, high, at if isinstance(at, float) else None)


class _Alone(Reader):
    """A reader that sees one value of another reader."""

    def __init__(self, reader: Reader, value: Value) -> None:
        self.track, self.metrics, self.units = reader.track, reader.metrics, reader.units
        self.values, self.rows = [value], {value: reader.rows[value]}
        self.numbers, self.drawn = reader.numbers, reader.drawn


def _beyond(text: str, located: Located, values: tuple[Evidence, ...]) -> Finding:
    """A bound at 0."""
    test = located.test(0.0)
    if located.method == EXACT and located.value == 0:
        test = Test(0.0)  # equal facts: "at least" holds. Estimates that agree so far say nothing of what was not seen.
    return _finding(text, located, test, values, bound=0.0, effect=located.value, low=located.low, high=located.high)


def _finding(
    text: str,
    located: Located,
    test: Test,
    values: tuple[Evidence, ...],
    *,
    bound: float,
    effect: float,
    low: float | None,
    high: float | None,
) -> Finding:
    return Finding(
        text=text,
        effect=effect,
        ci_low=low,
        ci_high=high,
        p=test.p,
        method=located.method,
        resamples=test.resamples,
        plan=located.plan(bound),
        values=values,
    )


def _within(text: str, located: Located, low: float, high: float, values: tuple[Evidence, ...]) -> Finding:
    """Two bounds: the effect is the distance to the nearer one, and so is the test (two one-sided tests, Schuirmann 1987)."""

    def inside(x: float) -> float:
        return min(x - low, high - x)

    ci_low = ci_high = None
    if located.low is not None and located.high is not None:
        ci_low = min(inside(located.low), inside(located.high))
        ci_high = inside(min(max((low + high) / 2, located.low), located.high))
    bound = low if located.value - low < high - located.value else high
    effect = inside(located.value)
    return _finding(text, located, located.test(bound), values, bound=bound, effect=effect, low=ci_low, high=ci_high)


def _real_bounds(of: Sum, low: float, high: float, reader: Reader) -> tuple[float, float]:
    """The bounds of a band; for a lone value, those that its metric could cross."""
    match of.terms:
        case ((1, Value(metric)),):
            return _inside_limits(low, high, reader.metrics[metric].lower, reader.metrics[metric].upper)
    return low, high


def _inside_limits(low: float, high: float, lowest: float, highest: float) -> tuple[float, float]:
    """A bound at the end of what is possible bounds nothing: in [0.6, 1] of a correlation only 0.6 can be missed."""
    if low <= lowest and high >= highest:
        return low, high
    return (-math.inf if low <= lowest else low), (math.inf if high >= highest else high)


def _compatible(text: str, located: Located, number: float, within: float, values: tuple[Evidence, ...]) -> Finding:
    """An interval that contains the number must also stay within reach of it; one that does not refutes the claim."""
    if located.low is None or located.high is None:
        raise NotMeasuredError(f"{located.method}: nothing can be said of what it contains")
    if located.low <= number <= located.high:
        return _within(text, located, number - within, number + within, values)
    far, near = sorted((number - located.low, number - located.high), key=abs, reverse=True)
    effect = -abs(located.value - number)
    test = located.test(number)
    return _finding(text, located, test, values, bound=number, effect=effect, low=-abs(far), high=-abs(near))


def _trend(clause: Trend, points: Sequence[Value], look: Look) -> Floats:
    """[] or [R]: slope, log-log slope or Spearman's correlation over the settings. NaN where it does not exist."""
    if len(points) < LEAST_POINTS:
        raise NotMeasuredError(f"a trend needs {LEAST_POINTS} settings, “{clause.axis}” has {len(points)}")
    x = np.array([float(dict(point.at)[clause.axis]) for point in points])
    y = np.stack([look(point) for point in points], axis=-1)
    if clause.kind == "loglog_slope":
        if (x <= 0).any():
            raise NotMeasuredError(f"“{clause.axis}” has settings that have no logarithm")
        x, y = np.log(x), np.log(np.where(y > 0, y, np.nan))
    if clause.kind == "spearman":
        x, y = stats.rankdata(x), np.asarray(stats.rankdata(y, axis=-1), dtype=np.float64)
    dx, dy = x - x.mean(), y - y.mean(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.sqrt((dx**2).sum() * (dy**2).sum(axis=-1)) if clause.kind == "spearman" else (dx**2).sum()
        return np.asarray((dy @ dx) / scale)


def _shared(
    text: str, clause: Share, points: Sequence[Value], track: Track, entries: Mapping[str, Entry], *, tests: int
) -> Finding:
    """Each case by itself, then how many of them hold."""
    named = values_of(clause.case)
    if not points:
        raise NotMeasuredError(f"the entrants have no {clause.axis} in common")
    located, values = [], []
    for start in range(0, len(points), len(named)):
        own = points[start : start + len(named)]
        reader = Reader(track, entries, own, tests=tests * len(points) // len(named))
        case = with_values(clause.case, dict(zip(named, own, strict=True)).__getitem__)
        ahead, behind = (case.left, case.right) if case.op == ">=" else (case.right, case.left)
        located.append(locate_sum(_difference(ahead, behind), reader))
        values += [_evidence(point, reader, clause) for point in dict.fromkeys(own)]
    return shared(text, Cases(located, least=clause.least), values=tuple(values))
