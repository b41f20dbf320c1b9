"""The form that takes submissions in: fields from the schema, refusals at their fields, nothing lost."""

from __future__ import annotations

import json
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from leaderboard.evaluations.models import Evaluation
from leaderboard.submissions.models import Submission
from tests.web.page import get, post

PATH = "/boards/digits-classification/submit/"


@pytest.fixture
def fields(board) -> dict[str, str]:
    """What a person types into the form of the plain CNN."""
    return {
        "kind": "config",
        "model": "plain-cnn",
        "name": "my net",
        "description": "first\nsecond",
        "visibility": "public",
        "idempotency_key": "k1",
        "config.learning_rate": "0.02",
        "config.epochs": "5",
        "config.batch_norm": "on",
        "config.dropout": "",
        "config.block": '{"width": 8}',
        "config.widths": "8, 16",
    }


def test_a_visitor_is_asked_to_log_in_and_led_back(client, board):
    response = client.get(PATH)
    assert response.status_code == 302
    assert response["Location"] == f"/accounts/login/?next={PATH}"


def test_the_form_offers_the_kinds_that_the_track_takes(as_user, board):
    tabs = get(as_user, PATH).all("nav", class_="tabs")[0]
    assert [tab.text for tab in tabs.all("a")] == ["Config", "Weights", "ONNX model", "Predictions"]
    assert [tab.text for tab in tabs.all("a", aria_current="page")] == ["Config"]


def test_a_track_that_takes_configs_only_offers_no_other_kind(as_user, graph_board):
    page = get(as_user, "/boards/homophily-and-depth/submit/")
    assert [tab.text for tab in page.all("nav", class_="tabs")[0].all("a")] == ["Config"]


@pytest.mark.parametrize(("field", "value"), [("kind", "pickle"), ("kind", "\x00"), ("model", "nin2"), ("model", "gcn")])
def test_what_does_not_exist_is_refused_and_not_replaced(as_user, fields, field, value):
    shown = get(as_user, f"{PATH}?{urlencode({field: value})}", expect=400)
    sent = post(as_user, PATH, {**fields, field: value}, expect=400)
    assert shown.all("h1")[0].text == sent.all("h1")[0].text == "The request is not valid"
    assert not Submission.objects.exists()


@pytest.mark.parametrize("field", ["kind", "model"])
def test_a_form_without_its_choice_is_refused(as_user, fields, field):
    del fields[field]
    post(as_user, PATH, fields, expect=400)
    assert not Submission.objects.exists()


def test_settings_have_bounds_defaults_and_help(as_user, board):
    page = get(as_user, f"{PATH}?model=plain-cnn")
    epochs = page.field("config.epochs").attributes
    assert (epochs["type"], epochs["min"], epochs["max"], epochs["step"], epochs["value"]) == ("number", "1", "100", "1", "10")
    help_text = page.all("div", id=epochs["aria-describedby"])[0].text
    assert help_text == "Passes over the training data. 1 to 100."
    assert "checked" in page.field("config.batch_norm").attributes
    assert page.field("config.widths").attributes["value"] == "16, 32"


def test_another_model_has_other_settings(as_user, board):
    page = get(as_user, f"{PATH}?model=logistic")
    assert page.field("config.steps").attributes["max"] == "2000"
    assert "config.epochs" not in page.raw


def test_the_part_that_changes_can_be_had_alone(as_user, board):
    page = get(as_user, f"{PATH}?model=logistic", headers={"HX-Request": "true"})
    assert "config.steps" in page.raw
    assert not page.all("html")
    assert "csrfmiddlewaretoken" not in page.raw


@pytest.mark.parametrize("kind", ["weights", "onnx", "predictions"])
def test_a_kind_with_a_file_says_what_file(as_user, board, kind):
    page = get(as_user, f"{PATH}?kind={kind}")
    assert page.field("file").attributes["type"] == "file"
    assert page.all("form", id="submit-form")[0].attributes["enctype"] == "multipart/form-data"
    assert bool(page.all("select", name="model")) is (kind == "weights")


def test_the_onnx_form_states_the_contract(as_user, board):
    assert "Output logits float32 [n, 10]" in get(as_user, f"{PATH}?kind=onnx").text


def test_slices_that_can_be_filled_can_be_left_out(as_user, graph_board):
    page = get(as_user, "/boards/homophily-and-depth/submit/")
    boxes = page.all("input", name="slices")
    assert [box.attributes["value"] for box in boxes] == ["homophilous", "heterophilous"]
    assert all("checked" in box.attributes for box in boxes)
    assert "else filled by mlp" in page.text


