"""Backups: everything that cannot be had again, in one file, consistent while the server runs. Called by `manage.py backup`.

Rows are read within one transaction that sees one moment (SQLite's snapshot, PostgreSQL's REPEATABLE READ), and the names of
the files with them. The files follow after it, for they never change; none is removed until the backup is done. The order in
the archive is header, secrets, files, tables: restoring has the files before the first row.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from leaderboard.operations.archive import Writer
from leaderboard.operations.progress import bar
from leaderboard.operations.table_rows import label_of, rows_in, tables, write_table
from leaderboard.submissions import storage

FORMAT = 1
SECRETS = ("SECRET_KEY", "TRACK_SECRET")


class IncompleteStoreError(Exception):
    """Rows name files that the store does not have as they were. `files` says what is wrong with each."""

    def __init__(self, files: dict[str, str]) -> None:
        super().__init__(f"{len(files)} stored files are missing or damaged")
        self.files = files


@dataclass
class Done:
    """What a backup holds. `missing`: files that could not be had, with the reason."""

    rows: int = 0
    files: int = 0
    file_bytes: int = 0
    missing: dict[str, str] = field(default_factory=dict)


def back_up(path: Path, *, with_secrets: bool, incomplete: bool = False, replace: bool = False) -> Done:
    """Write a backup to `path`, all of it or nothing: it appears there when it is whole and on the disk, readable by its owner
    only.

    incomplete: go on where stored files are missing or damaged, and write down which. Raises IncompleteStoreError without it,
    FileExistsError where there is such a file already and `replace` is false, and SchemaBehindError.
    """
    if path.exists() and not replace:
        raise FileExistsError(f"{path} exists already")
    draft = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            done = write_backup(out, folder=path.parent, with_secrets=with_secrets, incomplete=incomplete)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(path)
        storage.sync_folder(path.parent)
    finally:
        draft.unlink(missing_ok=True)
    return done


def write_backup(out: IO[bytes], *, folder: Path | None, with_secrets: bool, incomplete: bool) -> Done:
    """Write a backup to a stream. folder: where the rows wait, compressed, until their size is known; None: where temporary
    files go. Raises IncompleteStoreError."""
    refuse_unmigrated()
    done = Done()
    with ExitStack() as stack:
        stack.enter_context(storage.nothing_removed())
        spool = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder, prefix=".standings-backup-")))
        counts = _spool_snapshot(spool)
        done.rows = sum(counts.values())
        writer = Writer(out)
        stack.callback(writer.abandon)
        _add_text(writer, "header.json", _header(counts, with_secrets=with_secrets))
        if with_secrets:
            _add_text(writer, "secrets.json", {name: getattr(settings, name) for name in SECRETS})
        _add_files(writer, spool, done)
        if done.missing:
            if not incomplete:
                raise IncompleteStoreError(done.missing)
            _add_text(writer, "missing.json", done.missing)
        for label in counts:
            _add_spooled(writer, spool / label, name=f"tables/{label}.jsonl.gz")
        writer.close()
    return done


def fingerprint(secret: str, *, salt: str) -> str:
    """Tells whether two secrets are the same, and costs whoever guesses at them 50 ms a guess."""
    return hashlib.scrypt(secret.encode(), salt=salt.encode(), n=2**14, r=8, p=1, dklen=16).hex()


def refuse_unmigrated() -> None:
    """Raises SchemaBehindError where the database waits for migrations of the installed code."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise SchemaBehindError(
            "the database is behind the installed code; run `manage.py prepare`, or use the code that serves"
        )


class SchemaBehindError(Exception):
    """The installed code cannot read the database's tables yet."""


def schema_leaves() -> dict[str, list[str]]:
    """The last migrations of each app, by the installed code."""
    leaves: dict[str, list[str]] = {}
    for app, name in sorted(MigrationLoader(None).graph.leaf_nodes()):
        leaves.setdefault(app, []).append(name)
    return leaves


def _header(counts: dict[str, int], *, with_secrets: bool) -> dict[str, Any]:
    salt = os.urandom(8).hex()
    return {
        "format": FORMAT,
        "created_at": datetime.now(UTC).isoformat(),
        "host": platform.node(),
        "database": connection.vendor,
        "migrations": schema_leaves(),
        "rows": counts,
        "secrets": with_secrets,
        "salt": salt,
        "fingerprints": {name: fingerprint(getattr(settings, name), salt=salt) for name in SECRETS},
    }


def _spool_snapshot(spool: Path) -> dict[str, int]:
    """Everything that must be of one moment: the rows of each table, compressed, and the names of the files in order."""
    counts: dict[str, int] = {}
    with snapshot():
        total = sum(rows_in(model) for model in tables())
        with bar("Reading rows", total=total) as advance:
            for model in tables():
                with gzip.open(spool / label_of(model), "wb", compresslevel=3) as out:
                    counts[label_of(model)] = write_table(model, out, advance=advance)  # type: ignore[arg-type]
        with (spool / "files").open("w") as names:
            names.writelines(f"{name}\n" for name in storage.named_between("", "g"))
    return counts


@contextmanager
def snapshot() -> Iterator[None]:
    """All reads within the block see the database as it was at one moment; nobody waits for it."""
    if connection.vendor == "postgresql":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield
        return
    with connection.cursor() as cursor:
        cursor.execute("BEGIN DEFERRED")  # Django's own transactions take the lock of writers
        try:
            cursor.execute("SELECT count(*) FROM django_migrations")  # the snapshot is that of the first read
            yield
        finally:
            cursor.execute("ROLLBACK")


def _add_files(writer: Writer, spool: Path, done: Done) -> None:
    """The stored files, each compared with its name. What cannot be had is noted in `done`."""
    with (spool / "files").open() as names:
        total = sum(1 for _ in names)
        names.seek(0)
        with bar("Copying files", total=total) as advance:
            for line in names:
                _add_file(writer, line.strip(), done)
                advance(1)


def _add_file(writer: Writer, sha256: str, done: Done) -> None:
    try:
        storage.check(sha256)
    except OSError as error:
        done.missing[sha256] = str(error)
        return
    with storage.place(sha256).open("rb") as source:
        size = os.fstat(source.fileno()).st_size
        if writer.add(f"files/{sha256}", source, size=size) != sha256:
            raise storage.CorruptFileError(f"the stored file {sha256} changed while it was copied")
    done.files += 1
    done.file_bytes += size


def _add_spooled(writer: Writer, path: Path, *, name: str) -> None:
    with path.open("rb") as source:
        writer.add(name, source, size=path.stat().st_size)
    path.unlink()


def _add_text(writer: Writer, name: str, document: dict[str, Any]) -> None:
    raw = json.dumps(document, indent=1).encode()
    writer.add(name, BytesIO(raw), size=len(raw))
