"""Long polls: tells somebody who waits for an evaluation when it changes. Called by the API."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from leaderboard.evaluations.models import FINAL_STATES, Evaluation
from leaderboard.refusals import Gone
from leaderboard.submissions.models import Submission

MAX_WAIT_SECONDS = 30.0
FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 0.5
SEATS = 10
"""How many may wait at once in one web process, of its 16 threads: the others are for those who do not wait."""

_seats = threading.BoundedSemaphore(SEATS)


def wait_for_change(submission: Submission, *, seconds: float) -> Evaluation:
    """The newest evaluation of a submission: at once if it is over, else when its state (or which is the newest) changes,
    or after `seconds` (0 to 30). Where too many wait already it answers at once, as the reader may ask again.

    Costs one indexed query a look. The pause grows with the time waited, so that the answer comes at most an eighth late.
    Raises Gone for a submission that has none: it is being withdrawn.
    """
    newest = Evaluation.objects.filter(submission=submission).order_by("-number")
    first = newest.values_list("pk", "state").first()
    started = time.monotonic()
    deadline = started + min(max(seconds, 0.0), MAX_WAIT_SECONDS)
    current = first
    with _seat() as seated:
        while seated and current == first and current and current[1] not in FINAL_STATES:
            now = time.monotonic()
            if now >= deadline:
                break
            pause = min(max((now - started) / 8, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
            time.sleep(min(pause, deadline - now))
            current = newest.values_list("pk", "state").first()
    found = newest.select_related("submission__board__track").first()
    if found is None:
        raise Gone("this submission was withdrawn")
    return found


@contextmanager
def _seat() -> Iterator[bool]:
    """A place among those who wait, or False where all are taken."""
    seated = _seats.acquire(blocking=False)
    try:
        yield seated
    finally:
        if seated:
            _seats.release()
