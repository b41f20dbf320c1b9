"""The process that judges: `python -m evaluators.claim_orders`, for no process of the server loads the numerical libraries.
Called by `claims.judging` and `claims.trials`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

from django.conf import settings

from evaluators.versions import code_hash
from leaderboard.boards.models import Board

PROGRAM = "evaluators.claim_orders"
SECONDS_TO_JUDGE = 900


class JudgingError(Exception):
    """The judging process failed; the message holds what it said."""


@cache
def judged_by() -> str:
    """Hash of the code that judges: a change of it makes every verdict out of date."""
    return code_hash(PROGRAM)


def ask(board: Board, families: Sequence[Sequence[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    """What the process says of families of claims, as `evaluators.claim_orders.answer` describes them. Raises JudgingError."""
    order = json.dumps({"track": board.track_id, "families": families})
    answers: list[list[dict[str, Any]]] = json.loads(_printed(order, board))["families"]
    return answers


def _printed(order: str, board: Board) -> str:
    try:
        done = subprocess.run(
            [sys.executable, "-m", PROGRAM],
            input=order,
            cwd=settings.BASE_DIR,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=SECONDS_TO_JUDGE,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        raise JudgingError(f"the claims on {board.slug} could not be judged:\n{error.stderr.strip()[-4000:]}") from error
    except subprocess.TimeoutExpired as error:
        raise JudgingError(f"judging the claims on {board.slug} took longer than {SECONDS_TO_JUDGE} s") from error
    return done.stdout
