"""What a scrub finds in a store that somebody, or time, has harmed."""

from __future__ import annotations

import os

import pytest
from django.core.management import CommandError, call_command

from leaderboard.submissions import scrubbing, storage
from leaderboard.submissions.models import Artifact, Submission
from tests.web.rows import add_evaluation, add_submission

CONTENT = b"of an artifact" * 100


@pytest.fixture
def stored(board, user):
    """An artifact and columns that rows name."""
    sha256, size = storage.store(CONTENT)
    artifact = Artifact.objects.create(sha256=sha256, size=size)
    submission = add_submission(board, owner=user, name="A", kind="onnx", artifact=artifact)
    Artifact.objects.exclude(sha256=sha256).delete()
    add_evaluation(submission, columns_sha256=storage.store(b"columns")[0])
    return sha256


def found(**options):
    scrub = scrubbing.Scrub(**options)
    findings = [*scrub.around(), *(each for shard in scrubbing.SHARDS for each in scrub.shard(shard))]
    return {(str(each.kind), each.name) for each in findings}


def old(path):
    os.utime(path, (0, 0), follow_symlinks=False)
    return path


def test_a_whole_store_has_no_findings(stored, capsys):
    assert found() == set()
    call_command("scrub")
    assert capsys.readouterr().out == "Every file that a row names is there, and nothing else is.\n"


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_bytes(bytes([CONTENT[0] ^ 1]) + CONTENT[1:]),
        lambda path: path.write_bytes(CONTENT[:-1]),
        lambda path: path.write_bytes(b""),
    ],
    ids=["a bit", "cut off", "empty"],
)
def test_other_bytes_are_damage_though_this_process_has_read_the_right_ones(stored, harm, capsys):
    path = storage.path(stored)
    before = path.stat()
    harm(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert found() == {("damaged", stored)}
    with pytest.raises(CommandError, match="1 damaged") as error:
        call_command("scrub")
    assert error.value.returncode == 1
    assert stored in capsys.readouterr().out
    assert found(quick=True) == set()


def test_a_removed_file_is_missing(stored):
    storage.path(stored).unlink()
    assert found() == found(quick=True) == {("missing", stored)}


def test_a_link_to_the_right_bytes_is_no_file_of_the_store(stored, tmp_path):
    path = storage.path(stored)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert ("foreign", f"{stored[:2]}/{stored}") in found()


def test_what_does_not_belong_into_the_store_is_told_and_left_alone(stored, tmp_path):
    folder = storage.root() / "sha256"
    (folder / "notes.txt").write_text("mine")
    (folder / stored[:2] / "notes.txt").write_text("mine")
    spare = next(shard for shard in scrubbing.SHARDS if not (folder / shard).exists())
    (folder / spare).symlink_to(tmp_path)
    (tmp_path / ("f" * 64)).write_text("not of the store")
    findings = {("foreign", "sha256/notes.txt"), ("foreign", f"{stored[:2]}/notes.txt"), ("foreign", f"sha256/{spare}")}
    assert found(delete_orphans=True, older_than=0) == findings
    assert (folder / "notes.txt").exists()
    assert (tmp_path / ("f" * 64)).exists()


def test_old_orphans_and_half_received_files_go_when_told_to(stored, capsys):
    orphan = storage.store(b"orphan")[0]
    young = storage.store(b"young")[0]
    old(storage.path(orphan))
    incoming = storage.root() / "incoming"
    (incoming / "crashed").write_bytes(b"half")
    old(incoming / "crashed")
    expected = {("orphaned", orphan), ("leftover", "incoming/crashed")}
    assert found() == expected
    assert storage.path(orphan).exists(), "nothing is removed without being told to"
    assert found(delete_orphans=True) == expected
    assert not storage.place(orphan).exists()
    assert not list(incoming.iterdir())
    assert storage.path(young).exists()
    assert found() == set()


def test_no_orphan_goes_while_a_backup_runs(stored):
    orphan = storage.store(b"orphan")[0]
    old(storage.path(orphan))
    with storage.nothing_removed():
        assert found(delete_orphans=True) == {("orphaned", orphan)}
    assert storage.path(orphan).exists()


def test_a_row_that_goes_during_the_scrub_leaves_no_finding(stored, monkeypatch):
    """Its file goes with it, between the reading of names and the look."""
    missing = scrubbing.Scrub._missing

    def withdrawn_meanwhile(scrub, name):
        Submission.objects.update(artifact=None)
        storage.discard(name)
        return missing(scrub, name)

    storage.path(stored).unlink()
    monkeypatch.setattr(scrubbing.Scrub, "_missing", withdrawn_meanwhile)
    assert found() == set()


def test_an_interrupted_scrub_says_where_to_go_on(stored, monkeypatch, capsys):
    storage.path(stored).unlink()

    def interrupted(scrub, shard):
        if shard == "80":
            raise KeyboardInterrupt
        yield from ()

    with monkeypatch.context() as patch:
        patch.setattr(scrubbing.Scrub, "shard", interrupted)
        with pytest.raises(SystemExit) as end:
            call_command("scrub")
    assert end.value.code == 2
    assert "--start-at 80" in capsys.readouterr().err
    assert stored < "ff"
    call_command("scrub", start_at="ff")
    with pytest.raises(CommandError):
        call_command("scrub", start_at=stored[:2])
