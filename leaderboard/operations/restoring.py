"""Restoring: a server from a backup. Called by `manage.py restore`.

The whole file is read and checked before anything is changed. Then the stored files are put into the store, which harms nobody,
and the rows are exchanged within one transaction: the server is as it was, or as the backup says. Secrets come last.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.core.cache import cache
from django.core.management.color import no_style
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from leaderboard import secrets
from leaderboard.accounts.models import User
from leaderboard.evaluations import dispatch, lifecycle
from leaderboard.evaluations.models import Scheduler, Worker
from leaderboard.evaluations.overdue import SILENT_SECONDS
from leaderboard.operations import archive, migrating
from leaderboard.operations.archive import DamagedBackupError
from leaderboard.operations.backing_up import FORMAT, SECRETS, fingerprint, schema_leaves
from leaderboard.operations.progress import bar
from leaderboard.operations.table_rows import read_table, tables
from leaderboard.submissions import storage

LOCK_SECONDS = 30


class RestoreRefusedError(Exception):
    """The backup does not fit this server, or this server is in use. Nothing was changed."""


class HalfRestoredError(Exception):
    """Rows and files are those of the backup, and the rest is not done."""


@dataclass(frozen=True)
class Backup:
    """What a verified file says of itself."""

    path: Path
    header: dict[str, Any]
    secrets: dict[str, str]
    missing: dict[str, str]

    @property
    def total_rows(self) -> int:
        """Of all tables."""
        return sum(self.header["rows"].values())


@dataclass
class Restored:
    """What was done."""

    rows: int = 0
    files: int = 0
    released: int = 0
    published: int = 0
    kept_secrets: list[str] = field(default_factory=list)


def open_backup(path: Path) -> Backup:
    """Read and check the whole file. Raises DamagedBackupError, FileNotFoundError."""
    with bar("Checking the backup", total=path.stat().st_size) as advance:
        archive.verify(path, advance=advance)
    small = {name: content.read() for name, content, _ in archive.members(path) if name.endswith(".json")}
    if "header.json" not in small:
        raise DamagedBackupError(f"{path} has no header")
    document = {name.removesuffix(".json"): json.loads(raw) for name, raw in small.items()}
    return Backup(path, document["header"], document.get("secrets", {}), document.get("missing", {}))


def restore(backup: Backup, *, replace: bool = False, other_secrets: bool = False) -> Restored:
    """Make this server what the backup says, or leave it as it is.

    replace: give up what is here. other_secrets: go on where this server cannot have the backup's secrets. Raises
    RestoreRefusedError, DamagedBackupError, and HalfRestoredError where secrets cannot be kept.
    """
    _refuse_other_schema(backup)
    to_keep = _secrets_to_keep(backup, other_secrets=other_secrets)
    migrating.migrate()
    _refuse_in_use(replace=replace)
    done = Restored()
    done.files = _put_files(backup)
    done.rows, done.released = _commit_rows(backup)
    done.kept_secrets = _keep_secrets(to_keep, backup)
    ContentType.objects.clear_cache()
    cache.clear()
    done.published = dispatch.republish_waiting(now=timezone.now() + timedelta(days=1))
    return done


def _commit_rows(backup: Backup) -> tuple[int, int]:
    """How many rows there are now, and how many evaluations that ran wait again."""
    try:
        with transaction.atomic():
            return _exchange_rows(backup), lifecycle.release_all()
    except OperationalError as error:
        raise RestoreRefusedError(f"the tables are in use: stop the server first ({error})") from error


def _keep_secrets(names: list[str], backup: Backup) -> list[str]:
    try:
        for name in names:
            secrets.keep_instead(name.lower(), backup.secrets[name], folder=settings.STATE_DIR)
    except OSError as error:
        raise HalfRestoredError(
            f"rows and files are those of the backup, but {' and '.join(names)} could not be kept: {error}. "
            "Do not start the server; run the same command again with --replace"
        ) from error
    return names


def _refuse_other_schema(backup: Backup) -> None:
    """The rows fit the tables of the release that wrote them."""
    header = backup.header
    if header.get("format") != FORMAT:
        raise RestoreRefusedError(f"{backup.path} has format {header.get('format')}, and this release reads {FORMAT}")
    known = MigrationLoader(None).graph.nodes
    unknown = [f"{app}.{name}" for app, names in header["migrations"].items() for name in names if (app, name) not in known]
    if unknown:
        raise RestoreRefusedError(
            f"{backup.path} was made by a newer release, or another one: this one does not know {', '.join(unknown)}. "
            "Restore it with the release that made it"
        )
    if header["migrations"] != schema_leaves():
        raise RestoreRefusedError(
            f"{backup.path} was made by an older release, whose rows do not fit these tables. Restore it with that release "
            "into an empty database, then upgrade that (docs/deployment.md)"
        )


def _secrets_to_keep(backup: Backup, *, other_secrets: bool) -> list[str]:
    """The names of the secrets that this server is to take from the backup. Raises RestoreRefusedError where it has others, and
    cannot take them."""
    stated, salt = backup.header["fingerprints"], backup.header["salt"]
    other = [name for name in SECRETS if fingerprint(getattr(settings, name), salt=salt) != stated[name]]
    folder = Path(settings.STATE_DIR)
    mine = [name for name in other if name in backup.secrets and secrets.is_kept(name.lower(), folder=folder, variable=name)]
    if set(other) - set(mine) and not other_secrets:
        raise RestoreRefusedError(_why_secrets_matter(sorted(set(other) - set(mine)), backup))
    return mine


def _why_secrets_matter(names: list[str], backup: Backup) -> str:
    means = {
        "TRACK_SECRET": "hidden test data would be other data",
        "SECRET_KEY": "second factors and webhooks would have to be set up anew",
    }
    told = "; ".join(f"with another {name}, {means[name]}" for name in names)
    way = (
        "`manage.py restore FILE --show-secrets` prints them: put them into the environment"
        if backup.secrets
        else ("it was made without them: put those of that server into the environment")
    )
    return f"this server has not the secrets of the backup: {told}. {way}, or add --other-secrets"


def _refuse_in_use(*, replace: bool) -> None:
    lately = timezone.now() - timedelta(seconds=SILENT_SECONDS)
    if any(model.objects.filter(seen_at__gte=lately).exists() for model in (Worker, Scheduler)):
        raise RestoreRefusedError(
            "workers or a scheduler use this database: stop the server first (one that was killed is forgotten after "
            f"{SILENT_SECONDS:.0f} seconds)"
        )
    if not replace and User.objects.exists():
        raise RestoreRefusedError("this server is not empty; --replace gives up what is here (make a backup of it first)")


def _put_files(backup: Backup) -> int:
    """The stored files, each under its hash. They harm nobody, whatever happens next."""
    count = 0
    with bar("Storing files", total=None) as advance:
        for name, content, _ in archive.members(backup.path):
            if name.startswith("files/"):
                with storage.staged(content) as received, storage.kept(received):
                    _check_name(name, received.sha256, backup)
                count += 1
                advance(1)
    return count


def _check_name(name: str, sha256: str, backup: Backup) -> None:
    if name != f"files/{sha256}":
        raise DamagedBackupError(f"{backup.path} is damaged: {name} is not what its name says")


def _exchange_rows(backup: Backup) -> int:
    """Within the caller's transaction: empty every table, fill those of the backup, and check that all of it holds together."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{LOCK_SECONDS}s"])
        for statement in connection.ops.sql_flush(no_style(), _every_table(), reset_sequences=True):
            cursor.execute(statement)
    count = 0
    with bar("Writing rows", total=backup.total_rows) as advance:
        for name, content, _ in archive.members(backup.path):
            if name.startswith("tables/"):
                with gzip.open(content) as lines:
                    count += _read_table(lines, backup, advance=advance)
    _check(backup, count)
    _reset_sequences()
    return count


def _read_table(lines: Any, backup: Backup, *, advance: Any) -> int:
    try:
        return read_table(lines, advance=advance)
    except (ValueError, LookupError) as error:
        raise DamagedBackupError(f"{backup.path} cannot be restored: {error}") from error


def _check(backup: Backup, count: int) -> None:
    if count != backup.total_rows:
        raise DamagedBackupError(f"{backup.path} has {count} rows, and says that it has {backup.total_rows}")
    try:
        connection.check_constraints()
    except IntegrityError as error:
        raise DamagedBackupError(f"{backup.path} does not hold together: {error}") from error
    gone = next((name for name in storage.named_between("", "g") if _is_lost(name, backup)), None)
    if gone is not None:
        raise DamagedBackupError(f"{backup.path} names the file {gone}, and does not hold it")


def _is_lost(name: str, backup: Backup) -> bool:
    return name not in backup.missing and not storage.place(name).is_file()


def _every_table() -> list[str]:
    return connection.introspection.django_table_names(only_existing=True, include_views=False)


def _reset_sequences() -> None:
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), tables()):
            cursor.execute(statement)