def test_a_form_becomes_a_submission_in_the_queue(as_user, user, board, fields):
    response = as_user.post(PATH, fields)
    made = Submission.objects.get()
    assert response.status_code == 302
    assert response["Location"] == f"/submissions/{made.pk}/"
    assert (made.user, made.name, made.model, made.visibility) == (user, "my net", "plain-cnn", "public")
    assert made.config["epochs"] == 5
    assert made.config["widths"] == [8, 16]
    assert made.config["dropout"] is None
    assert Evaluation.objects.get().state == "queued"


def test_a_box_that_is_not_ticked_is_false(as_user, fields):
    del fields["config.batch_norm"]
    as_user.post(PATH, fields)
    assert Submission.objects.get().config["batch_norm"] is False


def test_the_same_form_sent_twice_makes_one_submission(as_user, fields):
    first, second = as_user.post(PATH, fields), as_user.post(PATH, fields)
    assert first["Location"] == second["Location"]
    assert Submission.objects.count() == 1
    assert "received before" in get(as_user, second["Location"]).text


def test_the_form_takes_so_many_a_minute(as_user, fields, settings, monkeypatch):
    monkeypatch.setattr("leaderboard.throttling.clock", lambda: 1_000_000_007.0)
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "submissions": 1}
    assert as_user.post(PATH, fields).status_code == 302
    page = post(as_user, PATH, {**fields, "idempotency_key": "k2", "name": "another"}, expect=429)
    assert "at most 1 a minute" in page.text
    assert page.field("name").attributes["value"] == "another"  # nothing typed is lost


def test_each_form_has_a_key_of_its_own(as_user, board):
    keys = {get(as_user, PATH).field("idempotency_key").attributes["value"] for _ in range(3)}
    assert len(keys) == 3


def test_the_same_content_again_leads_to_the_first_submission(as_user, fields):
    as_user.post(PATH, fields)
    page = post(as_user, PATH, {**fields, "idempotency_key": "k2"}, expect=409)
    assert page.all("a", href=f"/submissions/{Submission.objects.get().pk}/")


@pytest.mark.parametrize(
    ("field", "typed", "words"),
    [
        ("config.epochs", "500", "Epochs is 500, expected at least 1 and at most 100"),
        ("config.epochs", "2.5", "Enter a whole number"),
        ("config.learning_rate", "-1", "expected"),
        ("config.learning_rate", "nan", "Enter a number"),
        ("config.learning_rate", "1e400", "Enter a number"),
        ("config.widths", "8, 16, 4000", "Widths.2 is 4000, expected at least 1 and at most 256"),
        ("config.widths", "8 16", "Write numbers with commas"),
        ("config.block", '{"width": 0}', "expected at least 1"),
        ("config.block", '{"depth": 2}', "has no field"),
        ("config.block", "{", "Enter a valid JSON"),
        ("name", "", "required"),
        ("name", "x" * 81, "80"),
        ("name", "a\u202eb", ""),
        ("description", "x" * 4001, "4000"),
        ("visibility", "secret", "not one of the available choices"),
    ],
)
def test_an_error_stands_at_its_field_and_nothing_is_lost(as_user, fields, field, typed, words):
    page = post(as_user, PATH, {**fields, field: typed}, expect=422)
    control = page.field(field)
    assert control.attributes["aria-invalid"] == "true"
    error = page.all("ul", id=f"{control.attributes['id']}_error")[0].text
    assert words in error
    assert error[0] == error[0].upper()
    kept = {"config.learning_rate": "0.02", "config.widths": "8, 16", "name": "my net"}
    for name, value in kept.items():
        if name != field:
            assert page.field(name).attributes["value"] == value
    if field != "visibility":
        shown = control.attributes.get("value", "") if control.tag == "input" else control.children[0].lstrip("\n")
        assert shown == typed
    assert not Submission.objects.exists()


def test_several_errors_are_shown_at_once(as_user, fields):
    page = post(as_user, PATH, {**fields, "config.epochs": "500", "config.learning_rate": "9"}, expect=422)
    assert len(page.all("ul", class_="field-errors")) == 2
    assert "Nothing was submitted yet" in page.text


def test_a_config_can_be_written_as_json(as_user, fields):
    as_user.post(PATH, {**fields, "as": "json", "config": '{"epochs": 7}'})
    assert Submission.objects.get().config["epochs"] == 7


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"epochs": 7,}', "This is not JSON"),
        ('{"epochs": NaN}', "not a JSON number"),
        ("[1]", "Write a JSON object"),
        ('{"epochs": 700}', "Epochs is 700, expected"),
        ('{"epocs": 7}', 'did you mean "epochs"'),
        ("[" * 5000, "nested more than"),
    ],
)
def test_an_error_in_json_stands_at_the_text(as_user, fields, text, words):
    page = post(as_user, PATH, {**fields, "as": "json", "config": text}, expect=422)
    assert words in page.all("ul", id="id_config_error")[0].text
    assert page.field("config").children[0].lstrip("\n") == text


