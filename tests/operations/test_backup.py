"""Backups and restores on the tests' own database: what is in them, what they refuse, and that nothing is done by halves. The
whole way, with a server that is destroyed, is in tests/end_to_end/test_backup.py."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import uuid
from datetime import timedelta

import pytest
from django.apps import apps
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from leaderboard.accounts.models import User
from leaderboard.evaluations.models import Evaluation, Scheduler, State, Worker
from leaderboard.operations import archive, backing_up, migrating, restoring, table_rows
from leaderboard.operations.archive import DamagedBackupError
from leaderboard.operations.restoring import open_backup, restore
from leaderboard.standings.models import Score
from leaderboard.submissions import storage
from leaderboard.submissions.models import Artifact, Submission
from tests.web.rows import add_evaluation, add_submission, fill_digits, fill_graphs, lease

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nobody_is_woken(no_broker):
    """No worker runs."""


@pytest.fixture(autouse=True)
def migrated(monkeypatch):
    """The tests' database is; migrating again would give up their connection."""
    monkeypatch.setattr(migrating, "migrate", lambda: None)


@pytest.fixture
def server(board, graph_board, user, other_user):
    """A server with rows of most kinds, and files that they name. Its host is the system."""
    fill_digits(board, people=[user, other_user], system=board.host)
    fill_graphs(graph_board, owner=board.host)
    Submission.objects.update(artifact=None)
    Artifact.objects.all().delete()
    sha256, size = storage.store(b"an artifact")
    artifact = Artifact.objects.create(sha256=sha256, size=size)
    Submission.objects.filter(kind="onnx").update(artifact=artifact)
    Evaluation.objects.exclude(columns_sha256="").update(columns_sha256=storage.store(b"columns")[0])
    return board


@pytest.fixture
def file(tmp_path):
    return tmp_path / "backup.standings"


def rows():
    """Every value of every row that a backup holds, as text."""
    found = {}
    for model in table_rows.tables():
        names = [field.attname for field in table_rows.columns_of(model)]
        found[table_rows.label_of(model)] = sorted(map(repr, model._base_manager.values_list(*names)))
    return found


def wreck():
    """Other rows and no files."""
    Score._base_manager.all().delete()
    User.objects.filter(username="ada").update(username="eve", password="!")
    for path in storage.root().rglob("*"):
        if path.is_file():
            path.unlink()


def test_everything_comes_back_bit_by_bit(server, file):
    before = rows()
    call_command("backup", str(file))
    wreck()
    assert rows() != before
    call_command("restore", file, replace=True)
    assert rows() == before
    assert storage.read(Artifact.objects.get().sha256) == b"an artifact"
    assert [*storage.named_between("", "g")] == sorted(path.name for path in (storage.root() / "sha256").rglob("*/*"))


def test_a_backup_holds_every_table_but_those_of_the_moment():
    held = set(table_rows.tables())
    stored = {model for model in apps.get_models(include_auto_created=True) if not model._meta.swapped}
    assert stored - held == {Session, Worker, Scheduler}


def test_the_next_row_gets_a_new_key_after_a_restore(server, file):
    call_command("backup", str(file))
    call_command("restore", file, replace=True)
    last = max(Evaluation.objects.values_list("pk", flat=True))
    submission = add_submission(server, owner=User.objects.get(username="ada"), name="the next")
    assert add_evaluation(submission).pk > last


@pytest.mark.parametrize("name", ["text\nwith \u2028 ends", "\N{GRINNING FACE}", "a\ttab \\ back", "'; DROP TABLE"])
def test_texts_survive(server, file, name):
    Submission.objects.filter(kind="onnx").update(name=name, description=name)
    call_command("backup", str(file))
    wreck()
    call_command("restore", file, replace=True)
    assert set(Submission.objects.filter(kind="onnx").values_list("name", "description")) == {(name, name)}


@pytest.mark.parametrize("value", [0.1 + 0.2, 5e-324, 1.7976931348623157e308, 1 / 3])
def test_numbers_survive_to_the_last_bit(server, file, value):
    score = Score.objects.first()
    Score.objects.filter(pk=score.pk).update(value=value)
    call_command("backup", str(file))
    wreck()
    call_command("restore", file, replace=True)
    assert repr(Score.objects.get(pk=score.pk).value) == repr(value)


