"""The best try of each competitor counts: at once, when a result is placed, and the same after settling."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from leaderboard.standings import settling
from leaderboard.standings.models import Standing
from leaderboard.standings.settling import settle


@pytest.fixture
def best_counts(board):
    """The board counts the best of each competitor."""
    board.counts = "competitor"
    board.save()


def shown():
    rows = Standing.objects.filter(superseded=False).select_related("submission")
    return [(row.submission.name, row.rank) for row in rows]


@pytest.mark.usefixtures("best_counts")
def test_a_worse_try_is_never_shown(place_result):
    place_result("best", 0.9)
    worse = place_result("worse", 0.5, settle_it=False)
    assert (worse.superseded, worse.rank, worse.rule) == (True, None, "")
    assert shown() == [("best", 1)]


@pytest.mark.usefixtures("best_counts")
def test_a_better_try_takes_the_place_of_the_older_at_once(place_result, other_user):
    place_result("old", 0.5)
    place_result("rival", 0.7, user=other_user)
    place_result("new", 0.9, settle_it=False)
    assert shown() == [("new", 1), ("rival", 1)]  # the rival's rank is the next round's to move
    hidden = Standing.objects.get(superseded=True)
    assert (hidden.submission.name, hidden.rank) == ("old", None)


@pytest.mark.usefixtures("best_counts")
def test_an_equal_try_gives_way_to_the_earlier(place_result):
    place_result("first", 0.5, settle_it=False)
    assert place_result("second", 0.5, settle_it=False).superseded is True


@pytest.mark.usefixtures("best_counts")
def test_a_hidden_try_comes_back_when_the_one_that_counted_is_evaluated_again_and_does_worse(place_result):
    best = place_result("best", 0.9)
    place_result("second", 0.5)
    again = place_result("best", 0.1, again=best.submission, settle_it=False)
    assert again.superseded is True
    assert shown() == [("second", 1)]


@pytest.mark.usefixtures("best_counts")
def test_a_try_without_a_value_gives_way_and_stands_only_where_it_is_alone(place_result):
    assert place_result("broken", None, settle_it=False).superseded is False
    place_result("poor", 0.0, settle_it=False)
    assert shown() == [("poor", 1)]
    assert place_result("broken too", None, settle_it=False).superseded is True


@pytest.mark.usefixtures("best_counts")
def test_the_systems_entrants_are_no_tries_of_one_another(place_result, system):
    for name, value in (("one", 0.5), ("two", 0.9)):
        place_result(name, value, user=system, origin="baseline", settle_it=False)
    assert [name for name, _ in shown()] == ["one", "two"] or [name for name, _ in shown()] == ["two", "one"]


@pytest.mark.usefixtures("best_counts")
def test_a_teams_tries_are_one_competitors_and_apart_from_its_members_own(place_result, user, other_user):
    from leaderboard.accounts.models import Team

    team = Team.objects.create(slug="team", name="Team")
    for name, value, owner in (("hers", 0.5, user), ("his", 0.9, other_user)):
        standing = place_result(name, value, user=owner, place_it=False)
        standing.submission.team = team
        standing.submission.save()
        _place(standing)
    place_result("her own", 0.1, settle_it=False)
    assert sorted(name for name, _ in shown()) == ["her own", "his"]


def _place(evaluation):
    from django.db import transaction

    from leaderboard.standings.ranking import place

    with transaction.atomic():
        place(evaluation)


def test_where_every_submission_counts_none_is_hidden(place_result):
    place_result("best", 0.9)
    place_result("worse", 0.5, settle_it=False)
    assert len(shown()) == 2


@pytest.mark.usefixtures("best_counts")
@pytest.mark.parametrize("others", [2, 12])
def test_placing_takes_the_same_statements_however_long_the_board(place_result, system, others):
    for n in range(others):
        place_result(f"n{n}", n / 20, user=system, origin="baseline", settle_it=n == others - 1)
    place_result("mine", 0.4)
    evaluation = place_result("better", 0.5, place_it=False)
    with CaptureQueriesContext(connection) as seen:
        _place(evaluation)
    assert len(seen) <= 16


@pytest.mark.usefixtures("best_counts")
def test_a_row_that_was_superseded_during_a_round_stays_so(place_result, board, monkeypatch, other_user):
    place_result("old", 0.5)
    place_result("rival", 0.9, user=other_user, settle_it=False)
    inner = settling.ranks_in_order

    def lands(*args, **kwargs):
        monkeypatch.setattr(settling, "ranks_in_order", inner)
        place_result("new", 0.7, settle_it=False)
        return inner(*args, **kwargs)

    monkeypatch.setattr(settling, "ranks_in_order", lands)
    settle(board, track_version=board.track.version, rest=0)
    assert [name for name, _ in shown()] == ["rival", "new"]


TRIES = st.lists(st.tuples(st.none() | st.sampled_from([0.1, 0.5, 0.9]), st.booleans()), min_size=1, max_size=8)


@hypothesis_settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(TRIES)
@pytest.mark.usefixtures("best_counts")
def test_settling_finds_nobody_to_hide_whom_placing_has_not_hidden(place_result, board, user, other_user, tries):
    Standing.objects.all().delete()
    for value, mine in tries:
        place_result("x", value, 0.05, user=user if mine else other_user, settle_it=False)
    hidden = set(Standing.objects.filter(superseded=True).values_list("pk", flat=True))
    settle(board, track_version=board.track.version, rest=0)
    assert set(Standing.objects.filter(superseded=True).values_list("pk", flat=True)) == hidden
