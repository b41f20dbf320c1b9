"""Withdrawing: what goes, what stays, who may, and what happens when a result lands at the same moment."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.utils import timezone

from leaderboard import permissions
from leaderboard.accounts import teams
from leaderboard.accounts.models import User
from leaderboard.boards.models import QuotaUse
from leaderboard.evaluations import lifecycle
from leaderboard.evaluations.models import Evaluation
from leaderboard.refusals import Gone, InvalidRequest, NotAllowed, NotFound
from leaderboard.standings.models import PairedTest, Score, Settlement, Standing
from leaderboard.standings.reading import standings_of
from leaderboard.standings.settling import settle
from leaderboard.submissions import storage
from leaderboard.submissions.intake import evaluate_again, submit
from leaderboard.submissions.models import Artifact, IdempotencyKey, Submission
from leaderboard.submissions.withdrawing import withdraw
from tests.api.conftest import result

pytestmark = pytest.mark.django_db(transaction=True)

PREDICTIONS = b"id,p\n0,1\n"
PRIVATE_WORDS = ("Secret name", "secret description", "0.0123", "secret.csv", "a secret log")


@pytest.fixture(autouse=True)
def nobody_is_woken(no_broker):
    """No worker runs."""


@pytest.fixture
def host(board):
    board.host = User.objects.create_user("hedy")
    board.save()
    return board.host


@pytest.fixture
def send(user, board):
    """A config, or predictions where `raw` is given; secret words in every field."""

    def submit_one(raw=None, *, by=user, rate=0.0123, **fields):
        told = {"name": "Secret name", "description": "secret description", **fields}
        if raw is None:
            told |= {"kind": "config", "model": "logistic", "config": {"learning_rate": rate}}
        else:
            told |= {"kind": "predictions", "file": ContentFile(raw, name="secret.csv")}
        return submit(user=by, board=board, **told).submission

    return submit_one


def finish(submission, *, accuracy=0.9):
    evaluation = submission.evaluations.get(number=1)
    lease = lifecycle.claim(evaluation.pk, worker="tests", pool=evaluation.pool)
    assert lifecycle.succeed(lease, result(submission, accuracy=accuracy, log="a secret log"), key=evaluation.key)
    return submission


def names(board):
    return [row.name for row in standings_of(board)]


def everything_stored():
    """All texts of all tables, and the names of the files."""
    from leaderboard.operations.table_rows import columns_of, tables

    found = []
    for model in tables():
        found += map(repr, model._base_manager.values_list(*(field.attname for field in columns_of(model))))
    return "\n".join(found), {path.name for path in storage.root().rglob("*/*/*")}


def test_what_was_sent_goes_with_its_results_and_files(send, user, board):
    sent = finish(send(PREDICTIONS, idempotency_key="a secret key"))
    assert everything_stored()[1] == {sent.artifact_id, sent.evaluations.get().columns_sha256}
    assert withdraw(sent, user)
    texts, files = everything_stored()
    assert IdempotencyKey.objects.get().key == "a secret key", "so that a repeated request learns what became of it"
    assert [word for word in PRIVATE_WORDS if word in texts] == []
    assert files == set()
    assert not any(model._base_manager.exists() for model in (Evaluation, Score, Standing, PairedTest, Artifact))


def test_that_it_was_sent_stays(send, user, board):
    sent = finish(send())
    before = timezone.now()
    withdraw(sent, user)
    row = Submission.objects.get()
    assert (row.pk, row.board_id, row.user_id, row.kind, row.created_at) == (
        sent.pk, sent.board_id, sent.user_id, sent.kind, sent.created_at,
    )  # fmt: skip
    assert (row.withdrawn_by, row.withdrawal_reason) == ("competitor", "")
    assert before <= row.withdrawn_at <= timezone.now()


def test_it_leaves_the_board_and_the_ranks_settle_again(send, user, board):
    best, second = finish(send(), accuracy=0.99), finish(send(rate=0.2, name="Second"), accuracy=0.5)
    settle(board, track_version=board.track.version, rest=0)
    assert [row.rank for row in standings_of(board)] == [1, 2]
    withdraw(best, user)
    row = Settlement.objects.get()
    assert row.wanted > row.settled
    settle(board, track_version=board.track.version, rest=0)
    assert [(row.name, row.rank, row.rank_high) for row in standings_of(board)] == [("Second", 1, 1)]
    assert [row.name for row in standings_of(board, as_of=timezone.now())] == ["Second"], "nor does history know it"
    assert Standing.objects.get().submission_id == second.pk


def test_a_file_that_another_submission_shares_stays(send, user, other_user):
    mine, other = finish(send(PREDICTIONS)), finish(send(PREDICTIONS, by=other_user))
    withdraw(mine, user)
    assert storage.read(other.artifact_id) == PREDICTIONS
    assert storage.read(other.evaluations.get().columns_sha256)
    withdraw(other, other_user)
    assert everything_stored()[1] == set()


def test_a_waiting_one_is_refunded_and_an_evaluated_one_is_not(send, user):
    done, waiting = finish(send()), send(rate=0.2)
    used = QuotaUse.objects.get(period="total").used
    withdraw(waiting, user)
    withdraw(done, user)
    assert QuotaUse.objects.get(period="total").used == used - 1


def test_the_worker_of_a_running_one_learns_it_and_its_result_lands_nowhere(send, user):
    sent = send()
    evaluation = sent.evaluations.get()
    lease = lifecycle.claim(evaluation.pk, worker="tests", pool=evaluation.pool)
    withdraw(sent, user)
    assert not lifecycle.look(lease).keep
    assert not lifecycle.renew(lease, stage="train", progress=0.5).keep
    assert not lifecycle.succeed(lease, result(sent), key=evaluation.key)
    assert not lifecycle.confirm_cancel(lease)
    assert not Evaluation.objects.exists()
    assert not Standing.objects.exists()


def test_twice_is_as_once(send, user):
    sent = finish(send())
    assert withdraw(sent, user)
    first = Submission.objects.get().withdrawn_at
    assert not withdraw(sent, user)
    assert Submission.objects.get().withdrawn_at == first


def test_the_same_content_may_be_sent_again(send, user):
    withdraw(finish(send()), user)
    assert send().evaluations.exists()


def test_a_request_that_is_repeated_with_its_key_learns_that_it_was_withdrawn(send, user):
    withdraw(send(idempotency_key="k"), user)
    with pytest.raises(Gone, match="which was withdrawn"):
        send(idempotency_key="k")


def test_nothing_withdrawn_is_evaluated_again(send, user, staff):
    sent = finish(send())
    withdraw(sent, user)
    for who in (user, staff):
        with pytest.raises(Gone):
            evaluate_again(sent, who)
    with pytest.raises(Gone):
        lifecycle.enqueue(sent)


def test_who_saw_it_is_told_and_who_did_not_is_told_nothing(send, user, other_user, host, staff):
    public, private = send(), send(rate=0.2, visibility="private")
    withdraw(public, host, reason="it copies the test labels")
    withdraw(private, user)
    for who in (None, other_user):
        with pytest.raises(Gone, match=r"withdrawn by a host of the board on \d{4}-\d\d-\d\d$"):
            permissions.get_submission(public.pk, who)
        with pytest.raises(NotFound):
            permissions.get_submission(private.pk, who)
    for who in (user, host, staff):
        with pytest.raises(Gone, match="it copies the test labels"):
            permissions.get_submission(public.pk, who)
        assert not permissions.visible_submissions(who).exists()


def test_a_stranger_and_a_visitor_may_not(send, other_user):
    for who in (None, other_user):
        with pytest.raises(NotAllowed, match="only its competitor"):
            withdraw(send(rate=0.2) if who else send(), who)


def test_a_competitor_may_until_the_board_closes_and_an_administrator_always(send, user, staff, board):
    sent = send()
    board.closes_at = timezone.now() - timedelta(seconds=1)
    board.save()
    sent.refresh_from_db()
    with pytest.raises(NotAllowed, match="is closed, and its results are final"):
        withdraw(sent, user)
    assert withdraw(sent, staff)
    assert Submission.objects.get().withdrawn_by == "administrator"


def test_any_member_may_withdraw_what_was_sent_for_the_team(send, user, other_user):
    team = teams.create_team(user=user, name="Analysts")
    teams.invite(team, by=user, username=other_user.username)
    sent = send(team=team.slug)
    with pytest.raises(NotAllowed, match="only its competitor"):
        withdraw(sent, other_user)
    teams.accept(team, by=other_user)
    assert withdraw(sent, other_user)
    assert Submission.objects.get().withdrawn_by == "competitor"


def test_a_host_may_with_a_reason_also_after_closing(send, host, board):
    sent = send()
    board.closes_at = timezone.now() - timedelta(seconds=1)
    board.save()
    sent.refresh_from_db()
    with pytest.raises(InvalidRequest, match="say why"):
        withdraw(sent, host, reason=" \n ")
    assert withdraw(sent, host, reason="  not a\nclassifier ")
    assert Submission.objects.get().withdrawal_reason == "not a classifier"


@pytest.mark.parametrize("reason", ["x" * 301, "a\x00b"])
def test_a_reason_that_cannot_be_stored_is_refused(send, host, reason):
    with pytest.raises(InvalidRequest, match="at most 300 printable"):
        withdraw(send(), host, reason=reason)


def at_once(*steps):
    """Run the steps at the same moment, each on a connection of its own; what they return or raise, in their order."""
    barrier = threading.Barrier(len(steps))

    def run(step):
        barrier.wait(timeout=10)
        try:
            return step()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(steps)) as pool:
        running = [pool.submit(run, step) for step in steps]
    return [each.exception() or each.result() for each in running]


@pytest.mark.parametrize("turn", [1, -1], ids=["result first", "withdrawal first"])
def test_a_result_that_lands_at_the_same_moment_leaves_nothing_behind(send, user, board, turn):
    """Whichever is first, the submission is withdrawn and holds nothing."""
    sent = send(PREDICTIONS)
    evaluation = sent.evaluations.get()
    lease = lifecycle.claim(evaluation.pk, worker="tests", pool=evaluation.pool)
    measured = result(sent, log="a secret log")
    land, leave = partial(lifecycle.succeed, lease, measured, key=evaluation.key), partial(withdraw, sent, user)
    answers = at_once(*(land, leave)[::turn])[::turn]
    assert answers[0] in (True, False)
    assert answers[1] is True
    texts, files = everything_stored()
    assert not any(model._base_manager.exists() for model in (Evaluation, Score, Standing))
    assert "a secret log" not in texts
    assert files <= {hashlib.sha256(measured.columns).hexdigest()}, "columns alone may wait for a scrub"


def test_withdrawals_at_once_are_one(send, user):
    sent = finish(send())
    answers = at_once(*[partial(withdraw, sent, user)] * 4)
    assert sorted(answers) == [False, False, False, True]


def test_an_evaluation_that_is_asked_for_at_the_same_moment_is_refused_or_goes_too(send, user):
    sent = finish(send())
    answers = at_once(partial(evaluate_again, sent, user), partial(withdraw, sent, user))
    assert isinstance(answers[0], Evaluation | Gone)
    assert answers[1] is True
    assert not Evaluation.objects.exists()
