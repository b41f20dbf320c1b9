"""`manage.py restore FILE`: this server becomes what a backup says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from leaderboard.operations.archive import DamagedBackupError
from leaderboard.operations.restoring import Backup, HalfRestoredError, Restored, RestoreRefusedError, open_backup, restore


class Command(BaseCommand):
    """Exit status 0: this server is what the backup says; 1: it is what it was, or the message says what is left to do."""

    help = (
        "Checks the whole file, then makes this server what it says, all or nothing. The database may be of another kind than "
        "the one that was backed up. Stop web, workers and scheduler before; run `manage.py prepare` and start them after."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path)
        parser.add_argument("--replace", action="store_true", help="give up what this server holds")
        parser.add_argument("--other-secrets", action="store_true", help="go on with other secrets than those of the backup")
        parser.add_argument("--check", action="store_true", help="only check the file")
        parser.add_argument("--show-secrets", action="store_true", help="only print the secrets, as lines for the environment")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        del args
        try:
            backup = open_backup(file)
            if options["show_secrets"]:
                self._show_secrets(backup)
            elif options["check"]:
                self.stdout.write(f"{file} is whole: {backup.total_rows} rows, made at {backup.header['created_at']}.")
            else:
                self._tell(restore(backup, replace=options["replace"], other_secrets=options["other_secrets"]), backup)
        except (RestoreRefusedError, DamagedBackupError, OSError) as error:
            raise CommandError(f"nothing was restored: {error}") from error
        except HalfRestoredError as error:
            raise CommandError(str(error)) from error

    def _show_secrets(self, backup: Backup) -> None:
        if not backup.secrets:
            raise CommandError("this backup was made without secrets")
        for name, value in backup.secrets.items():
            self.stdout.write(f"{name}={value}")

    def _tell(self, done: Restored, backup: Backup) -> None:
        lines = [
            f"{done.rows} rows and {done.files} files are as they were at {backup.header['created_at']}.",
            f"{done.released} evaluations that ran then wait again; {done.published} wake-ups were sent.",
            "Nobody is logged in. Tokens, accounts and submissions that were removed since then are back: remove them again.",
        ]
        lines += [f"{name} is that of the backup from now on." for name in done.kept_secrets]
        lines += [f"not in the backup: {why}" for why in backup.missing.values()]
        lines.append("Now run `manage.py prepare`, and start the server.")
        self.stdout.write("\n".join(lines))
