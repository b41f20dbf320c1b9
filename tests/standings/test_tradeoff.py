"""A board in two metrics: the front by the ranks' own tests, what it covers, and how much of a long board is looked at."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.test.utils import CaptureQueriesContext

from leaderboard.refusals import InvalidRequest
from leaderboard.standings import tradeoff
from leaderboard.standings.models import PairedTest, Standing
from leaderboard.standings.tradeoff import default_axes, tradeoff_of
from tests.standings.conftest import score


def params(value):
    return [score("params", value, direction="min")]


@pytest.fixture
def add(place_result):
    """add(name, accuracy, params): half_width 0.01."""

    def place(name, accuracy, cost, half_width=0.01, **fields):
        more = params(cost) if cost is not None else []
        return place_result(name, accuracy, half_width, more=[*more, *fields.pop("more", [])], **fields)

    return place


def names(points):
    return [point.name for point in points]


def why(found):
    return {point.name: point.because for point in found.others}


def test_a_front_by_intervals_and_exact_costs(add, board):
    add("large", 0.95, 1000.0)
    add("larger", 0.951, 2000.0)  # no difference that can be told, for twice the parameters
    add("small", 0.80, 10.0)
    add("worse", 0.70, 500.0)
    found = tradeoff_of(board)
    assert (found.x.metric, found.x.exact, found.x.direction, found.y.metric, found.y.exact) == (
        "params", True, "min", "accuracy", False
    )  # fmt: skip
    assert names(found.front) == ["small", "large"]
    assert why(found) == {
        "larger": "large is better in Parameters (as recorded), and not significantly worse in Accuracy",
        "worse": "small is better in Parameters (as recorded) and in Accuracy (intervals)",
    }
    assert [point.rank for point in found.front] == [3, 1]


def test_the_default_axes_are_the_cost_and_what_orders_the_board(board, graph_board):
    assert default_axes(board) == ("params", "accuracy")
    board.ranking_metric = "nll"
    assert default_axes(board) == ("params", "nll")
    board.ranking_metric = "params"  # the cost itself orders the board
    assert default_axes(board) == ("accuracy", "params")
    assert default_axes(graph_board) == ("error-at-depth", "accuracy")  # it counts no cost


def test_one_axis_given_leaves_a_sensible_other(add, board):
    add("a", 0.9, 10.0)
    for asked, got in (
        ({"x": "accuracy"}, ("accuracy", "params")),
        ({"y": "params"}, ("accuracy", "params")),
        ({"x": "nll"}, ("nll", "accuracy")),
    ):
        found = tradeoff_of(board, **asked)
        assert (found.x.metric, found.y.metric) == got


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"x": "accurasy"}, 'did you mean "accuracy"?'),
        ({"y": ""}, "y cannot be"),
        ({"x": "nll", "y": "nll"}, "a trade-off is between two metrics"),
        ({"slice": "letters"}, "slice cannot be"),
    ],
)
def test_what_is_asked_wrongly_is_named(board, asked, says):
    with pytest.raises(InvalidRequest) as caught:
        tradeoff_of(board, **asked)
    assert says in caught.value.detail
    assert caught.value.errors[0].field in asked


def test_a_track_with_one_metric_has_no_tradeoff(board):
    board.track.spec["metrics"] = [metric for metric in board.track.spec["metrics"] if metric["primary"]]
    with pytest.raises(InvalidRequest, match="nothing to trade"):
        tradeoff_of(board)


def keep_test(a, b, *, p, difference):
    first, second = sorted((a.evaluation_id, b.evaluation_id))
    sign = 1 if first == a.evaluation_id else -1
    PairedTest.objects.create(first_id=first, second_id=second, metric="accuracy", difference=sign * difference, p=p)


@pytest.mark.parametrize(("p", "front"), [(0.001, ["cheap", "good"]), (0.3, ["cheap"])])
def test_a_kept_paired_test_decides_over_the_intervals(add, board, p, front):
    good, cheap = add("good", 0.92, 100.0, 0.05), add("cheap", 0.90, 10.0, 0.05)  # the intervals overlap
    keep_test(good, cheap, p=p, difference=0.02)
    assert names(tradeoff_of(board).front) == front


def test_a_paired_test_that_found_nothing_outweighs_disjoint_intervals(add, board):
    good, cheap = add("good", 0.95, 100.0), add("cheap", 0.85, 10.0)
    assert names(tradeoff_of(board).front) == ["cheap", "good"]
    keep_test(good, cheap, p=0.2, difference=0.1)
    assert names(tradeoff_of(board).front) == ["cheap"]


def test_the_tests_of_one_submission_are_corrected_together(add, board):
    rows = [add(f"n{n}", 0.9 + n / 1000, 100.0 + n, 0.05) for n in range(4)]
    for (n, low), (m, high) in combinations(enumerate(rows), 2):
        keep_test(high, low, p=0.03 if (n, m) == (0, 1) else 0.5, difference=(m - n) / 1000)
    assert names(tradeoff_of(board).front) == ["n0"]  # 0.03 is no difference among three tests


def test_missing_values_and_what_is_not_ranked_have_no_point_and_say_why(add, place_result, board):
    add("a", 0.9, 10.0)
    place_result("no cost", 0.95, 0.01)
    add("broken", None, 5.0, reason="the values overflowed")
    found = tradeoff_of(board)
    assert names(found.front) == ["a"]
    assert found.others == ()
    assert found.left_out == {"no value of Parameters": 1, "no value of Accuracy": 1}


def test_what_the_board_does_not_rank_removes_nobody(add, board):
    board.eligible = "public"
    board.save()
    add("open", 0.9, 10.0)
    add("hidden", 0.99, 1.0, visibility="private")
    found = tradeoff_of(board)
    assert names(found.front) == ["open"]
    assert found.left_out == {"no rank on this board": 1}


def test_the_hypervolume_is_measured_from_the_worst_values(add, board):
    add("a", 0.9, 10.0, 0.0)
    add("b", 0.8, 5.0, 0.0)
    add("worst", 0.5, 12.0, 0.0)
    covered = tradeoff_of(board).covered
    assert (covered.reference_x, covered.reference_y) == (12.0, 0.5)
    assert covered.hypervolume == pytest.approx(0.4 * 2 + 0.3 * 5)
    assert covered.share == pytest.approx((0.4 * 2 + 0.3 * 5) / (7 * 0.4))


def test_an_axis_that_spans_decades_counts_in_decades(add, board):
    add("a", 0.9, 1000.0, 0.0)
    add("b", 0.8, 10.0, 0.0)
    add("worst", 0.5, 100_000.0, 0.0)
    found = tradeoff_of(board)
    assert (found.x.log, found.y.log) == (True, False)
    assert found.covered.hypervolume == pytest.approx(0.3 * 4 + 0.1 * 2)


@pytest.mark.parametrize("costs", [[10.0], [10.0, 10.0]])
def test_values_that_do_not_differ_cover_nothing(add, board, costs):
    for n, cost in enumerate(costs):
        add(f"n{n}", 0.5 + n / 10, cost)
    found = tradeoff_of(board)
    assert found.covered is None
    assert names(found.front) == [f"n{len(costs) - 1}"]


def test_an_empty_board_has_an_empty_front(board):
    found = tradeoff_of(board)
    assert (found.front, found.others, found.covered, found.left_out) == ((), (), None, {})


def test_a_slice_takes_its_own_scores_and_the_costs_of_the_whole(add, board, monkeypatch):
    def on_slice(value):
        return [type(score("accuracy", 0.0))("accuracy", "digits", value, value, value, "", "share", "max", True)]

    good, cheap = add("a", 0.9, 10.0, more=on_slice(0.1)), add("b", 0.8, 5.0, more=on_slice(0.7))
    keep_test(good, cheap, p=0.9, difference=0.1)  # of the whole, not of the slice
    found = tradeoff_of(board, slice="digits")
    assert names(found.front) == ["b"]
    assert found.front[0].y.value == 0.7
    assert any("on one slice" in sentence for sentence in found.rule)
    assert any("whole evaluation" in sentence for sentence in found.rule)
    cheap.evaluation.result = {"filled": {"digits": "logistic"}}
    cheap.evaluation.save()
    assert names(tradeoff_of(board, slice="digits").front) == ["a"]


def test_another_track_version_is_another_front(add, board):
    add("old", 0.9, 10.0, version="0" * 64)
    assert tradeoff_of(board).front == ()


def test_a_private_submission_shows_its_values_and_not_its_page(add, board, user, other_user, staff):
    key = add("mine", 0.9, 10.0, visibility="private").submission_id
    for viewer, may in ((AnonymousUser(), False), (None, False), (other_user, False), (user, True), (staff, True)):
        (point,) = tradeoff_of(board, viewer=viewer).front
        assert point.submission_id == (key if may else None)
        assert (point.name, point.y.value, point.mine) == ("mine", 0.9, viewer == user)


@pytest.mark.parametrize(("shows", "seen"), [("nothing", []), ("own", ["baseline"])])
def test_what_a_board_hides_until_it_closes_is_hidden_here(*, add, board, system, staff, shows, seen):
    add("secret", 0.9, 10.0)
    add("baseline", 0.5, 1.0, user=system, origin="baseline")
    board.shows = shows
    board.save()
    found = tradeoff_of(board, viewer=AnonymousUser())
    assert names(found.front) + names(found.others) == seen
    assert found.rule[-1].startswith(f"until {board.title} closes")
    assert names(tradeoff_of(board, viewer=staff).front) == ["baseline", "secret"]


def test_of_a_long_board_the_best_rows_and_the_references_are_looked_at(add, board, system, monkeypatch):
    monkeypatch.setattr(tradeoff, "MOST", 3)
    monkeypatch.setattr(tradeoff, "MOST_REFERENCES", 1)
    for n in range(5):
        add(f"n{n}", 0.9 - n / 20, 10.0 - n)
    assert tradeoff_of(board).bounded
    add("baseline", 0.3, 1.0, user=system, origin="baseline")
    add("worse baseline", 0.2, 0.5, user=system, origin="baseline")
    found = tradeoff_of(board)
    assert {*names(found.front), *names(found.others)} == {"n0", "n1", "n2", "baseline"}
    assert "best 3 rows" in found.rule[-1]
    monkeypatch.setattr(tradeoff, "MOST", 7)
    assert not tradeoff_of(board).bounded


def test_it_asks_the_same_few_queries_however_long_the_board_is(add, board, system, monkeypatch):
    monkeypatch.setattr(tradeoff, "MOST", 3)
    add("baseline", 0.1, 1.0, user=system, origin="baseline")

    def count():
        with CaptureQueriesContext(
            connection,
        ) as queries:
            tradeoff_of(board)
        return len(queries)

    for n in range(4):
        add(f"n{n}", 0.9 - n / 20, 10.0, settle_it=n == 3)
    short = count()
    for n in range(4, 12):
        add(f"n{n}", 0.9 - n / 20, 10.0, settle_it=n == 11)
    assert count() == short <= 7


def test_everyone_on_the_front_of_a_random_board_is_removed_by_none_and_the_rest_by_one_on_it(add, board):
    rng = np.random.default_rng(3)
    for n in range(12):
        add(f"n{n}", round(rng.uniform(0.5, 0.9), 3), float(rng.integers(1, 50)), 0.03, settle_it=n == 11)
    found = tradeoff_of(board)
    front = {point.name: point for point in found.front}
    assert len(front) + len(found.others) == Standing.objects.count() == 12
    for point in found.others:
        remover = front[point.because.split(" is better")[0]]
        assert remover.x.value <= point.x.value
        assert not math.isclose(remover.x.value, point.x.value) or remover.y.value > point.y.value
