"""Brings the database to the installed code's schema while the release back runs on it. Called by `manage.py prepare` and
by `restoring`, whose server may have no table yet.

A migration waits for the readers of a table that it changes, and whoever comes after it waits for the migration: one long
reader would stop the server. So a migration waits LOCK_SECONDS, steps back, and tries again."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, connections

LOCK_SECONDS = 2.0
TRIES = 30
PAUSE_SECONDS = 1.0


def migrate(*, say: Callable[[str], None] = print) -> None:
    """Apply what is missing, and make the table of the cache. Raises OperationalError where a table could not be had within
    TRIES tries."""
    for left in reversed(range(TRIES)):
        try:
            _migrate_once()
        except OperationalError as error:
            if not left or not _is_about_a_lock(error):
                raise
            say(f"A migration waits for a table that is in use; the next try is in {PAUSE_SECONDS:.0f} s ({left} left).")
            time.sleep(PAUSE_SECONDS)
        else:
            call_command("createcachetable", verbosity=0)
            return


def _migrate_once() -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{LOCK_SECONDS:.0f}s"])
    try:
        call_command("migrate", verbosity=0, interactive=False)
    finally:
        # The limit goes with the connection; and after an error in the statements that Django keeps for the end, it would
        # take itself to be in a transaction for ever.
        connection.close()
        del connections[DEFAULT_DB_ALIAS]


def _is_about_a_lock(error: OperationalError) -> bool:
    """PostgreSQL's lock_not_available."""
    return getattr(error.__cause__, "sqlstate", "") == "55P03"
