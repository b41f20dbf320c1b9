"""`manage.py prepare`: brings database, static files, tracks and boards up to the installed code. Safe to run again."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from leaderboard.operations import migrating
from leaderboard.operations.static_files import collect_static


class Command(BaseCommand):
    """Run it before the processes of a release start; each step does nothing where nothing is to be done."""

    help = __doc__ or ""

    def handle(self, *args: Any, **options: Any) -> None:
        del args, options
        migrating.migrate(say=self.stdout.write)
        collect_static()
        call_command("sync_catalogue", stdout=self.stdout)
        call_command("seed_boards", stdout=self.stdout)
        call_command("sync_claims", stdout=self.stdout)
