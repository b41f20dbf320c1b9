"""Settling a board: once for a burst, by one worker at a time, with paired tests at the head, and begun anew where one died."""

import threading
from datetime import timedelta
from itertools import combinations

import numpy as np
import pytest
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from evaluators.ordering import HEAD
from leaderboard.celery import SETTLE, app
from leaderboard.standings import pairs, rows, settling, waking
from leaderboard.standings.models import PairedTest, Settlement, Standing
from leaderboard.standings.settling import settle
from leaderboard.submissions import storage
from tests.services import wait_until
from tests.standings.conftest import keep_columns, right, score


def ranks():
    return [(s.submission.name, s.rank) for s in Standing.objects.select_related("submission")]


def pending():
    return list(Settlement.objects.values_list("wanted", "settled"))


@pytest.fixture
def turn(board):
    """One round on the board, without rest."""
    return lambda: settle(board, track_version=board.track.version, rest=0)


@pytest.fixture
def tested(monkeypatch):
    """The track of the catalogue's rows is taken for the one that is installed, so that columns are read."""
    monkeypatch.setattr(pairs, "track_version", lambda track: pairs_version())


def pairs_version():
    from leaderboard.boards.models import Track

    return Track.objects.get(slug="digits-classification").version


@pytest.fixture
def answers(place_result):
    """answers(name, correct): a submission whose columns say which of the units it got right; `None`: no columns."""

    def add(name, correct, *, half_width=0.05, settle_it=False, nll=None, **fields):
        value = float(np.mean(correct)) if correct is not None else 0.5
        more = [] if nll is None else [score("nll", nll, nll - 0.1, nll + 0.1, direction="min")]
        standing = place_result(name, value, half_width, settle_it=False, more=more, **fields)
        if correct is not None:
            keep_columns(standing.evaluation, np.asarray(correct, dtype=float))
        return standing

    return add


def test_a_burst_is_placed_once(place_result, turn):
    for n in range(5):
        place_result(f"n{n}", n / 10, settle_it=False)
    assert pending() == [(5, 0)]
    assert turn() == 4  # the first to arrive was the worst, and is the fifth now; the best was first already
    assert pending() == [(5, 5)]
    assert turn() is None
    assert ranks() == [("n4", 1), ("n3", 2), ("n2", 3), ("n1", 4), ("n0", 5)]


def test_a_board_rests_after_a_round(place_result, board):
    place_result("a", 0.5, settle_it=False)
    assert settle(board, track_version=board.track.version, rest=1e6) is not None
    place_result("b", 0.6, settle_it=False)
    assert settle(board, track_version=board.track.version) is None
    assert pending() == [(2, 1)]


def test_a_result_that_lands_during_a_round_is_wanted_still(place_result, turn, monkeypatch):
    place_result("a", 0.5, settle_it=False)
    inner = settling.ranks_in_order

    def lands(*args, **kwargs):
        monkeypatch.setattr(settling, "ranks_in_order", inner)
        place_result("late", 0.9, settle_it=False)
        return inner(*args, **kwargs)

    monkeypatch.setattr(settling, "ranks_in_order", lands)
    turn()
    assert pending() == [(2, 1)]
    assert ranks() == [("late", 1), ("a", 1)]  # the late one by its neighbors, until the next round
    turn()
    assert ranks() == [("late", 1), ("a", 2)]


def test_a_row_that_was_evaluated_again_during_a_round_keeps_its_new_place(place_result, turn, monkeypatch):
    place_result("rival", 0.5)
    standing = place_result("mine", 0.1, settle_it=False)
    inner = settling.ranks_in_order

    def lands(*args, **kwargs):
        monkeypatch.setattr(settling, "ranks_in_order", inner)
        place_result("mine", 0.9, again=standing.submission, settle_it=False)
        return inner(*args, **kwargs)

    monkeypatch.setattr(settling, "ranks_in_order", lands)
    Standing.objects.filter(pk=standing.pk).update(rank=7, tier=7)  # so that the round has something to write
    turn()
    standing.refresh_from_db()
    assert (standing.value, standing.rank) == (0.9, 1)


def test_one_worker_settles_a_board_at_a_time(place_result, turn):
    place_result("a", 0.5, settle_it=False)
    Settlement.objects.update(token="0" * 32, expires_at=Now() + timedelta(seconds=60))
    assert turn() is None


