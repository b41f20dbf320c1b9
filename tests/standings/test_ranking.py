"""Placing results, and what is stored of them."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from evaluators.ordering import Entry, stretched
from leaderboard.standings.models import TAIL, Score, Standing
from leaderboard.standings.places import places_of
from leaderboard.standings.policies import Policy, policy_of
from leaderboard.standings.ranking import bounds_of, place, record_scores
from leaderboard.standings.settling import settle
from tests.standings.conftest import score


def table():
    return [(s.submission.name, s.rank, s.rank_low, s.rank_high) for s in Standing.objects.select_related("submission")]


def test_a_new_result_moves_the_others(place_result):
    place_result("middle", 0.5, 0.05)
    place_result("bottom", 0.2, 0.05)
    place_result("top", 0.9, 0.05)
    place_result("beside the middle", 0.52, 0.05)
    assert table() == [
        ("top", 1, 1, 1),
        ("beside the middle", 2, 2, 3),
        ("middle", 2, 2, 3),
        ("bottom", 4, 4, 4),
    ]


def test_the_placed_standing_is_returned_as_it_is_stored(place_result):
    place_result("top", 0.9)
    standing = place_result("below", 0.1)
    assert (standing.rank, standing.rank_high, standing.rule) == (2, 2, "intervals")
    stored = Standing.objects.get(pk=standing.pk)
    assert (stored.tier, stored.over, stored.rank, stored.value) == (TAIL, 0.9, 2, 0.1)


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_is_kept_with_its_reason_and_last(place_result, value):
    place_result("bad", value)
    place_result("poor", 0.0)
    assert table() == [("poor", 1, 1, 1), ("bad", None, None, None)]
    stored = Score.objects.get(evaluation__submission__name="bad")
    assert (stored.value, stored.ci_low, stored.ci_high) == (None, None, None)
    assert stored.reason == Standing.objects.get(submission__name="bad").reason != ""


def test_a_reason_that_the_evaluator_gave_is_kept(place_result):
    standing = place_result("bad", None, reason="the sampler diverged")
    assert standing.reason == "the sampler diverged"


def test_a_missing_primary_score_is_not_ranked(place_result, board):
    evaluation = place_result("none", 0.5, place_it=False)
    evaluation.scores.all().delete()
    record_scores(evaluation, [score("nll", 1.0, direction="min")])
    standing = place(evaluation)
    assert (standing.rank, standing.reason) == (None, "it has no score for accuracy")


def test_evaluating_again_replaces_the_standing(place_result):
    first = place_result("mine", 0.9)
    place_result("other", 0.5)
    again = place_result("mine", 0.1, again=first.submission)
    assert again.pk == first.pk
    assert table() == [("other", 1, 1, 1), ("mine", 2, 2, 2)]


def test_an_older_evaluation_that_ends_later_changes_nothing(place_result):
    late = place_result("mine", 0.9, place_it=False)
    newer = place_result("mine", 0.1, again=late.submission)
    assert place(late) == newer
    assert Standing.objects.get().value == 0.1


def test_track_versions_are_never_ranked_together(place_result):
    old = place_result("veteran", 0.9)
    place_result("veteran", 0.3, again=old.submission, version="f" * 64)
    place_result("rookie", 0.5, version="f" * 64)
    assert [(s.submission.name, s.rank) for s in Standing.objects.filter(track_version="f" * 64)] == [
        ("rookie", 1),
        ("veteran", 2),
    ]
    old.refresh_from_db()
    assert (old.rank, old.value) == (1, 0.9)


def test_smaller_is_better_where_the_track_says_so(board, place_result, user):
    board.ranking_metric = "nll"
    board.save()
    for name, value in (("large", 2.0), ("small", 1.0)):
        place_result(name, 0.5, more=[score("nll", value, value, value, direction="min")])
    assert [row[0] for row in table()] == ["small", "large"]


def test_boards_are_ranked_apart(place_result, board, user):
    from leaderboard.boards.models import Board

    cup = Board.objects.create(slug="cup", track=board.track, title="Cup", host=user)
    place_result("here", 0.9)
    assert place_result("there", 0.1, board=cup).rank == 1


@pytest.mark.parametrize("before", [2, 12])
def test_placing_takes_the_same_statements_however_long_the_board(place_result, django_assert_num_queries, before):
    for n in range(before):
        place_result(f"n{n}", n / (before - 1), settle_it=n == before - 1)
    evaluation = place_result("new", 0.21, place_it=False)
    with django_assert_num_queries(11):
        place(evaluation)


def test_placing_touches_no_other_row(place_result):
    place_result("top", 0.9)
    before = list(Standing.objects.values())
    place_result("new", 0.95, settle_it=False)
    assert list(Standing.objects.exclude(submission__name="new").values()) == before


RESULTS = st.lists(st.tuples(st.none() | st.floats(0, 1), st.floats(0, 0.3)), min_size=1, max_size=6)


@hypothesis_settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(RESULTS)
def test_a_new_row_has_the_rank_at_once_that_settling_gives_it(place_result, board, results):
    Standing.objects.all().delete()
    for value, half_width in results:
        standing = place_result("x", value, half_width, settle_it=False)
        at_once = (standing.rank, standing.rank_low, standing.rank_high, standing.rule, standing.tier, standing.over)
        settle(board, track_version=board.track.version, rest=0)
        standing.refresh_from_db()
        assert (standing.rank, standing.rank_low, standing.rank_high, standing.rule, standing.tier, standing.over) == at_once


@hypothesis_settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(RESULTS)
def test_settling_once_is_ranking_all_at_once(place_result, board, results):
    Standing.objects.all().delete()
    for value, half_width in results:
        place_result("x", value, half_width, settle_it=False)
    settle(board, track_version=board.track.version, rest=0)
    stored = list(Standing.objects.all())
    entries = [Entry(s.submission_id, s.value, s.ci_low, s.ci_high, s.submitted_at, s.reason) for s in stored]
    expected = [each.place for each in places_of(entries, policy_of(board), compare=None)]
    assert [(s.submission_id, s.rank, s.rank_low, s.rank_high) for s in stored] == [
        (place.key, place.rank, place.rank_low, place.rank_high) for place in expected
    ]


@given(st.floats(-1e6, 1e6), st.none() | st.floats(-1e6, 1e6), st.none() | st.floats(-1e6, 1e6))
def test_bounds_are_those_that_ordering_stretches(value, low, high):
    def number(end):
        return np.array([np.nan if end is None else end])

    policy = Policy({"name": "m", "title": "M", "direction": "max", "estimator": "mean"})
    floor, ceiling = stretched(number(value), number(low), number(high))
    bounds = bounds_of(value, low, high, policy=policy)
    assert (bounds.floor, bounds.merit, bounds.ceiling) == (floor[0], value, ceiling[0])
    down = Policy({**policy.metric, "direction": "min"})
    mirrored = bounds_of(value, low, high, policy=down)
    assert (mirrored.floor, mirrored.merit, mirrored.ceiling) == (-ceiling[0], -value, -floor[0])
