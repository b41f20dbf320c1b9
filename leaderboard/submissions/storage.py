"""Content-addressed files: artifacts and columns, each stored once under its SHA-256 below MEDIA_ROOT.

A file is written beside the store, synced, and renamed into it, so the store never holds half a file. `kept` ties a file to
a transaction: if that fails, the file goes too. A process that dies in between leaves a file that no row names; `scrubbing`
finds it later. One lock per shard, shared by those who keep files, makes sure that nobody removes a file that somebody else is
about to name, and one for the whole store that nobody removes a file that a backup is about to copy. A process that is stopped
while it holds one (SIGSTOP, a machine that sleeps) keeps nobody from storing, and nobody waits for it for ever.

A row names a file in a column whose name ends with "sha256" (`naming_fields`), and in no other way."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import heapq
import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, TypeAlias
from uuid import uuid4

from django.apps import apps
from django.conf import settings
from django.core.files.base import File
from django.db import DatabaseError
from django.db.models import Field

from leaderboard.refusals import TooLarge
from leaderboard.submissions.models import Artifact

CHUNK = 2**20
GRACE_SECONDS = 24 * 3600.0
PATIENCE_SECONDS = 5.0
"""How long to wait for a lock that somebody else holds: hundreds of times as long as one is held by a process that goes on."""
LOOK_SECONDS = 0.01

Source: TypeAlias = "bytes | IO[bytes] | File[Any]"


class MissingFileError(FileNotFoundError):
    """A row names a file that is not in the store."""


class CorruptFileError(OSError):
    """The bytes in the store are not those that were put there."""


@dataclass(frozen=True)
class Staged:
    """A file that was received and synced, but is not in the store yet. `path` is gone after the `staged` block."""

    path: Path
    sha256: str
    size: int


def store(source: Source) -> tuple[str, int]:
    """Keep the bytes; returns their SHA-256 (64 hex digits) and their number. Storing equal bytes again is harmless."""
    with staged(source) as received, kept(received):
        return received.sha256, received.size


def path(sha256: str) -> Path:
    """Where the bytes lie: a regular file, checked against its hash when this process first asks for it, and again whenever
    its inode, size or time of change is another.

    Raises MissingFileError or CorruptFileError.
    """
    where, state = _regular(sha256)
    _verify(where, sha256, (state.st_ino, state.st_mtime_ns, state.st_size))
    return where


def check(sha256: str) -> None:
    """Read the bytes again, whatever this process has seen of them. Raises MissingFileError or CorruptFileError."""
    where = _regular(sha256)[0]
    _compare(where, sha256)


def read(sha256: str) -> bytes:
    """The bytes. Raises MissingFileError or CorruptFileError."""
    return path(sha256).read_bytes()


@contextmanager
def staged(source: Source, *, limit: int | None = None) -> Iterator[Staged]:
    """Receive the bytes into a file of their own, counting and hashing them as they come.

    limit: at most so many bytes, or TooLarge is raised as soon as there is one more, whatever any header has said.
    """
    folder = _folder("incoming")
    draft = folder / uuid4().hex
    try:
        yield _receive(source, draft, limit=limit)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def kept(received: Staged) -> Iterator[None]:
    """Put a staged file into the store for the duration of the block, and for ever if the block succeeds. Raises
    BlockingIOError where somebody removes files of this shard, and does not come to an end."""
    where = place(received.sha256)
    where.parent.mkdir(parents=True, exist_ok=True)
    with _locked(received.sha256, fcntl.LOCK_SH) as lock:
        new = not where.exists()
        try:
            # Over equal bytes too: that renews a file which a sweep was about to take, and heals a rotten one.
            received.path.replace(where)
            sync_folder(where.parent)
            yield
        except BaseException:
            # somebody else may keep equal bytes in this moment: then the file is theirs
            if new and _took(lock, fcntl.LOCK_EX) and not _surely_named(received.sha256):
                where.unlink(missing_ok=True)
            raise


def discard(sha256: str) -> bool:
    """Remove a file that no row names any more, at once; whether it is gone. While a backup runs it stays, for `scrubbing` to
    find. An artifact's row goes with its file, where no submission has it. Raises BlockingIOError where somebody keeps a file
    of this shard, and does not come to an end."""
    with _locked(sha256, fcntl.LOCK_EX), removal_allowed() as allowed:
        Artifact.objects.filter(sha256=sha256, submissions=None).delete()
        if not allowed or named([sha256]):
            return False
        place(sha256).unlink(missing_ok=True)
    return True


def remove_orphan(file: Path, *, latest: float) -> bool:
    """Remove a file of the store that is older than `latest` and that no row names; whether it is gone."""
    try:
        with _locked(file.name, fcntl.LOCK_EX), removal_allowed() as allowed:
            return allowed and not named([file.name]) and remove_old(file, latest=latest)
    except BlockingIOError:
        return False


def remove_old(file: Path, *, latest: float) -> bool:
    """Remove a file that was not written since `latest` (seconds since 1970); whether it is gone."""
    try:
        if file.lstat().st_mtime >= latest:
            return False
        file.unlink()
    except FileNotFoundError:
        return False
    return True


@contextmanager
def nothing_removed() -> Iterator[None]:
    """While the block runs, no process removes a file from the store: for backups. Several may run at once."""
    with (_folder("locks") / "removal").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


@contextmanager
def removal_allowed() -> Iterator[bool]:
    """Whether files may be removed within the block: not while a backup runs, for which nobody waits. One block at a time."""
    with (_folder("locks") / "removing").open("ab") as turn, (_folder("locks") / "removal").open("ab") as lock:
        yield _took(turn, fcntl.LOCK_EX, seconds=PATIENCE_SECONDS) and _took(lock, fcntl.LOCK_EX)


@lru_cache(maxsize=1)
def naming_fields() -> tuple[Field[Any, Any], ...]:
    """Every column that names stored files."""
    fields = (field for model in apps.get_models() for field in model._meta.local_concrete_fields)  # noqa: SLF001
    return tuple(field for field in fields if field.name.endswith("sha256"))


def named(names: Iterable[str]) -> set[str]:
    """Those of the names that a row refers to."""
    names = list(names)
    found: set[str] = set()
    for field in naming_fields():
        found.update(field.model._base_manager.filter(**{f"{field.name}__in": names}).values_list(field.name, flat=True))  # noqa: SLF001
    return found


def named_between(first: str, last: str) -> Iterator[str]:
    """Every name that rows refer to from `first` up to, not including, `last`, in order and each once, in flat memory. Read
    within one transaction, they are those of one moment."""
    previous = None
    columns = (_names_of(field, first, last) for field in naming_fields())
    for sha256 in heapq.merge(*columns):
        if sha256 != previous:
            yield sha256
        previous = sha256


def _names_of(field: Field[Any, Any], first: str, last: str) -> Iterator[str]:
    rows = field.model._base_manager.filter(**{f"{field.name}__gte": first, f"{field.name}__lt": last})  # noqa: SLF001
    names = rows.exclude(**{field.name: ""}).order_by(field.name).values_list(field.name, flat=True).distinct()
    return names.iterator(chunk_size=2000)


def _receive(source: Source, draft: Path, *, limit: int | None) -> Staged:
    digest, size = hashlib.sha256(), 0
    with draft.open("xb") as out:
        for chunk in _chunks(source):
            size += len(chunk)
            if limit is not None and size > limit:
                raise TooLarge(f"the file has more than {readable_size(limit)}, which is the most this server takes")
            digest.update(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    return Staged(draft, digest.hexdigest(), size)


def _chunks(source: Source) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    source.seek(0)
    while chunk := source.read(CHUNK):
        yield chunk


def readable_size(size: int) -> str:
    """ "200 MiB", "1.5 KiB", "12 bytes"."""
    for unit, width in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= width:
            return f"{size / width:.4g} {unit}"
    return f"{size} bytes"


def _surely_named(sha256: str) -> bool:
    """Whether to keep a file although its block has failed: a failure after the commit (of a hook, say) leaves a row that
    needs it, and where the database cannot tell, the file waits for a sweep."""
    try:
        return bool(named([sha256]))
    except DatabaseError:
        return True


@lru_cache(maxsize=4096)
def _verify(where: Path, sha256: str, version: tuple[int, int, int]) -> None:
    del version  # part of the cache's key: a file that has changed is checked again
    _compare(where, sha256)


def _regular(sha256: str) -> tuple[Path, os.stat_result]:
    where = place(sha256)
    try:
        state = where.lstat()
    except FileNotFoundError:
        raise MissingFileError(f"the store has no file {sha256}") from None
    if not stat.S_ISREG(state.st_mode):
        raise CorruptFileError(f"{sha256} in the store is not a file of it, but a link or a folder")
    return where, state


def _compare(where: Path, sha256: str) -> None:
    with where.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise CorruptFileError(f"the stored file {sha256} has changed: its SHA-256 is now {found}")


@contextmanager
def _locked(sha256: str, how: int) -> Iterator[IO[bytes]]:
    """Hold the lock of a file's shard. It is released when the process dies, too. Raises BlockingIOError."""
    with (_folder("locks") / sha256[:2]).open("ab") as lock:
        if not _took(lock, how, seconds=PATIENCE_SECONDS):
            raise BlockingIOError(errno.EAGAIN, "another process holds it and does not go on", lock.name)
        yield lock


def _took(lock: IO[bytes], how: int, *, seconds: float = 0.0) -> bool:
    """Take a lock if it is free, or becomes free in so many seconds; whether it was taken."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(LOOK_SECONDS)
        else:
            return True


def place(sha256: str) -> Path:
    """Where a file of this name lies if it is in the store. Raises MissingFileError for what cannot be a name."""
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise MissingFileError(f'"{sha256}" is not a SHA-256')
    return root() / "sha256" / sha256[:2] / sha256


def _folder(name: str) -> Path:
    folder = root() / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def root() -> Path:
    """The store's folder."""
    return Path(settings.MEDIA_ROOT)


def sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
