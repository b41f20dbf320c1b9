"""Ranks and rank intervals, from plain values: no columns, no database, no clock. Pure numpy.

Who is better than whom comes in from outside: as p-values of paired tests (which the server keeps), as intervals, or as
resampled scores. Called by the standings of a board and by the claims ledger.

What a rank says: at least rank - 1 others are better, or this is one of the at most 5 % of submissions that had bad luck. The
tests of one submission against all others are one family, corrected by Holm; [1 + better, n - worse] is then a 95 % confidence
set for its true rank (Mogstad, Romano, Shaikh & Wilhelm 2024, "Inference for ranks", Theorem 3.3, marginal). Correcting all
n (n - 1) / 2 pairs together would guard a sentence about the whole table that nobody reads, and would need p-values below
what 10,000 sign flips can give.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Direction = Literal["max", "min"]

LEVEL = 0.05
HEAD = 20
"""How many of the best are ranked by paired tests: 190 pairs; a new member of the head adds 19."""
STRETCH = 1.25


class Entry(NamedTuple):
    """What ranking needs to know of a submission.

    key:    identifies it, and breaks the last ties; keys are comparable with each other.
    low, high: its 95 % interval; None for a value that is exact: then it is the value alone.
    order:  among equal values the smaller one stands first: the time of submission.
    reason: why it cannot be ranked, usually empty.
    """

    key: Any
    value: float | None
    low: float | None
    high: float | None
    order: Any
    reason: str = ""


class Paired(NamedTuple):
    """A paired test: the difference a - b in the metric's unit, and its two-sided p. None or NaN: there is none, and nothing is
    significant."""

    difference: float | None
    p: float | None


class Place(NamedTuple):
    """Where a submission stands.

    position: 1 ... n, without gaps or ties: the order in which rows are shown.
    rank:     1 + how many are significantly better. Shared by those that cannot be told apart.
    rank_low, rank_high: 95 % confidence set of the rank: 1 + how many are significantly better ... how many are not
              significantly worse.
    reason:   why it is not ranked; then the three ranks are None, and it comes after all that are.
    """

    key: Any
    position: int
    rank: int | None
    rank_low: int | None
    rank_high: int | None
    reason: str


Compare = Callable[[Any, Any], Paired]
"""compare(a, b) of two keys, a - b. Asked once for each pair of the head, the one with the better value as `a`."""


def rank(entries: Sequence[Entry], *, direction: Direction, compare: Compare | None = None, head: int = HEAD) -> list[Place]:
    """A place for every entry, in order of position: by rank, then value, then order.

    The `head` best values are ranked among each other by paired tests with Holm's correction at 5 %; everything else by
    disjoint stretched intervals (`interval_ranks`), the cheaper bound, in O(n log n). A rank of the tail is never better than
    the last one of the head: a weaker test does not lift an entry above those it trails. Without `compare` all is tail.

    NaN, infinite and missing values are not ranked, and stand last in order of submission, with the reason.
    """
    reasons = [why_not_ranked(entry) for entry in entries]
    known = [entry for entry, reason in zip(entries, reasons, strict=True) if not reason]
    sign = 1.0 if direction == "max" else -1.0
    known.sort(key=lambda entry: (-sign * _number(entry.value), entry.order, entry.key))
    placed = _ranked(known, direction=direction, compare=compare, head=head if compare else 0)
    last = sorted((entry.order, entry.key, reason) for entry, reason in zip(entries, reasons, strict=True) if reason)
    return placed + [
        Place(key, position, None, None, None, reason) for position, (_, key, reason) in enumerate(last, start=len(placed) + 1)
    ]


def why_not_ranked(entry: Entry) -> str:
    """One clause; empty for an entry that is ranked. A missing score is never a zero."""
    if entry.reason:
        return entry.reason
    if entry.value is None:
        return "it has no value"
    if math.isnan(entry.value):
        return "its value is not a number"
    return "its value is infinite" if math.isinf(entry.value) else ""


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values by Holm's (1979) step-down procedure, in the order given. NaN (no test) counts as 1."""
    return [float(p) for p in holm_rows(np.asarray(p_values, dtype=np.float64)[None])[0]]


def holm_rows(p_values: Floats) -> Floats:
    """Holm's adjustment of each row [rows, m] by itself. NaN counts as 1 and as a member of the family."""
    p = np.where(np.isnan(p_values), 1.0, p_values)
    order = np.argsort(p, axis=1, kind="stable")
    factors = np.arange(p.shape[1], 0, -1)
    stepped = np.minimum(np.maximum.accumulate(np.take_along_axis(p, order, axis=1) * factors, axis=1), 1.0)
    adjusted = np.empty_like(stepped)
    np.put_along_axis(adjusted, order, stepped, axis=1)
    return adjusted


