"""`manage.py scrub`: is every stored file there, and what it was?"""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from leaderboard.operations.progress import bar
from leaderboard.submissions.scrubbing import ALARMS, SHARDS, Finding, Kind, Scrub
from leaderboard.submissions.storage import GRACE_SECONDS


class Command(BaseCommand):
    """Exit status 0: nothing is wrong; 1: a file is missing, damaged, or none of the store's; 2: interrupted."""

    help = (
        "Reads every stored file again and compares it with its SHA-256; reports files that are missing or damaged, that no "
        "row names, that were received by half, or that somebody else has put there. Changes nothing without --delete-orphans."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--delete-orphans", action="store_true", help="remove what no row names, and half-received files")
        parser.add_argument("--hours", type=float, default=GRACE_SECONDS / 3600, help="spare younger orphans (default: 24)")
        parser.add_argument("--quick", action="store_true", help="look whether files are there; do not read them")
        parser.add_argument("--start-at", type=shard, default=SHARDS[0], help="go on with this shard: 00 to ff")

    def handle(self, *args: Any, **options: Any) -> None:
        del args
        scrub = Scrub(older_than=options["hours"] * 3600, delete_orphans=options["delete_orphans"], quick=options["quick"])
        found: Counter[Kind] = Counter()
        self._tell(list(scrub.around()), found)
        left = SHARDS[SHARDS.index(options["start_at"]) :]
        with bar("Scrubbing", total=len(left)) as advance:
            for each in left:
                try:
                    self._tell(list(scrub.shard(each)), found)
                except KeyboardInterrupt:
                    self.stderr.write(f"Interrupted; go on with --start-at {each}")
                    sys.exit(2)
                advance(1)
        self._end(found)

    def _tell(self, findings: list[Finding], found: Counter[Kind]) -> None:
        for finding in findings:
            found[finding.kind] += 1
            self.stdout.write(f"{finding.kind}  {finding.name}  {finding.detail}{' (removed)' if finding.removed else ''}")

    def _end(self, found: Counter[Kind]) -> None:
        counts = ", ".join(f"{found[kind]} {kind}" for kind in Kind if found[kind])
        alarms = sum(found[kind] for kind in ALARMS)
        if alarms:
            raise CommandError(f"{counts}: see docs/data.md for what can be done", returncode=1)
        self.stdout.write(counts or "Every file that a row names is there, and nothing else is.")


def shard(text: str) -> str:
    """Two hexadecimal digits."""
    if text.lower() not in SHARDS:
        raise ArgumentTypeError(f'"{text}" is no shard: two hexadecimal digits, 00 to ff')
    return text.lower()