def test_the_round_of_a_worker_that_died_is_begun_anew(place_result, turn):
    place_result("a", 0.5, settle_it=False)
    Settlement.objects.update(token="0" * 32, expires_at=Now() - timedelta(seconds=1))
    assert turn() is not None
    assert pending() == [(1, 1)]


def test_a_worker_that_lost_its_lease_writes_nothing(place_result, turn, monkeypatch):
    place_result("a", 0.5, settle_it=False)
    place_result("b", 0.9, settle_it=False)
    inner = settling.ranks_in_order

    def stolen(*args, **kwargs):
        Settlement.objects.update(token="f" * 32)
        return inner(*args, **kwargs)

    monkeypatch.setattr(settling, "ranks_in_order", stolen)
    before = ranks()
    assert turn() is None
    assert ranks() == before
    assert pending() == [(2, 0)]


def test_a_round_that_breaks_leaves_the_board_to_the_next(place_result, board, monkeypatch):
    place_result("a", 0.5, settle_it=False)

    def breaks(*args, **kwargs):
        raise RuntimeError("broken")

    monkeypatch.setattr(settling, "ranks_in_order", breaks)
    with pytest.raises(RuntimeError):
        settle(board, track_version=board.track.version)
    assert pending() == [(1, 0)]
    assert Settlement.objects.get().token is None


def test_a_failure_to_settle_never_reaches_the_evaluation(place_result, monkeypatch, caplog):
    standing = place_result("a", 0.5, settle_it=False)
    monkeypatch.setattr(settling, "ranks_in_order", lambda *args, **kwargs: 1 / 0)
    waking.settle_after(standing.evaluation_id)
    assert "could not be settled" in caplog.text
    assert pending() == [(1, 0)]


def test_the_worker_that_finished_an_evaluation_settles_its_board(place_result):
    standing = place_result("a", 0.5, settle_it=False)
    place_result("b", 0.9, settle_it=False)
    waking.settle_after(standing.evaluation_id)
    assert pending() == [(2, 2)]
    waking.settle_after(10**9)  # an evaluation that is gone


def test_the_scheduler_wakes_a_worker_for_what_is_left_over_once(place_result, monkeypatch):
    sent = []
    monkeypatch.setattr(app, "send_task", lambda name, args, queue, **_: sent.append((name, args, queue)))
    place_result("a", 0.5, settle_it=False)
    Settlement.objects.update(asked_at=Now() - timedelta(hours=1))
    assert waking.wake_overdue() == 1
    assert waking.wake_overdue() == 0
    assert sent == [(SETTLE, [Settlement.objects.get().pk], "cpu")]
    waking.settle_one(sent[0][1][0])
    Settlement.objects.update(asked_at=Now() - timedelta(hours=1))
    assert waking.wake_overdue() == 0  # nothing is left


def test_a_call_that_is_lost_again_and_again_is_made_again_and_again(place_result, monkeypatch):
    sent = []
    monkeypatch.setattr(app, "send_task", lambda *args, **_: sent.append(args))
    monkeypatch.setattr(waking, "ASK_AGAIN_SECONDS", 0)
    place_result("a", 0.5, settle_it=False)
    for _ in range(5):
        wait_until(lambda: waking.wake_overdue() == 1, seconds=10, what="a worker is woken")
    assert len(sent) == 5


def test_a_broker_that_is_away_is_asked_again_later(place_result, monkeypatch):
    def away(*args, **kwargs):
        raise ConnectionError("refused")

    monkeypatch.setattr(app, "send_task", away)
    place_result("a", 0.5, settle_it=False)
    Settlement.objects.update(asked_at=Now() - timedelta(hours=1))
    assert waking.wake_overdue() == 0


def test_no_transaction_of_a_round_writes_more_than_a_chunk(place_result, turn, monkeypatch):
    monkeypatch.setattr(rows, "CHUNK", 2)
    monkeypatch.setattr(rows, "FIRST_ROWS", 2)
    for n in range(7):
        place_result(f"n{n}", n / 10, settle_it=False)
    with CaptureQueriesContext(connection) as seen:
        turn()
    updates = [query["sql"] for query in seen if "UPDATE standings_standing" in query["sql"]]
    assert len(updates) == 4  # the best has its rank already; one more is on the first page, and five come two by two
    assert [rank for _, rank in ranks()] == [1, 2, 3, 4, 5, 6, 7]


# --- the head by paired tests


