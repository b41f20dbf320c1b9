"""Who counts, who is tested, and places under a policy. Who is significantly better is tested with `evaluators.ordering`."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.ordering import HEAD, Entry, Paired
from leaderboard.standings.places import Contender, head_of, places_of, superseded
from leaderboard.standings.policies import Policy

START = datetime(2026, 1, 1, tzinfo=UTC)
UP = {"name": "accuracy", "title": "Accuracy", "direction": "max", "estimator": "proportion"}
DOWN = {"name": "nll", "title": "NLL", "direction": "min", "estimator": "mean"}


def entry(key, value, half=0.0, *, at=0, reason=""):
    low, high = (None, None) if value is None else (value - half, value + half)
    return Entry(key, value, low, high, START + timedelta(seconds=at), reason)


def policy(metric=UP, **fields):
    return Policy(metric, **fields)


def never(a, b):
    raise AssertionError("asked for a test")


@pytest.mark.parametrize(("metric", "best"), [(UP, "high"), (DOWN, "low")])
def test_the_best_of_a_competitor_counts_in_the_metrics_direction(metric, best):
    mine = [Contender(entry("low", 0.1), "ada"), Contender(entry("high", 0.9), "ada"), Contender(entry("other", 0.5), "ben")]
    assert superseded(mine, policy(metric, counts="competitor")) == {"low", "high"} - {best}


def test_of_equal_tries_the_earlier_one_counts():
    mine = [Contender(entry("late", 0.5, at=9), "ada"), Contender(entry("early", 0.5, at=1), "ada")]
    assert superseded(mine, policy(counts="competitor")) == {"late"}


def test_a_try_that_cannot_be_ranked_gives_way_and_stays_where_it_is_the_only_one():
    broken = Contender(entry("broken", None, at=0), "ada")
    assert superseded([broken, Contender(entry("poor", 0.0, at=1), "ada")], policy(counts="competitor")) == {"broken"}
    assert superseded([broken], policy(counts="competitor")) == set()


def test_entrants_of_nobody_all_count():
    both = [Contender(entry("a", 0.1), None), Contender(entry("b", 0.2), None)]
    assert superseded(both, policy(counts="competitor")) == set()


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, None]), st.sampled_from("xyz")), max_size=12))
def test_one_of_each_competitor_is_left_and_none_of_theirs_is_better(rows):
    contenders = [Contender(entry(i, value, at=i), owner) for i, (value, owner) in enumerate(rows)]
    out = superseded(contenders, policy(counts="competitor"))
    left = [contender for contender in contenders if contender.entry.key not in out]
    assert sorted(one.competitor for one in left) == sorted({owner for _, owner in rows})
    for one in left:
        values = [-1.0 if value is None else value for value, owner in rows if owner == one.competitor]
        assert (-1.0 if one.entry.value is None else one.entry.value) == max(values)
    assert superseded(contenders, policy()) == set()


def test_only_the_head_is_tested_and_every_row_says_by_which_rule_it_was_ranked():
    entries = [entry(i, 1.0 - i / 100, 0.2) for i in range(HEAD + 5)]
    asked = set()

    def compare(a, b):
        asked.update((a, b))
        return Paired(0.01, 1e-9)

    placed = places_of(entries, policy(), compare=compare)
    assert asked == set(range(HEAD)) == {one.key for one in head_of(entries, policy())}
    assert [each.rule for each in placed] == ["tests"] * HEAD + ["intervals"] * 5
    assert [each.place.rank for each in placed[:HEAD]] == list(range(1, HEAD + 1))
    assert {each.place.rank for each in placed[HEAD:]} == {HEAD}  # never better than the head that they trail


def test_without_tests_intervals_decide_everywhere():
    placed = places_of([entry("a", 0.9, 0.01), entry("b", 0.5, 0.01), entry("c", None)], policy(), compare=None)
    assert [(each.place.key, each.place.rank, each.rule) for each in placed] == [
        ("a", 1, "intervals"), ("b", 2, "intervals"), ("c", None, "")
    ]  # fmt: skip


def test_one_submission_is_first_by_no_test():
    (placed,) = places_of([entry("only", 0.5, 0.1)], policy(), compare=never)
    assert (placed.place.rank, placed.place.rank_low, placed.place.rank_high, placed.rule) == (1, 1, 1, "intervals")
    assert places_of([], policy(), compare=never) == []


def test_members_that_nothing_tells_apart_share_the_first_rank():
    placed = places_of([entry(i, 0.5, 0.0, at=i) for i in range(3)], policy(), compare=lambda a, b: Paired(0.0, 1.0))
    assert [(each.place.key, each.place.rank, each.place.rank_high) for each in placed] == [(0, 1, 3), (1, 1, 3), (2, 1, 3)]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "Every submission counts."),
        ({"counts": "competitor"}, "The best submission of each competitor counts."),
        ({"eligible": "complete"}, "enter every slice themselves"),
        ({"eligible": "public"}, "Only public submissions are ranked"),
        ({"metric": DOWN}, "NLL orders the board; less is better."),
        ({"metric": {**DOWN, "estimator": "fact"}}, "known exactly"),
    ],
)
def test_a_board_states_its_rule_in_words(fields, says):
    assert says in " ".join(policy(**fields).words())


@pytest.mark.parametrize(
    ("eligible", "origin", "visibility", "filled", "refused"),
    [
        ("all", "person", "private", {"s": "mlp"}, False),
        ("complete", "person", "public", {"s": "mlp"}, True),
        ("complete", "person", "public", {}, False),
        ("complete", "person", "public", None, False),
        ("complete", "baseline", "public", {"s": "mlp"}, False),
        ("public", "person", "private", {}, True),
        ("public", "person", "public", {}, False),
        ("public", "baseline", "private", {}, False),
    ],
)
def test_who_is_eligible(eligible, origin, visibility, filled, refused):
    objection = policy(eligible=eligible).objection(origin=origin, visibility=visibility, filled=filled)
    assert bool(objection) == refused
