"""`manage.py backup FILE`: everything that cannot be had again, in one file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from leaderboard.operations.backing_up import Done, IncompleteStoreError, SchemaBehindError, back_up, write_backup
from leaderboard.submissions.storage import readable_size


class Command(BaseCommand):
    """Exit status 0: the file is there and whole; 1: it is not, and the reason was said."""

    help = (
        "Writes rows, stored files and secrets to one file, of one moment, while the server runs. The file holds what the "
        "server knows, secrets included: keep it as you keep those. FILE may be - for standard output."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE")
        parser.add_argument("--without-secrets", action="store_true", help="leave SECRET_KEY and TRACK_SECRET out")
        parser.add_argument("--incomplete", action="store_true", help="go on where stored files are missing or damaged")
        parser.add_argument("--replace", action="store_true", help="write over an existing FILE, once the new one is whole")

    def handle(self, *args: Any, file: str, **options: Any) -> None:
        del args
        how = {"with_secrets": not options["without_secrets"], "incomplete": options["incomplete"]}
        try:
            if file == "-":
                done = write_backup(sys.stdout.buffer, folder=None, **how)
            else:
                done = back_up(Path(file).absolute(), replace=options["replace"], **how)
        except IncompleteStoreError as error:
            shown = "\n".join(f"  {why}" for why in list(error.files.values())[:10])
            raise CommandError(
                f"no backup was written: {error}.\n{shown}\nSee `manage.py scrub`, or add --incomplete."
            ) from error
        except FileExistsError as error:
            raise CommandError(f"{error}; take another name, or add --replace") from error
        except (OSError, SchemaBehindError) as error:
            raise CommandError(f"no backup was written: {error}") from error
        self._tell(done, file)

    def _tell(self, done: Done, file: str) -> None:
        for why in done.missing.values():
            self.stderr.write(f"not in the backup: {why}")
        told = f"{done.rows} rows and {done.files} files ({readable_size(done.file_bytes)}) are in {file}"
        (self.stderr if file == "-" else self.stdout).write(told)
