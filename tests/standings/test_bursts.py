"""Fifty results that land at once on one board: each in a transaction and a connection of its own, as workers commit them, and
each of these workers settles what it finds to settle. Runs on SQLite here and on PostgreSQL in test_on_postgresql."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from evaluators.ordering import Entry, rank
from leaderboard.standings import settling, waking
from leaderboard.standings.models import Settlement, Standing
from leaderboard.standings.ranking import place, record_scores
from tests.standings.conftest import score

RESULTS, WORKERS = 50, 8


@pytest.fixture
def rounds(monkeypatch):
    """One entry for each round that ranked the board."""
    ranked = []
    inner = settling.read_rows
    monkeypatch.setattr(settling, "read_rows", lambda *args: ranked.append(1) or inner(*args))
    return ranked


@pytest.fixture
def unplaced(place_result, board):
    """Finished evaluations with the values that they will have, in no order."""
    chance = random.Random(1)
    found = [
        (place_result(f"n{n}", None, place_it=False), round(chance.random(), 2), chance.choice([0.0, 0.02, 0.1]))
        for n in range(RESULTS)
    ]
    for evaluation, _, _ in found:
        evaluation.scores.all().delete()
    return found


def land_all(unplaced):
    """All at once, in WORKERS threads that start together."""
    start = threading.Barrier(WORKERS)

    def land(some):
        try:
            start.wait(timeout=60)
            for evaluation, value, half in some:
                with transaction.atomic():
                    record_scores(evaluation, [score("accuracy", value, value - half, value + half, primary=True)])
                    place(evaluation)
                waking.settle_after(evaluation.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(WORKERS) as pool:
        for done in [pool.submit(land, unplaced[n::WORKERS]) for n in range(WORKERS)]:
            done.result(timeout=120)


def settle_what_is_left():
    """As the scheduler does once the board has rested."""
    Settlement.objects.update(not_before=Now() - timedelta(seconds=1))
    waking.settle_one(Settlement.objects.get().pk)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("counts", ["submission", "competitor"])
def test_fifty_results_at_once_are_placed_in_few_rounds_and_none_is_lost(unplaced, board, rounds, counts, monkeypatch):
    monkeypatch.setattr(settling, "REST", 1e6)  # as on a board so long that the burst is over before it has rested
    board.counts = counts
    board.save()
    land_all(unplaced)
    assert Standing.objects.count() == RESULTS
    assert len(rounds) == 1
    settle_what_is_left()
    assert len(rounds) == 2
    assert list(Settlement.objects.values_list("wanted", "settled")) == [(RESULTS, RESULTS)]
    assert ranks() == reference(counts)


def ranks():
    shown = Standing.objects.filter(superseded=False)
    return list(shown.values_list("submission_id", "rank", "rank_low", "rank_high"))


def reference(counts):
    entries = [Entry(s.submission_id, s.value, s.ci_low, s.ci_high, s.submitted_at) for s in Standing.objects.all()]
    if counts == "competitor":  # all are one person's
        entries = [min(entries, key=lambda entry: (-entry.value, entry.order))]
    return [(each.key, each.rank, each.rank_low, each.rank_high) for each in rank(entries, direction="max")]
