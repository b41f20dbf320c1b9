"""The commands of a running server's processes, in one place: `manage.py up`, the compose file and the tests start these."""

from __future__ import annotations

import os
import sys
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent.parent
MANAGE = str(BASE_DIR / "manage.py")


def web_command(*, address: str, port: int) -> list[str]:
    """granian, WSGI: 2 processes of 16 threads. Measured against gunicorn: half the CPU a request, and slow clients do not
    stall it while they send their headers.

    --backpressure counts connections, idle ones too, which are kept for 30 seconds: with 64, the 129th browser waited for one
    of the others to go."""
    granian = str(Path(sys.executable).parent / "granian")
    return [
        *(granian, "--interface", "wsgi", "--workers", "2", "--blocking-threads", "16", "--backpressure", "512"),
        *("--respawn-failed-workers", "--workers-max-rss", "512", "--no-access-log", "--log-level", "error"),
        *("--host", address, "--port", str(port), "leaderboard.wsgi:application"),
    ]


def worker_command(*, pool: str, concurrency: int) -> list[str]:
    """A worker of one pool."""
    return [sys.executable, MANAGE, "worker", "--pool", pool, "--concurrency", str(concurrency)]


def scheduler_command() -> list[str]:
    """The reaper and sweeper."""
    return [sys.executable, MANAGE, "scheduler"]


def environment() -> dict[str, str]:
    """What every process gets: one compute thread each (more cost 4 to 6 times on a full machine), and our settings."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "leaderboard.settings",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(BASE_DIR),
        "PYTHONUNBUFFERED": "1",
    }
