"""A submission's page in every state, for everybody who may or may not see it, and what its owner can do."""

from __future__ import annotations

import uuid

import pytest
from django.test import Client

from leaderboard.evaluations.models import Evaluation, State
from tests.web import rows
from tests.web.page import get


@pytest.fixture
def submission(board, user):
    """A public ONNX submission of the user, without an evaluation yet."""
    return rows.add_submission(board, owner=user, name="my <b>net</b>", kind="onnx", description="line one\n<script>x</script>")


@pytest.fixture
def queued(submission):
    rows.add_evaluation(submission, state=State.QUEUED, started_at=None, attempt=0)
    return submission


@pytest.fixture
def running(submission):
    rows.add_evaluation(submission, state=State.RUNNING, stage="predict", progress=0.42, **rows.lease())
    return submission


@pytest.fixture
def failed(submission):
    rows.add_evaluation(
        submission,
        state=State.FAILED,
        failure_code="wrong_output",
        failure_message='expected "logits" float32 [899, 10], got float32 [899, 9]',
        log="loading <model>\n",
        finished_at=submission.created_at,
    )
    return submission


@pytest.fixture
def succeeded(submission):
    evaluation = rows.add_evaluation(submission)
    rows.add_score(evaluation, "accuracy", 0.9744, 0.9619, 0.9829)
    rows.add_score(evaluation, "params", None, None, None, reason="unknown for this kind")
    rows.add_standing(evaluation, position=1, value=0.9744, interval=(0.9619, 0.9829), ranks=(4, 3, 8))
    return submission


def path_of(submission) -> str:
    return f"/submissions/{submission.pk}/"


def test_a_queued_submission_says_its_place_in_the_queue(client, queued, board, other_user):
    later = rows.add_submission(board, owner=other_user, name="later", day=1)
    rows.add_evaluation(later, state=State.QUEUED, started_at=None, attempt=0)
    assert "It is next in the queue" in get(client, path_of(queued)).text
    assert "It is number 2 in the queue" in get(client, path_of(later)).text


def test_a_running_submission_says_stage_and_progress(client, running):
    page = get(client, path_of(running))
    assert "Stage: predict, 42 %" in page.text
    assert page.all("progress")[0].attributes["value"] == "0.420"


def test_a_failed_submission_says_why_in_a_sentence(client, failed):
    page = get(client, path_of(failed))
    assert "The model returned the wrong thing wrong_output" in page.text
    assert 'Expected "logits" float32 [899, 10], got float32 [899, 9]' in page.text
    assert page.all("pre", class_="log")[0].text == "loading <model>"


def test_a_succeeded_submission_shows_rank_scores_and_how_it_ran(client, succeeded):
    text = get(client, path_of(succeeded)).text
    assert "Rank 4 on Handwritten digits; the rank is sure within 3\N{EN DASH}8" in text
    assert "0.974 0.962 to 0.983 share" in text
    assert "unknown for this kind" in text
    assert "versions.torch 2.13.0+cpu" in text
    assert "predict_s 1.033 " in text
    assert "model_source" not in text
    assert "Predict 8.52 s" in text


def test_slices_and_curve_are_shown_with_what_was_filled(client, graph_submission):
    page = get(client, path_of(graph_submission))
    assert "Heterophilous filled by mlp 0.804 0.785 to 0.823" in page.text
    (chart,) = page.all("svg", class_="curve")
    assert chart.attributes["aria-label"] == "Accuracy over Depth"
    assert len(chart.all("circle")) == 3
    assert chart.all("text", class_="curve-title")[0].text == "Depth"


def test_a_cancelled_submission_says_so(client, submission):
    rows.add_evaluation(submission, state=State.CANCELLED, finished_at=submission.created_at)
    assert "It was cancelled" in get(client, path_of(submission)).text


def test_a_result_of_an_older_track_version_says_that_it_is_not_ranked(client, submission):
    rows.add_evaluation(submission, track_version="e" * 64)
    assert "an earlier version of the track" in get(client, path_of(submission)).text


