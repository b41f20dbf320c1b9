"""The reveal: at which instant, what waits for it, what it keeps, and what becomes of schedulers that meet or die."""

from __future__ import annotations

import threading
from datetime import timedelta

import numpy as np
import pytest
from django.db import connection
from django.utils import timezone

from leaderboard.boards.closing import has_closed, hides
from leaderboard.boards.models import Board
from leaderboard.boards.rules import why_not
from leaderboard.evaluations import lifecycle, scheduler
from leaderboard.standings import measuring, revealing
from leaderboard.standings.models import Measurement, PairedTest, Part, Score, Standing
from leaderboard.standings.policies import policy_of
from leaderboard.standings.reading import standings_of
from leaderboard.standings.revealing import reveal_due
from leaderboard.standings.settling import settle
from leaderboard.submissions.intake import submit
from tests.hidden.conftest import UNITS, columns_of, finish, public_units, result_of


def rows(board, **options):
    board.refresh_from_db()
    return [(row.name, row.rank, row.public_rank) for row in standings_of(board, **options)]


def turn(board):
    return settle(board, track_version=board.track.version, rest=0)


@pytest.fixture
def shaken(board_of, land, user, other_user):
    """On the public part "quick" leads, on the private one "steady" does."""
    board = board_of()
    public = public_units(board)
    land(board, user, "quick", np.where(public, 1.0, 0.2))
    land(board, other_user, "steady", np.where(public, 0.3, 1.0) * (np.arange(UNITS) % 9 > 0))
    return board


def test_the_public_part_ranks_until_closing_and_the_private_part_after(shaken, close):
    board = shaken
    assert rows(board) == [("quick", 1, None), ("steady", 2, None)]
    assert reveal_due() == []
    close(board)
    assert rows(board) == [("quick", 1, None), ("steady", 2, None)]  # closed, and nobody has looked yet
    assert reveal_due() == [board.slug]
    board.refresh_from_db()
    assert turn(board) is not None
    assert rows(board) == [("steady", 1, 2), ("quick", 2, 1)]
    assert standings_of(board)[0].rule == "tests"
    assert set(PairedTest.objects.values_list("part", flat=True)) == {"public", "private"}


def test_the_values_are_those_of_the_part(shaken, close):
    board = shaken
    public = public_units(board)
    quick = Score.every.filter(metric="accuracy", slice="", evaluation__submission__name="quick")
    values = dict(quick.values_list("part", "value"))
    assert values == {"public": 1.0, "private": pytest.approx(0.2), "whole": pytest.approx(np.where(public, 1.0, 0.2).mean())}
    assert not Score.objects.filter(evaluation__submission__board=board).exists()
    assert standings_of(board)[0].value == 1.0
    close(board)
    reveal_due()
    turn(Board.objects.select_related("track").get(pk=board.pk))
    board.refresh_from_db()
    assert {row.name: row.scores["accuracy"].value for row in standings_of(board)}["quick"] == pytest.approx(0.2)
    assert standings_of(board, part="whole")[0].value == pytest.approx(values["whole"], abs=1)


def test_one_function_says_when_a_board_has_closed(board_of, user):
    at = timezone.now() + timedelta(hours=1)
    board = board_of(closes_at=at)
    before, after = at - timedelta(microseconds=1), at
    assert (has_closed(board, before), has_closed(board, after)) == (False, True)
    assert (why_not(board, user, before), reveal_due(now=before)) == (None, [])
    assert why_not(board, user, after) is not None
    assert reveal_due(now=after) == [board.slug]


@pytest.mark.usefixtures("no_broker")
def test_what_was_sent_in_time_is_waited_for(shaken, close, user):
    board = shaken
    late = submit(user=user, board=board, name="late", kind="config", model="logistic", config={"steps": 99}).evaluation
    close(board)
    assert reveal_due() == []
    lease = lifecycle.claim(late.pk, worker="tests", pool="cpu")
    assert reveal_due() == []
    result = result_of(board, columns_of(np.ones(UNITS)))
    assert lifecycle.succeed(lease, result, key=late.key, found=measuring.measured(board, result))
    assert reveal_due() == []  # it has landed, and the public ranks do not know it yet
    turn(board)
    assert reveal_due() == [board.slug]
    turn(Board.objects.select_related("track").get(pk=board.pk))
    assert {name: public for name, _, public in rows(board)}["late"] == 1


