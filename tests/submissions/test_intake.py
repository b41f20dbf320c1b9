"""Intake: everything or nothing."""

import io
import json
from datetime import timedelta

import numpy as np
import pytest
from django.core.files.base import ContentFile, File
from django.utils import timezone
from safetensors.numpy import save as save_tensors

from leaderboard.boards import quota
from leaderboard.boards.models import QuotaUse, ReferenceModel
from leaderboard.evaluations import lifecycle
from leaderboard.evaluations.models import Evaluation, State
from leaderboard.refusals import (
    BoardClosed,
    Conflict,
    InvalidRequest,
    InvalidSubmission,
    NotAllowed,
    QuotaSpent,
    TooLarge,
    UnsupportedFormat,
)
from leaderboard.submissions import intake, storage
from leaderboard.submissions.intake import evaluate_again, queue_position, submit
from leaderboard.submissions.models import Artifact, IdempotencyKey, Submission

WEIGHTS = save_tensors({"weight": np.ones((10, 64), np.float32)})


def upload(raw=WEIGHTS, name="net.safetensors"):
    return ContentFile(raw, name=name)


@pytest.fixture
def send(user, board):
    """send(...) submits to the digits board as `user`: a config of logistic regression unless told otherwise."""

    def submit_with(**fields):
        return submit(**{"user": user, "board": board, "name": "mine", "kind": "config", "model": "logistic", **fields})

    return submit_with


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "locks"]


def nothing_was_left(folder):
    tables = (Submission, Evaluation, Artifact, IdempotencyKey)
    return (
        not any(table.objects.exists() for table in tables)
        and not sum(QuotaUse.objects.values_list("used", flat=True))
        and not files(folder)
    )


def test_a_config_is_stored_complete_and_queued(send, board):
    receipt = send(name="  My first  ", config={"steps": 5.0}, description="x\r\ny ")
    stored = Submission.objects.get()
    assert (stored.name, stored.description, stored.kind, stored.model) == ("My first", "x\ny", "config", "logistic")
    assert stored.config == {"learning_rate": 0.1, "steps": 5, "weight_decay": 1e-4}
    assert receipt.evaluation.state == State.QUEUED
    assert (receipt.created, receipt.queue_position, receipt.quota.daily_left) == (True, 1, board.daily_quota - 1)


@pytest.mark.parametrize(
    ("kind", "raw", "more"),
    [
        ("weights", WEIGHTS, {"model": "logistic"}),
        ("predictions", b"id,p\n0,1\n", {"model": ""}),
    ],
)
def test_a_file_is_stored_under_its_hash(send, kind, raw, more):
    submission = send(kind=kind, file=upload(raw, "C:\\my\\net\n.bin"), **more).submission
    assert storage.read(submission.artifact_id) == raw
    assert (submission.artifact.size, submission.filename) == (len(raw), "net.bin")


def faults(send, **fields):
    with pytest.raises(InvalidSubmission) as caught:
        send(**fields)
    return {(error.field, error.code): error.detail for error in caught.value.errors}


@pytest.mark.parametrize(
    ("fields", "fault", "says"),
    [
        ({"name": "   "}, ("name", "required"), "name"),
        ({"name": 5}, ("name", "required"), "name"),
        ({"name": "a" * 81}, ("name", "too_long"), "81 characters"),
        ({"name": "a\nb"}, ("name", "not_printable"), "line break"),
        ({"name": "a\0b"}, ("name", "not_printable"), "printed"),
        ({"name": "\u202egnp"}, ("name", "not_printable"), "printed"),
        ({"name": "\ud800"}, ("name", "not_printable"), "printed"),
        ({"description": "a\0"}, ("description", "not_printable"), "control"),
        ({"description": "a" * 4001}, ("description", "too_long"), "4001"),
        ({"description": None}, ("description", "wrong_type"), "text"),
        ({"visibility": "secret"}, ("visibility", "not_a_choice"), '"public", "private"'),
        ({"kind": "weight"}, ("kind", "not_a_choice"), 'did you mean "weights"?'),
        ({"kind": None}, ("kind", "not_a_choice"), "one of"),
        ({"kind": ["config"]}, ("kind", "not_a_choice"), "one of"),
        ({"model": "logistik"}, ("model", "unknown_model"), 'did you mean "logistic"?'),
        ({"model": ""}, ("model", "required"), "role Classifier"),
        ({"model": 7}, ("model", "required"), "role Classifier"),
        ({"model": "gcn"}, ("model", "wrong_role"), '"gcn" is a NodeClassifier, and this track takes a Classifier'),
        ({"config": {"stepz": 1}}, ("config.stepz", "unknown_field"), 'did you mean "steps"?'),
        ({"config": {"steps": float("nan")}}, ("config.steps", "not_finite"), "finite"),
        ({"config": [1]}, ("config", "wrong_type"), "JSON object"),
        ({"slices": ["digit"]}, ("slices", "unknown_slice"), 'did you mean "digits"?'),
        ({"slices": "digits"}, ("slices", "wrong_type"), "list"),
        ({"slices": [1]}, ("slices", "wrong_type"), "list"),
        ({"file": upload()}, ("file", "not_accepted"), 'kind "weights"'),
        ({"kind": "weights"}, ("file", "required"), "needs a file"),
        ({"kind": "predictions", "model": ""}, ("file", "required"), "logits"),
        ({"kind": "onnx", "file": upload()}, ("model", "not_accepted"), "no reference model"),
        ({"kind": "onnx", "file": upload(), "model": "", "config": {"a": 1}}, ("config", "not_accepted"), "no config"),
    ],
)  # fmt: skip
def test_each_wrong_field_is_named_and_nothing_is_left(send, own_files, fields, fault, says):
    assert says in faults(send, **fields)[fault]
    assert nothing_was_left(own_files)