def significance(differences: Floats, p_values: Floats, *, direction: Direction, level: float = LEVEL) -> NDArray[np.int8]:
    """Who is significantly better than whom: int8 [n, n], 1 where i is better than j, -1 where it is worse, 0 otherwise.

    differences: [n, n], value of i minus value of j. p_values: [n, n], two-sided; NaN where there is no test. Diagonals are
    not read. The family of row i are its n - 1 tests, corrected by Holm (1979): what (i, j) says of the rank of i is corrected
    for i, and need not be what (j, i) says.
    """
    n = len(p_values)
    others = ~np.eye(n, dtype=bool)
    adjusted = np.ones((n, n))
    if n > 1:
        adjusted[others] = holm_rows(p_values[others].reshape(n, n - 1)).ravel()
    signs = np.sign(np.where(others, np.nan_to_num(differences), 0.0)) * (1 if direction == "max" else -1)
    return np.where(adjusted <= level, signs, 0.0).astype(np.int8)


def ranks_from_tests(
    differences: Floats, p_values: Floats, *, direction: Direction, level: float = LEVEL
) -> tuple[Integers, Integers]:
    """(rank, rank_high) of each of n entries from all paired tests: 1 + how many are significantly better, and n - how many
    are significantly worse. Arguments as for `significance`."""
    signs = significance(differences, p_values, direction=direction, level=level)
    return 1 + (signs < 0).sum(axis=1), len(p_values) - (signs > 0).sum(axis=1)


def interval_ranks(
    values: Floats, lows: Floats, highs: Floats, *, direction: Direction, stretch: float = STRETCH
) -> tuple[Integers, Integers]:
    """(rank, rank_high) of each of n entries where "significantly better" is "the stretched 95 % intervals are disjoint".

    A bound for long boards, in O(n log n). Two equally wide intervals of independent scores that are disjoint after stretching
    by 1.25 differ by 3.46 standard errors of the difference (two-sided p = 0.0005: Holm's first step among 90 entries); if the
    scores have correlation 0.3, as scores on the same examples easily do, by 4.14 (p = 3e-5: among 1,400). The worst case, a
    score beside one without any error, is p = 0.014. A NaN end gives way to the value.
    """
    floors, ceilings = oriented(values, lows, highs, direction=direction, stretch=stretch)
    return _disjoint_ranks(floors, ceilings)


def _disjoint_ranks(floors: Floats, ceilings: Floats) -> tuple[Integers, Integers]:
    """1 + how many floors lie above the own ceiling, and n - how many ceilings lie below the own floor."""
    above = len(floors) - np.searchsorted(np.sort(floors), ceilings, side="right")
    below = np.searchsorted(np.sort(ceilings), floors, side="left")
    return 1 + above.astype(np.int64), len(floors) - below.astype(np.int64)


def oriented(
    values: Floats, lows: Floats, highs: Floats, *, direction: Direction, stretch: float = STRETCH
) -> tuple[Floats, Floats]:
    """(floor, ceiling) of stretched intervals, mirrored where less is better: of two entries one is surely better if its floor
    lies above the other's ceiling."""
    low, high = stretched(values, lows, highs, stretch=stretch)
    return (low, high) if direction == "max" else (-high, -low)


class Ranks(NamedTuple):
    """Ranks of n entries that are sorted from the best value to the worst, as arrays [n].

    rank, low, high: as in `Place`.
    over:  the least floor above the own ceiling, for entries below the head; infinite in the head, for entries above which
           there is none, and for those that a tie with the last of the head holds up. Below the head a larger `over` is a
           better rank, and an equal one the same: it says where an entry stands without a number that moves with every other.
    order: which entry stands at position 1, 2, ...
    """

    rank: Integers
    low: Integers
    high: Integers
    over: Floats
    order: Integers


def ranks_in_order(floors: Floats, ceilings: Floats, *, tested: tuple[Integers, Integers] | None = None) -> Ranks:
    """The ranks that `rank` gives, in O(n log n) array operations: 100,000 take tens of milliseconds.

    floors, ceilings: [n] as `oriented` makes them, of entries sorted from the best value to the worst.
    tested: (rank, rank_high) of the first entries, the head, among each other: `ranks_from_tests`.
    """
    low, high = _disjoint_ranks(floors, ceilings)
    rank, over = low.copy(), _least_above(floors, ceilings)
    top = 0 if tested is None else len(tested[0])
    if tested is not None:
        _, among = _disjoint_ranks(floors[:top], ceilings[:top])
        high[:top] += tested[1] - among  # below the head the intervals still count
        rank[:top] = low[:top] = tested[0]
        rank[top:] = np.maximum(rank[top:], tested[0].max(initial=1))
        over[:top] = np.inf
        over[top:][low[top:] <= tested[0].max(initial=1)] = np.inf
    position = np.arange(len(rank))
    return Ranks(rank, low, high, over, np.lexsort((position, rank, position >= top)))


