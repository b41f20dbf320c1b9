"""Makes the standings of a board anew from stored scores, after its host chose another rule. Called by `settling`."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction

from leaderboard.boards.models import Board
from leaderboard.standings.models import Standing
from leaderboard.standings.policies import Policy
from leaderboard.standings.ranking import Basis, bases_of, show

CHUNK = 200
SHOWN = ("value", "ci_low", "ci_high", "reason", "merit", "floor", "ceiling")


def rebuild(board: Board, *, track_version: str, policy: Policy, keep: Callable[[], None]) -> None:
    """Show every standing by the policy's metric and eligibility, without a rank yet: it keeps its place in the order, so that
    the page stays whole, until the ranks that follow are written.

    keep: renews the right to write, in each transaction.
    """
    rows = Standing.objects.filter(board=board, track_version=track_version)
    keys = list(rows.order_by("id").values_list("id", flat=True))
    for start in range(0, len(keys), CHUNK):
        with transaction.atomic():
            keep()
            _rebuild(keys[start : start + CHUNK], policy)


def refresh(evaluation: int, policy: Policy) -> None:
    """Show the standing of one evaluation anew, if there is one. Part of the caller's transaction."""
    _rebuild(list(Standing.objects.filter(evaluation=evaluation).values_list("id", flat=True)), policy)


def _rebuild(keys: list[int], policy: Policy) -> None:
    # Locked, so that a result that lands meanwhile is not undone.
    standings = Standing.objects.filter(pk__in=keys).select_for_update(of=("self",))
    found = list(standings.select_related("evaluation", "submission"))
    bases = bases_of([standing.evaluation_id for standing in found], policy)
    for standing in found:
        standing.evaluation.submission = standing.submission
        show(standing, standing.evaluation, bases.get(standing.evaluation_id, Basis()), policy)
    Standing.objects.bulk_update(found, SHOWN)
