"""How many more seeds would decide: by simulation at the planned number, and where no number does."""

from __future__ import annotations

import numpy as np
import pytest

from evaluators.comparison import over_seeds
from evaluators.planning import more_seeds, plan_of


def how_many_more_seeds(table: np.ndarray, *, margin: float = 0.0, **options) -> int | None:
    plan = plan_of(table, margin=margin)
    return None if plan is None else more_seeds(plan, **options)


def exact(mean: float, spread: float, seeds: int) -> np.ndarray:
    """[S, 1] with exactly this mean and standard deviation over seeds."""
    values = np.linspace(-1, 1, seeds)
    return mean + spread * values / values.std(ddof=1)


def test_the_planned_number_has_the_stated_power() -> None:
    """If what three seeds showed is the truth, 80 % of experiments with that many seeds are significant."""
    more = how_many_more_seeds(exact(0.5, 0.6, 3))
    rng = np.random.default_rng(0)
    for total, least, most in ((3 + more, 0.77, 0.92), (3 + more - 3, 0.0, 0.77)):
        decided = np.mean([over_seeds(0.5 + 0.6 * rng.normal(size=total)) <= 0.05 for _ in range(2000)])
        assert least <= decided <= most


def test_more_spread_a_larger_margin_more_power_or_a_stricter_level_need_more_seeds() -> None:
    base = how_many_more_seeds(exact(0.5, 0.6, 3))
    assert how_many_more_seeds(exact(0.5, 1.2, 3)) > base
    assert how_many_more_seeds(exact(0.5, 0.6, 3), margin=0.2) > base
    assert how_many_more_seeds(exact(0.5, 0.6, 3), power=0.95) > base
    assert how_many_more_seeds(exact(0.5, 0.6, 3), level=0.005) > base
    assert how_many_more_seeds(-exact(0.5, 0.6, 3)) == base


def test_what_is_decided_needs_no_more() -> None:
    assert how_many_more_seeds(exact(5.0, 0.1, 5)) == 0
    assert how_many_more_seeds(np.full((3, 10), 0.2)) == 0


def test_units_that_seeds_cannot_replace_set_a_limit() -> None:
    """The difference between units is the same under every seed: more seeds do not make it smaller."""
    rng = np.random.default_rng(1)
    units = rng.normal(size=(1, 50))
    table = units - units.mean() + 0.1 + 0.01 * rng.normal(size=(3, 50))
    assert how_many_more_seeds(table) is None
    assert how_many_more_seeds(np.nanmean(table, axis=1)) is not None


@pytest.mark.parametrize(
    "table", [np.array([0.3]), np.array([[0.1, 0.4]]), np.zeros((3, 5)), np.array([-0.5, 0.0, 0.5])], ids=str
)
def test_one_seed_and_a_mean_on_the_margin_have_no_answer(table: np.ndarray) -> None:
    assert how_many_more_seeds(table) is None


def test_the_search_ends() -> None:
    assert how_many_more_seeds(exact(1e-6, 1.0, 3), most=200) is None


def test_units_of_some_seeds_only_are_left_out_elsewhere() -> None:
    table = exact(0.5, 0.6, 3)[:, None] + 0.01 * np.random.default_rng(2).normal(size=(3, 40))
    gaps = table.copy()
    gaps[np.arange(30) % 3, np.arange(30)] = np.nan
    assert abs(how_many_more_seeds(gaps) - how_many_more_seeds(table)) <= 2