@pytest.mark.usefixtures("tested")
def test_the_head_is_ranked_by_paired_tests_where_intervals_would_tie(answers, turn):
    answers("good", right(400, range(20)))
    answers("less good", right(400, range(60)))  # wrong wherever the other is wrong, and on 40 more
    answers("equal", right(400, range(340, 400)))
    turn()
    found = {s.submission.name: s for s in Standing.objects.select_related("submission")}
    assert {name: row.rule for name, row in found.items()} == dict.fromkeys(found, "tests")
    assert (found["good"].rank, found["less good"].rank, found["equal"].rank) == (1, 2, 2)
    assert found["less good"].rank_high == 3
    test = PairedTest.objects.order_by("p").first()
    assert test.method.startswith("McNemar")
    assert test.p < 1e-9


@pytest.mark.usefixtures("tested")
def test_pairs_are_computed_once(answers, turn, monkeypatch):
    for n in range(3):
        answers(f"n{n}", right(50, range(n)))
    turn()
    assert PairedTest.objects.count() == 3
    seen = []
    inner = pairs._test
    monkeypatch.setattr(pairs, "_test", lambda resamples, pair, columns: seen.append(pair) or inner(resamples, pair, columns))
    new = answers("new", right(50, range(9)))
    turn()
    assert len(seen) == 3
    assert all(new.evaluation_id in pair for pair in seen)


@pytest.mark.usefixtures("tested")
def test_identical_answers_share_the_rank_and_the_earlier_one_stands_first(answers, turn):
    answers("first", right(100, [3]))
    answers("second", right(100, [3]))
    turn()
    assert ranks() == [("first", 1), ("second", 1)]
    test = PairedTest.objects.get()
    assert (test.difference, test.p) == (0.0, 1.0)


@pytest.mark.usefixtures("tested")
def test_a_perfect_head_without_any_variance_is_one_tie(answers, turn):
    for n in range(3):
        answers(f"n{n}", right(50), half_width=0.0)
    turn()
    assert [rank for _, rank in ranks()] == [1, 1, 1]


@pytest.mark.usefixtures("tested")
def test_where_columns_are_gone_the_intervals_of_the_pair_decide(answers, turn, caplog):
    lost = answers("lost", right(100, range(5)), half_width=0.01)
    answers("other", right(100, range(50)), half_width=0.01)
    answers("beside", right(100, range(51)), half_width=0.01)
    storage.path(lost.evaluation.columns_sha256).unlink()
    turn()
    assert ranks() == [("lost", 1), ("other", 2), ("beside", 2)]
    assert "cannot be read" in caplog.text
    assert PairedTest.objects.filter(p=None).count() == 2


@pytest.fixture
def away(answers):
    """Two submissions, and the file of one that is away: (its place in the store, where it is meanwhile)."""
    lost = answers("lost", right(100, range(5)), half_width=0.2)
    answers("other", right(100, range(50)), half_width=0.2)
    place = storage.path(lost.evaluation.columns_sha256)
    return place, place.rename(place.with_suffix(".away"))


def let_pass(**time):
    """As if so much time had passed since a test was put off."""
    PairedTest.objects.update(again_at=F("again_at") - timedelta(**time))
    Settlement.objects.update(retest_at=F("retest_at") - timedelta(**time))


@pytest.mark.usefixtures("tested")
def test_a_test_whose_files_were_away_is_made_when_they_are_back(away, turn, monkeypatch):
    place, elsewhere = away
    turn()
    assert [rank for _, rank in ranks()] == [1, 1]
    elsewhere.rename(place)
    assert turn() is None  # not yet
    let_pass(minutes=2)
    woken = []
    monkeypatch.setattr(app, "send_task", lambda name, **_: woken.append(name))
    Settlement.objects.update(asked_at=Now() - timedelta(hours=1))
    assert waking.wake_overdue() == 1
    assert turn() == 2
    assert ranks() == [("lost", 1), ("other", 2)]
    test = PairedTest.objects.get()
    assert (test.again_at, test.reason, Settlement.objects.get().retest_at) == (None, "", None)


@pytest.mark.usefixtures("tested", "away")
def test_a_test_whose_files_stay_away_is_given_up_in_the_end(turn):
    rounds = 0
    while rounds < 20 and turn() is not None:
        rounds += 1
        let_pass(days=2)
    assert rounds == 1 + len(pairs.TRY_AGAIN)
    assert PairedTest.objects.get().again_at is None
    assert Settlement.objects.get().retest_at is None


