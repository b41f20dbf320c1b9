"""People's submissions before the claims of their boards: which place they take, what becomes of a claim, and who is judged."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError

from evaluators.claim_changes import challenged, replaced
from evaluators.claim_language import Vocabulary, written
from evaluators.claim_parser import parse
from leaderboard.boards.models import Board
from leaderboard.claims import judging, trials, wording
from leaderboard.claims.models import Claim, Outcome, Trial
from leaderboard.evaluations import lifecycle
from leaderboard.standings.models import Standing
from leaderboard.submissions import intake
from leaderboard.submissions.models import Submission
from leaderboard.submissions.withdrawing import withdraw
from tests.claims.conftest import result

VOCABULARY = Vocabulary(
    metrics={"accuracy": "max", "mae": "min", "energy": "none", "macs": "min"},
    slices=("csbm", "select"),
    axes={"depth": (2.0, 32.0)},
    entrants=("gcn", "grand", "mlp"),
    costs=frozenset({"macs"}),
)


# --- what a submission is put into


@pytest.mark.parametrize(
    ("check", "against"),
    [
        ("accuracy(grand) >= accuracy(gcn) + 0.3", "accuracy(grand) >= accuracy(#s)"),
        ("accuracy(grand) >= accuracy(gcn) - 0.03", "accuracy(grand) >= accuracy(#s)"),
        ("mae(grand) <= 0.8*mae(gcn)", "mae(grand) <= mae(#s)"),
        ("accuracy(gcn) <= 0.9*accuracy(grand)", "accuracy(grand) >= accuracy(#s)"),
        ("mae(gcn) >= mae(grand)", "mae(grand) <= mae(#s)"),
        ("accuracy@slice=csbm;depth=32(grand) >= accuracy@slice=csbm;depth=32(gcn)",
         "accuracy@slice=csbm;depth=32(grand) >= accuracy@slice=csbm;depth=32(#s)"),
        ("better(mae; grand than gcn, mlp by 0.1)", "mae(grand) <= mae(#s)"),
        ("not_worse(accuracy; grand than gcn within 0.1)", "accuracy(grand) >= accuracy(#s)"),
        ("accuracy(grand) >= accuracy(gcn) AND accuracy(grand) >= accuracy(mlp)", "accuracy(grand) >= accuracy(#s)"),
        ("accuracy(grand) >= accuracy(gcn) AND mae(grand) <= mae(mlp)",
         "accuracy(grand) >= accuracy(#s) AND mae(grand) <= mae(#s)"),
        ("share(accuracy(grand) >= accuracy(gcn) + 0.1 over depth) >= 0.5",
         "share(accuracy(grand) >= accuracy(#s) over depth) >= 0.5"),
        ("accuracy(grand) >= accuracy(gcn) AND accuracy(gcn) <= 0.5", "accuracy(grand) >= accuracy(#s)"),
        ("macs(grand) <= macs(gcn)", "macs(grand) <= macs(#s)"),
        ("accuracy(grand) >= accuracy(gcn) AND macs(grand) <= 1.02*macs(gcn)", ""),
        ("accuracy(grand) >= accuracy(gcn) AND macs(grand) <= 1000", ""),
        ("accuracy(grand) >= 0.9", ""),
        ("accuracy@depth=32(grand) >= accuracy@depth=2(gcn)", ""),
        ("accuracy@depth=2(grand) >= accuracy@depth=32(grand)", ""),
        ("energy(grand) >= energy(gcn)", ""),
        ("-accuracy(grand) >= -accuracy(gcn)", ""),
        ("accuracy(grand) - accuracy(gcn) in [-1, 1]", ""),
        ("equal(accuracy; grand as gcn within 0.1)", ""),
        ("slope(accuracy, depth; grand) in [0, 1]", ""),
        ("contains(accuracy(grand), 0.5 within 0.1)", ""),
        ("increasing(accuracy, depth; grand)", ""),
    ],
)  # fmt: skip
def test_a_challenger_is_put_against_what_the_claim_puts_first(check, against):
    assert written(challenged(parse(check), VOCABULARY, challenger="#s")) == against


@pytest.mark.parametrize(
    "check",
    [
        "{} >= 0.5*accuracy(grand) + abs(accuracy(grand) - {})".replace("{}", "accuracy(gcn)"),
        "accuracy(gcn) - accuracy(grand) in [0, 1]",
        "slope(accuracy, depth; gcn) in [0, 1]",
        "increasing(accuracy, depth; gcn within 0.1)",
        "better(mae; grand than gcn, mlp)",
        "contains(accuracy(gcn), 0.5 within 0.1)",
        "share(2*accuracy(gcn) >= accuracy(grand) over slice) >= 0.5",
    ],
)
def test_an_entrant_is_replaced_wherever_it_stands(check):
    assert written(replaced(parse(check), entrant="gcn", by="#s")) == check.replace("gcn", "#s")


# --- from rows


@pytest.fixture
def judged(nin, finish, board) -> Claim:
    """accuracy(nin) >= accuracy(plain-cnn) - 0.005 holds: 0.90 against 0.75."""
    Claim.objects.exclude(pk=nin.pk).update(available=False)
    finish("nin", 0.90)
    finish("plain-cnn", 0.75)
    judging.judge_board(board)
    return Claim.objects.get(pk=nin.pk)


@pytest.fixture
def send(board, user, judged):
    def submit(accuracy: float | None, *, model: str = "logistic", on: Board = board, by=user, **fields) -> Submission:
        fields.setdefault("config", {})
        receipt = intake.submit(user=by, board=on, name=fields.pop("name", "Mine"), kind="config", model=model, **fields)
        if accuracy is not None:
            record(receipt.submission, accuracy)
        return receipt.submission

    return submit


def record(submission: Submission, accuracy: float) -> None:
    evaluation = submission.evaluations.latest("number")
    lease = lifecycle.claim(evaluation.pk, worker="tests", pool=evaluation.pool)
    assert lifecycle.succeed(lease, result(submission.board, accuracy), key=evaluation.key)


def outcome_of(submission: Submission, claim: Claim) -> Outcome:
    trials.judge_some(submission.board)
    return Outcome.objects.select_related("claim__verdict", "trial").get(trial__submission=submission, claim=claim)


@pytest.mark.parametrize(
    ("accuracy", "verdict", "overturns"),
    [(0.99, "does not hold", True), (0.90, "undecided", False), (0.60, "holds", False)],
)
def test_another_model_challenges_the_winner(send, judged, accuracy, verdict, overturns):
    found = outcome_of(send(accuracy), judged)
    assert (found.instead_of, found.verdict, found.overturns) == ("", verdict, overturns)
    assert found.p_adjusted is not None
    assert f"accuracy(nin) >= accuracy(#{found.trial.submission_id})" == found.findings[0].text


def test_a_config_of_a_rival_takes_its_place_margin_and_all(send, judged):
    found = outcome_of(send(0.99, model="plain-cnn", config={"epochs": 30}), judged)
    assert (found.instead_of, found.verdict, found.overturns) == ("plain-cnn", "does not hold", True)
    assert found.findings[0].text == f"accuracy(nin) >= accuracy(#{found.trial.submission_id}) - 0.005"


def test_a_config_of_the_method_takes_its_place(send, judged):
    found = outcome_of(send(0.60, model="nin", config={"steps": 10}), judged)
    assert (found.instead_of, found.verdict, found.overturns) == ("nin", "does not hold", True)


def test_what_is_an_entrant_itself_overturns_nothing(send, judged, board):
    same = send(0.95, model="nin")
    assert trials.judge_some(board) == 0
    assert Trial.objects.get(submission=same).outcomes.count() == 0


def test_a_claim_that_fails_already_cannot_be_overturned(send, judged, board):
    claim = Claim.objects.create(board=board, statement="No.", check_text="better(accuracy; plain-cnn than nin)")
    judging.judge_board(board)
    found = outcome_of(send(0.99), claim)
    assert (found.verdict, found.claim.word, found.overturns) == ("does not hold", "does not hold", False)


def test_claims_that_put_nothing_first_are_left_out(send, judged, board):
    claim = Claim.objects.create(board=board, statement="A level.", check_text="accuracy(nin) >= 0.5")
    judging.judge_board(board)
    outcome_of(send(0.99), judged)
    assert not Outcome.objects.filter(claim=claim).exists()


def test_the_claims_of_a_board_are_corrected_together(send, judged, board):
    mine = send(0.93)
    alone = outcome_of(mine, judged).p_adjusted
    for _ in range(5):
        Claim.objects.create(board=board, statement="Again.", check_text="accuracy(nin) >= accuracy(plain-cnn)")
    judging.judge_board(board)
    assert outcome_of(mine, judged).p_adjusted == pytest.approx(min(1.0, 6 * alone))


def test_a_result_is_judged_once_until_something_changes(send, judged, board, finish):
    mine = send(0.99)
    first = outcome_of(mine, judged)
    assert outcome_of(mine, judged).pk == first.pk
    finish("nin", 0.995)
    judging.judge_board(board)
    again = outcome_of(mine, judged)
    assert again.pk != first.pk
    assert not again.overturns
    evaluation = intake.evaluate_again(mine, mine.user)
    record(mine, 0.2)
    assert outcome_of(mine, judged).trial.evaluation_id == evaluation.pk
    assert Trial.objects.count() == 1


def test_a_submission_that_has_no_result_waits_for_one_and_then_for_its_turn(send, judged, board):
    mine = send(None)
    assert not trials.is_due(mine)
    record(mine, 0.99)
    assert trials.is_due(mine)
    trials.judge_some(board)
    assert not trials.is_due(mine)


def test_only_the_best_and_the_newest_are_judged_a_few_at_a_time(send, judged, board, monkeypatch):
    monkeypatch.setattr(trials, "BEST", 1)
    monkeypatch.setattr(trials, "NEWEST", 2)
    monkeypatch.setattr(trials, "AT_ONCE", 2)
    sent = [send(accuracy, config={"steps": 10 + n}) for n, accuracy in enumerate((0.97, 0.5, 0.6, 0.7))]
    assert Standing.objects.filter(submission__in=sent).count() == 4
    assert trials.judge_some(board) == 1
    assert set(Trial.objects.values_list("submission", flat=True)) == {sent[2].pk, sent[3].pk}
    assert trials.judge_some(board) == 0
    assert set(Trial.objects.values_list("submission", flat=True)) == {sent[0].pk, sent[2].pk, sent[3].pk}


def test_a_board_whose_claims_have_no_results_judges_nobody(board, claims, user):
    receipt = intake.submit(user=user, board=board, name="Mine", kind="config", model="logistic", config={})
    record(receipt.submission, 0.9)
    assert trials.judge_some(board) == 0
    assert not Trial.objects.exists()


# --- claims that name submissions


def claim_about(board: Board, check: str) -> Claim:
    claim = Claim(board=board, statement="A host says so.", check_text=check)
    claim.full_clean()
    claim.save()
    return claim


def test_a_claim_names_a_submission_by_the_beginning_of_its_id_and_keeps_the_whole(send, judged, board):
    mine = send(0.99)
    claim = claim_about(board, f"accuracy(#{str(mine.pk)[:8]}) >= accuracy(nin) AND accuracy(#{mine.pk}) >= 0.5")
    assert claim.check_text == f"accuracy(#{mine.pk}) >= accuracy(nin) AND accuracy(#{mine.pk}) >= 0.5"
    judging.judge_board(board)
    claim.refresh_from_db()
    assert claim.word == "holds"
    assert set(claim.verdict.evaluations) == {f"#{mine.pk}", "nin"}
    intake.evaluate_again(mine, mine.user)
    record(mine, 0.5)
    judging.judge_board(board)
    assert Claim.objects.get(pk=claim.pk).word == "does not hold"


def test_a_submission_is_not_put_against_a_claim_about_itself(send, judged, board):
    mine, other = send(0.99), send(0.6, config={"steps": 30})
    claim = claim_about(board, f"better(accuracy; #{mine.pk} than nin)")
    judging.judge_board(board)
    trials.judge_some(board)
    assert list(Outcome.objects.filter(claim=claim).values_list("trial__submission", "instead_of")) == [(other.pk, "")]


@pytest.mark.parametrize(
    ("mention", "told"),
    [
        ("{id}", "has no submission “{id}”"),
        ("1234567", "write at least 8 digits"),
        ("mine", "has no submission “mine”"),
        ("00000000", "has no submission “00000000”"),
    ],
)
def test_a_submission_that_is_not_there_is_told(judged, board, mention, told):
    key = str(uuid4())
    with pytest.raises(ValidationError, match=told.format(id=key)) as caught:
        claim_about(board, f"accuracy(#{mention.format(id=key)}) >= 0.5")
    assert set(caught.value.message_dict) == {"check_text"}


def test_a_beginning_that_two_share_is_told(judged, board, user):
    for last in "12":
        key = f"abcdefab-0000-4000-8000-00000000000{last}"
        Submission.objects.create(id=key, board=board, user=user, name=last, kind="onnx", content_hash=last)
    with pytest.raises(ValidationError, match="several submissions begin with"):
        claim_about(board, "accuracy(#abcdefab) >= 0.5")
    assert claim_about(board, "accuracy(#abcdefab-0000-4000-8000-000000000001) >= 0.5").pk


def test_submissions_of_other_boards_and_private_ones_cannot_be_named(send, judged, board, user):
    elsewhere = Board.objects.create(slug="course", track=board.track, title="Course", host=user)
    with pytest.raises(ValidationError, match="“Course” has no submission"):
        claim_about(elsewhere, f"accuracy(#{send(0.9).pk}) >= 0.5")
    secret = send(0.9, config={"steps": 20}, visibility="private", name="Secret")
    with pytest.raises(ValidationError, match="“Secret” is private"):
        claim_about(board, f"accuracy(#{secret.pk}) >= 0.5")


def test_a_submission_that_became_private_counts_no_more_and_is_not_named(send, judged, board):
    mine = send(0.99)
    claim = claim_about(board, f"accuracy(#{mine.pk}) >= 0.5")
    Submission.objects.filter(pk=mine.pk).update(visibility="private")
    judging.judge_board(board)
    claim.refresh_from_db()
    assert claim.word == "not yet evaluated"
    names = wording.names_in([claim.check_text])
    assert wording.spoken(claim.check_text, names) == "accuracy(a private submission) >= 0.5"


def test_a_withdrawn_submission_counts_no_more_and_cannot_be_named(send, judged, board, user):
    mine = send(0.99)
    claim = claim_about(board, f"accuracy(#{mine.pk}) >= 0.5")
    judging.judge_board(board)
    trials.judge_some(board)
    assert Trial.objects.filter(submission=mine).exists()
    withdraw(mine, user)
    judging.judge_board(board)
    trials.judge_some(board)
    assert not Trial.objects.exists()
    claim.refresh_from_db()
    assert claim.word == "not yet evaluated"
    assert wording.spoken(claim.check_text, wording.names_in([claim.check_text])) == "accuracy(a withdrawn submission) >= 0.5"
    with pytest.raises(ValidationError, match="was withdrawn: name another one"):
        claim_about(board, f"accuracy(#{mine.pk}) >= 0.6")


def test_names_stand_for_ids_where_a_person_reads(send, judged, user):
    mine = send(None, name="My CNN")
    text = f"accuracy(#{mine.pk}) >= accuracy(nin)"
    assert wording.spoken(text, wording.names_in([text])) == f"accuracy(“My CNN” by {user.username}) >= accuracy(nin)"
