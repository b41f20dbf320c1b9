"""Keeps the order over all tracks up to date. What is out of date is found by looking, and the numbers are computed by a
process of their own (`python -m evaluators.across_tracks`), so nothing is lost where one dies in between: the stored rows stay
until new ones take their place in one transaction. Several schedulers may do it at once; equal inputs give equal rows.

Called by `manage.py scheduler`, in a thread beside its loop.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import Error, connection, transaction
from django.utils import timezone

from leaderboard.standings.models import OverallRanking
from leaderboard.standings.overall_inputs import (
    BoardInput,
    families_of,
    fingerprint_of,
    read_inputs,
    request_of,
    trace,
)

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 5.0
RETRY_SECONDS = 60.0
SECONDS_TO_COMPUTE = 1800
REST = 10.0
"""Looking and computing rest for so many times as long as they took: on a busy server they take a small share of one core."""


class ComputingError(Exception):
    """The computing process failed; the message holds what it said."""


def keep_up(*, stop: threading.Event) -> None:
    """Refresh whenever what stands on the boards has changed, until `stop` is set."""
    seen: object = None
    pause = LOOK_EVERY_SECONDS
    while not stop.wait(pause):
        pause = LOOK_EVERY_SECONDS
        try:
            now = trace()
            if now != seen:
                began = time.monotonic()
                refresh()
                seen, pause = now, max(pause, REST * (time.monotonic() - began))
        except Error as error:
            logger.warning("the order over all tracks waits, the database is away: %s", error)
            connection.close()
        except Exception:
            logger.exception("the order over all tracks could not be computed; the next try is in a minute")
            pause = RETRY_SECONDS
    connection.close()


def refresh() -> bool:
    """Compute and store the order of today; False where the stored one is up to date. Raises ComputingError."""
    inputs = read_inputs()
    fingerprint = fingerprint_of(inputs)
    stored = {row.family: row for row in OverallRanking.objects.all()}
    families = families_of(inputs)
    if stored.keys() == families.keys() and all(row.fingerprint == fingerprint for row in stored.values()):
        return False
    runs = stored[""].document["runs"] if "" in stored else {}
    answer = json.loads(_asked(json.dumps(request_of(inputs, runs=runs))))
    _store(inputs, answer, fingerprint)
    return True


def _asked(request: str) -> str:
    """What the computing process printed."""
    command = [sys.executable, "-m", "evaluators.across_tracks"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command,
            input=request,
            cwd=settings.BASE_DIR,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS_TO_COMPUTE,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        raise ComputingError(f"the order over all tracks could not be computed:\n{error.stderr.strip()[-4000:]}") from error
    except subprocess.TimeoutExpired as error:
        raise ComputingError(f"the order over all tracks took longer than {SECONDS_TO_COMPUTE} s") from error
    if done.stderr:
        logger.warning("the order over all tracks: %s", done.stderr.strip()[-2000:])
    return done.stdout


@transaction.atomic
def _store(inputs: Sequence[BoardInput], answer: dict[str, Any], fingerprint: str) -> None:
    """All families at once: a reader sees the rows of one computation."""
    families = families_of(inputs)
    OverallRanking.objects.exclude(family__in=list(families)).delete()
    for family, slugs in families.items():
        counted = [each for each in inputs if each.board.slug in slugs]
        document = {
            "players": _described(answer["families"][family], counted),
            "tracks": [_described_track(each) for each in counted],
            "families": sorted(name for name in families if name),
            "runs": answer["runs"] if family == "" else {},
        }
        values = {"fingerprint": fingerprint, "document": document, "computed_at": timezone.now()}
        row, _ = OverallRanking.objects.update_or_create(family=family, defaults=values)
        row.boards.set([each.board for each in counted])


def _described(players: list[dict[str, Any]], inputs: Sequence[BoardInput]) -> list[dict[str, Any]]:
    """The numbers with names, and where each player stands."""
    standees = [standee for each in inputs for standee in each.standees]
    about: dict[str, dict[str, Any]] = {}
    for standee in standees:
        told = about.setdefault(standee.player, {"name": standee.name, "kind": standee.kind, "entries": []})
        told["entries"].append(standee.shown)
    return [{**about[player["player"]], **player} for player in players]


def _described_track(each: BoardInput) -> dict[str, str]:
    return {"board": each.board.slug, "title": each.board.title, "family": each.board.track.family}