def _least_above(floors: Floats, ceilings: Floats) -> Floats:
    """For each ceiling the least floor that lies above it; infinite where there is none."""
    ascending = np.append(np.sort(floors), np.inf)
    return np.asarray(ascending[np.searchsorted(ascending[:-1], ceilings, side="right")])


def stretched(values: Floats, lows: Floats, highs: Floats, *, stretch: float = STRETCH) -> tuple[Floats, Floats]:
    """The ends of intervals, moved away from their values by the factor `stretch`; these are what a database may index."""
    low, high = np.fmin(lows, values), np.fmax(highs, values)
    return values - stretch * (values - low), values + stretch * (high - values)


def resampled_ranks(resampled: Floats, *, direction: Direction) -> Integers:
    """The rank of every submission in every resample: [n, R] from scores [n, R] of the same resamples; equal scores share
    the better rank; NaN and infinite scores are last in their resample."""
    oriented = -resampled if direction == "max" else resampled
    oriented = np.where(np.isfinite(oriented), oriented, np.inf)
    order = np.argsort(oriented, axis=0, kind="stable")
    ascending = np.take_along_axis(oriented, order, axis=0)
    first = np.ones(ascending.shape, dtype=bool)
    first[1:] = ascending[1:] != ascending[:-1]
    places = np.maximum.accumulate(np.where(first, np.arange(1, len(ascending) + 1)[:, None], 0), axis=0)
    ranks = np.empty_like(places)
    np.put_along_axis(ranks, order, places, axis=0)
    return ranks


def rank_intervals(resampled: Floats, *, direction: Direction, level: float = LEVEL) -> tuple[Integers, Integers]:
    """The 2.5 and 97.5 % quantiles of each submission's rank over joint resamples: (low, high), [n] each.

    resampled: [n, R], every column scores all submissions with the same weights (`resampling`), so that what they share
    cancels (Goldstein & Spiegelhalter 1996, sec. 4). It shows how far a rank moves with the test units, and is no confidence
    set where scores are equal (Hall & Miller 2009: the bootstrap of ranks is inconsistent there): among twelve equals it held
    all the ranks that they share in 12 % of simulations, the set of `ranks_from_tests` in 97 %.
    """
    ranks = np.sort(resampled_ranks(resampled, direction=direction), axis=1)
    count = ranks.shape[1]
    low, high = math.floor(level / 2 * (count - 1)), math.ceil((1 - level / 2) * (count - 1))
    return ranks[:, low], ranks[:, high]


def _ranked(known: Sequence[Entry], *, direction: Direction, compare: Compare | None, head: int) -> list[Place]:
    """Places of entries that are sorted from the best value to the worst."""
    values, lows, highs = _columns(known)
    tested = None
    if compare is not None and min(head, len(known)) > 1:
        tested = ranks_from_tests(*differences_of(compare, [entry.key for entry in known[:head]]), direction=direction)
    found = ranks_in_order(*oriented(values, lows, highs, direction=direction), tested=tested)
    return [
        Place(known[i].key, position, int(found.rank[i]), int(found.low[i]), int(found.high[i]), "")
        for position, i in enumerate(found.order, start=1)
    ]


def _columns(entries: Sequence[Entry]) -> tuple[Floats, Floats, Floats]:
    """value, low and high as arrays [n], NaN where there is none."""
    table = np.array([[_number(entry.value), _number(entry.low), _number(entry.high)] for entry in entries], dtype=np.float64)
    value, low, high = table.reshape(-1, 3).T
    return value, low, high


def differences_of(compare: Compare, keys: Sequence[Any]) -> tuple[Floats, Floats]:
    """Differences and p-values of all pairs, [n, n] each; every pair is asked for once."""
    differences = np.zeros((len(keys), len(keys)))
    p_values = np.full((len(keys), len(keys)), np.nan)
    for i, first in enumerate(keys):
        for j in range(i + 1, len(keys)):
            found = compare(first, keys[j])
            differences[i, j] = _number(found.difference)
            p_values[i, j] = p_values[j, i] = _number(found.p)
            differences[j, i] = -differences[i, j]
    return differences, p_values


def _number(value: float | None) -> float:
    return math.nan if value is None else value