def test_all_wrong_fields_are_named_at_once(send):
    assert {field for field, _ in faults(send, name="", visibility="x", config={"steps": 0}, slices=["x"])} == {
        "name", "visibility", "config.steps", "slices"
    }  # fmt: skip


def test_a_kind_that_the_track_does_not_take_is_refused(graph_board, send):
    assert (
        'takes "config", not "onnx"'
        in faults(send, board=graph_board, kind="onnx", model="", file=upload())["kind", "not_accepted"]
    )


def test_a_model_that_is_not_installed_any_more_is_unknown(send):
    ReferenceModel.objects.filter(name="logistic").update(available=False)
    assert ("model", "unknown_model") in faults(send)


@pytest.mark.parametrize(
    ("raw", "refusal"),
    [
        (b"", InvalidSubmission),
        (WEIGHTS[:-1], InvalidSubmission),
        (b"\x80\x04\x95" + b"\0" * 50, UnsupportedFormat),
        (WEIGHTS + b"\0" * 3000, TooLarge),
    ],
)
def test_a_bad_file_leaves_nothing(send, own_files, settings, raw, refusal):
    settings.MAX_ARTIFACT_BYTES = len(WEIGHTS) + 1000
    with pytest.raises(refusal):
        send(kind="weights", file=upload(raw))
    assert nothing_was_left(own_files)


def test_a_file_is_counted_whatever_its_size_says(send, own_files, settings):
    settings.MAX_ARTIFACT_BYTES = 100
    lying = File(io.BytesIO(WEIGHTS), name="net.safetensors")
    lying.size = 7
    with pytest.raises(TooLarge, match="more than 100 bytes"):
        send(kind="weights", file=lying)
    assert nothing_was_left(own_files)


def test_a_closed_board_takes_nothing(send, board, own_files):
    board.closes_at = timezone.now() - timedelta(seconds=1)
    with pytest.raises(BoardClosed):
        send()
    assert nothing_was_left(own_files)


STEPS = {
    "storing the file": (storage, "sync_folder"),
    "charging": (intake, "charge"),
    "naming the file": (Artifact.objects, "get_or_create"),
    "inserting the submission": (Submission.objects, "create"),
    "keeping the key": (IdempotencyKey.objects, "create"),
    "queueing": (lifecycle, "enqueue"),
    "counting what is left": (intake, "quota_of"),
    "finding the place in the queue": (intake, "queue_position"),
}


class Broken(Exception):
    pass


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_failure_at_any_step_leaves_no_row_no_file_and_no_charge(send, own_files, monkeypatch, step, after):
    owner, name = STEPS[step]
    real = getattr(owner, name)

    def fails(*args, **kwargs):
        if after:
            real(*args, **kwargs)
        raise Broken

    monkeypatch.setattr(owner, name, fails)
    with pytest.raises(Broken):
        send(kind="weights", file=upload(), idempotency_key="k")
    monkeypatch.undo()
    assert nothing_was_left(own_files)
    assert send(kind="weights", file=upload(), idempotency_key="k").created


def test_a_refused_submission_does_not_take_away_a_file_that_another_one_has(send, other_user, board):
    first = send(kind="weights", file=upload()).submission
    board.daily_quota = 0
    with pytest.raises(QuotaSpent):
        send(kind="weights", file=upload(), user=other_user, board=board)
    assert storage.read(first.artifact_id) == WEIGHTS


def test_the_same_key_gives_the_same_submission(send, board):
    first = send(kind="weights", file=upload(), idempotency_key="k")
    board.closes_at = timezone.now()
    again = send(kind="weights", file=upload(), idempotency_key="k")
    assert (again.submission, again.evaluation, again.created) == (first.submission, first.evaluation, False)
    assert Submission.objects.count() == Evaluation.objects.count() == 1


