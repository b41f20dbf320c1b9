"""Pareto front, hypervolume and performance profiles: against brute force, by hand, and where there is nothing to compare."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from evaluators import tradeoffs
from evaluators.ordering import significance

BOTH = ("max", "min")


def points(axes: int) -> st.SearchStrategy[np.ndarray]:
    return arrays.arrays(np.float64, st.tuples(st.integers(0, 6), st.just(axes)), elements=st.integers(-2, 5).map(float))


@given(points(2))
def test_without_tests_the_front_is_pareto_s(values: np.ndarray) -> None:
    front = tradeoffs.pareto_front(values, directions=BOTH)
    for i, (x, y) in enumerate(values):
        dominated = any(a >= x and b <= y and (a, b) != (x, y) for a, b in values)
        assert front[i] == (not dominated)


def signs_of(values: list[float], *, least: float) -> np.ndarray:
    """Differences of at least `least` are significant."""
    difference = np.subtract.outer(np.array(values), np.array(values))
    return significance(difference, np.where(np.abs(difference) >= least, 1e-6, 0.9), direction="max")


def test_a_difference_that_chance_could_have_made_removes_nobody() -> None:
    values = np.array([[0.90, 5.0], [0.89, 5.0], [0.70, 5.0]])
    signs = signs_of([0.90, 0.89, 0.70], least=0.1)
    assert list(tradeoffs.pareto_front(values, directions=BOTH, significance=[signs, None])) == [True, True, False]


def test_worse_beyond_chance_on_the_other_axis_protects() -> None:
    values = np.array([[0.90, 9.0], [0.70, 5.0]])
    signs = signs_of([0.90, 0.70], least=0.1)
    assert tradeoffs.pareto_front(values, directions=BOTH, significance=[signs, None]).all()


def test_slightly_worse_on_the_other_axis_does_not_protect() -> None:
    values = np.array([[0.90, 0.50], [0.70, 0.51]])
    accuracy, other = signs_of([0.90, 0.70], least=0.1), np.zeros((2, 2), dtype=np.int8)
    front = tradeoffs.pareto_front(values, directions=("max", "max"), significance=[accuracy, other])
    assert list(front) == [True, False]


def test_a_ring_does_not_remove_itself() -> None:
    ring = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]], dtype=np.int8)
    front = tradeoffs.pareto_front(np.zeros((3, 1)), directions=("max",), significance=[ring])
    assert front.all()


def test_a_chain_of_small_savings_does_not_remove_who_is_surely_better_than_its_end() -> None:
    values = np.array([[0.99, 9.0], [0.94, 5.0], [0.88, 1.0]])
    signs = signs_of([0.99, 0.94, 0.88], least=0.1)
    assert list(tradeoffs.pareto_front(values, directions=BOTH, significance=[signs, None])) == [True, False, True]


@given(points(2), st.sampled_from([0.0, 1.5, 3.0]))
def test_whoever_left_is_removed_by_one_who_stayed(values: np.ndarray, least: float) -> None:
    tables = [signs_of(list(values[:, 0]), least=max(least, 1e-9)), None]
    front = tradeoffs.pareto_front(values, directions=BOTH, significance=tables)
    removes = tradeoffs.removals(values, directions=BOTH, significance=tables)
    assert front.any() == bool(len(values))
    assert all((removes[:, j] & front).any() for j in np.flatnonzero(~front))


def test_a_ring_leaves_member_by_member_where_somebody_outside_removes_one() -> None:
    table = np.zeros((4, 4), dtype=np.int8)
    for better, worse in ((0, 1), (1, 2), (2, 0), (3, 1)):
        table[better, worse] = 1
    assert list(tradeoffs.pareto_front(np.zeros((4, 1)), directions=("max",), significance=[table])) == [
        True, False, True, True
    ]  # fmt: skip


@pytest.mark.parametrize("missing", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_not_on_the_front_and_removes_nobody(missing: float) -> None:
    values = np.array([[missing, 0.0], [1.0, 1.0]])
    assert list(tradeoffs.pareto_front(values, directions=BOTH)) == [False, True]


def test_one_submission_and_none_have_a_front() -> None:
    assert list(tradeoffs.pareto_front(np.ones((1, 2)), directions=BOTH)) == [True]
    assert not len(tradeoffs.pareto_front(np.empty((0, 2)), directions=BOTH))


@given(st.integers(1, 4).flatmap(points))
def test_the_hypervolume_counts_unit_cubes(values: np.ndarray) -> None:
    axes = values.shape[1]
    cubes = itertools.product(range(5), repeat=axes)
    covered = sum(any(all(point > cube) for point in values) for cube in map(np.array, cubes))
    assert tradeoffs.hypervolume(values, reference=[0] * axes, directions=["max"] * axes) == pytest.approx(covered)


def test_the_hypervolume_minds_directions_and_reference() -> None:
    front = np.array([[0.9, 10.0], [0.8, 4.0]])
    found = tradeoffs.hypervolume(front, reference=(0.5, 12.0), directions=BOTH)
    assert found == pytest.approx(0.4 * 2 + 0.3 * 6)


@pytest.mark.parametrize("bad", [[0.4, 1.0], [0.9, 13.0], [np.nan, 1.0], [0.9, -np.inf]])
def test_points_beyond_the_reference_add_no_volume(bad: list[float]) -> None:
    front = np.array([[0.9, 10.0], bad])
    assert tradeoffs.hypervolume(front, reference=(0.5, 12.0), directions=BOTH) == pytest.approx(0.8)


def test_a_reference_of_other_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected points \[n, 3\]"):
        tradeoffs.hypervolume(np.ones((2, 2)), reference=(0, 0, 0), directions=("max",) * 3)


COSTS = np.array([[1.0, 4.0, np.inf, 2.0], [2.0, 2.0, np.nan, np.inf]])


def test_profiles_by_hand() -> None:
    profile = tradeoffs.performance_profile(COSTS, within=np.array([1.0, 2.0, 100.0]))
    assert profile == pytest.approx(np.array([[0.5, 0.75, 0.75], [0.25, 0.5, 0.5]]))


def test_a_profile_never_falls_and_ends_at_the_share_of_solved_problems() -> None:
    rng = np.random.default_rng(0)
    costs = np.where(rng.random((4, 50)) < 0.2, np.inf, rng.lognormal(size=(4, 50)))
    profile = tradeoffs.performance_profile(costs, within=np.geomspace(1, 1e6, 40))
    assert (np.diff(profile, axis=1) >= 0).all()
    assert profile[:, -1] == pytest.approx(np.isfinite(costs).mean(axis=1))


def test_the_score_is_the_area_below_the_profile() -> None:
    within = np.linspace(1, 4, 300_001)
    area = np.trapezoid(tradeoffs.performance_profile(COSTS, within=within), within, axis=1) / 3
    assert tradeoffs.profile_score(COSTS, up_to=4.0) == pytest.approx(area, abs=1e-4)


@pytest.mark.parametrize("costs", [[[0.0]], [[-1.0]]])
def test_costs_that_are_not_positive_are_refused(costs: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="positive costs"):
        tradeoffs.performance_ratios(np.array(costs))
    with pytest.raises(ValueError, match="beyond 1"):
        tradeoffs.profile_score(np.ones((1, 1)), up_to=1.0)
