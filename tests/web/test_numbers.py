"""How numbers are written."""

from __future__ import annotations

import math

import pytest

from leaderboard.web import numbers

NARROW = "\N{NARROW NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("values", "half_widths", "decimals"),
    [
        ([0.98331, 0.97], [0.0065, 0.0072], 4),
        ([0.83, 0.81], [0.021], 3),
        ([12.5, 11.75], [3.0], 1),
        ([61706.0, 650.0], [], 0),
        ([0.0412345], [], 5),
        ([4123.5], [], 0),
        ([], [], 0),
        ([None, math.nan], [None], 0),
        ([0.0], [], 0),
        ([1e-12], [], 6),
        ([0.5], [0.0], 4),
    ],
)
def test_a_column_has_the_digits_that_its_intervals_support(values, half_widths, decimals):
    assert numbers.decimals_for(values, half_widths=half_widths) == decimals


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (0.98331, 4, "0.9833"),
        (-0.5, 2, "\N{MINUS SIGN}0.50"),
        (61706, 0, f"61{NARROW}706"),
        (None, 2, numbers.MISSING),
        (math.nan, 2, numbers.MISSING),
        (math.inf, 2, numbers.MISSING),
        (0.00001, 3, "1e\N{MINUS SIGN}05"),
        (3.2e15, 0, "3.2e+15"),
        (0.0, 3, "0.000"),
        (-0.0, 3, "0.000"),
    ],
)
def test_a_number_is_written(value, decimals, text):
    assert numbers.written(value, decimals) == text


@pytest.mark.parametrize(("low", "high", "text"), [(1, 3, "1\N{EN DASH}3"), (2, 2, "2"), (None, None, numbers.MISSING)])
def test_a_rank_interval_is_written(low, high, text):
    assert numbers.rank_range(low, high) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0481, "48.1 ms"), (3.21, "3.21 s"), (59.7, "1 min"), (60.0, "1 min"), (125.2, "2 min 5 s"), (None, numbers.MISSING)],
)
def test_a_duration_is_written(value, text):
    assert numbers.seconds(value) == text
