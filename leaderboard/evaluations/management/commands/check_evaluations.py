"""Looks for evaluations that are beyond their limits."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from leaderboard.evaluations import overdue


class Command(BaseCommand):
    """Exit status 0: none; 1: some, one line each."""

    help = (
        "Reports evaluations that are beyond their limits: waiting or running for too long, held by a dead worker, over "
        "without an end, succeeded without scores or standing. Exit status 1 if there are any."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=float, default=None, help="of what has ended, look at the last days only")
        parser.add_argument("--limit", type=int, default=1000, help="name at most so many")

    def handle(self, *args: Any, days: float | None, limit: int, **options: Any) -> None:
        del args, options
        since = None if days is None else timezone.now() - timedelta(days=days)
        found = overdue.find(since=since, limit=limit)
        for each in found:
            self.stdout.write(str(each))
        self.stdout.write(f"{len(found)} beyond their limits")
        if found:
            raise SystemExit(1)
