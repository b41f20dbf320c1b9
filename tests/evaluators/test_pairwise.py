"""Who is better than whom, pair by pair: by tests where there are some, else by intervals, in agreement with the ranks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.ordering import interval_ranks, ranks_from_tests
from evaluators.pairwise import signs

NONE = np.full(3, np.nan)
VALUES = np.array([0.9, 0.8, 0.5])


def of_pairs(**p_values: float) -> dict[str, np.ndarray]:
    """Tests of pairs: p01=0.01 tests the first against the second."""
    p = np.full((3, 3), np.nan)
    for name, value in p_values.items():
        i, j = int(name[1]), int(name[2])
        p[i, j] = p[j, i] = value
    return {"differences": np.subtract.outer(VALUES, VALUES), "p_values": p}


@pytest.mark.parametrize(("direction", "sign"), [("max", 1), ("min", -1)])
def test_exact_values_differ_as_soon_as_they_differ(direction, sign):
    found = signs(np.array([1.0, 1.0, 1.0000001]), NONE, NONE, direction=direction)
    assert found.tolist() == [[0, 0, -sign], [0, 0, -sign], [sign, sign, 0]]


def test_intervals_must_not_touch_after_stretching():
    low, high = VALUES - 0.041, VALUES + 0.041  # 0.9 and 0.8 are apart, but by less than a quarter of each half-width
    assert signs(VALUES, low, high, direction="max").tolist() == [[0, 0, 1], [0, 0, 1], [-1, -1, 0]]


def test_a_missing_value_is_neither_better_nor_worse():
    found = signs(np.array([0.9, np.nan, 0.5]), NONE, NONE, direction="max")
    assert found.tolist() == [[0, 0, 1], [0, 0, 0], [-1, 0, 0]]


@pytest.mark.parametrize(("p", "expected"), [(0.01, 1), (0.2, 0)])
def test_a_test_outweighs_the_intervals_either_way(p, expected):
    for half in (0.001, 0.4):
        found = signs(VALUES, VALUES - half, VALUES + half, direction="max", **of_pairs(p01=p))
        assert (found[0, 1], found[1, 0]) == (expected, -expected)


def test_each_column_corrects_its_own_tests():
    found = signs(VALUES, VALUES - 0.4, VALUES + 0.4, direction="max", **of_pairs(p01=0.03, p02=0.9))
    assert found[0, 1] == 1  # the second takes part in one test
    assert found[1, 0] == 0  # the first in two


@pytest.mark.parametrize("direction", ["max", "min"])
@given(data=st.data())
def test_it_counts_as_the_ranks_do(direction, data):
    n = data.draw(st.integers(1, 7))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    values, half = rng.normal(size=n), rng.uniform(0.01, 0.8, size=n)
    by_intervals = signs(values, values - half, values + half, direction=direction)
    rank, rank_high = interval_ranks(values, values - half, values + half, direction=direction)
    assert (1 + (by_intervals > 0).sum(axis=0)).tolist() == rank.tolist()
    assert (n - (by_intervals < 0).sum(axis=0)).tolist() == rank_high.tolist()
    p = rng.uniform(0, 0.1, size=(n, n))
    p = np.triu(p, 1) + np.triu(p, 1).T
    differences = np.subtract.outer(values, values)
    by_tests = signs(values, values - half, values + half, direction=direction, differences=differences, p_values=p)
    rank, rank_high = ranks_from_tests(differences, p, direction=direction)
    assert (1 + (by_tests > 0).sum(axis=0)).tolist() == rank.tolist()
    assert (n - (by_tests < 0).sum(axis=0)).tolist() == rank_high.tolist()
    assert not ((by_tests > 0) & (by_tests.T > 0)).any()
