"""Configs against their schema."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators import limits
from leaderboard.refusals import InvalidSubmission
from leaderboard.submissions.configs import complete_config

CATALOGUE = Path(__file__).parent.parent / "catalogue.json"
SCHEMAS = {entry["name"]: entry["schema"] for entry in json.loads(CATALOGUE.read_text())["models"]}
LOGISTIC, CNN = SCHEMAS["logistic"], SCHEMAS["plain-cnn"]


def faults(config, schema=CNN):
    with pytest.raises(InvalidSubmission) as caught:
        complete_config(config, schema)
    assert caught.value.errors
    return {(error.field, error.code): error.detail for error in caught.value.errors}


def test_defaults_are_filled_in():
    assert complete_config({"epochs": 3}, CNN) == {
        "batch_norm": True,
        "block": {"activation": "relu", "width": 16},
        "dropout": None,
        "epochs": 3,
        "learning_rate": 0.01,
        "widths": [16, 32],
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"epochs": 10}),
        ({"epochs": 3}, {"epochs": 3.0}),
        ({"learning_rate": 1}, {"learning_rate": 1.0}),
        ({"dropout": 0}, {"dropout": 0.0}),
        ({"dropout": 0.0}, {"dropout": -0.0}),
        ({"block": {}}, {}),
        ({"block": {"width": 16.0}}, {}),
        ({"widths": [16, 32.0]}, {"widths": [16.0, 32]}),
        ({"learning_rate": 0.5, "epochs": 2}, {"epochs": 2, "learning_rate": 0.5}),
    ],
)
def test_equal_configs_come_out_equal_to_the_letter(one, other):
    assert json.dumps(complete_config(one, CNN)) == json.dumps(complete_config(other, CNN))


@pytest.mark.parametrize(
    ("config", "field", "code", "says"),
    [
        ({"learning_rat": 0.1}, "config.learning_rat", "unknown_field", 'did you mean "learning_rate"?'),
        ({"zzz": 1}, "config.zzz", "unknown_field", "it has learning_rate, epochs"),
        ({"block": {"widht": 3}}, "config.block.widht", "unknown_field", 'did you mean "width"?'),
        ({"learning_rate": 0}, "config.learning_rate", "out_of_range", "more than 0 and at most 1"),
        ({"learning_rate": 1.5}, "config.learning_rate", "out_of_range", "is 1.5, expected more than 0 and at most 1"),
        ({"epochs": 101}, "config.epochs", "out_of_range", "at least 1 and at most 100"),
        ({"epochs": 2.5}, "config.epochs", "wrong_type", "expected an integer at least 1"),
        ({"epochs": "3"}, "config.epochs", "wrong_type", 'is "3", expected an integer'),
        ({"epochs": True}, "config.epochs", "wrong_type", "is true, expected an integer"),
        ({"epochs": None}, "config.epochs", "wrong_type", "is null, expected an integer"),
        ({"batch_norm": 1}, "config.batch_norm", "wrong_type", "expected true or false"),
        ({"dropout": 1}, "config.dropout", "out_of_range", "at least 0 and less than 1"),
        ({"dropout": "no"}, "config.dropout", "wrong_type", "expected a number at least 0 and less than 1 or null"),
        ({"block": {"activation": "gelu"}}, "config.block.activation", "not_a_choice", 'one of "relu", "tanh"'),
        ({"block": 3}, "config.block", "wrong_type", "expected an object"),
        ({"widths": []}, "config.widths", "wrong_length", "at least 1 and at most 4 items"),
        ({"widths": [1] * 5}, "config.widths", "wrong_length", "at most 4 items"),
        ({"widths": [16, 0]}, "config.widths.1", "out_of_range", "is 0, expected at least 1"),
        ({"learning_rate": math.nan}, "config.learning_rate", "not_finite", "must be a finite number"),
        ({"learning_rate": -math.inf}, "config.learning_rate", "not_finite", "must be a finite number"),
        ({"widths": [math.nan]}, "config.widths.0", "not_finite", "must be a finite number"),
        ({"epochs": 10**400}, "config.epochs", "out_of_range", "beyond"),
        ({"learning_rate": -(10**400)}, "config.learning_rate", "out_of_range", "beyond"),
        ({"a\0b": 1}, "config", "not_text", "NUL"),
        ({"block": {"activation": "\ud800"}}, "config.block.activation", "not_text", "surrogate"),
        ([], "config", "wrong_type", "a config is a JSON object, got a list"),
        ("{}", "config", "wrong_type", "got text"),
        (5, "config", "wrong_type", "got a number"),
    ],
)
def test_each_fault_is_named_with_what_would_be_right(config, field, code, says):
    found = faults(config)
    assert says in found[field, code], found


def test_all_faults_are_found_at_once():
    assert set(faults({"learning_rate": 7, "epochs": "x", "typo": 1})) == {
        ("config.learning_rate", "out_of_range"),
        ("config.epochs", "wrong_type"),
        ("config.typo", "unknown_field"),
    }


def test_deep_and_large_configs_are_refused_before_they_cost_anything():
    deep = {}
    for _ in range(50_000):
        deep = {"block": deep}
    assert any(code == "too_deep" for _, code in faults(deep))
    assert ("config", "too_large") in faults({"x" * 10: "y" * limits.MAX_CONFIG_BYTES})
    assert len(faults({f"unknown{n}": 1 for n in range(1_000)})) <= 20


def test_a_required_field_without_default_is_named():
    schema = {"type": "object", "properties": {"depth": {"type": "integer"}}, "required": ["depth"]}
    assert ("config.depth", "required") in faults({}, schema)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
field_names = st.sampled_from([*CNN["properties"], "width", "learning_rat"])


@given(st.dictionaries(field_names | st.text(max_size=4), json_values, max_size=5))
def test_any_config_is_completed_for_good_or_refused_with_reasons(config):
    completed, errors = outcome(config)
    assert all(error.field.startswith("config") and error.detail for error in errors)
    if completed is None:
        assert errors
        return
    assert set(completed) == set(CNN["properties"])
    assert complete_config(completed, CNN) == completed
    json.dumps(completed, allow_nan=False).encode()


def outcome(config):
    """The completed config, or the errors."""
    try:
        return complete_config(config, CNN), ()
    except InvalidSubmission as refusal:
        return None, refusal.errors


@given(st.floats(0, 1, exclude_min=True), st.integers(1, 2000))
def test_what_is_within_the_bounds_is_taken_as_it_is(rate, steps):
    completed = complete_config({"learning_rate": rate, "steps": steps}, LOGISTIC)
    assert completed == {"learning_rate": rate, "steps": steps, "weight_decay": 1e-4}
    assert isinstance(completed["learning_rate"], float)
    assert isinstance(completed["steps"], int)
