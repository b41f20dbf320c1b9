"""The order over all tracks on the server: who is a player, which boards count, when it is computed, and what is shown."""

from __future__ import annotations

import json
import subprocess
import threading

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from evaluators.across_tracks import answer
from leaderboard.accounts.models import Team
from leaderboard.boards.models import Board
from leaderboard.refusals import InvalidRequest
from leaderboard.standings import overall_inputs, overall_refresh
from leaderboard.standings.models import OverallRanking, PairedTest
from leaderboard.standings.overall import overall
from leaderboard.standings.overall_inputs import counted_boards, read_inputs, request_of
from leaderboard.standings.overall_refresh import ComputingError, keep_up, refresh
from tests.standings.conftest import keep_columns, right


@pytest.fixture
def computed_here(monkeypatch):
    """The process's answer without the process: `asked` holds what it was asked."""
    asked = []

    def ask(request):
        asked.append(json.loads(request))
        return json.dumps(answer(asked[-1]), allow_nan=False)

    monkeypatch.setattr(overall_refresh, "_asked", ask)
    return asked


@pytest.fixture
def stand(place_result, system, user, other_user):
    """A baseline, a reference model by its default config and by another, two people, one of them twice."""
    place_result("Logistic", 0.5, 0.01, user=system, origin="baseline", model="logistic", config={})
    place_result("NIN", 0.8, 0.01, user=system, origin="paper", model="nin", config={})
    place_result("NIN, odd", 0.99, 0.01, user=system, origin="paper", model="nin", config={"steps": 64})
    place_result("ada's best", 0.9, 0.01, user=user)
    place_result("ada's other", 0.7, 0.01, user=user)
    place_result("ben's", 0.6, 0.01, user=other_user, visibility="private")


def by_player(found):
    return {player.player: player for player in found.players}


def test_players_are_default_configs_the_baseline_and_everybody_s_best(stand, user, other_user):
    (board,) = read_inputs()
    assert [(standee.player, standee.kind, standee.shown["name"], standee.value) for standee in board.standees] == [
        ("model:nin", "model", "NIN", 0.8),
        ("baseline", "baseline", "Logistic", 0.5),
        (f"person:{user.pk}", "person", "ada's best", 0.9),
        (f"person:{other_user.pk}", "person", "ben's", 0.6),
    ]


def test_a_team_is_one_player_under_its_name(place_result, user, other_user):
    team = Team.objects.create(slug="duo", name="The Duo", created_by=user)
    for person, value in ((user, 0.8), (other_user, 0.9)):
        submission = place_result(f"of {person}", value, user=person).submission
        submission.team = team
        submission.save()
    (board,) = read_inputs()
    assert [(standee.player, standee.name, standee.value) for standee in board.standees] == [
        (f"team:{team.pk}", "The Duo", 0.9)
    ]


def test_what_is_not_ranked_is_no_player(place_result):
    place_result("broken", None, reason="the values overflowed")
    assert read_inputs() == []


def test_only_the_best_competitors_take_part(place_result, user, other_user, staff, monkeypatch):
    monkeypatch.setattr(overall_inputs, "MOST_COMPETITORS", 2)
    for person, value in ((user, 0.7), (other_user, 0.9), (staff, 0.8)):
        place_result(f"of {person}", value, user=person)
    (board,) = read_inputs()
    assert [standee.name for standee in board.standees] == ["ben", "root"]


@pytest.mark.parametrize(
    "changed",
    [
        {"visibility": "private"},
        {"shows": "own"},
        {"shows": "nothing"},
        {"public_share": 0.5},
        {"slug": "another"},
        {"host": "a person"},
    ],
)
def test_boards_that_are_not_the_track_s_own_or_hide_something_do_not_count(board, user, changed):
    assert board in counted_boards()
    Board.objects.filter(pk=board.pk).update(**{**changed, **({"host": user} if "host" in changed else {})})
    assert board not in counted_boards()


def test_a_track_that_is_not_installed_does_not_count(board):
    board.track.available = False
    board.track.save()
    assert board not in counted_boards()


def test_the_document_holds_kept_tests_bound_and_columns(stand, board):
    inputs = read_inputs()
    keep_columns(board.submissions.get(name="NIN").evaluations.get(), right(10, [0]))
    inputs = read_inputs()
    nin, baseline = inputs[0].standees[:2]
    first, second = sorted((nin.evaluation, baseline.evaluation))
    PairedTest.objects.create(first_id=first, second_id=second, metric="accuracy", difference=-0.3, p=0.001)
    (track,) = request_of(inputs, runs={str(baseline.evaluation): [0.5]})["tracks"]
    assert (track["slug"], track["metric"], track["direction"], track["one"]) == (
        "digits-classification", "accuracy", "max", 1.0
    )  # fmt: skip
    places = {entry["evaluation"]: index for index, entry in enumerate(track["entries"])}
    assert track["tests"] == [[places[first], places[second], -0.3, 0.001]]
    assert track["entries"][0]["columns"].endswith(nin.columns_sha256)
    assert track["entries"][1]["columns"] is None  # known by seed already


def test_a_metric_without_a_bound_ends_at_the_best_reference_model(stand, board):
    board.track.spec["metrics"][0]["upper"] = None
    board.track.save()
    (track,) = request_of(read_inputs(), runs={})["tracks"]
    assert track["one"] == 0.8


