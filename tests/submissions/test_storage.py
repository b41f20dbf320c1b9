"""Content-addressed files."""

import fcntl
import hashlib
import io
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import pytest
from django.core.files.base import ContentFile

from leaderboard.refusals import TooLarge, unavailability
from leaderboard.submissions import storage
from leaderboard.submissions.models import Artifact
from tests.web.rows import add_submission

RAW = b"some bytes" * 1000
SHA = hashlib.sha256(RAW).hexdigest()


def files(folder):
    return {path.name for path in folder.rglob("*") if path.is_file() and path.parent.name != "locks"}


def keep_and_fail(raw, *, meanwhile=lambda: None):
    """A block that does something, and then fails, while it keeps a file."""
    with storage.staged(raw) as received, storage.kept(received):
        meanwhile()
        raise KeyError


@pytest.mark.parametrize("source", [RAW, io.BytesIO(RAW), ContentFile(RAW, name="x")], ids=["bytes", "stream", "upload"])
def test_what_is_stored_can_be_read(db, own_files, source):
    assert storage.store(source) == (SHA, len(RAW))
    assert storage.read(SHA) == storage.path(SHA).read_bytes() == RAW
    assert files(own_files) == {SHA}


def test_equal_bytes_are_stored_once(db, own_files):
    assert storage.store(RAW) == storage.store(io.BytesIO(RAW))
    assert files(own_files) == {SHA}


def test_a_stream_that_was_read_before_is_stored_from_its_beginning(db):
    stream = io.BytesIO(RAW)
    stream.read()
    assert storage.store(stream)[0] == SHA


@pytest.mark.parametrize("name", ["0" * 64, "../../etc/passwd", "", "A" * 64, SHA[:-1]])
def test_what_was_never_stored_is_missing(db, name):
    with pytest.raises(storage.MissingFileError):
        storage.path(name)


def test_changed_bytes_are_never_handed_out(db):
    storage.store(RAW)
    assert storage.read(SHA) == RAW
    storage.path(SHA).write_bytes(RAW[:-1] + b"?")
    with pytest.raises(storage.CorruptFileError, match=SHA):
        storage.path(SHA)


def test_storing_again_heals_a_rotten_file(db):
    storage.store(RAW)
    storage.path(SHA).write_bytes(b"rot")
    storage.store(RAW)
    assert storage.read(SHA) == RAW


def test_a_block_that_fails_leaves_no_file(db, own_files):
    with pytest.raises(KeyError):
        keep_and_fail(RAW)
    assert files(own_files) == set()


def test_a_block_that_fails_leaves_a_file_that_was_there_or_that_a_row_names(db, own_files):
    storage.store(RAW)
    with pytest.raises(KeyError):
        keep_and_fail(RAW)
    assert storage.read(SHA) == RAW
    named = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(KeyError):
        keep_and_fail(b"other", meanwhile=lambda: Artifact.objects.create(sha256=named, size=5))
    assert storage.read(named) == b"other"


def test_the_limit_is_exact(db, own_files):
    with storage.staged(RAW, limit=len(RAW)) as received:
        assert received.size == len(RAW)
    with pytest.raises(TooLarge, match=r"more than 9\.765 KiB"), storage.staged(RAW, limit=len(RAW) - 1):
        pass
    assert files(own_files) == set()


def test_who_keeps_the_same_file_at_once_has_it_although_the_first_one_fails(db, own_files):
    """The second must not rely on a file that the first one takes away."""
    placed, failed = threading.Event(), threading.Event()

    def second():
        with storage.staged(RAW) as received, storage.kept(received):
            placed.set()
            failed.wait(10)

    thread = threading.Thread(target=second)

    def meanwhile():
        thread.start()
        assert placed.wait(10)

    with pytest.raises(KeyError):
        keep_and_fail(RAW, meanwhile=meanwhile)
    failed.set()
    thread.join(10)
    assert storage.read(SHA) == RAW


STOPPED = """
import fcntl, sys
lock = open(sys.argv[1], "ab")
fcntl.flock(lock, int(sys.argv[2]))
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture
def stopped(own_files, monkeypatch):
    """A function that lets another process take a lock of the store and keep it."""
    monkeypatch.setattr(storage, "PATIENCE_SECONDS", 0.2)
    with ExitStack() as stack:

        def hold(name, how):
            lock = own_files / "locks" / name
            lock.parent.mkdir(parents=True, exist_ok=True)
            command = [sys.executable, "-c", STOPPED, lock, str(how)]
            process = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            stack.callback(process.kill)
            process.stdout.readline()

        yield hold


def test_who_keeps_a_file_and_does_not_go_on_stops_nobody_else_from_keeping_it(db, stopped):
    stopped(SHA[:2], fcntl.LOCK_SH)
    assert storage.store(RAW) == (SHA, len(RAW))
    assert storage.read(SHA) == RAW


def test_nobody_waits_for_ever_to_remove_a_file(db, stopped):
    storage.store(RAW)
    stopped(SHA[:2], fcntl.LOCK_SH)
    with pytest.raises(BlockingIOError, match="does not go on"):
        storage.discard(SHA)
    assert not storage.remove_orphan(storage.place(SHA), latest=time.time() + 60)
    assert storage.read(SHA) == RAW


def test_nobody_waits_for_ever_for_who_removes_files(db, stopped):
    storage.store(RAW)
    stopped("removing", fcntl.LOCK_EX)
    assert not storage.discard(SHA), "it stays for a scrub to find"
    stopped(SHA[:2], fcntl.LOCK_EX)
    with pytest.raises(BlockingIOError) as busy:
        storage.store(RAW)
    assert unavailability(busy.value).status == 503
    assert storage.read(SHA) == RAW


def test_a_file_that_no_row_names_is_discarded_at_once(db, own_files):
    named, size = storage.store(b"named")
    Artifact.objects.create(sha256=named, size=size)
    assert storage.discard(named)
    assert files(own_files) == set()
    assert not Artifact.objects.exists()
    assert storage.discard(named), "twice is as once"


def test_a_file_that_is_still_named_is_not_discarded(board, user, own_files):
    sha256, size = storage.store(RAW)
    artifact = Artifact.objects.create(sha256=sha256, size=size)
    add_submission(board, owner=user, name="A", kind="onnx", artifact=artifact)
    assert not storage.discard(sha256)
    assert files(own_files) == {sha256}


def test_nothing_is_removed_while_a_backup_runs(db, own_files):
    sha256, _ = storage.store(RAW)
    with storage.nothing_removed(), storage.nothing_removed():
        assert not storage.discard(sha256)
    assert files(own_files) == {sha256}
    assert storage.discard(sha256)


def test_a_link_in_the_store_is_not_followed(db, tmp_path):
    storage.store(RAW)
    elsewhere = tmp_path / "elsewhere"
    storage.path(SHA).replace(elsewhere)
    storage.place(SHA).symlink_to(elsewhere)
    with pytest.raises(storage.CorruptFileError, match="a link"):
        storage.path(SHA)
    storage.store(RAW)
    assert not storage.path(SHA).is_symlink()