@pytest.mark.parametrize(
    "other",
    [
        {"name": "other"},
        {"config": {"steps": 3}},
        {"file": upload(save_tensors({"w": np.zeros(3)}))},
        {"visibility": "private"},
    ],
    ids=str,
)
def test_the_same_key_for_another_request_is_a_conflict(send, other):
    send(kind="weights", file=upload(), idempotency_key="k")
    with pytest.raises(Conflict, match="another request") as conflict:
        send(**{"kind": "weights", "file": upload(), "idempotency_key": "k", **other})
    assert conflict.value.code == "idempotency_key_reused"
    assert Submission.objects.count() == 1


def test_keys_of_two_people_are_two_keys(send, other_user):
    assert send(idempotency_key="k").created
    assert send(idempotency_key="k", user=other_user).created


def test_a_key_whose_request_was_refused_can_be_used_again(send):
    faults(send, name="", idempotency_key="k")
    assert send(idempotency_key="k").created


@pytest.mark.parametrize("key", ["a" * 256, "a\nb"])
def test_a_key_that_is_none_is_refused(send, key):
    with pytest.raises(InvalidRequest):
        send(idempotency_key=key)


@pytest.mark.parametrize("config", [{}, {"steps": 300}, {"steps": 300.0, "learning_rate": 0.1}])
def test_equal_content_is_a_duplicate_that_names_the_earlier_one(send, board, config):
    first = send(name="first").submission
    with pytest.raises(Conflict, match=str(first.pk)) as conflict:
        send(name="second", config=config, description="new words")
    assert (conflict.value.code, conflict.value.errors[0].detail) == ("duplicate_submission", str(first.pk))
    assert quota.quota_of(board, first.user, now=timezone.now()).daily_left == board.daily_quota - 1


def test_the_same_from_somebody_else_or_elsewhere_is_none(send, other_user, board, user):
    from leaderboard.boards.models import Board

    elsewhere = Board.objects.create(slug="cup", track=board.track, title="Cup", host=user)
    assert {send(user=other_user).created, send().created, send(board=elsewhere).created} == {True}


def test_naming_all_slices_is_naming_none(graph_board, send):
    send(board=graph_board, model="gcn")
    with pytest.raises(Conflict):
        send(board=graph_board, model="gcn", slices=["heterophilous", "homophilous"])
    assert send(board=graph_board, model="gcn", slices=["homophilous"]).submission.slices == ["homophilous"]
    assert send(board=graph_board, model="omega-gcn", slices=["homophilous", "homophilous"]).submission.slices == []


def test_a_slice_that_no_baseline_fills_must_be_entered(graph_board, send):
    assert '"homophilous"' in faults(send, board=graph_board, model="gcn", slices=["heterophilous"])["slices", "required"]


def test_the_queue_is_by_priority_and_then_by_time(send, other_user):
    late = send(config={"steps": 1}, priority=7).evaluation
    first = send(config={"steps": 2}).evaluation
    second = send(user=other_user).evaluation
    assert [queue_position(evaluation) for evaluation in (first, second, late)] == [1, 2, 3]
    lifecycle.cancel(first, by="ada")
    first.refresh_from_db()
    assert [queue_position(evaluation) for evaluation in (first, second, late)] == [0, 1, 2]


def finish(evaluation):
    lifecycle.cancel(evaluation, by="somebody")


def test_an_evaluation_at_a_time(send, user):
    receipt = send()
    with pytest.raises(Conflict, match="being evaluated already"):
        evaluate_again(receipt.submission, user)
    finish(receipt.evaluation)
    assert evaluate_again(receipt.submission, user).number == 2


def test_evaluating_again_costs_its_owner_one_submission_and_nobody_else_any(send, user, staff, board):
    receipt = send()
    left = receipt.quota.daily_left
    Evaluation.objects.filter(pk=receipt.evaluation.pk).update(state=State.SUCCEEDED)
    again = evaluate_again(receipt.submission, user)
    assert quota.quota_of(board, user, now=timezone.now()).daily_left == left - 1
    finish(again)
    assert quota.quota_of(board, user, now=timezone.now()).daily_left == left
    finish(evaluate_again(receipt.submission, staff))
    assert quota.quota_of(board, user, now=timezone.now()).daily_left == left


def test_only_those_who_answer_for_a_submission_evaluate_it_again(send, other_user, board):
    receipt = send()
    finish(receipt.evaluation)
    with pytest.raises(NotAllowed):
        evaluate_again(receipt.submission, other_user)
    board.daily_quota = 0
    board.save()
    receipt.submission.board.daily_quota = 0
    with pytest.raises(QuotaSpent):
        evaluate_again(receipt.submission, receipt.submission.user)
    assert evaluate_again(receipt.submission, board.host)


def test_what_is_stored_is_json_that_every_database_takes(send):
    submission = send(config={"learning_rate": 1e-300}).submission
    assert json.loads(json.dumps(Submission.objects.get().config, allow_nan=False)) == submission.config
