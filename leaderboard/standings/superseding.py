"""Which try of a competitor counts, where a board counts the best of each: decided in the transaction that commits a result, at
what the competitor has tried and not at the length of the board. Called by `ranking`."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from leaderboard.standings.models import BEST_FIRST, UNRANKED, Standing
from leaderboard.standings.neighbors import rank_by_neighbors


def count_best(standing: Standing) -> None:
    """Save a standing that has new values and no rank yet: the best of its competitor's tries is ranked by its neighbors, and
    all others are hidden. One that was hidden comes back when the one that counted was evaluated again and did worse."""
    standing.save()
    tries = _tries(standing)
    best = tries.order_by(*BEST_FIRST).first() or standing
    others = tries.exclude(pk=best.pk)
    others.filter(superseded=False).update(**UNRANKED, superseded=True)
    if best != standing:
        standing.superseded = True
    if best == standing or best.superseded:
        shown = standing if best == standing else best
        shown.superseded = False
        rank_by_neighbors(shown)
        shown.save()


def _tries(standing: Standing) -> QuerySet[Standing]:
    """Those of the same team, or of the same person alone, on the same board."""
    submission = standing.submission
    mine = Q(submission__user=submission.user_id, submission__team=None)
    if submission.team_id is not None:
        mine = Q(submission__team=submission.team_id)
    return Standing.objects.filter(mine, board=standing.board, track_version=standing.track_version)
