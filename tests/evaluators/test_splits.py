"""The public part of a test: stable, secret, of the stated size; and the Ladder against a competitor who probes it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.columns import Columns
from evaluators.splits import Best, ladder, public_part, public_rows, rows_of

SECRET = b"a secret"


@given(st.lists(st.integers(0, 10**9), unique=True, max_size=60), st.integers(0, 59))
def test_a_unit_stays_where_it_is_when_others_come_go_or_move(ids: list[int], cut: int) -> None:
    whole = dict(zip(ids, public_part(ids, secret=SECRET, name="board", share=0.4), strict=True))
    some = ids[cut:][::-1]
    assert [whole[unit] for unit in some] == list(public_part(some, secret=SECRET, name="board", share=0.4))


def test_a_larger_share_only_adds_units() -> None:
    small, large = (public_part(range(2000), secret=SECRET, name="board", share=share) for share in (0.2, 0.5))
    assert not (small & ~large).any()


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (1.0, 20_000), (0.3, 6000)])
def test_the_part_has_the_stated_size(share: float, expected: int) -> None:
    found = public_part(range(20_000), secret=SECRET, name="board", share=share).sum()
    assert abs(found - expected) <= 4 * np.sqrt(20_000 * share * (1 - share))


@pytest.mark.parametrize("other", [{"secret": b"another"}, {"name": "other board"}])
def test_another_secret_or_board_makes_an_independent_split(other: dict) -> None:
    base = {"secret": SECRET, "name": "board", "share": 0.5}
    a, b = public_part(range(10_000), **base), public_part(range(10_000), **(base | other))
    assert abs((a == b).mean() - 0.5) < 0.03


@pytest.mark.parametrize(("secret", "share"), [(b"", 0.5), (SECRET, -0.1), (SECRET, 1.1), (SECRET, float("nan"))])
def test_a_split_without_secret_or_share_is_refused(secret: bytes, share: float) -> None:
    with pytest.raises(ValueError, match=r"secret|share"):
        public_part([1], secret=secret, name="board", share=share)


def test_the_first_submission_is_the_best() -> None:
    assert ladder(np.array([0.0, 1.0, 1.0, 0.0]), best=None).value == 0.5


def test_less_than_a_standard_error_is_no_new_best() -> None:
    rng = np.random.default_rng(0)
    losses = rng.integers(0, 2, 1000).astype(float)
    best = ladder(losses, best=None)
    near, far = losses.copy(), losses.copy()
    wrong = np.flatnonzero(losses)
    near[wrong[:20]], far[wrong[:100]] = 0.0, 0.0
    near[np.flatnonzero(losses == 0)[:18]] = 1.0
    assert ladder(near, best=best) is best
    assert ladder(far, best=best).value == pytest.approx(best.value - 0.1)


def test_the_announced_value_is_rounded_to_one_unit() -> None:
    losses = np.random.default_rng(1).random(50)
    value = ladder(losses, best=None).value * 50
    assert value == pytest.approx(round(value))
    assert abs(value / 50 - losses.mean()) <= 0.5 / 50


def test_equal_losses_and_one_unit_are_no_new_best() -> None:
    best = ladder(np.zeros(10), best=None)
    assert ladder(np.zeros(10), best=best) is best
    lone = Best(value=1.0, losses=np.ones(1))
    assert ladder(np.zeros(1), best=lone) is lone


def test_boosting_random_answers_does_not_climb_the_ladder() -> None:
    """Blum & Hardt's attack (sec. 4): keep random label vectors that scored above one half, and vote."""
    rng = np.random.default_rng(2)
    n = 4000
    labels = rng.integers(0, 2, n)
    kept, best, climbed = [], None, 1.0
    for _ in range(400):
        guess = rng.integers(0, 2, n)
        climbed = min(climbed, float((guess != labels).mean()))
        if (guess != labels).mean() < 0.5:
            kept.append(guess)
        best = ladder((guess != labels).astype(float), best=best)
    by_scores = ((np.mean(kept, axis=0) > 0.5) != labels).mean()
    assert by_scores < 0.5 - 8 * 0.5 / np.sqrt(n)  # every score revealed: far below chance
    assert best.value > 0.5 - 3 * 0.5 / np.sqrt(n)  # what the Ladder announced


@pytest.mark.parametrize("losses", [np.array([]), np.array([0.0, np.nan]), np.array([np.inf])])
def test_losses_that_are_missing_or_not_finite_are_refused(losses: np.ndarray) -> None:
    with pytest.raises(ValueError, match="finite"):
        ladder(losses, best=None)


def test_losses_of_other_units_are_refused() -> None:
    with pytest.raises(ValueError, match="same 10 units"):
        ladder(np.zeros(9), best=Best(value=0.0, losses=np.zeros(10)))


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60), st.floats(0.05, 0.95), st.booleans())
@settings(max_examples=60, deadline=None)
def test_both_parts_of_a_table_are_all_of_its_rows_and_share_no_unit(units, share, clustered):
    unit = np.array(units)
    index = {"seed": np.zeros(len(unit), np.int64), **({"cluster": unit // 5} if clustered else {})}
    columns = Columns(unit=unit, index=index, values={"x": unit * 1.0}, facts={"params": 3.0})
    public = public_rows(columns, secret=b"s", name="board 1", share=share)
    parts = rows_of(columns, public), rows_of(columns, ~public)
    assert sorted(np.concatenate([part.unit for part in parts])) == sorted(units)
    groups = [set(part.index["cluster"] if clustered else part.unit) for part in parts]
    assert not groups[0] & groups[1]
    assert all(part.facts == columns.facts for part in parts)
    total = sum(part.values["x"].sum() for part in parts)
    assert total == columns.values["x"].sum()


@pytest.mark.parametrize("n", range(2, 400))
def test_one_more_unit_right_is_a_tie_with_chance_whatever_the_rounding(n):
    losses = np.ones(n)
    losses[: n // 2] = 0
    first = ladder(losses, best=None)
    losses[-1] = 0
    assert ladder(losses, best=first) is first