@pytest.mark.usefixtures("no_broker")
def test_what_fails_or_is_cancelled_is_not_waited_for(shaken, close, user):
    board = shaken
    late = submit(user=user, board=board, name="late", kind="config", model="logistic", config={"steps": 99}).evaluation
    close(board)
    lifecycle.cancel(late, by="ada")
    assert reveal_due() == [board.slug]


@pytest.mark.usefixtures("no_broker")
def test_what_a_host_asks_for_after_closing_is_not_waited_for_and_ranked_when_it_comes(shaken, close):
    board = shaken
    close(board)
    again = lifecycle.enqueue(Standing.objects.get(submission__name="quick").submission)
    assert reveal_due() == [board.slug]
    board.refresh_from_db()
    finish(board, again, np.ones(UNITS))
    turn(board)
    assert rows(board)[0][:2] == ("quick", 1)
    assert standings_of(board)[0].value == 1.0


def test_a_reveal_that_breaks_in_the_middle_leaves_nothing_and_is_done_at_the_next_turn(shaken, close, monkeypatch):
    board = shaken
    close(board)

    def broken(board):
        raise RuntimeError("the scheduler was killed here")

    with monkeypatch.context() as patch:
        patch.setattr(revealing, "ask_for", broken)
        with pytest.raises(RuntimeError):
            reveal_due()
    board.refresh_from_db()
    assert (board.revealed_at, hides(board)) == (None, True)
    assert not Standing.objects.exclude(public_rank=None).exists()
    scheduler.reveal_boards()
    board.refresh_from_db()
    assert board.revealed_at is not None


def test_revealing_twice_is_the_same_as_once(shaken, close):
    board = shaken
    close(board)
    assert reveal_due() == [board.slug]
    board.refresh_from_db()
    turn(board)
    kept, moment = rows(board), board.revealed_at
    assert reveal_due() == []
    board.refresh_from_db()
    assert (rows(board), board.revealed_at) == (kept, moment)


@pytest.mark.django_db(transaction=True)
def test_of_several_schedulers_one_reveals(shaken, close):
    board = shaken
    close(board)
    done: list[list[str]] = []

    def look():
        try:
            done.append(reveal_due())
        finally:
            connection.close()

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [[], [], [], [board.slug]]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("no_broker")
def test_a_result_that_lands_as_the_board_is_revealed_is_in_the_public_ranks_or_waited_for(shaken, close, user):
    board = shaken
    late = submit(user=user, board=board, name="late", kind="config", model="logistic", config={"steps": 99}).evaluation
    close(board)
    result = result_of(board, columns_of(np.ones(UNITS)))
    lease, found = lifecycle.claim(late.pk, worker="tests", pool="cpu"), measuring.measured(board, result)
    revealed: list[str] = []
    landed = threading.Event()

    def look():
        try:
            while not revealed:
                revealed.extend(reveal_due())
                if landed.is_set() and not revealed:
                    turn(Board.objects.select_related("track").get(pk=board.pk))
        finally:
            connection.close()

    watcher = threading.Thread(target=look)
    watcher.start()
    assert lifecycle.succeed(lease, result, key=late.key, found=found)
    landed.set()
    watcher.join(timeout=60)
    assert revealed == [board.slug]
    board.refresh_from_db()
    turn(board)
    assert {name: public for name, _, public in rows(board)}["late"] == 1


def test_hidden_scores_without_parts_become_visible_the_same_way(board_of, land, close, user, other_user):
    board = board_of(public_share=None, shows="nothing")
    land(board, user, "mine", np.ones(UNITS))
    assert rows(board, viewer=user) == []
    assert [name for name, *_ in rows(board, viewer=board.host)] == ["mine"]
    close(board)
    assert rows(board, viewer=user) == []
    assert reveal_due() == [board.slug]
    assert rows(board, viewer=other_user) == [("mine", 1, None)]


