"""The trade-off page of a board: chart, tables, and what it says in words."""

from __future__ import annotations

import itertools

import pytest

from leaderboard.standings.tradeoff import Axis, Coordinate, Covered, Point, Tradeoff
from leaderboard.web.numbers import MINUS
from leaderboard.web.tradeoff_chart import NAME_ON_CHART, short, view_of
from tests.web.page import get

COVERED = Covered(1.5, 0.25, 100.0, 0.5)


def axis(direction="min", *, log=False, exact=True, metric="params"):
    return Axis(metric, metric.capitalize(), "count", direction, "", exact, log)


def point(name, x, y, *, half=None, because=""):
    def at(value):
        return Coordinate(value, *((None, None) if half is None else (value - half, value + half)))

    return Point(None, name, "ada", "config", "person", "", False, 1, Coordinate(x, None, None), at(y), not because, because)


def traded(front, others=(), *, log=False, covered=COVERED):
    x, y = axis(log=log), axis("max", exact=False, metric="accuracy")
    return Tradeoff(x, y, "", tuple(front), tuple(others), {}, False, covered, ("A rule.",))


def spots(view):
    return {spot.point.name: spot for spot in view.chart.spots}


def test_the_front_is_numbered_from_the_best_x_and_drawn_last():
    view = view_of(traded([point("small", 10, 0.8), point("large", 90, 0.9)], [point("lost", 50, 0.6, because="small")]))
    assert [(line.number, line.point.name) for line in view.front] == [(1, "small"), (2, "large")]
    assert [spot.number for spot in view.chart.spots] == [0, 1, 2]
    drawn = spots(view)
    assert drawn["small"].x.at < drawn["lost"].x.at < drawn["large"].x.at
    assert drawn["large"].y.at < drawn["small"].y.at < drawn["lost"].y.at  # up is larger


def test_the_stairs_go_through_the_best_values_only():
    view = view_of(traded([point("a", 10, 0.8), point("tied", 20, 0.79), point("b", 90, 0.9)]))
    assert view.chart.line.count("V") == 1  # one step, from a to b
    assert view.chart.area.endswith("Z")


def test_of_two_at_the_same_cost_the_better_one_makes_the_step():
    view = view_of(traded([point("a", 10, 0.8), point("b", 10, 0.9), point("c", 50, 0.95)]))
    drawn = spots(view)
    assert view.chart.line.startswith(f"M{drawn['b'].x.at} {drawn['b'].y.at}H")


def test_an_axis_that_spans_decades_is_logarithmic_and_says_so():
    linear, log = (view_of(traded([point("a", 10, 0.8), point("b", 100_000, 0.9)], log=each)) for each in (False, True))
    assert [tick.text for tick in log.chart.x_ticks] == ["10", "100", "1k", "10k", "100k"]
    assert "log scale" in log.chart.x_title
    assert "log scale" not in linear.chart.x_title


def test_a_long_title_leaves_its_unit_to_the_tables():
    found = traded([point("a", 10, 0.8)])
    long = Axis(**{**vars(found.x), "title": "Paired distance, area under the curve", "unit": "log10-distance"})
    assert view_of(found).chart.x_title == "Params, count (lower is better)"
    assert view_of(Tradeoff(**{**vars(found), "x": long})).chart.x_title == f"{long.title} (lower is better)"


def test_an_interval_that_reaches_below_zero_is_cut_off_on_a_logarithmic_axis():
    found = traded([point("a", 10, 0.8), point("b", 100_000, 0.9)], log=True)
    reaching = Coordinate(10, -5.0, 25.0)
    front = (Point(**{**vars(found.front[0]), "x": reaching}), found.front[1])
    view = view_of(Tradeoff(**{**vars(found), "front": front}))
    whisker = spots(view)["a"].x
    assert view.chart.left <= whisker.low <= whisker.at < whisker.high


def test_numbers_that_would_cover_each_other_are_left_to_the_table():
    close = [point(f"n{n}", 10 + n / 100, 0.8 + n / 10_000) for n in range(5)]
    view = view_of(traded([*close, point("far", 90, 0.95)]))
    assert [spot.number for spot in view.chart.spots if spot.marked] == [1, 6]
    assert len(view.front) == 6