@pytest.mark.usefixtures("tested")
def test_a_file_that_is_no_columns_is_not_read_again(answers, turn):
    broken = answers("broken", None)
    answers("other", right(100))
    broken.evaluation.columns_sha256, _ = storage.store(b"no columns")
    broken.evaluation.save()
    turn()
    test = PairedTest.objects.get()
    assert (test.again_at, test.reason) == (None, "the columns of one of the two cannot be read")


@pytest.mark.usefixtures("tested")
def test_columns_of_other_units_do_not_break_the_board(answers, turn):
    answers("short", right(3))
    answers("long", right(100, range(50)))
    turn()
    assert len(ranks()) == 2
    assert pending() == [(2, 2)]


@pytest.mark.usefixtures("tested")
def test_the_tail_is_ranked_by_intervals_and_never_above_the_head(answers, turn, monkeypatch):
    monkeypatch.setattr(settling, "HEAD", 3)
    for n in range(5):
        answers(f"n{n}", right(200, range(40 * n)))
    turn()
    stored = list(Standing.objects.all())
    assert [row.rule for row in stored] == ["tests"] * 3 + ["intervals"] * 2
    assert [row.rank for row in stored] == sorted(row.rank for row in stored)


def test_a_track_that_is_not_installed_in_this_version_is_ranked_by_intervals(answers, turn):
    answers("a", right(100, range(5)))
    answers("b", right(100, range(50)))
    turn()
    assert {row.rule for row in Standing.objects.all()} == {"intervals"}
    assert not PairedTest.objects.exists()


def test_the_head_needs_no_more_pairs_than_the_docs_say():
    assert len(list(combinations(range(HEAD), 2))) == 190


# --- the host changes the rule


def test_another_metric_orders_the_board_after_the_next_round(place_result, board, turn):
    for name, accuracy, nll in (("a", 0.9, 2.0), ("b", 0.5, 1.0)):
        place_result(name, accuracy, more=[score("nll", nll, nll, nll, direction="min")])
    place_result("none", 0.7)
    board.ranking_metric = "nll"
    board.save()
    waking.ask_for(board)
    turn()
    assert ranks() == [("b", 1), ("a", 2), ("none", None)]
    assert Standing.objects.get(rank=None).reason == "it has no score for nll"
    assert Settlement.objects.get().policy == "nll min submission all"
    waking.ask_for(board)
    assert turn() is None  # nothing has changed since


def test_best_per_competitor_hides_the_others_and_brings_them_back(place_result, board, turn, other_user, system):
    place_result("mine", 0.5)
    place_result("mine better", 0.8)
    place_result("theirs", 0.7, user=other_user)
    place_result("baseline one", 0.2, user=system, origin="baseline")
    place_result("baseline two", 0.1, user=system, origin="baseline")
    board.counts = "competitor"
    board.save()
    waking.ask_for(board)
    turn()
    counted = [(s.submission.name, s.rank) for s in Standing.objects.filter(superseded=False)]
    assert counted == [("mine better", 1), ("theirs", 2), ("baseline one", 3), ("baseline two", 4)]
    hidden = Standing.objects.get(superseded=True)
    assert (hidden.submission.name, hidden.rank) == ("mine", None)
    place_result("mine best", 0.9)
    assert {s.submission.name for s in Standing.objects.filter(superseded=True)} == {"mine", "mine better"}
    board.counts = "submission"
    board.save()
    waking.ask_for(board)
    turn()
    assert [rank for _, rank in ranks()] == [1, 2, 3, 4, 5, 6]


def test_only_eligible_rows_are_ranked_and_baselines_always(place_result, board, turn, system):
    place_result("private", 0.9, visibility="private")
    place_result("public", 0.5)
    place_result("baseline", 0.2, user=system, origin="baseline", visibility="private")
    board.eligible = "public"
    board.save()
    waking.ask_for(board)
    turn()
    assert ranks() == [("public", 1), ("baseline", 2), ("private", None)]
    place_result("private too", 0.95, visibility="private")
    assert ranks()[-1] == ("private too", None)


@pytest.mark.django_db(transaction=True)
def test_many_workers_at_once_settle_to_the_same_ranks(place_result, board):
    for n in range(8):
        place_result(f"n{n}", n / 10, settle_it=False)
    done = []

    def work():
        try:
            done.append(settle(board, track_version=board.track.version, rest=0))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 4
    assert sum(each is not None for each in done) == 1
    assert ranks() == [(f"n{n}", 8 - n) for n in range(7, -1, -1)]
    assert transaction.get_connection().in_atomic_block is False
