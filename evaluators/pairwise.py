"""Who is better than whom among n submissions in one metric: by paired tests where there are some, else by stretched intervals.
Pure numpy: takes values, intervals and tests, gives a table of signs. Called by the trade-offs of a board and by the order over
all tracks, which need every pair and not only the ranks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaluators.ordering import LEVEL, Direction, Floats, holm, stretched

Signs = NDArray[np.int8]


def signs(
    values: Floats,
    lows: Floats,
    highs: Floats,
    *,
    direction: Direction,
    differences: Floats | None = None,
    p_values: Floats | None = None,
) -> Signs:
    """int8 [n, n]: 1 where i is better than j beyond chance, -1 where it is worse, 0 where they cannot be told apart.

    values, lows, highs: [n], the ends NaN for a value that is exact; a value of NaN is neither better nor worse than any.
    differences, p_values: [n, n], value of i minus value of j and its two-sided p; NaN where there is no test. There the ends,
    stretched as `ordering.interval_ranks` does, must not touch; between exact values every difference counts.

    Column j is what the rank of j counts: the tests that j takes part in are one family, corrected by Holm at 5 %. So the table
    need not be antisymmetric, but no two are ever better than each other.
    """
    low, high = stretched(values, lows, highs)
    if direction == "min":
        low, high = -high, -low
    ahead = low[:, None] > high[None, :]
    table = ahead.astype(np.int8) - ahead.T.astype(np.int8)
    if differences is not None and p_values is not None:
        _decide_by_tests(table, differences if direction == "max" else -differences, p_values)
    return table


def _decide_by_tests(table: Signs, merits: Floats, p_values: Floats) -> None:
    """Overwrite the pairs that were tested. merits: [n, n], positive where i is better than j."""
    tested = np.isfinite(p_values) & np.isfinite(merits) & ~np.eye(len(table), dtype=bool)
    for j in np.flatnonzero(tested.any(axis=0)):
        others = np.flatnonzero(tested[:, j])
        significant = np.asarray(holm(p_values[others, j].tolist())) <= LEVEL
        table[others, j] = np.where(significant, np.sign(merits[others, j]), 0)