def test_ticks_do_not_run_into_each_other_and_labels_stay_inside():
    view = view_of(traded([point("x" * 80, 1, 0.1), point("b", 95, 0.97), point("c", 99, 0.99)]))
    places = [tick.at for tick in view.chart.x_ticks]
    assert all(after - before >= 40 for before, after in itertools.pairwise(places))
    anchors = {spot.anchor for spot in view.chart.spots}
    assert anchors == {"start", "end"}
    assert max(len(spot.label) for spot in view.chart.spots) == NAME_ON_CHART


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.985, "0.985"),
        (650, "650"),
        (1000, "1k"),
        (20_000, "20k"),
        (5e6, "5M"),
        (1e12, "1e+12"),
        (-2000, f"{MINUS}2k"),
        (0, "0"),
    ],
)
def test_ticks_are_written_short(value, text):
    assert short(value) == text


def test_the_hypervolume_comes_with_its_reference_point():
    told = " ".join(view_of(traded([point("a", 10, 0.8)])).covered)
    assert "covers 25 %" in told
    assert "100 in Params, 0.5" in told
    flat = view_of(traded([point("a", 10, 0.8)], covered=None)).covered
    assert flat == ("All values are equal on one axis, so the front covers no area.",)


def test_the_page_has_chart_tables_and_rule(client, digits):
    page = get(client, f"/boards/{digits[0].board.slug}/tradeoff/")
    assert [heading.text for heading in page.all("h1")] == ["Accuracy against Parameters"]
    assert len(page.all("circle", class_="front-dot")) == 2
    assert len(page.all("a", class_="spot")) == 2  # the front can be reached by keyboard
    front, others = (table.text for table in page.all("table"))
    assert "1 Logistic regression baseline standings 650" in front
    assert "ResNeXt, 8 groups is better in Parameters (as recorded), and not significantly worse in Accuracy" in others
    assert "3 rows have no point: no value of Parameters." in page.text
    assert "Hypervolume" in page.text
    assert "significantly better on one axis and not significantly worse" in page.text


def test_the_board_links_to_it_and_both_choices_stay_chosen(client, digits):
    slug = digits[0].board.slug
    assert get(client, f"/boards/{slug}/").all("a", href=f"/boards/{slug}/tradeoff/")
    page = get(client, f"/boards/{slug}/tradeoff/?x=nll&y=accuracy&slice=")
    chosen = [option.attributes["value"] for option in page.all("option") if "selected" in option.attributes]
    assert chosen == ["accuracy", "nll"]
    (link,) = [each for each in page.all("a") if each.text == "as JSON"]
    assert client.get(link.attributes["href"]).status_code == 200


def test_a_private_submission_of_another_has_no_link(client, as_user, digits, user):
    mine = next(each for each in digits if each.user == user and each.name == "fractal-4 columns")
    mine.visibility = "private"
    mine.save()
    path = f"/boards/{mine.board.slug}/tradeoff/"
    assert get(as_user, path).all("a", href=f"/submissions/{mine.pk}/")
    page = get(client, path)
    assert not page.all("a", href=f"/submissions/{mine.pk}/")
    assert "fractal-4 columns" in page.text


@pytest.mark.parametrize(
    ("query", "says"),
    [("x=nothing", "X cannot be"), ("x=nll&y=nll", "is between two metrics"), ("slice=nothing", "Slice cannot be")],
)
def test_a_wrong_choice_is_a_page_that_says_so(client, digits, query, says):
    text = get(client, f"/boards/{digits[0].board.slug}/tradeoff/?{query}", expect=400).text
    assert says in text


def test_an_empty_board_says_so(client, board):
    assert (
        "No submission that you may see has a value in both metrics yet" in get(client, f"/boards/{board.slug}/tradeoff/").text
    )


def test_a_hidden_board_has_no_such_page(client, board):
    board.visibility = "private"
    board.save()
    get(client, f"/boards/{board.slug}/tradeoff/", expect=404)
