"""A weighted sum of metrics: what each is worth, what is refused, and that it is a metric like every other."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators import combining, comparison, registry, statistics
from evaluators.runtime import scoring
from tests.hidden.conftest import columns_of

TRACK = registry.get("digits-classification")
METRICS = [metric.model_dump() for metric in TRACK.spec.metrics]
PARAMS = {"weight": 1, "zero": 100_000, "one": 1_000, "log": True}


def read(**document):
    return combining.read(document, METRICS)


def values(**given_values):
    return {name: np.asarray(value, dtype=float) for name, value in given_values.items()}


def test_bounded_metrics_count_from_their_bounds_in_their_direction():
    both = read(accuracy=3, ece=1)
    assert [(term.weight, term.zero, term.one) for term in both.terms] == [(0.75, 0.0, 1.0), (0.25, 1.0, 0.0)]
    assert float(both.of(values(accuracy=0.8, ece=0.1))) == pytest.approx(0.75 * 0.8 + 0.25 * 0.9)


@pytest.mark.parametrize(
    ("params", "worth"), [(1_000, 1), (10_000, 0.5), (100_000, 0), (1e9, 0), (0, 1), (math.inf, 0), (1, 1)]
)
def test_a_metric_without_bounds_counts_between_the_values_that_the_host_gives(params, worth):
    found = read(accuracy=1, params=PARAMS).of(values(accuracy=1.0, params=params))
    assert float(found) == pytest.approx(0.5 + 0.5 * worth)


def test_what_is_not_a_number_makes_no_number():
    assert math.isnan(float(read(accuracy=1, ece=1).of(values(accuracy=np.nan, ece=0.1))))


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 100), st.floats(0.01, 100))
@settings(max_examples=50, deadline=None)
def test_it_lies_between_0_and_1_and_no_metric_that_gets_better_makes_it_worse(accuracy, ece, of_accuracy, of_ece):
    both = read(accuracy=of_accuracy, ece=of_ece)
    found = float(both.of(values(accuracy=accuracy, ece=ece)))
    assert 0 <= found <= 1 + 1e-12
    assert float(both.of(values(accuracy=min(1, accuracy + 0.1), ece=ece))) >= found - 1e-12
    assert float(both.of(values(accuracy=accuracy, ece=min(1, ece + 0.1)))) <= found + 1e-12


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], "at least two metrics"),
        ({"accuracy": 1}, "at least two metrics"),
        ({"accurasy": 1, "ece": 1}, 'did you mean "accuracy"?'),
        ({"accuracy": 1, "qqq": 1}, "it has accuracy, nll"),
        ({"accuracy": "much", "ece": 1}, 'the weight of "accuracy" must be a number, not much'),
        ({"accuracy": True, "ece": 1}, "must be a number"),
        ({"accuracy": float("nan"), "ece": 1}, "must be a number"),
        ({"accuracy": -1, "ece": 1}, "must be more than 0"),
        ({"accuracy": 1, "params": 1}, "no bound there"),
        ({"accuracy": 1, "params": {"weight": 1, "one": 5}}, "no bound there"),
        ({"accuracy": 1, "params": {"weight": 1, "zero": 1, "one": 5}}, "less is better"),
        ({"accuracy": 1, "params": {"weight": 1, "zero": 5, "one": 5}}, "the same value"),
        ({"accuracy": 1, "ece": {"weight": 1, "log": True}}, "above 0"),
        ({"accuracy": 1, "params": {**PARAMS, "log": "yes"}}, "true or false"),
        ({"accuracy": 1, "ece": {"weight": 1, "wait": 3}}, '"wait" is none of them'),
        ({"accuracy": 1, "ece": {}}, 'the weight of "ece" must be a number'),
    ],
)
def test_what_cannot_be_combined_is_refused_in_one_sentence(document, says):
    with pytest.raises(ValueError) as caught:
        combining.read(document, METRICS)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_title_and_formula_say_what_is_summed():
    both = read(accuracy=0.7, params={**PARAMS, "weight": 0.3})
    assert both.title.startswith("Combination: 0.7 Accuracy + 0.3 ")
    assert both.formula == "0.7 (accuracy from 0 to 1) + 0.3 (log params from 100000 to 1000)"


def test_facts_alone_make_a_fact():
    both = read(params=PARAMS, macs=PARAMS)
    track = combining.combined(TRACK(secret=b""), both)
    assert track.spec.metrics[-1].estimator == "fact"
    found = {score.metric: score for score in scoring.score_values(track, columns_of(np.ones(50)))}
    assert (found["combination"].value, found["combination"].ci_low) == (1.0, None)


def test_value_interval_and_paired_test_come_from_the_columns():
    both = read(accuracy=1, params=PARAMS)
    track = combining.combined(TRACK(secret=b""), both)
    a, b = (columns_of((np.arange(300) % k > 0).astype(float)) for k in (10, 3))
    found = statistics.estimate(track, a)["combination"]
    assert found.value == pytest.approx(0.5 * 0.9 + 0.5)
    plain = statistics.estimate(track, a)["accuracy"]
    assert found.ci_high - found.ci_low == pytest.approx((plain.ci_high - plain.ci_low) / 2, rel=0.15)
    difference = comparison.compare(track, a, b, metric=track.spec.metrics[-1])
    assert difference.value == pytest.approx(0.5 * (0.9 - 2 / 3))
    assert difference.p < 0.01
    assert difference.ci_low < difference.value < difference.ci_high


def test_the_track_itself_stays_as_it_is():
    track = TRACK(secret=b"")
    combining.combined(track, read(accuracy=1, ece=1))
    assert combining.combined(track, None) is track
    assert "combination" not in {metric.name for metric in track.spec.metrics}
    assert "combination" not in track.reduce(columns_of(np.ones(4)))
