"""The language of claims: what is written is read back the same, and what is wrong is told where, with what was meant."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.claim_language import (
    Absolute,
    Between,
    ClaimSyntaxError,
    Comparison,
    Contains,
    Monotone,
    Named,
    Number,
    Scaled,
    Share,
    Sum,
    Trend,
    Value,
    Vocabulary,
    check_names,
    entrants_of,
    expanded,
    values_of,
    written,
)
from evaluators.claim_parser import MAX_CHARACTERS, parse

WORDS = {"AND", "in", "than", "as", "by", "within", "over", "abs", "share", "contains", "better", "not_worse", "equal"}
WORDS |= {"slope", "loglog_slope", "spearman", "increasing", "decreasing"}
names = st.from_regex(
    r"#?[a-z][a-z0-9_]{0,6}(-[a-z0-9]{1,4}){0,2}|#[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", fullmatch=True
).filter(lambda name: name not in WORDS)
metrics = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name not in WORDS)
positive = st.floats(min_value=0, max_value=1e12, allow_nan=False).map(abs)
numbers = st.floats(min_value=-1e12, max_value=1e12, allow_nan=False).map(lambda x: x or 0.0)
settings_of_at = st.dictionaries(metrics, st.one_of(names, numbers), max_size=3).map(lambda at: tuple(at.items()))
values = st.builds(Value, metrics, settings_of_at, names)


def sums(inner):
    plain = st.one_of(values, st.builds(Number, positive), inner)
    terms = st.one_of(plain, st.builds(Scaled, positive, plain))
    return st.lists(st.tuples(st.sampled_from([1, -1]), terms), min_size=1, max_size=4).map(lambda found: Sum(tuple(found)))


simple = sums(values)
any_sum = st.one_of(simple, sums(st.builds(Absolute, simple)))
comparisons = st.builds(Comparison, any_sum, st.sampled_from([">=", "<="]), any_sum)
bounds = st.tuples(numbers, numbers).map(sorted)
clauses = st.one_of(
    comparisons,
    st.builds(lambda of, ends: Between(of, *ends), any_sum, bounds),
    st.builds(
        lambda kind, value, axis, ends: Trend(kind, value, axis, *ends),
        st.sampled_from(["slope", "loglog_slope", "spearman"]),
        values,
        metrics,
        bounds,
    ),
    st.builds(Monotone, st.sampled_from(["increasing", "decreasing"]), values, metrics, positive),
    st.builds(
        Named,
        st.sampled_from(["better", "not_worse", "equal"]),
        values,
        st.lists(names, min_size=1, max_size=3).map(tuple),
        positive,
    ),
    st.builds(Contains, values, numbers, positive),
    st.builds(Share, comparisons, metrics, st.floats(0, 1).map(abs)),
)
checks = st.lists(clauses, min_size=1, max_size=3).map(tuple)


@given(checks)
def test_what_is_written_is_read_back_the_same(check):
    text = written(check)
    if len(text) <= MAX_CHARACTERS:
        assert parse(text) == check
        assert written(parse(text)) == text


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_place_inside_it(text):
    place = 0
    try:
        parse(text)
    except ClaimSyntaxError as error:
        place = error.position
    assert 0 <= place <= len(text)


@given(checks, st.data())
def test_a_check_with_one_character_changed_never_breaks_the_parser(check, data):
    text = written(check)[:300]
    place = data.draw(st.integers(0, len(text) - 1))
    changed = text[:place] + data.draw(st.sampled_from(" ()[];,@=<>+-*x9.")) + text[place + 1 :]
    try:
        parse(changed)
    except ClaimSyntaxError:
        return


@pytest.mark.parametrize(
    ("text", "position", "told"),
    [
        ("", 0, "expected the name of a metric, got “the end”"),
        ("accuracy(gcn) > 0.5", 14, "“>” has no meaning here"),
        ("accuracy(gcn) >= 0.5 and mae(gcn) <= 1", 21, "did you mean “AND”?"),
        ("accuracy(gcn)", 13, "expected “>=” or “<=”, got “the end”"),
        ("accuracy@depth(gcn) >= 1", 14, "expected “=”, got “(”"),
        ("accuracy@depth=2;depth=8(gcn) >= 1", 17, "“depth” is set twice"),
        ("accuracy(gcn) >= 0.1 0.2", 21, "expected “AND”, got “0.2”"),
        ("slope(accuracy, depth; gcn) in [2, 1]", 31, "the lower bound 2 is above the upper one 1"),
        ("slope(accuracy; gcn) in [0, 1]", 14, "expected “,”, got “;”"),
        ("better(accuracy; gcn then mlp)", 21, "did you mean “than”?"),
        ("not_worse(accuracy; gcn than mlp)", 32, "“not_worse” needs a margin: “within” and a number"),
        ("share(accuracy(a) >= accuracy(b) over slice) >= 1.5", 48, "a share is at most 1"),
        ("accuracy(a) >= 1e400", 15, "expected a number, got “1e400”"),
        ("abs(" * 30 + "accuracy(a)" + ")" * 30 + " <= 1", 80, "nested more than 20 times"),
    ],
)
def test_a_fault_is_told_with_its_place(text, position, told):
    with pytest.raises(ClaimSyntaxError, match=re.escape(told)) as caught:
        parse(text)
    assert caught.value.position == position


def test_a_long_check_is_refused_before_it_is_read():
    with pytest.raises(ClaimSyntaxError, match="at most 2000 characters"):
        parse("accuracy(a) >= 0 AND " * 200)


VOCABULARY = Vocabulary(
    metrics={"accuracy": "max", "mae": "min", "energy": "none"},
    slices=("csbm", "select"),
    axes={"depth": (2.0, 8.0, 32.0)},
    entrants=("gcn", "grand", "mlp"),
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("acuracy(gcn) >= 0", "no metric “acuracy”; did you mean “accuracy”?"),
        ("accuracy(gnc) >= 0", "no entrant “gnc”; did you mean “gcn”?"),
        ("accuracy@dept=2(gcn) >= 0", "no axis “dept”; did you mean “depth”?"),
        ("accuracy@depth=3(gcn) >= 0", "“depth” has no setting “3”; it has 2, 8, 32"),
        ("accuracy@slice=sbm(gcn) >= 0", "“slice” has no setting “sbm”; did you mean “csbm”?"),
        ("slope(accuracy, width; gcn) in [0, 1]", "no axis “width”"),
        ("slope(accuracy, slice; gcn) in [0, 1]", "no axis “slice”"),
        ("better(energy; gcn than mlp)", "no direction of “energy” is better"),
    ],
)
def test_names_that_the_track_does_not_have_are_told_with_the_nearest(text, told):
    with pytest.raises(ClaimSyntaxError, match=re.escape(told)):
        check_names(parse(text), VOCABULARY, text=text)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("better(accuracy; grand than gcn by 0.1)", "accuracy(grand) >= accuracy(gcn) + 0.1"),
        ("better(mae; grand than gcn by 0.1)", "mae(grand) <= mae(gcn) - 0.1"),
        ("better(accuracy; grand than gcn, mlp)", "accuracy(grand) >= accuracy(gcn) AND accuracy(grand) >= accuracy(mlp)"),
        ("not_worse(accuracy; grand than gcn within 0.02)", "accuracy(grand) >= accuracy(gcn) - 0.02"),
        ("not_worse(mae; grand than gcn within 0.02)", "mae(grand) <= mae(gcn) + 0.02"),
        ("equal(mae; grand as gcn within 0.02)", "mae(grand) - mae(gcn) in [-0.02, 0.02]"),
        ("abs(mae(grand) - 1) <= 0.5", "mae(grand) - 1 in [-0.5, 0.5]"),
        ("0.5 >= abs(mae(grand))", "mae(grand) in [-0.5, 0.5]"),
        (
            "increasing(accuracy@slice=csbm, depth; gcn)",
            (
                "accuracy@slice=csbm;depth=8(gcn) >= accuracy@slice=csbm;depth=2(gcn) AND "
                "accuracy@slice=csbm;depth=32(gcn) >= accuracy@slice=csbm;depth=8(gcn)"
            ),
        ),
        (
            "decreasing(mae, depth; gcn within 0.1)",
            "mae@depth=8(gcn) <= mae@depth=2(gcn) + 0.1 AND mae@depth=32(gcn) <= mae@depth=8(gcn) + 0.1",
        ),
    ],
)
def test_short_relations_stand_for_comparisons(short, long):
    assert written(expanded(parse(short), VOCABULARY)) == long


def test_values_and_entrants_are_found_wherever_they_stand():
    check = parse("2*accuracy(a) - abs(mae@depth=2(b)) >= 0.5 AND share(mae(c) <= mae(a) over slice) >= 0.5")
    assert entrants_of(check) == ["a", "b", "c"]
    assert [value.metric for value in values_of(check[0])] == ["accuracy", "mae"]


def test_a_metric_may_be_called_like_a_relation():
    check = parse("share(a) >= abs(b) AND slope(a) <= 3")
    assert [value.metric for clause in check for value in values_of(clause)] == ["share", "abs", "slope"]