def test_it_is_computed_once_for_equal_inputs_and_again_for_others(stand, place_result, computed_here, staff):
    assert refresh()
    assert not refresh()
    assert len(computed_here) == 1
    place_result("late", 0.95, user=staff)
    assert refresh()
    assert len(computed_here) == 2
    assert f"person:{staff.pk}" in by_player(overall())


def test_a_new_name_or_rank_is_a_change(stand, computed_here, user):
    refresh()
    user.username = "ada2"
    user.save()
    assert refresh()
    assert by_player(overall())[f"person:{user.pk}"].name == "ada2"


def test_runs_by_seed_are_kept_from_one_time_to_the_next(stand, place_result, computed_here, staff):
    refresh()
    place_result("late", 0.95, user=staff)
    refresh()
    known = computed_here[1]["runs"]
    assert len(known) == 4
    assert all(len(values) == 1 for values in known.values())


def test_what_is_shown_has_numbers_names_and_places(stand, computed_here, board, user, other_user):
    refresh()
    found = overall()
    players = by_player(found)
    ada = players[f"person:{user.pk}"]
    assert (ada.name, ada.kind, ada.wins, ada.losses, ada.tracks) == ("ada", "person", 3, 0, 1)
    assert ada.rank is None
    assert "ranks begin at 6" in ada.reason
    (entry,) = ada.entries
    assert (entry.board, entry.name, entry.rank) == (board.slug, "ada's best", 2)
    assert entry.submission == str(board.submissions.get(name="ada's best").pk)
    assert players["model:nin"].mean == pytest.approx(0.6)
    assert players["baseline"].strength == 0
    assert players[f"person:{other_user.pk}"].entries[0].submission is None  # private
    assert found.families == ("image_classification",)
    assert "There is 1 track here today, so nobody is ranked" in found.rule[-1]


def test_a_family_has_its_own_order_and_an_unknown_one_is_refused(stand, computed_here):
    refresh()
    assert len(overall("image_classification").players) == 4
    with pytest.raises(InvalidRequest, match="did you mean"):
        overall("image_clasification")


def test_before_anything_is_computed_nobody_is_on_it(db):
    assert (overall().players, overall().computed_at) == ((), None)


@pytest.mark.parametrize("changed", [{"visibility": "private"}, {"shows": "nothing"}, {"public_share": 0.5}])
def test_a_board_that_was_hidden_since_is_hidden_here_at_once(stand, computed_here, board, changed):
    refresh()
    Board.objects.filter(pk=board.pk).update(**changed)
    assert overall().players == ()
    with pytest.raises(InvalidRequest):
        overall("image_classification")
    assert refresh()  # and then it is forgotten
    assert overall().players == ()
    assert list(OverallRanking.objects.values_list("family", flat=True)) == [""]


def test_reading_is_one_query(stand, computed_here):
    refresh()
    with CaptureQueriesContext(connection) as queries:
        overall()
    assert len(queries) == 1


def test_the_real_process_computes_it(stand, board):
    for number, name in enumerate(("NIN", "Logistic"), start=1):
        evaluation = board.submissions.get(name=name).evaluations.get()
        keep_columns(evaluation, right(10, range(number)))
    assert refresh()
    assert by_player(overall())["model:nin"].wins == 2


def test_a_process_that_fails_leaves_what_is_stored(stand, computed_here, place_result, staff, monkeypatch):
    refresh()
    before = overall()
    place_result("late", 0.95, user=staff)

    def fail(*_args, **_more):
        raise subprocess.CalledProcessError(1, "python", stderr="out of memory")

    monkeypatch.undo()
    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(ComputingError, match="out of memory"):
        refresh()
    assert overall() == before


def test_nobody_sees_half_of_a_new_order(stand, computed_here, place_result, staff, monkeypatch):
    refresh()
    before = overall()
    place_result("late", 0.95, user=staff)

    def die(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(overall_refresh, "_described_track", die)
    with pytest.raises(KeyboardInterrupt):
        refresh()
    assert overall() == before


@pytest.mark.django_db(transaction=True)
def test_it_follows_the_boards_by_itself(stand, computed_here, monkeypatch):
    monkeypatch.setattr(overall_refresh, "LOOK_EVERY_SECONDS", 0.01)
    stop, stored = threading.Event(), overall_refresh._store

    def store(*args):
        stored(*args)
        stop.set()

    monkeypatch.setattr(overall_refresh, "_store", store)
    following = threading.Thread(target=keep_up, kwargs={"stop": stop})
    following.start()
    following.join(timeout=60)
    stop.set()
    assert not following.is_alive()
    assert len(overall().players) == 4


def test_looking_again_costs_two_queries_while_nothing_changes(stand):
    with CaptureQueriesContext(connection) as queries:
        assert overall_inputs.trace() == overall_inputs.trace()
    assert len(queries) == 4


def test_a_result_or_a_rule_changes_the_trace(stand, place_result, board, staff):
    before = overall_inputs.trace()
    place_result("late", float(np.float64(0.95)), user=staff)
    after = overall_inputs.trace()
    assert after != before
    board.visibility = "private"
    board.save()
    assert overall_inputs.trace() != after