def test_the_switch_to_json_carries_what_was_typed(as_user, board):
    query = "kind=config&model=plain-cnn&as=json&config.epochs=33&config.widths=4,5&config.batch_norm=on"
    written = json.loads(get(as_user, f"{PATH}?{query}").field("config").children[0])
    assert (written["epochs"], written["widths"], written["learning_rate"]) == (33, [4, 5], 0.01)


def test_the_switch_to_fields_carries_what_was_typed(as_user, board):
    page = get(as_user, PATH + '?kind=config&model=plain-cnn&as=fields&config={"epochs": 33, "unknown": 1}')
    assert page.field("config.epochs").attributes["value"] == "33"


def test_what_cannot_be_read_is_left_behind_at_the_switch(as_user, board):
    page = get(as_user, PATH + "?kind=config&model=plain-cnn&as=fields&config={")
    assert page.field("config.epochs").attributes["value"] == "10"


def test_without_script_another_model_can_be_shown_and_nothing_is_lost(as_user, fields):
    page = post(as_user, PATH, {**fields, "model": "logistic", "show": "model"}, expect=200)
    assert page.field("config.steps").attributes["value"] == "300"
    assert page.field("name").attributes["value"] == "my net"
    assert not Submission.objects.exists()


@pytest.mark.parametrize("content", [b"", b"\x80\x04\x95pickle", b"not an onnx file"])
def test_a_file_that_is_no_model_is_refused_at_the_file(as_user, fields, content):
    sent = {**fields, "kind": "onnx", "file": SimpleUploadedFile("model.onnx", content)}
    response = as_user.post(PATH, sent)
    assert response.status_code in (415, 422)
    assert 'id="id_file_error"' in response.content.decode()
    assert "hoose your file again" in response.content.decode()
    assert not Submission.objects.exists()


def test_a_missing_file_is_asked_for(as_user, fields):
    page = post(as_user, PATH, {**fields, "kind": "onnx"}, expect=422)
    assert "required" in page.all("ul", id="id_file_error")[0].text


def test_predictions_are_received_with_their_file(as_user, fields):
    import io

    import numpy as np

    raw = io.BytesIO()
    np.savez(raw, logits=np.zeros((4, 10), dtype=np.float32))
    as_user.post(PATH, {**fields, "kind": "predictions", "file": SimpleUploadedFile("p.npz", raw.getvalue())})
    made = Submission.objects.get()
    assert (made.kind, made.filename, made.model) == ("predictions", "p.npz", "")


def test_a_closed_board_says_so_and_takes_nothing(as_user, fields, board):
    board.closes_at = timezone.now() - timedelta(days=1)
    board.save()
    assert "closed on" in get(as_user, PATH).text
    page = post(as_user, PATH, fields, expect=403)
    assert "closed on" in page.text
    assert page.field("name").attributes["value"] == "my net"
    assert not Submission.objects.exists()


def test_a_spent_quota_says_when_it_resets(as_user, fields, board):
    board.daily_quota = 0
    board.save()
    assert "00:00 UTC" in post(as_user, PATH, fields, expect=429).all("div", class_="notice-error")[0].text


def test_a_form_without_its_csrf_token_is_refused_in_the_sites_style(user, fields):
    from django.test import Client

    strict = Client(enforce_csrf_checks=True)
    strict.force_login(user)
    page = post(strict, PATH, fields, expect=403)
    assert "This form is no longer valid" in page.text
    assert page.all("nav", class_="site-nav")
    assert not Submission.objects.exists()


def test_a_role_without_reference_models_says_so(as_user, board):
    from leaderboard.boards.models import ReferenceModel

    ReferenceModel.objects.update(available=False)
    assert "no reference model for the role Classifier" in get(as_user, PATH).text


def test_the_slices_that_are_ticked_are_entered(as_user, graph_board):
    sent = {"kind": "config", "model": "gcn", "name": "half", "visibility": "public", "idempotency_key": "s"}
    as_user.post("/boards/homophily-and-depth/submit/", {**sent, "slices": ["homophilous"]})
    assert Submission.objects.get().slices == ["homophilous"]


def test_no_slice_at_all_is_an_error_at_the_slices(as_user, graph_board):
    sent = {"kind": "config", "model": "gcn", "name": "none", "visibility": "public", "idempotency_key": "s"}
    page = post(as_user, "/boards/homophily-and-depth/submit/", sent, expect=422)
    assert "required" in page.all("ul", id="id_slices_error")[0].text
