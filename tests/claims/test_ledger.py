"""Verdicts follow evaluations by themselves: from rows to the judging process and back, with things that die in between."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from datetime import UTC, datetime
from io import StringIO
from types import SimpleNamespace

import psutil
import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection
from rich.console import Console

from evaluators.claim_catalogue import catalogue as declared
from leaderboard.boards.models import Board, Track
from leaderboard.claims import following, judging, keeping_up, ledger
from leaderboard.claims.catalogue import sync_claims
from leaderboard.claims.models import Claim, Paper, Verdict
from leaderboard.claims.process import JudgingError
from leaderboard.claims.submitting import submit_missing
from leaderboard.evaluations import lifecycle
from leaderboard.evaluations.models import Evaluation, Worker
from leaderboard.submissions.models import Submission
from leaderboard.submissions.withdrawing import withdraw
from tests.claims.conftest import result


def verdict_of(claim: Claim) -> str:
    return Claim.objects.select_related("verdict").get(pk=claim.pk).word


def test_every_paper_is_a_row_and_twins_know_each_other(claims):
    assert Paper.objects.count() == len(declared()["papers"]) == 381
    twin = Paper.objects.get(pk="004-025")
    assert (twin.status, twin.twin_id) == ("duplicate", "003-213")
    assert Paper.objects.get(pk="000-011").reason.startswith("a survey")


def test_claims_stand_where_their_track_is(claims):
    expected = {entry["paper"] for entry in declared()["claims"] if entry["track"] != "few-step-sampling"}
    assert set(claims) == expected
    assert any("no track few-step-sampling" in line for line in sync_claims())


def test_syncing_again_changes_nothing_and_a_claim_that_is_gone_becomes_unavailable(nin):
    assert not any("new" in line or "changed" in line for line in sync_claims())
    Claim.objects.create(board=nin.board, paper=Paper.objects.get(pk="000-001"), statement="Once.", check_text="x(y) >= 0")
    assert "claim of 000-001: not declared any more" in sync_claims()
    assert not Claim.objects.get(paper="000-001").available
    Claim.objects.filter(pk=nin.pk).update(note="edited by somebody")
    assert "claim of 003-143: changed" in sync_claims()


def test_what_claims_compare_is_queued_once(queued, board):
    assert {each.submission.model for each in queued if each.submission.board_id == board.pk} >= {"nin", "plain-cnn"}
    assert submit_missing().queued == []  # a run that was killed goes on with what it had queued


def test_a_verdict_falls_when_the_results_are_there(nin, finish, board):
    assert verdict_of(nin) == "not yet evaluated"
    finish("nin", 0.95)
    judging.judge_board(board)
    assert (verdict_of(nin), Claim.objects.get(pk=nin.pk).verdict.reason) == ("not yet evaluated", "plain-cnn has no result")
    finish("plain-cnn", 0.75)
    assert judging.judge_board(board) > 0
    verdict = Claim.objects.get(pk=nin.pk).verdict
    assert verdict.verdict == "holds"
    assert set(verdict.evaluations) == {"nin", "plain-cnn"}
    assert verdict.track_version == board.track.version
    assert verdict.versions == {"torch": "2.13.0"}
    assert 0 < verdict.ci_low < verdict.effect < verdict.ci_high


def test_judging_again_writes_nothing(nin, finish, board):
    finish("nin", 0.95)
    finish("plain-cnn", 0.75)
    judging.judge_all()
    before = Verdict.objects.count()
    assert judging.judge_all() == 0
    assert Verdict.objects.count() == before


def test_a_new_evaluation_changes_the_verdict_and_the_old_one_is_kept(nin, finish, board):
    finish("nin", 0.95)
    finish("plain-cnn", 0.75)
    judging.judge_board(board)
    finish("nin", 0.60)
    judging.judge_board(board)
    assert verdict_of(nin) == "does not hold"
    assert [each.verdict for each in nin.verdicts.order_by("id")][-2:] == ["holds", "does not hold"]


def test_a_withdrawn_result_counts_no_more_and_the_verdicts_of_the_past_keep_their_numbers(nin, finish, board, staff):
    finish("nin", 0.95)
    finish("plain-cnn", 0.75)
    judging.judge_board(board)
    before = Claim.objects.get(pk=nin.pk).verdict
    withdraw(Submission.objects.get(board=board, model="nin"), staff)
    judging.judge_board(board)
    after = Claim.objects.get(pk=nin.pk).verdict
    assert (after.verdict, after.reason) == ("not yet evaluated", "nin has no result")
    kept = Verdict.objects.get(pk=before.pk)
    assert (kept.verdict, kept.effect, kept.evaluations) == ("holds", before.effect, before.evaluations)


def test_a_new_version_of_the_track_makes_results_of_the_old_one_count_no_more(nin, finish, board):
    finish("nin", 0.95)
    finish("plain-cnn", 0.75)
    judging.judge_board(board)
    Track.objects.filter(pk=board.track_id).update(version="f" * 64)
    judging.judge_all()
    assert verdict_of(nin) == "not yet evaluated"


def test_claims_of_one_board_are_corrected_together(nin, finish, board):
    finish("nin", 0.95)
    finish("plain-cnn", 0.75)
    judging.judge_board(board)
    alone = Claim.objects.get(pk=nin.pk).verdict
    others = [f"accuracy(nin) >= accuracy(plain-cnn) + 0.{tenth}" for tenth in (17, 18, 19, 20, 21)]
    for check in others:
        Claim.objects.create(board=board, statement=check, check_text=check)
    judging.judge_board(board)
    together = Claim.objects.get(pk=nin.pk).verdict
    assert together.p == alone.p
    assert together.p_adjusted > alone.p_adjusted


def test_a_claim_that_its_track_no_longer_understands_keeps_no_other_from_being_judged(nin, finish, board):
    finish("nin", 0.95)
    finish("plain-cnn", 0.75)
    stale = Claim.objects.create(board=board, statement="A host said so.", check_text="f1(nin) >= 0.9")
    torn = Claim.objects.create(board=board, statement="A host said so.", check_text="accuracy(nin) >=")
    judging.judge_board(board)
    assert [verdict_of(each) for each in (nin, stale, torn)] == ["holds", "not yet evaluated", "not yet evaluated"]
    assert "no metric “f1”" in Claim.objects.get(pk=stale.pk).verdict.reason


def test_an_edited_check_is_judged_again(nin, finish, board):
    finish("nin", 0.95)
    finish("plain-cnn", 0.75)
    own = Claim.objects.create(board=board, statement="A host says so.", check_text="accuracy(nin) >= 0.9")
    judging.judge_board(board)
    assert verdict_of(own) == "holds"
    Claim.objects.filter(pk=own.pk).update(check_text="accuracy(nin) >= 0.99")
    judging.judge_board(board)
    assert verdict_of(own) == "does not hold"


def test_a_hosts_board_is_judged_from_the_tracks_reference_entrants(nin, finish, board, user):
    finish("nin", 0.95)
    hosted = Board.objects.create(slug="course", track=board.track, title="Course", host=user)
    own = Claim.objects.create(board=hosted, statement="A host says so.", check_text="accuracy(nin) >= 0.9")
    judging.judge_all()
    assert verdict_of(own) == "holds"


@pytest.mark.parametrize(
    ("check", "told"),
    [
        ("accuracy(nin) > 0.5", "has no meaning here"),
        ("acuracy(nin) >= 0.5", "did you mean “accuracy”?"),
        ("accuracy(nni) >= 0.5", "did you mean “nin”?"),
        ("accuracy(gcn) >= 0.5", "no entrant “gcn”"),
    ],
)
def test_a_host_is_told_what_is_wrong_with_a_check(nin, board, check, told):
    with pytest.raises(ValidationError, match=told) as caught:
        Claim(board=board, statement="A host says so.", check_text=check).full_clean()
    assert set(caught.value.message_dict) == {"check_text"}


def test_a_claim_of_a_paper_cannot_be_changed_in_the_admin_and_a_verdict_not_at_all(nin, finish, board, staff, client):
    finish("nin", 0.95)
    judging.judge_board(board)
    client.force_login(staff)
    verdict = Claim.objects.get(pk=nin.pk).verdict
    assert client.post(f"/admin/claims/claim/{nin.pk}/change/", {"statement": "Mine."}).status_code == 403
    assert client.post(f"/admin/claims/verdict/{verdict.pk}/change/", {"verdict": "holds"}).status_code == 403
    assert client.get("/admin/claims/verdict/add/").status_code == 403


# --- processes


@pytest.mark.django_db(transaction=True)
def test_a_judging_process_that_is_killed_costs_nothing_but_time(nin, finish, board):
    finish("nin", 0.95)
    finish("plain-cnn", 0.75)
    assassin = threading.Thread(target=kill_the_judge)
    assassin.start()
    with pytest.raises(JudgingError):
        judging.judge_board(board)
    assassin.join()
    assert verdict_of(nin) == "not yet evaluated"
    judging.judge_board(board)
    assert verdict_of(nin) == "holds"


def kill_the_judge() -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for child in psutil.Process().children():
            if "evaluators.claim_orders" in child.cmdline():
                os.kill(child.pid, signal.SIGKILL)
                return


@pytest.mark.django_db(transaction=True)
def test_verdicts_follow_by_themselves(nin, finish, board, monkeypatch):
    monkeypatch.setattr(keeping_up, "LOOK_EVERY_SECONDS", 0.05)
    stop = threading.Event()
    watcher = threading.Thread(target=keeping_up.keep_up, kwargs={"stop": stop})
    Evaluation.objects.exclude(submission__model__in=["nin", "plain-cnn"]).delete()  # nobody runs in this test
    watcher.start()
    try:
        finish("nin", 0.95)
        finish("plain-cnn", 0.75)
        assert becomes(nin, "holds")
        finish("nin", 0.60)
        assert becomes(nin, "does not hold")
    finally:
        stop.set()
        watcher.join()


def becomes(claim: Claim, word: str) -> bool:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if verdict_of(claim) == word:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.django_db(transaction=True)
def test_of_two_judges_one_writes(nin, finish, board):
    finish("nin", 0.95)
    finish("plain-cnn", 0.75)
    found: list[int] = []

    def judge() -> None:
        found.append(judging.judge_board(board))
        connection.close()

    both = [threading.Thread(target=judge) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    claims = Claim.objects.filter(board=board).count()
    assert sum(found) == Verdict.objects.count() == claims


# --- the document and the command


def test_the_ledger_says_what_it_was_made_with(nin, finish, board, settings):
    settings.TRACK_SECRET = "standings: the published secret of the ledger"
    finish("nin", 0.95)
    finish("plain-cnn", 0.75)
    judging.judge_all()
    found = ledger.read_ledger()
    text = ledger.as_markdown(found)
    assert "published (" in text
    assert found.libraries["torch"] in text
    assert board.track.version[:12] in text
    assert "**holds**" in text
    keys = {each.submission.model: each.key for each in Evaluation.objects.filter(state="succeeded")}
    assert f"Decided {datetime.now(UTC):%Y-%m-%d}, from the evaluations nin `{keys['nin'][:12]}`, plain-cnn" in text
    document = json.loads(ledger.as_json(found))
    assert sum(document["counts"].values()) == len(found.lines)
    (line,) = [each for each in document["lines"] if each["paper"] == "003-143"]
    assert (line["verdict"], set(line["evaluations"])) == ("holds", {"nin", "plain-cnn"})


def test_following_leaves_a_line_for_each_evaluation_where_no_terminal_shows_a_bar(nin, finish, board):
    finish("nin", 0.95)
    finish("plain-cnn", 0.75)
    over = list(Evaluation.objects.filter(state="succeeded").values_list("pk", flat=True))
    log = StringIO()
    assert following.follow(over, console=Console(file=log)) == {"succeeded": 2}
    assert log.getvalue().strip().splitlines() == ["1 of 2: Network In Network succeeded", "2 of 2: Plain CNN succeeded"]


def test_a_run_that_was_stopped_goes_on_where_it_was_and_prints_the_ledger(claims, board, monkeypatch):
    ask = {"run": True, "family": "image_classification"}
    with pytest.raises(CommandError, match="no worker serves the pool"):
        call_command("claims", stdout=StringIO(), **ask)
    queued = set(Evaluation.objects.values_list("pk", flat=True))
    Worker.objects.create(name="tests", pool="cpu", pid=1)
    monkeypatch.setattr(following, "time", SimpleNamespace(sleep=lambda seconds: work_off_one(board)))
    log = StringIO()
    call_command("claims", stdout=log, **ask)
    assert set(Evaluation.objects.values_list("pk", flat=True)) == queued
    assert f"{len(queued)} of {len(queued)}: " in log.getvalue()
    assert "4 claims: " in log.getvalue()
    assert "003-143" in log.getvalue()


def work_off_one(board: Board) -> None:
    evaluation = Evaluation.objects.filter(state="queued").earliest("id")
    lease = lifecycle.claim(evaluation.pk, worker="tests", pool=evaluation.pool)
    assert lifecycle.succeed(lease, result(board, 0.9), key=evaluation.key)


def test_a_secret_of_ones_own_is_not_given_away(nin, settings):
    settings.TRACK_SECRET = "only ours"
    text = ledger.as_markdown(ledger.read_ledger())
    assert "of this server (" in text
    assert "only ours" not in text


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"family": "graph_node"}, "there is no family"),
        ({"out": ["ledger.txt"]}, "is written as .md or .json"),
        ({"out": ["/nowhere/ledger.md"]}, "there is no folder"),
        ({"jobs": -1}, "1 or more"),
    ],
)
def test_the_command_refuses_at_once_what_could_only_fail_later(nin, options, told):
    from pathlib import Path

    options = {**options, "out": [Path(each) for each in options.get("out", [])]}
    with pytest.raises(CommandError, match=told):
        call_command("claims", stdout=StringIO(), **options)
