"""Several axes at once: who is on the Pareto front, how much space it covers, and how solvers compare over many problems. Pure
numpy: takes values and the results of tests, gives masks, volumes and curves. Called by the standings' trade-off charts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
Direction = Literal["max", "min"]


def pareto_front(
    values: Floats, *, directions: Sequence[Direction], significance: Sequence[NDArray[np.int8] | None] | None = None
) -> Booleans:
    """Which of n submissions are on the Pareto front of d axes: bool [n].

    values: [n, d]; a submission with a value that is not finite is not on the front, and removes nobody.
    significance: for each axis int8 [n, n] as `ordering.significance` gives it (1: i is better than j beyond chance, -1: worse,
    0: neither), or None where the axis is exact (parameters, milliseconds): then every difference counts.

    A submission leaves only if another, which stays, is significantly better on one axis and significantly worse on none: what
    chance could have done removes nobody. "Not significantly worse" is not transitive: a ring could remove itself, and a chain
    of small savings, each without a loss that can be told, could remove somebody who is surely better than the last of them.
    So whoever has left removes nobody (the front is the kernel of the relation, von Neumann & Morgenstern 1944), and members of
    a ring stay unless somebody outside removes them. Without tests this is the ordinary front (Pareto dominance).
    """
    known: Booleans = np.asarray(np.isfinite(values).all(axis=1))
    removes = removals(values, directions=directions, significance=significance)
    reaches = _closure(removes)
    before = reaches & ~reaches.T  # not within a ring
    stays = np.zeros(len(values), dtype=bool)
    for j in np.argsort(before.sum(axis=0), kind="stable"):  # whoever could remove j has fewer before it
        stays[j] = known[j] and not (stays & removes[:, j] & before[:, j]).any()
    return stays


def removals(
    values: Floats, *, directions: Sequence[Direction], significance: Sequence[NDArray[np.int8] | None] | None = None
) -> Booleans:
    """Who can remove whom from the front: bool [n, n], i significantly better than j on one axis and significantly worse on
    none. Arguments as for `pareto_front`."""
    known: Booleans = np.asarray(np.isfinite(values).all(axis=1))
    signs = [
        _exact_signs(values[:, axis], direction) if given is None else given
        for axis, direction, given in zip(
            range(values.shape[1]), directions, significance or [None] * values.shape[1], strict=True
        )
    ]
    table = np.stack(signs)
    return np.asarray((table > 0).any(axis=0) & ~(table < 0).any(axis=0) & known[:, None] & known[None, :])


def hypervolume(points: Floats, *, reference: Sequence[float], directions: Sequence[Direction]) -> float:
    """The volume that n points [n, d] dominate up to the reference point [d] (Zitzler & Thiele 1998, the S metric).

    Points that are not better than the reference on every axis, or not finite, add nothing. Exact: a sweep for d = 2, and for
    more axes slices along the last one (Knowles 2002; While et al. 2006, HSO), O(n^(d-1)): for fronts, not for whole boards.
    Raises ValueError where the reference or the directions do not fit the points.
    """
    if points.ndim != 2 or len(reference) != points.shape[1] or len(directions) != points.shape[1]:
        raise ValueError(
            f"expected points [n, {len(reference)}] with as many directions, got {list(points.shape)} and {len(directions)}"
        )
    signs = np.array([1.0 if direction == "max" else -1.0 for direction in directions])
    gains = signs * (points - np.asarray(reference, dtype=np.float64))
    return _volume(gains[np.isfinite(gains).all(axis=1) & (gains > 0).all(axis=1)])


def performance_ratios(costs: Floats) -> Floats:
    """Each solver's cost over the best solver's, for every problem: [s, p] from costs [s, p], smaller is better, > 0.

    r = t / min over solvers of t (Dolan & More 2002, "Benchmarking optimization software with performance profiles", eq.
    2.1). A failure is infinite cost (NaN counts as one), and its ratio is infinite, also where all fail.
    Raises ValueError for costs that are not positive.
    """
    cost = np.where(np.isnan(costs), np.inf, costs)
    if (cost <= 0).any():
        raise ValueError("performance profiles need positive costs: a ratio to a cost of zero says nothing")
    best = cost.min(axis=0, keepdims=True, initial=np.inf)
    return np.where(np.isfinite(cost), cost / np.where(np.isfinite(best), best, 1.0), np.inf)


def performance_profile(costs: Floats, *, within: Floats) -> Floats:
    """The share of problems that each solver solves within a factor of the best: [s, k] for factors `within` [k] >= 1.

    rho(tau) = share of problems with ratio <= tau (Dolan & More 2002, eq. 2.2). At tau = 1: how often it is the fastest (ties
    count for all); at the far right: how often it succeeds at all.
    """
    ratios = performance_ratios(costs)
    # The fastest has ratio x / x = 1 exactly, so no tolerance is needed.
    return np.asarray((ratios[:, :, None] <= within).mean(axis=1), dtype=np.float64)


def profile_score(costs: Floats, *, up_to: float) -> Floats:
    """One number a solver: the area below its profile for factors 1 ... `up_to`, divided by the width: [s], in [0, 1].

    Dahl et al. 2023 ("Benchmarking neural network training algorithms", sec. 4.5) score submissions so. The area of a step
    function is exact: the mean over problems of up_to - min(ratio, up_to). Raises ValueError for up_to <= 1.
    """
    if not up_to > 1:
        raise ValueError(f"the area below a profile needs factors beyond 1, got up_to={up_to}")
    return np.asarray((up_to - np.minimum(performance_ratios(costs), up_to)).mean(axis=1) / (up_to - 1.0))


def _exact_signs(values: Floats, direction: Direction) -> NDArray[np.int8]:
    """[n, n]: 1 where i is better than j, -1 where it is worse."""
    oriented = values if direction == "max" else -values
    return (oriented[:, None] > oriented).astype(np.int8) - (oriented[:, None] < oriented).astype(np.int8)


def _closure(removes: Booleans) -> Booleans:
    """Who removes whom directly or through others (Warshall 1962)."""
    reaches = removes.copy()
    for middle in range(len(reaches)):
        reaches |= reaches[:, middle, None] & reaches[None, middle]
    return reaches


def _volume(gains: Floats) -> float:
    """Volume of the union of the boxes [0, gain], gains [n, d] > 0."""
    if not len(gains):
        return 0.0
    if gains.shape[1] == 1:
        return float(gains.max())
    order = np.argsort(-gains[:, -1], kind="stable")
    sliced = gains[order]
    if gains.shape[1] == 2:
        heights = sliced[:, 1] - np.append(sliced[1:, 1], 0.0)
        return float(np.maximum.accumulate(sliced[:, 0]) @ heights)
    total = 0.0
    for count in range(1, len(sliced) + 1):
        below = sliced[count, -1] if count < len(sliced) else 0.0
        if sliced[count - 1, -1] > below:
            total += (sliced[count - 1, -1] - below) * _volume(_undominated(sliced[:count, :-1]))
    return float(total)


def _undominated(gains: Floats) -> Floats:
    """Without points that another covers: fewer boxes for the same union."""
    unique = np.unique(gains, axis=0)
    covered = (unique[None] >= unique[:, None]).all(axis=2)
    return np.asarray(unique[covered.sum(axis=1) == 1])