def test_a_result_that_is_not_ranked_says_why(client, board, user):
    made = rows.fill_digits(board, people=[user], system=user)
    assert "Not ranked: accuracy is not a number" in get(client, path_of(made[-1])).text


def test_earlier_evaluations_are_listed(client, failed):
    rows.add_evaluation(failed, number=2)
    page = get(client, path_of(failed))
    assert "(evaluation 2)" in page.text
    assert "Number 1: failed" in page.text


@pytest.mark.parametrize(("state", "polls"), [("queued", True), ("running", True), ("failed", False), ("succeeded", False)])
def test_the_page_is_polled_until_the_evaluation_is_over(client, request, state, polls):
    submission = request.getfixturevalue(state)
    for path in (path_of(submission), f"{path_of(submission)}live/"):
        live = get(client, path).all("div", id="live")[0].attributes
        assert live.get("hx-get") == (f"{path_of(submission)}live/" if polls else None)
    assert bool(get(client, path_of(submission)).all("noscript")) is polls


def test_the_part_that_is_polled_is_a_part_and_is_never_kept(client, running):
    response = client.get(f"{path_of(running)}live/", headers={"HX-Request": "true"})
    assert b"<html" not in response.content
    assert b'hx-swap-oob="true">Running' in response.content
    assert "no-store" in response["Cache-Control"]


def test_what_people_write_is_text(client, queued):
    page = get(client, path_of(queued))
    assert page.all("h1")[0].text == "my <b>net</b>"
    assert "line one <script>x</script>" in page.text
    assert "line one<br>\n&lt;script&gt;" in page.raw


@pytest.mark.parametrize(("reader", "answers"), [("client", False), ("as_other", False), ("as_user", True), ("as_host", True)])
def test_a_public_submission_gives_file_and_buttons_to_those_who_answer_for_it(request, failed, reader, answers):
    page = get(request.getfixturevalue(reader), path_of(failed))
    assert page.all("pre", class_="log")
    assert bool(page.all("a", href=f"/api/v1{path_of(failed)}artifact/")) is answers
    assert bool(page.all("form", action=f"{path_of(failed)}again/")) is answers


@pytest.mark.parametrize(("reader", "status"), [("client", 404), ("as_other", 404), ("as_user", 200), ("as_host", 200)])
def test_a_private_submission_is_there_for_owner_and_host_only(request, failed, reader, status):
    failed.visibility = "private"
    failed.save()
    who = request.getfixturevalue(reader)
    assert who.get(path_of(failed)).status_code == status
    assert who.get(f"{path_of(failed)}live/").status_code == status


def test_a_submission_that_does_not_exist_is_not_found(client, db):
    assert "There is no submission" in get(client, f"/submissions/{uuid.uuid4()}/", expect=404).text


def test_its_owner_cancels_a_waiting_submission(as_user, queued):
    response = as_user.post(f"{path_of(queued)}cancel/", follow=True)
    assert "It was cancelled" in response.content.decode()
    assert Evaluation.objects.get().state == State.CANCELLED


def test_a_running_one_is_asked_to_stop(as_user, running):
    page = as_user.post(f"{path_of(running)}cancel/", follow=True).content.decode()
    assert "It is being cancelled" in page
    assert "/cancel/" not in page
    assert Evaluation.objects.get().cancel_requested


def test_cancelling_what_is_over_is_a_message(as_user, failed):
    page = as_user.post(f"{path_of(failed)}cancel/", follow=True).content.decode()
    assert "there is nothing left to cancel" in page
    assert Evaluation.objects.get().state == State.FAILED


def test_its_owner_evaluates_a_failed_submission_again(as_user, failed):
    page = as_user.post(f"{path_of(failed)}again/", follow=True).content.decode()
    assert "It is in the queue again" in page
    assert Evaluation.objects.latest("number").state == State.QUEUED


def test_evaluating_what_runs_already_is_a_message(as_user, running):
    page = as_user.post(f"{path_of(running)}again/", follow=True).content.decode()
    assert "being evaluated already" in page
    assert Evaluation.objects.count() == 1


