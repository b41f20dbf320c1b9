"""Content-addressed files: artifacts and columns, each stored once under its SHA-256 below MEDIA_ROOT.

A file is written beside the store, synced, and renamed into it, so the store never holds half a file. `kept` ties a file to
a transaction: if that fails, the file goes too. A process that dies in between leaves a file that no row names; `sweep`
removes it later. One lock per shard makes sure that nobody removes a file that somebody else is about to name."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, TypeAlias
from uuid import uuid4

from django.conf import settings
from django.core.files.base import File
from django.db import DatabaseError
from django.db.models import Q

from leaderboard.evaluations.models import Evaluation
from leaderboard.refusals import TooLarge
from leaderboard.standings.models import Measurement
from leaderboard.submissions.models import Artifact

CHUNK = 2**20
GRACE_SECONDS = 24 * 3600.0

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
    """Where the bytes lie, checked against their hash once per process and version of the file.

    Raises MissingFileError or CorruptFileError.
    """
    place = _place(sha256)
    try:
        state = place.stat()
    except FileNotFoundError:
        raise MissingFileError(f"the store has no file {sha256}") from None
    _verify(place, sha256, (state.st_ino, state.st_mtime_ns, state.st_size))
    return place


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
    """Put a staged file into the store for the duration of the block, and for ever if the block succeeds."""
    place = _place(received.sha256)
    place.parent.mkdir(parents=True, exist_ok=True)
    with _locked(received.sha256):
        new = not place.exists()
        try:
            # Over equal bytes too: that renews a file which a sweep was about to take, and heals a rotten one.
            received.path.replace(place)
            _sync_folder(place.parent)
            yield
        except BaseException:
            if new and not _surely_named(received.sha256):
                place.unlink(missing_ok=True)
            raise


def sweep(*, older_than: float = GRACE_SECONDS) -> int:
    """Remove what crashes have left behind: files older than so many seconds that no row names. Returns how many."""
    latest = time.time() - older_than
    removed = sum(_remove_old(draft, latest) for draft in _folder("incoming").iterdir())
    for shard in _folder("sha256").iterdir():
        old = [file for file in shard.iterdir() if file.stat().st_mtime < latest]
        orphans = [file for file in old if file.name not in _named(file.name for file in old)]
        for file in orphans:
            with _locked(file.name):
                if file.name not in _named([file.name]):
                    removed += _remove_old(file, latest)
    return removed


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
        return bool(_named([sha256]))
    except DatabaseError:
        return True


def _named(names: Iterable[str]) -> set[str]:
    """Those of the names that a row refers to."""
    names = list(names)
    artifacts = Artifact.objects.filter(sha256__in=names).values_list("sha256", flat=True)
    columns = Evaluation.objects.filter(columns_sha256__in=names).values_list("columns_sha256", flat=True)
    return {*artifacts, *columns, *_parts_named(names)}


def _parts_named(names: list[str]) -> set[str]:
    """Those that hold a part of somebody's columns."""
    kept = Measurement.objects.filter(Q(public_sha256__in=names) | Q(private_sha256__in=names))
    return {name for pair in kept.values_list("public_sha256", "private_sha256") for name in pair}


def _remove_old(file: Path, latest: float) -> bool:
    try:
        if file.stat().st_mtime >= latest:
            return False
        file.unlink()
    except FileNotFoundError:
        return False
    return True


@lru_cache(maxsize=4096)
def _verify(place: Path, sha256: str, version: tuple[int, int, int]) -> None:
    del version  # part of the cache's key: a file that has changed is checked again
    with place.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise CorruptFileError(f"the stored file {sha256} has changed: its SHA-256 is now {found}")


@contextmanager
def _locked(sha256: str) -> Iterator[None]:
    with (_folder("locks") / sha256[:2]).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when closed, and when the process dies
        yield


def _place(sha256: str) -> Path:
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise MissingFileError(f'"{sha256}" is not a SHA-256')
    return _root() / "sha256" / sha256[:2] / sha256


def _folder(name: str) -> Path:
    folder = _root() / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _root() -> Path:
    return Path(settings.MEDIA_ROOT)


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
