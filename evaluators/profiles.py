"""Performance profiles of submissions from their columns: what each needs to reach a target, problem by problem, and on which
share of the problems it needs at most so many times what the best of them needs. Pure numpy, for notebooks and for tracks of
the kind "time to target".

A track shows this if one of its axes is a cost (evaluations, epochs, seconds allowed) and one of its columns says how good the
answer was at each setting. A problem is a test unit with all else that its rows belong to: slice, seed, other axes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluators.columns import Columns, Floats
from evaluators.tradeoffs import Direction, performance_profile, performance_ratios

BOOTSTRAPS = 1000
Problem = tuple[object, ...]


@dataclass(frozen=True)
class Target:
    """Reaching `target` in `column`, at the least value of `axis`. direction: whether the column is better when smaller."""

    axis: str
    column: str
    target: float
    direction: Direction = "min"

    def reached(self, values: Floats) -> NDArray[np.bool_]:
        """Which values are at least as good as the target. NaN has not reached it."""
        return np.asarray(values <= self.target if self.direction == "min" else values >= self.target)


@dataclass(frozen=True)
class Profiles:
    """Of s submissions over p problems that all of them were given.

    names: s. costs: [s, p], infinite where the target was not reached. units: [p], the test unit of each problem.
    """

    names: tuple[str, ...]
    costs: Floats
    units: NDArray[np.int64]

    def shares(self, *, within: Floats) -> Floats:
        """[s, k]: the share of problems solved at a cost of at most `within` [k] >= 1 times the least of all submissions'."""
        return performance_profile(self.costs, within=within)

    def scores(self, *, up_to: float, seed: int = 0) -> list[tuple[float, float, float]]:
        """(score, low, high) of each submission: `tradeoffs.profile_score`, the area below its profile, in [0, 1], with a 95 %
        percentile interval over the test units, the same resamples for all. Raises ValueError for up_to <= 1."""
        if not up_to > 1:
            raise ValueError(f"the area below a profile needs factors beyond 1, got up_to={up_to}")
        areas = (up_to - np.minimum(performance_ratios(self.costs), up_to)) / (up_to - 1.0)
        _, unit = np.unique(self.units, return_inverse=True)
        count = int(unit.max()) + 1
        totals = np.stack([np.bincount(unit, weights=row, minlength=count) for row in areas])
        weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=BOOTSTRAPS)
        drawn = (weights @ totals.T) / (weights @ np.bincount(unit, minlength=count))[:, None]
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
        return [(float(row.mean()), float(low[i]), float(high[i])) for i, row in enumerate(areas)]


def profiles_of(submissions: Mapping[str, Columns], *, target: Target) -> Profiles:
    """Compare submissions by what they need to reach a target. Profiles are relative to those that are compared: another
    submission can change the order of two (Gould & Scott 2016, "A note on performance profiles for benchmarking software").

    Raises ValueError where the columns have no such axis or column, a cost is not positive, or they share no problem.
    """
    found = {name: costs_to_target(columns, target=target) for name, columns in submissions.items()}
    shared = set.intersection(*(set(costs) for costs in found.values())) if found else set()
    if not shared:
        raise ValueError(f"these {len(found)} submissions share no problem, so there is nothing to compare")
    problems = sorted(shared, key=repr)
    costs = np.array([[costs[problem] for problem in problems] for costs in found.values()], dtype=np.float64)
    return Profiles(tuple(found), costs, np.array([problem[0] for problem in problems], dtype=np.int64))


def costs_to_target(columns: Columns, *, target: Target) -> dict[Problem, float]:
    """The least value of the axis at which each problem's target was reached; infinite where it never was. Rows in which the
    axis or the column does not apply (NaN) are left out; a problem with no other row is none."""
    if target.axis not in columns.index:
        raise ValueError(f'no axis "{target.axis}"; there are {", ".join(sorted(columns.index))}')
    if target.column not in columns.values:
        raise ValueError(f'no column "{target.column}"; there are {", ".join(sorted(columns.values))}')
    settings = columns.index[target.axis].astype(np.float64)
    applies = ~np.isnan(settings) & ~np.isnan(columns.values[target.column])
    if (settings[applies] <= 0).any():
        raise ValueError(f'the axis "{target.axis}" is a cost here, and must be positive')
    costs = np.where(target.reached(columns.values[target.column]), settings, np.inf)
    others = [name for name in sorted(columns.index) if name != target.axis]
    found: dict[Problem, float] = {}
    for problem, cost in zip(_problems(columns, others, applies), costs[applies].tolist(), strict=True):
        found[problem] = min(cost, found.get(problem, np.inf))
    return found


def _problems(columns: Columns, others: Sequence[str], applies: NDArray[np.bool_]) -> list[Problem]:
    return list(zip(columns.unit[applies].tolist(), *(columns.index[name][applies].tolist() for name in others), strict=True))