@pytest.mark.parametrize("action", ["cancel", "again"])
def test_others_may_do_neither(as_other, queued, action):
    response = as_other.post(f"{path_of(queued)}{action}/")
    assert response.status_code == 403
    assert "only its competitor" in response.content.decode().lower()
    assert Evaluation.objects.get().state == State.QUEUED


@pytest.mark.parametrize("action", ["cancel", "again"])
def test_a_visitor_is_asked_to_log_in_first(client, queued, action):
    response = client.post(f"{path_of(queued)}{action}/")
    assert response["Location"].startswith("/accounts/login/")
    assert Evaluation.objects.get().state == State.QUEUED


@pytest.mark.parametrize("action", ["cancel", "again"])
def test_reading_changes_nothing(as_user, queued, action):
    assert as_user.get(f"{path_of(queued)}{action}/").status_code == 405
    assert Evaluation.objects.get().state == State.QUEUED


@pytest.mark.parametrize("action", ["cancel", "again"])
def test_a_post_without_csrf_token_changes_nothing(user, queued, action):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(user)
    assert strict.post(f"{path_of(queued)}{action}/").status_code == 403
    assert Evaluation.objects.get().state == State.QUEUED


def test_my_submissions_are_mine_with_their_states_and_ranks(as_user, succeeded, board, other_user):
    rows.add_evaluation(rows.add_submission(board, owner=other_user, name="not mine"))
    table = get(as_user, "/submissions/").all("tbody")[0]
    assert "my <b>net</b>" in table.text
    assert "Succeeded 4 3\N{EN DASH}8" in table.text
    assert "not mine" not in table.text


def test_my_submissions_cost_the_same_for_many(as_user, board, user, django_assert_max_num_queries):
    for number in range(30):
        rows.add_evaluation(rows.add_submission(board, owner=user, name=f"net {number}"))
    with django_assert_max_num_queries(6):
        get(as_user, "/submissions/")


def test_who_has_submitted_nothing_is_led_to_the_boards(as_user, board):
    assert "You have not submitted anything yet" in get(as_user, "/submissions/").text


def test_my_submissions_need_a_person(client, db):
    assert client.get("/submissions/")["Location"] == "/accounts/login/?next=/submissions/"


def test_a_page_offers_to_withdraw_to_those_who_may(digits, as_user, as_other, client):
    own = next(each for each in digits if each.user.username == "ada")
    assert "Withdraw this submission" in as_user.get(f"/submissions/{own.pk}/").content.decode()
    for reader in (as_other, client):
        assert "Withdraw this submission" not in reader.get(f"/submissions/{own.pk}/").content.decode()


def test_withdrawing_asks_whether_one_is_sure(digits, as_user):
    own = next(each for each in digits if each.user.username == "ada")
    answer = as_user.post(f"/submissions/{own.pk}/withdraw/", follow=True)
    assert "tick the box" in answer.content.decode()
    assert answer.status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_withdrawn_submission_has_a_page_that_says_so(digits, as_user, client):
    own = next(each for each in digits if each.user.username == "ada")
    answer = as_user.post(f"/submissions/{own.pk}/withdraw/", {"sure": "on"}, follow=True)
    assert "is withdrawn" in answer.content.decode()
    assert as_user.post(f"/submissions/{own.pk}/withdraw/", {"sure": "on"}).status_code == 410
    page = client.get(f"/submissions/{own.pk}/")
    assert page.status_code == 410
    assert "was withdrawn by its competitor" in page.content.decode()
    assert own.name not in client.get("/boards/digits-classification/").content.decode()


def test_a_host_s_form_asks_for_the_reason(digits, as_host):
    own = next(each for each in digits if each.user.username == "ada")
    assert 'name="reason" maxlength="300" required' in as_host.get(f"/submissions/{own.pk}/").content.decode()
    answer = as_host.post(f"/submissions/{own.pk}/withdraw/", {"sure": "on", "reason": " "}, follow=True)
    assert "say why" in answer.content.decode()