def test_a_result_without_its_parts_is_shown_without_a_rank_and_measured_when_the_board_is_ranked(board_of, land, user):
    board = board_of()
    land(board, user, "mine", np.ones(UNITS), measure=False, settle_it=False)
    (row,) = standings_of(board)
    assert (row.rank, row.value, row.scores) == (None, None, {})
    assert "not measured again yet" in row.reason
    assert measuring.progress_of(board) == (0, 1)
    turn(board)
    assert rows(board) == [("mine", 1, None)]
    assert measuring.progress_of(board) is None


def test_a_board_of_baselines_that_gets_a_share_is_measured_from_kept_columns(board_of, land, system):
    board = board_of(public_share=None)
    right = (np.arange(UNITS) % 3 > 0).astype(float)
    land(board, system, "baseline", right, origin="baseline")
    assert Score.objects.filter(metric="accuracy", slice="").get().value == pytest.approx(right.mean())
    board.public_share = 0.3
    board.full_clean()
    board.save()
    from leaderboard.standings.waking import ask_for

    ask_for(board)
    turn(board)
    public = public_units(board)
    values = dict(Score.every.filter(metric="accuracy", slice="").values_list("part", "value"))
    assert values == {
        "public": pytest.approx(right[public].mean()),
        "private": pytest.approx(right[~public].mean()),
        "whole": pytest.approx(right.mean()),
    }
    board.public_share = None
    board.save()
    ask_for(board)
    turn(board)
    assert dict(Score.every.filter(metric="accuracy", slice="").values_list("part", "value")) == {
        "": pytest.approx(right.mean())
    }
    assert not Measurement.objects.exists()


def test_measuring_that_dies_in_the_middle_goes_on_where_it_stopped(board_of, land, system):
    board = board_of(public_share=None)
    for n in range(3):
        land(board, system, f"n{n}", (np.arange(UNITS) % (n + 2) > 0).astype(float), settle_it=False)
    Board.objects.filter(pk=board.pk).update(public_share=0.5)
    board.refresh_from_db()
    turns = iter([None, None])

    def keep():
        if next(turns, "dies") == "dies":
            raise RuntimeError("the worker was killed here")

    with pytest.raises(RuntimeError):
        measuring.catch_up(board, track_version=board.track.version, policy=policy_of(board), keep=keep)
    assert measuring.progress_of(board) == (2, 3)
    assert len(measuring.catch_up(board, track_version=board.track.version, policy=policy_of(board), keep=lambda: None)) == 1
    assert Score.every.filter(metric="accuracy", slice="").count() == 9
    assert set(Score.every.values_list("part", flat=True)) == {Part.PUBLIC, Part.PRIVATE, Part.WHOLE}


def test_a_result_taken_from_another_board_is_divided_as_this_board_is(board_of, land, user, board):
    """Equal evaluation keys share results; the parts are each board's own."""
    from leaderboard.evaluations import reuse

    board.track.refresh_from_db()
    right = (np.arange(UNITS) % 4 > 0).astype(float)
    divided = board_of()
    first = land(divided, user, "first", right)
    open_board = Board.objects.select_related("track").get(pk=board.pk)
    evaluation = submit(
        user=user, board=open_board, name="again", kind="config", model="logistic", config={"steps": 1}
    ).evaluation
    evaluation.submission.board = open_board
    assert evaluation.key == first.evaluations.get().key
    result = reuse.earlier_result(evaluation)
    assert {score.metric: score.value for score in result.scores if not score.slice}["accuracy"] == pytest.approx(right.mean())
    lease = lifecycle.claim(evaluation.pk, worker="tests", pool="cpu")
    assert lifecycle.succeed(lease, result, key=evaluation.key, found=measuring.measured(open_board, result))
    assert evaluation.scores.filter(metric="accuracy", slice="").get().value == pytest.approx(right.mean())