def test_only_its_owner_reads_a_backup_and_no_draft_is_left(server, file):
    call_command("backup", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir() if "standings" in path.name] == [file.name]


def test_secrets_are_in_it_unless_told_otherwise(server, file, tmp_path, settings, capsys):
    call_command("backup", str(file))
    other = tmp_path / "without"
    call_command("backup", str(other), without_secrets=True)
    assert settings.TRACK_SECRET.encode() in file.read_bytes()
    for secret in (settings.TRACK_SECRET, settings.SECRET_KEY):
        assert secret.encode() not in other.read_bytes()
    capsys.readouterr()
    call_command("restore", file, show_secrets=True)
    assert capsys.readouterr().out == f"SECRET_KEY={settings.SECRET_KEY}\nTRACK_SECRET={settings.TRACK_SECRET}\n"
    with pytest.raises(CommandError, match="without secrets"):
        call_command("restore", other, show_secrets=True)


def test_a_server_with_another_secret_is_not_restored_over(server, file, settings):
    call_command("backup", str(file))
    before = rows()
    settings.TRACK_SECRET = "another"
    os.environ["TRACK_SECRET"] = "another"
    try:
        with pytest.raises(CommandError, match="with another TRACK_SECRET, hidden test data would be other data"):
            call_command("restore", file, replace=True)
        assert rows() == before
        call_command("restore", file, replace=True, other_secrets=True)
    finally:
        del os.environ["TRACK_SECRET"]


def test_a_server_that_keeps_its_secrets_takes_those_of_the_backup(server, file, settings, tmp_path, monkeypatch):
    settings.STATE_DIR, settings.TRACK_SECRET = tmp_path, "the first"
    monkeypatch.delenv("TRACK_SECRET", raising=False)
    call_command("backup", str(file))
    settings.TRACK_SECRET = "the second"
    (tmp_path / "track_secret").write_text("the second")
    call_command("restore", file, replace=True)
    assert (tmp_path / "track_secret").read_text() == "the first"
    assert stat.S_IMODE((tmp_path / "track_secret").stat().st_mode) == 0o600


def test_secrets_that_cannot_be_kept_are_told_as_what_is_left_to_do(server, file, settings, tmp_path, monkeypatch):
    settings.STATE_DIR, settings.TRACK_SECRET = tmp_path, "the first"
    monkeypatch.delenv("TRACK_SECRET", raising=False)
    call_command("backup", str(file))
    settings.TRACK_SECRET = "the second"
    (tmp_path / "track_secret").write_text("the second")
    full = tmp_path / f".track_secret.{os.getpid()}"
    full.mkdir()
    with pytest.raises(
        CommandError, match=r"rows and files are those of the backup, but TRACK_SECRET could not be kept.* again"
    ):
        call_command("restore", file, replace=True)
    full.rmdir()
    call_command("restore", file, replace=True)
    assert (tmp_path / "track_secret").read_text() == "the first"


def test_a_server_that_is_not_empty_is_not_overwritten(server, file):
    call_command("backup", str(file))
    before = rows()
    with pytest.raises(CommandError, match="not empty; --replace"):
        call_command("restore", file)
    assert rows() == before


@pytest.mark.parametrize("model", [Worker, Scheduler])
def test_a_server_whose_processes_run_is_not_overwritten(server, file, model):
    call_command("backup", str(file))
    more = {"pool": "cpu", "host": "h", "pid": 1, "device": "cpu"} if model is Worker else {}
    row = model.objects.create(name="lives", **more)
    with pytest.raises(CommandError, match="stop the server first"):
        call_command("restore", file, replace=True)
    model.objects.filter(pk=row.pk).update(seen_at=timezone.now() - timedelta(minutes=1))
    call_command("restore", file, replace=True)


