"""Programs at intake: off unless the operator says otherwise, and taken only while a worker could open them."""

import io
import zipfile

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone

from evaluators import limits
from evaluators.runtime import box
from leaderboard.evaluations.models import Worker
from leaderboard.refusals import InvalidSubmission
from leaderboard.submissions import intake
from leaderboard.submissions.formats import check_file

pytestmark = pytest.mark.django_db


def archive(*names, payload=b"x"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name in names:
            opened.writestr(name, payload)
    return buffer.getvalue()


TORCHSCRIPT = archive("m/data.pkl", "m/code/__torch__.py", "m/constants.pkl")
EXPORTED = archive("m/archive_format", "m/models/model.json")


@pytest.fixture
def submit(user, board, no_broker):
    def send(raw=TORCHSCRIPT):
        return intake.submit(user=user, board=board, name="a", kind="program", file=ContentFile(raw, name="m.pt"))

    return send


@pytest.fixture
def allowed(settings):
    settings.ALLOW_CODE_FORMATS = True


def worker(board, state, **changed):
    layers = dict.fromkeys(box.NEEDED, "active") | {"code_formats": state}
    fields = {"name": "cpu-1", "pool": board.pool, "host": "h", "pid": 1, "device": "cpu", "layers": layers}
    return Worker.objects.create(**{**fields, **changed})


def test_they_are_refused_while_they_are_switched_off(submit):
    with pytest.raises(InvalidSubmission, match="takes no programs") as caught:
        submit()
    assert [(error.field, error.code) for error in caught.value.errors] == [("kind", "not_accepted")]


@pytest.mark.parametrize("raw", [TORCHSCRIPT, EXPORTED])
def test_they_are_taken_where_a_worker_can_open_them(allowed, submit, board, raw):
    worker(board, "active")
    assert submit(raw).submission.kind == "program"


def test_they_wait_where_no_worker_is_there_to_ask(allowed, submit):
    assert submit().created


@pytest.mark.parametrize("state", ["off: this worker takes no formats that are code", "not active: bwrap is not installed", ""])
def test_they_are_refused_where_no_worker_has_the_sandbox(allowed, submit, board, state):
    worker(board, state)
    with pytest.raises(InvalidSubmission, match="no worker here has the sandbox"):
        submit()


def test_one_worker_that_can_is_enough_and_silent_ones_do_not_count(allowed, submit, board):
    worker(board, "off")
    worker(board, "active", name="gone", seen_at=timezone.now() - timezone.timedelta(minutes=5))
    worker(board, "active", name="elsewhere", pool="gpu")
    with pytest.raises(InvalidSubmission):
        submit()
    worker(board, "active", name="cpu-2")
    assert submit().created


def test_a_track_without_an_onnx_contract_takes_none(allowed, user, graph_board, no_broker):
    file = ContentFile(TORCHSCRIPT, name="m.pt")
    with pytest.raises(InvalidSubmission, match='takes "config", not "program"'):
        intake.submit(user=user, board=graph_board, name="a", kind="program", file=file)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (archive("m/data.pkl"), "neither TorchScript nor an exported program"),
        (b"\x80\x02}.", "not a whole zip archive"),
        (TORCHSCRIPT[:-9], "whole zip archive"),
    ],
)
def test_what_is_no_program_is_refused(tmp_path, raw, says):
    (tmp_path / "file").write_bytes(raw)
    with pytest.raises(InvalidSubmission, match=says):
        check_file(tmp_path / "file", kind="program", filename="m.pt")


def test_a_program_is_held_to_the_limit_of_what_it_unpacks_to(tmp_path, monkeypatch):
    raw = archive("m/archive_format", payload=b"x" * 500)
    (tmp_path / "file").write_bytes(raw)
    monkeypatch.setattr(limits, "MAX_UNPACKED_BYTES", 500)
    assert check_file(tmp_path / "file", kind="program", filename="m.pt2") == "exported"
    monkeypatch.setattr(limits, "MAX_UNPACKED_BYTES", 499)
    with pytest.raises(InvalidSubmission, match="at most 499"):
        check_file(tmp_path / "file", kind="program", filename="m.pt2")


@pytest.mark.parametrize("on", [True, False])
def test_pages_and_api_name_them_where_they_are_taken(client, settings, user, board, on):
    settings.ALLOW_CODE_FORMATS = on
    client.force_login(user)
    assert ("program" in client.get(f"/api/v1/tracks/{board.track_id}/").json()["accepts"]) is on
    assert ("program" in client.get(f"/api/v1/boards/{board.slug}/").json()["rules"]["accepts"]) is on
    page = client.get(f"/boards/{board.slug}/submit/?kind=program")
    assert page.status_code == (200 if on else 400)
    assert (".pt2" in page.content.decode()) is on


@pytest.mark.parametrize(
    ("changed", "shown"),
    [
        ({}, (">all files, and programs<", ">none<")),
        ({"code_formats": "off: …"}, (">all files<", ">none<")),
        ({"landlock": "not active: no", "empty_root": "not active: no"}, (">configs only<", "landlock: not active: no")),
    ],
)
def test_administrators_see_what_each_worker_opens_and_lacks(client, staff, board, changed, shown):
    each = worker(board, "active")
    Worker.objects.filter(pk=each.pk).update(layers={**each.layers, **changed})
    client.force_login(staff)
    page = client.get("/admin/evaluations/worker/").content.decode()
    assert all(words in page for words in shown)
