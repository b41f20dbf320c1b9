"""Who of some submissions is better than whom in one metric: by the paired tests that workers have kept, else by stretched
intervals, as ranking does; between exact values every difference counts. One query. Called by `tradeoff` and `overall`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evaluators.ordering import Direction, Floats, Paired
from evaluators.pairwise import Signs, signs
from leaderboard.standings.pairs import Pair, stored_tests


class Measured(NamedTuple):
    """One metric of one evaluation. None: there is no value, or no interval."""

    evaluation: int
    value: float | None
    low: float | None
    high: float | None


class Relation(NamedTuple):
    """signs: as `evaluators.pairwise.signs`. tested: bool [n, n], which pairs a paired test decided."""

    signs: Signs
    tested: np.ndarray


def relation_of(
    measured: Sequence[Measured], *, metric: str, direction: Direction, part: str = "", use_tests: bool = True
) -> Relation:
    """The table of signs of n evaluations of one track version. part: of the test, that the values are of. use_tests: False
    where tests were not made, on a slice."""
    tests = stored_tests([one.evaluation for one in measured], metric=metric, part=part) if use_tests else {}
    values, lows, highs = (_column([one[place] for one in measured]) for place in (1, 2, 3))
    if not tests:
        return Relation(signs(values, lows, highs, direction=direction), np.zeros((len(measured), len(measured)), dtype=bool))
    differences, p_values = _matrices(tests, [one.evaluation for one in measured])
    table = signs(values, lows, highs, direction=direction, differences=differences, p_values=p_values)
    return Relation(table, np.isfinite(p_values))


def _matrices(tests: dict[Pair, Paired], evaluations: Sequence[int]) -> tuple[Floats, Floats]:
    """Differences and p-values [n, n]; NaN where there is no test."""
    place = {evaluation: index for index, evaluation in enumerate(evaluations)}
    differences, p_values = (np.full((len(place), len(place)), np.nan) for _ in range(2))
    for (first, second), (difference, p) in tests.items():
        if difference is not None and p is not None:
            i, j = place[first], place[second]
            differences[i, j], differences[j, i] = difference, -difference
            p_values[i, j] = p_values[j, i] = p
    return differences, p_values


def _column(values: Sequence[float | None]) -> Floats:
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)