def changed(file, **header):
    """The same backup with another header, sealed again."""
    members = [(name, content.read()) for name, content, _ in archive.members(file)]
    with file.open("wb") as out:
        writer = archive.Writer(out)
        for name, raw in members[:-1]:
            content = json.dumps({**json.loads(raw), **header}).encode() if name == "header.json" else raw
            writer.add(name, io.BytesIO(content), size=len(content))
        writer.close()


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ({"format": 2}, "has format 2, and this release reads 1"),
        ({"migrations": {"submissions": ["0999_not_written_yet"]}}, "does not know submissions.0999_not_written_yet"),
        ({"migrations": {"another_app": ["0001_initial"]}}, "does not know another_app.0001_initial"),
        ({"migrations": {"submissions": ["0001_initial"]}}, "made by an older release.* Restore it with that release"),
    ],
)
def test_a_backup_of_another_schema_is_refused(server, file, header, why):
    call_command("backup", str(file))
    changed(file, **header)
    before = rows()
    with pytest.raises(CommandError, match=why):
        call_command("restore", file, replace=True)
    assert rows() == before


def test_a_backup_whose_rows_are_fewer_than_it_says_changes_nothing(server, file):
    call_command("backup", str(file))
    counts = open_backup(file).header["rows"]
    changed(file, rows={**counts, "standings.Score": counts["standings.Score"] + 1})
    before = rows()
    with pytest.raises(CommandError, match="rows, and says that it has"):
        call_command("restore", file, replace=True)
    assert rows() == before


def test_a_damaged_backup_changes_nothing(server, file):
    call_command("backup", str(file))
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)
    before = rows()
    with pytest.raises(CommandError, match="damaged"):
        call_command("restore", file, replace=True)
    assert rows() == before


def test_a_restore_that_dies_within_its_rows_changes_nothing(server, file, monkeypatch):
    call_command("backup", str(file))
    User.objects.filter(username="ada").update(username="eve")
    before = rows()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(restoring, "_reset_sequences", full)
        with pytest.raises(CommandError, match=r"nothing was restored: .*No space left"):
            call_command("restore", file, replace=True)
    assert rows() == before
    restore(open_backup(file), replace=True)
    assert rows() != before


def test_a_row_that_names_a_row_that_is_not_there_is_refused(server, file, monkeypatch):
    read = table_rows.read_table

    def without_people(lines, **kwargs):
        head = lines.peek(200)
        return read(lines, **kwargs) if b"accounts.User" not in head else len(lines.readlines()) - 1

    call_command("backup", str(file))
    before = rows()
    with monkeypatch.context() as patch:
        patch.setattr(restoring, "read_table", without_people)
        with pytest.raises(DamagedBackupError, match="does not hold together"):
            restore(open_backup(file), replace=True)
    assert rows() == before


def test_what_ran_waits_again_and_what_was_to_be_cancelled_is(server, user, file):
    running, leaving = (
        add_evaluation(add_submission(server, owner=user, name=name), state=State.RUNNING, **lease()) for name in "ab"
    )
    Evaluation.objects.filter(pk=leaving.pk).update(cancel_requested=True)
    call_command("backup", str(file))
    call_command("restore", file, replace=True)
    running, leaving = Evaluation.objects.get(pk=running.pk), Evaluation.objects.get(pk=leaving.pk)
    assert (running.state, running.lease_token, running.worker, running.faults) == (State.QUEUED, None, "", 0)
    assert (leaving.state, leaving.lease_token) == (State.CANCELLED, None)


def test_waiting_work_is_published(server, user, file, monkeypatch, capsys):
    from leaderboard.celery import app
    from leaderboard.evaluations import dispatch

    waiting = add_evaluation(add_submission(server, owner=user, name="waits"), state=State.QUEUED)
    call_command("backup", str(file))
    sent = []
    monkeypatch.setattr(dispatch, "messages_waiting", lambda pool: 0)
    monkeypatch.setattr(app, "send_task", lambda *args, **kwargs: sent.append(kwargs["args"]))
    call_command("restore", file, replace=True)
    assert sent == [[waiting.pk]]
    assert "1 wake-ups were sent" in capsys.readouterr().out


def test_nobody_stays_logged_in(server, file, client, user):
    client.force_login(user)
    call_command("backup", str(file))
    call_command("restore", file, replace=True)
    assert not Session.objects.exists()
    assert client.get("/account/").status_code == 302


