"""A board that hides until it closes, and results on it, through the functions that make them in production.

board_of      board_of(**fields): a board of host "hedy" on the digits track, closing tomorrow; half of its test is public
land          land(board, user, name, right): a submission whose result says which of UNITS test units it got right
close         close(board): the closing time is now past
"""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.core.cache import cache
from django.utils import timezone

from evaluators import registry
from evaluators.columns import Columns
from evaluators.runtime import scoring
from evaluators.runtime.jobs import Result
from evaluators.versions import track_version
from leaderboard.accounts.models import User
from leaderboard.boards.models import Board
from leaderboard.evaluations import lifecycle
from leaderboard.standings import measuring
from leaderboard.standings.settling import settle
from leaderboard.submissions.intake import submit

UNITS = 240


def columns_of(right: Any, *, facts: dict[str, float] | None = None) -> Columns:
    """Columns of the digits track: one seed, unit i right where right[i] is 1."""
    right = np.asarray(right, dtype=float)
    return Columns(
        unit=np.arange(len(right)),
        index={"slice": np.full(len(right), "digits"), "seed": np.zeros(len(right), np.int64)},
        values={"correct": right, "nll": 2.0 - right, "confidence": np.full(len(right), 0.9)},
        facts={"params": 650.0, "macs": 640.0, **(facts or {})},
    )


def result_of(board: Board, columns: Columns) -> Result:
    """What the runtime would answer."""
    track = registry.get("digits-classification")(secret=b"tests")
    return Result(
        track=board.track_id,
        track_version=board.track.version,
        columns=columns.to_bytes(),
        scores=scoring.score_values(track, columns),
        curve=scoring.curve(track, columns),
        facts=dict(columns.facts),
        filled={},
        stages={"predict": 0.1},
        provenance={"device_kind": "cpu"},
        log="epoch 1\n",
    )


def public_units(board: Board) -> Any:
    """bool [UNITS]."""
    return measuring.part_of(columns_of(np.ones(UNITS)), board=board)


@pytest.fixture(autouse=True)
def nothing_cached():
    cache.clear()


@pytest.fixture
def hedy(db) -> User:
    """The host."""
    return User.objects.create_user("hedy", email="hedy@example.org", password="correct horse battery")


@pytest.fixture
def board_of(board, hedy):
    board.track.version = track_version(registry.get(board.track_id))
    board.track.save()
    slugs = (f"hidden-{n}" for n in itertools.count(1))

    def make(**fields: Any) -> Board:
        fields = {"public_share": 0.5, "closes_at": timezone.now() + timedelta(days=1), **fields}
        made = Board(
            slug=next(slugs), track=board.track, title="Hidden", host=hedy, daily_quota=1000, max_concurrent=1000, **fields
        )
        made.full_clean()
        made.save()
        return made

    return make


@pytest.fixture
def land():
    def land_one(
        board: Board, user: User, name: str, right: Any, *, settle_it: bool = True, measure: bool = True, **fields: Any
    ):
        facts, steps = fields.pop("facts", None), board.submissions.count() + 1
        evaluation = submit(
            user=user, board=board, name=name, kind="config", model="logistic", config={"steps": steps}, **fields
        ).evaluation
        finish(board, evaluation, right, measure=measure, facts=facts)
        if settle_it:
            settle(board, track_version=board.track.version, rest=0)
        return evaluation.submission

    return land_one


def finish(board: Board, evaluation: Any, right: Any, *, measure: bool = True, facts: Any = None) -> None:
    """Let an evaluation succeed with this result."""
    result = result_of(board, columns_of(right, facts=facts))
    lease = lifecycle.claim(evaluation.pk, worker="tests", pool=evaluation.pool)
    assert lease is not None
    found = measuring.measured(board, result) if measure else None
    assert lifecycle.succeed(lease, result, key=evaluation.key, found=found)


@pytest.fixture
def close():
    def shut(board: Board) -> None:
        board.closes_at = timezone.now() - timedelta(seconds=1)
        Board.objects.filter(pk=board.pk).update(closes_at=board.closes_at, opens_at=None)
        board.submissions.model.objects.filter(board=board).update(created_at=timezone.now() - timedelta(hours=1))
        from leaderboard.evaluations.models import Evaluation

        Evaluation.objects.filter(submission__board=board).update(queued_at=timezone.now() - timedelta(hours=1))

    return shut
