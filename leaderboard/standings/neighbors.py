"""The place that a new row has at once, from its neighbors': by intervals, in a fixed number of indexed queries however long
the board. Called by `ranking` in the transaction that commits a result; `settling` then ranks the board."""

from __future__ import annotations

from django.db.models import Max, Min, QuerySet

from leaderboard.standings.models import BEYOND, TAIL, Standing


def rank_by_neighbors(standing: Standing) -> None:
    """The rank by intervals, until the board is settled. The rank of a row is 1 + how many floors lie above its ceiling: that
    of the row with the next higher ceiling, and the floors between the two. Likewise from below for the other end."""
    if standing.merit is None or standing.floor is None or standing.ceiling is None:
        return
    others = _ranked_beside(standing)
    above = others.filter(ceiling__gte=standing.ceiling).order_by("ceiling").values_list("ceiling", "rank_low").first()
    rank = 1
    if above is not None:
        rank = int(above[1] or 0) + others.filter(floor__gt=standing.ceiling, floor__lte=above[0]).count()
    below = others.filter(floor__lte=standing.floor).order_by("-floor").values_list("floor", "rank_high").first()
    if below is not None:
        rank_high = int(below[1] or 0) + 1 - others.filter(ceiling__gte=below[0], ceiling__lt=standing.floor).count()
    else:
        lowest = others.filter(floor__isnull=False).order_by("floor").values_list("rank_high", flat=True).first()
        rank_high = 1 + (lowest or 0)
    standing.rank_low, standing.rank_high = rank, max(rank, rank_high)
    standing.rule = Standing.Rule.INTERVALS
    _place_beside_head(standing, others, rank)


def _place_beside_head(standing: Standing, others: QuerySet[Standing], rank: int) -> None:
    """Where the row is shown: with the head if its value belongs there, otherwise never before the last of it."""
    standing.rank, standing.tier, standing.over = rank, TAIL, BEYOND
    head = others.filter(tier__lt=TAIL, superseded=False)  # as the page's index has it
    last = head.aggregate(rank=Max("tier"), merit=Min("merit"))
    if last["rank"] is not None and standing.merit >= last["merit"]:
        standing.tier = rank
        return
    standing.rank = max(rank, last["rank"] or 1)
    if rank > (last["rank"] or 0):
        over = others.filter(floor__gt=standing.ceiling).order_by("floor").values_list("floor", flat=True).first()
        standing.over = BEYOND if over is None else over


def _ranked_beside(standing: Standing) -> QuerySet[Standing]:
    rows = Standing.objects.filter(board=standing.board, track_version=standing.track_version, rank__isnull=False)
    return rows.exclude(pk=standing.pk) if standing.pk else rows