def test_a_password_works_after_a_restore(server, file, client):
    call_command("backup", str(file))
    wreck()
    call_command("restore", file, replace=True)
    assert client.login(username="ada", password="correct horse battery")


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_bytes(b"rot")], ids=["gone", "rotten"])
def test_a_store_that_lost_a_file_is_not_backed_up_silently(server, file, harm, capsys):
    sha256 = Artifact.objects.get().sha256
    harm(storage.path(sha256))
    with pytest.raises(CommandError, match=f"1 stored files are missing or damaged.*\n.*{sha256}"):
        call_command("backup", str(file))
    assert not file.exists()
    call_command("backup", str(file), incomplete=True)
    assert f"not in the backup: {open_backup(file).missing[sha256]}" in capsys.readouterr().err
    call_command("restore", file, replace=True)
    assert sha256 in capsys.readouterr().out


def test_an_existing_file_is_not_overwritten_unless_told_to(server, file):
    file.write_bytes(b"precious")
    with pytest.raises(CommandError, match="exists already; take another name"):
        call_command("backup", str(file))
    assert file.read_bytes() == b"precious"
    call_command("backup", str(file), replace=True)
    open_backup(file)


def test_a_backup_that_fails_leaves_the_one_before_it(server, file, monkeypatch):
    call_command("backup", str(file))
    before = file.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backing_up, "_add_spooled", full)
    with pytest.raises(CommandError, match=r"no backup was written: .*No space left"):
        call_command("backup", str(file), replace=True)
    assert file.read_bytes() == before
    assert len(list(file.parent.glob("*standings*"))) == 1


def test_a_backup_is_of_one_moment_and_keeps_nobody_from_writing(server, user, file, monkeypatch):
    """Somebody withdraws and somebody submits between the reading of one table and the next, on connections of their own."""
    import threading

    write = table_rows.write_table
    before = rows()
    seen = []

    def with_others(model, out, **kwargs):
        if table_rows.label_of(model) == "evaluations.Evaluation":

            def others():
                add_evaluation(add_submission(server, owner=user, name=f"late {uuid.uuid4()}"))
                Score._base_manager.all().delete()
                connection.close()

            thread = threading.Thread(target=others)
            thread.start()
            thread.join(timeout=10)
            seen.append(thread.is_alive())
        return write(model, out, **kwargs)

    monkeypatch.setattr(backing_up, "write_table", with_others)
    call_command("backup", str(file))
    assert seen == [False]
    assert rows() != before
    call_command("restore", file, replace=True)
    assert rows() == before


def test_a_file_that_is_withdrawn_during_a_backup_is_in_it(server, file, monkeypatch):
    sha256 = Artifact.objects.get().sha256
    spool = backing_up._spool_snapshot
    answers = []

    def then_withdrawn(folder):
        counts = spool(folder)
        Submission.objects.update(artifact=None)
        answers.append(storage.discard(sha256))
        return counts

    monkeypatch.setattr(backing_up, "_spool_snapshot", then_withdrawn)
    call_command("backup", str(file))
    assert answers == [False]
    call_command("restore", file, replace=True)
    assert storage.read(sha256) == b"an artifact"


def test_a_lost_file_is_taken_from_a_backup(server, file):
    sha256 = Artifact.objects.get().sha256
    call_command("backup", str(file))
    storage.place(sha256).unlink()
    with storage.place(sha256).open("wb") as out:
        subprocess.run(["tar", "-xOf", str(file), f"files/{sha256}"], check=True, stdout=out)
    assert storage.place(sha256).parts[-3:] == ("sha256", sha256[:2], sha256)
    assert storage.read(sha256) == b"an artifact"


def test_a_database_that_waits_for_migrations_is_not_backed_up(server, file, monkeypatch):
    from django.db.migrations.executor import MigrationExecutor

    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda *args, **kwargs: ["one"])
    with pytest.raises(CommandError, match="behind the installed code"):
        call_command("backup", str(file))
    assert not file.exists()


def test_a_backup_goes_to_standard_output(server, file, capfdbinary):
    call_command("backup", "-")
    out, err = capfdbinary.readouterr()
    file.write_bytes(out)
    open_backup(file)
    assert b"rows and 2 files" in err


def test_no_file_is_told(file):
    with pytest.raises(CommandError, match=r"nothing was restored: .*No such file"):
        call_command("restore", file)
