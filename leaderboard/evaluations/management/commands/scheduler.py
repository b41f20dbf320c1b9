"""Starts a scheduler."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from leaderboard.claims import keeping_up
from leaderboard.evaluations import scheduler
from leaderboard.standings import overall_refresh
from leaderboard.webhooks import calling


class Command(BaseCommand):
    """Until SIGTERM or Ctrl-C."""

    help = (
        "Reaps expired leases, sends lost wake-ups again, has claims judged and the order over all tracks computed, calls "
        "webhooks. Several may run."
    )

    requires_system_checks = ()  # they import every page and form, which a scheduler does not have

    def handle(self, *args: Any, **options: Any) -> None:
        del args, options
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        # Beside the loop: judging claims, ordering over all tracks and calling webhooks take seconds; leases expire meanwhile.
        for beside in (keeping_up, overall_refresh, calling):
            threading.Thread(target=beside.keep_up, kwargs={"stop": stop}, name=beside.__name__, daemon=True).start()
        scheduler.run(stop=stop)
