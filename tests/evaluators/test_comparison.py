"""Paired tests against scipy, their size and power by simulation, and their answers where there is nothing to test."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evaluators import comparison, statistics
from evaluators.columns import Columns
from evaluators.comparison import compare
from tests.evaluators.test_statistics import MeanTrack, columns_of

TRACK = MeanTrack()
MEAN, SQUARE, PARAMS = TRACK.spec.metrics
PROPORTION = MEAN.model_copy(update={"estimator": "proportion"})


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_test_of_the_discordant_units(only_a: int, only_b: int) -> None:
    expected = stats.binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert comparison.mcnemar(only_a, only_b) == pytest.approx(expected)


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.8])
def test_sign_flips_agree_with_scipy_s_permutation_test(shift: float) -> None:
    differences = np.random.default_rng(1).normal(loc=shift, size=12)
    exact = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert comparison.sign_flip(differences) == pytest.approx(exact, abs=0.02)


def test_no_p_of_a_permutation_is_zero() -> None:
    assert comparison.sign_flip(np.ones(500)) == pytest.approx(1 / (comparison.FLIPS + 1))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values: list[float]) -> None:
    rejected = set()
    for place, (p, index) in enumerate(sorted((p, index) for index, p in enumerate(p_values))):
        if p * (len(p_values) - place) > 0.05:
            break
        rejected.add(index)
    assert {index for index, p in enumerate(comparison.holm(p_values)) if p <= 0.05} == rejected


def test_many_rows_of_sign_flips_are_tested_as_one_by_one() -> None:
    rng = np.random.default_rng(9)
    table = np.stack([rng.normal(size=300), rng.normal(loc=0.1, size=300), np.zeros(300), np.full(300, np.nan)])
    found = comparison.sign_flips(table, flips=4000, seed=1)
    assert found[:2] == pytest.approx([comparison.sign_flip(row, flips=4000, seed=1) for row in table[:2]])
    assert list(found[2:]) == [1.0, 1.0]


@given(st.lists(st.sampled_from([-1 / 3, 0.0, 1 / 3, 2 / 3]), min_size=1, max_size=9))
def test_sums_that_tie_with_the_one_seen_count_as_extreme(values: list[float]) -> None:
    """Every flip enumerated: thirds are not exact in binary, and sums of them must tie all the same."""
    thirds = np.round(np.array(values) * 3).astype(int)
    signs = np.array(list(itertools.product([-1, 1], repeat=len(values))))
    exact = float((np.abs(signs @ thirds) >= abs(thirds.sum())).mean())
    assert comparison.sign_flip(np.array(values)) == pytest.approx(exact, abs=0.025)


def test_the_margin_moves_the_hypothesis_and_not_the_difference() -> None:
    rng = np.random.default_rng(10)
    units = rng.normal(size=(1, 400))
    a, b = columns_of(units + 0.3 + 0.1 * rng.normal(size=(3, 400))), columns_of(units + 0.1 * rng.normal(size=(3, 400)))
    plain, near, far = (compare(TRACK, a, b, metric=MEAN, margin=margin) for margin in (0.0, 0.3, 0.5))
    assert plain.value == near.value == far.value
    assert (plain.ci_low, plain.ci_high) == (far.ci_low, far.ci_high)
    assert plain.p < 0.05 < near.p
    assert far.p < 0.05


@pytest.mark.parametrize("metric", [MEAN, SQUARE], ids=lambda metric: metric.name)
def test_copies_of_units_in_one_cluster_are_no_evidence(metric) -> None:
    rng = np.random.default_rng(11)
    a, b = rng.normal(loc=1.2, size=12), rng.normal(loc=1.0, size=12)
    alone = compare(TRACK, columns_of(a[None]), columns_of(b[None]), metric=metric)
    copies = [columns_of(np.repeat(side, 30)[None]) for side in (a, b)]
    clustered = [replace(side, index={**side.index, "cluster": np.repeat(np.arange(12), 30)}) for side in copies]
    found = compare(TRACK, *clustered, metric=metric)
    assert found.p == pytest.approx(alone.p, abs=0.02)
    assert (found.ci_low, found.ci_high) == pytest.approx((alone.ci_low, alone.ci_high), abs=0.01)
    assert compare(TRACK, *copies, metric=metric).p < found.p


def test_a_seed_that_misses_some_units_is_compared_on_the_others() -> None:
    rng = np.random.default_rng(12)
    table = rng.normal(size=(3, 200))
    gaps = table + 0.5
    gaps[1, :50] = np.nan
    found = compare(TRACK, columns_of(gaps), columns_of(table), metric=MEAN)
    assert found.p < 0.05


def test_two_that_share_no_units_have_no_test_and_say_why() -> None:
    left, right = np.full((1, 20), np.nan), np.full((1, 20), np.nan)
    left[0, :10], right[0, 10:] = 1.0, 0.0
    found = compare(TRACK, columns_of(left), columns_of(right), metric=MEAN)
    assert (found.p, found.reason) == (None, "the two share no test units")


@pytest.mark.parametrize("metric", [MEAN, SQUARE], ids=lambda metric: metric.name)
def test_one_unit_decides_nothing(metric) -> None:
    found = compare(TRACK, columns_of(np.ones((1, 1))), columns_of(np.zeros((1, 1))), metric=metric)
    assert found.value == 1.0
    assert found.p in (1.0, None)
    assert found.ci_low is None


def test_holm_by_hand() -> None:
    assert comparison.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


@pytest.mark.parametrize("metric", [MEAN, SQUARE], ids=lambda metric: metric.name)
@pytest.mark.parametrize("seeds", [1, 3])
def test_equal_columns_do_not_differ(metric, seeds: int) -> None:
    columns = columns_of(np.random.default_rng(2).normal(size=(seeds, 80)))
    found = compare(TRACK, columns, columns, metric=metric)
    assert (found.value, found.ci_low, found.ci_high, found.p) == (0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("metric", [MEAN, SQUARE], ids=lambda metric: metric.name)
def test_exchanging_the_two_turns_the_difference_round(metric) -> None:
    rng = np.random.default_rng(3)
    a, b = (columns_of(rng.normal(loc=loc, size=(3, 60))) for loc in (1.0, 1.2))
    forth, back = compare(TRACK, a, b, metric=metric), compare(TRACK, b, a, metric=metric)
    assert forth.value == pytest.approx(-back.value)
    assert forth.ci_low == pytest.approx(-back.ci_high, abs=0.02)
    assert forth.p == pytest.approx(back.p, abs=0.02)


def test_what_half_the_trainings_reverse_is_not_significant_however_many_units_there_are() -> None:
    units = np.random.default_rng(4).normal(size=(1, 5000))
    a = columns_of(units + np.array([[0.5], [-0.3], [0.2]]))
    b = columns_of(np.tile(units, (3, 1)))
    found = compare(TRACK, a, b, metric=MEAN)
    assert found.method == "Student's t over seeds"
    assert found.p > 0.05


@pytest.mark.parametrize("replicates", [(1, 1), (1, 3), (3, 1), (3, 3)])
def test_replicates_of_either_side_may_be_one_or_many(replicates: tuple[int, int]) -> None:
    rng = np.random.default_rng(5)
    units = rng.normal(size=(1, 300))
    a, b = (
        columns_of(units + shift + 0.1 * rng.normal(size=(count, 300)))
        for count, shift in zip(replicates, (0.5, 0.0), strict=True)
    )
    found = compare(TRACK, a, b, metric=MEAN)
    assert found.ci_low < 0.5 < found.ci_high
    assert found.p < 0.05


def test_different_seeds_are_not_paired_with_each_other() -> None:
    rng = np.random.default_rng(6)
    a = columns_of(rng.normal(size=(3, 100)))
    other = columns_of(rng.normal(size=(2, 100)))
    b = Columns(unit=other.unit, index={"seed": other.index["seed"] + 7}, values=other.values)
    assert compare(TRACK, a, b, metric=MEAN).p > 0.001


def test_one_right_and_one_wrong_replicate_are_compared_by_mcnemar() -> None:
    a, b = np.zeros((1, 100)), np.zeros((1, 100))
    a[0, :30], b[0, 25:40] = 1, 1
    found = compare(TRACK, columns_of(a), columns_of(b), metric=PROPORTION)
    assert found.method == "McNemar on test units"
    assert found.p == pytest.approx(comparison.mcnemar(25, 10))


def test_a_fact_and_a_missing_value_have_no_p_and_say_why() -> None:
    table = np.zeros((1, 10))
    known, unknown = columns_of(table, params=5.0), columns_of(table)
    fact = compare(TRACK, known, columns_of(table, params=3.0), metric=PARAMS)
    assert (fact.value, fact.p) == (2.0, None)
    assert compare(TRACK, known, unknown, metric=PARAMS).reason == "one of the two has no value here"


@pytest.mark.parametrize("metric", [MEAN, SQUARE], ids=lambda metric: metric.name)
@pytest.mark.parametrize(("seeds", "seed_sd"), [(1, 0.0), (3, 0.1), (5, 0.1)])
def test_two_equal_methods_are_called_different_no_more_often_than_stated(metric, seeds: int, seed_sd: float) -> None:
    """400 tries at 5 % exceed 7.5 % once in about 80 tries."""
    rng = np.random.default_rng(7)
    wrong = 0
    for _ in range(400):
        units = rng.normal(loc=2.0, size=(1, 100))
        a, b = (columns_of(units + seed_sd * rng.normal(size=(seeds, 1)) + rng.normal(size=(seeds, 100))) for _ in range(2))
        wrong += compare(TRACK, a, b, metric=metric).p <= 0.05
    assert wrong / 400 <= 0.075
    assert seeds > 1 or wrong / 400 >= 0.025  # over one seed the test is exact; over several the larger p counts


@pytest.mark.parametrize("p", [0.6, 0.9])
def test_equal_proportions_are_called_different_no_more_often_than_stated(p: float) -> None:
    rng = np.random.default_rng(13)
    wrong = 0
    for _ in range(1000):
        difficulty = rng.normal(size=200)
        a, b = (difficulty + rng.normal(size=200) < np.sqrt(2) * stats.norm.ppf(p) for _ in range(2))
        wrong += comparison.mcnemar(int((a & ~b).sum()), int((b & ~a).sum())) <= 0.05
    assert 0.01 <= wrong / 1000 <= 0.06  # exact, hence on the safe side


@pytest.mark.parametrize(
    ("seeds", "unit_sd", "seed_sd", "noise"), [(3, 0.3, 0.1, 1.0), (5, 0.3, 0.1, 1.0), (10, 0.3, 0.1, 1.0)]
)
def test_the_interval_of_a_difference_of_functions_covers(seeds: int, unit_sd: float, seed_sd: float, noise: float) -> None:
    rng = np.random.default_rng(seeds)
    covered = 0
    for _ in range(200):
        shared = 2 + rng.normal(size=(1, 100))
        a, b = (
            columns_of(
                shared
                + unit_sd * rng.normal(size=(1, 100))
                + seed_sd * rng.normal(size=(seeds, 1))
                + noise * rng.normal(size=(seeds, 100))
            )
            for _ in range(2)
        )
        found = compare(TRACK, a, b, metric=SQUARE)
        covered += found.ci_low <= 0 <= found.ci_high
    assert 0.915 <= covered / 200 <= 0.985


@pytest.mark.parametrize("paired", [True, False])
def test_the_interaction_of_units_and_seeds_counts_once(paired: bool) -> None:
    """Of a mean, the bootstrap gives the interval that the analysis of variance gives."""
    rng = np.random.default_rng(14)
    a, b = (columns_of(rng.normal(size=(1, 400)) + 3 * rng.normal(size=(10, 400))) for _ in range(2))
    if not paired:
        b = Columns(unit=b.unit, index={"seed": b.index["seed"] + 10}, values=b.values)
    function = MEAN.model_copy(update={"estimator": "function"})
    found = compare(TRACK, a, b, metric=function)
    variances = [statistics.spread_of_mean(side.values["y"], unit=side.unit, seed=side.index["seed"]) for side in (a, b)]
    expected = 2 * 1.97 * np.sqrt(sum(spread.variance for spread in variances))
    assert found.ci_high - found.ci_low == pytest.approx(expected, rel=0.12)


def test_different_seeds_of_both_sides_widen_the_interval_of_a_function() -> None:
    rng = np.random.default_rng(15)
    units = rng.normal(loc=2.0, size=(1, 300))
    a, b = (columns_of(units + 0.5 * rng.normal(size=(4, 1))) for _ in range(2))
    apart = Columns(unit=b.unit, index={"seed": b.index["seed"] + 4}, values=b.values)
    found = compare(TRACK, a, apart, metric=SQUARE)
    assert found.ci_high - found.ci_low > 2  # about 2 x 2 x 2.6 x 0.5 x sqrt(2 / 4) by hand, where units alone cancel


def test_resamples_that_are_kept_change_nothing() -> None:
    rng = np.random.default_rng(16)
    sides = [columns_of(rng.normal(loc=2.0, size=(3, 60))) for _ in range(3)]
    kept = comparison.Resamples(TRACK, SQUARE)
    for a, b in itertools.combinations(sides, 2):
        assert compare(TRACK, a, b, metric=SQUARE, resamples=kept) == compare(TRACK, a, b, metric=SQUARE)


def test_a_clear_difference_is_found() -> None:
    rng = np.random.default_rng(8)
    found = 0
    for _ in range(50):
        units = rng.normal(size=(1, 200))
        a, b = (columns_of(units + shift + 0.5 * rng.normal(size=(3, 200))) for shift in (0.3, 0.0))
        found += compare(TRACK, a, b, metric=MEAN).p <= 0.05
    assert found >= 48
