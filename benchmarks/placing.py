"""What it costs to place one result on boards of 100, 10,000 and 100,000 standings, to read their pages, and to settle them.

    .venv/bin/python -m benchmarks.placing [--rows 100 10000 100000] [--postgres]

Makes a board of each length in a fresh database, places results on it one after the other as workers do (scores and standing in
one transaction), and prints medians with their ratio to the shortest board of the same run. "Settle" is one whole round with
intervals alone, run outside of any result's transaction; "longest write" is the longest transaction of that round.
"""

# ruff: noqa: PLC0415  models are imported once Django is set up for the database of the run
from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

REPEATS = 30
ROOT = Path(__file__).resolve().parent.parent


def timed(work: Callable[[], object]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


def fill(board: Any, owner: Any, rows: int) -> None:
    """A settled board: values spread as results do, half-widths that differ."""
    import numpy as np
    from django.db import connection

    from leaderboard.evaluations.models import Evaluation, State
    from leaderboard.standings import ranking, settling
    from leaderboard.standings.models import Score, Settlement, Standing
    from leaderboard.standings.policies import policy_of
    from leaderboard.submissions.models import Submission

    rng = np.random.default_rng(rows)
    values, halves = rng.beta(8, 3, rows), rng.uniform(0.005, 0.02, rows)
    common = {"board": board, "user": owner, "kind": "config", "model": "logistic"}
    submissions = [Submission(name=f"n{n}", content_hash=uuid.uuid4().hex, **common) for n in range(rows)]
    Submission.objects.bulk_create(submissions, batch_size=2000)
    version, policy = board.track.version, policy_of(board)
    done = {"number": 1, "track_version": version, "state": State.SUCCEEDED}
    evaluations = [Evaluation(submission=each, key=uuid.uuid4().hex, **done) for each in submissions]
    Evaluation.objects.bulk_create(evaluations, batch_size=2000)
    standings = []
    for evaluation, value, half in zip(evaluations, values.tolist(), halves.tolist(), strict=True):
        bounds = ranking.bounds_of(value, value - half, value + half, policy=policy)
        where = {"board": board, "submission": evaluation.submission, "evaluation": evaluation, "track_version": version}
        shown = {"value": value, "ci_low": value - half, "ci_high": value + half, **vars(bounds)}
        standings.append(Standing(submitted_at=evaluation.submission.created_at, **where, **shown))
    Standing.objects.bulk_create(standings, batch_size=2000)
    costs = rng.lognormal(10, 2, rows).tolist()
    measured = (("accuracy", values.tolist(), "max"), ("params", costs, "min"))
    scores = [
        Score(evaluation=evaluation, metric=metric, value=value, unit="", direction=direction)
        for metric, column, direction in measured
        for evaluation, value in zip(evaluations, column, strict=True)
    ]
    Score.objects.bulk_create(scores, batch_size=2000)
    Settlement.objects.create(board=board, track_version=version, policy=policy.text, wanted=1)
    settling.settle(board, track_version=version, rest=0)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as autovacuum does within a minute


def place_one(board: Any, owner: Any, value: float) -> float:
    """A result of the given value: milliseconds of the transaction that records and places it."""
    from django.db import transaction

    from evaluators.runtime.jobs import ScoreValue
    from leaderboard.evaluations.models import Evaluation, State
    from leaderboard.standings import ranking
    from leaderboard.submissions.models import Submission

    submission = Submission.objects.create(
        board=board, user=owner, name="new", kind="config", model="logistic", content_hash=uuid.uuid4().hex
    )
    evaluation = Evaluation.objects.create(
        submission=submission, number=1, track_version=board.track.version, key=uuid.uuid4().hex, state=State.SUCCEEDED
    )
    scores = [ScoreValue("accuracy", "", value, value - 0.01, value + 0.01, "", "share", "max", primary=True)]

    def work() -> None:
        with transaction.atomic():
            ranking.record_scores(evaluation, scores)
            ranking.place(evaluation)

    return timed(work)


def settle(board: Any) -> tuple[float, float]:
    """(whole round, longest write), in milliseconds."""
    from leaderboard.standings import settling

    inner, writes = settling._write, []  # noqa: SLF001
    settling._write = lambda turn, change: writes.append(timed(lambda: inner(turn, change)))  # noqa: SLF001
    try:
        whole = timed(lambda: settling.settle(board, track_version=board.track.version, rest=0))
    finally:
        settling._write = inner  # noqa: SLF001
    return whole, max(writes, default=0.0)


def measure(board: Any, owner: Any, rows: int) -> dict[str, float]:
    from leaderboard.standings.reading import standings_of
    from leaderboard.standings.tradeoff import tradeoff_of

    fill(board, owner, rows)
    values = [0.3 + 0.65 * n / REPEATS for n in range(REPEATS)]
    for value in values[::6]:
        place_one(board, owner, value)
    placed = [place_one(board, owner, value) for value in values]
    settle(board)
    place_one(board, owner, 0.999)  # the worst case: everybody below moves
    whole, longest = settle(board)
    first = [timed(lambda: standings_of(board, limit=51)) for _ in range(REPEATS)]
    middle = [timed(lambda: standings_of(board, offset=rows // 2, limit=51)) for _ in range(REPEATS)]
    traded = [timed(lambda: tradeoff_of(board)) for _ in range(REPEATS)]
    return {
        "place one": statistics.median(placed),
        "place one, p95": sorted(placed)[int(0.95 * REPEATS)],
        "first page": statistics.median(first),
        "middle page": statistics.median(middle),
        "trade-off": statistics.median(traded),
        "settle (worst case)": whole,
        "longest write": longest,
    }


def report(found: dict[int, dict[str, float]]) -> None:
    base = next(iter(found.values()))
    print(f"{'median ms':24}" + "".join(f"{rows:>12,} rows" for rows in found))
    for name, reference in base.items():
        cells = [f"{each[name]:9.1f} x{each[name] / reference:<6.1f}" for each in found.values()]
        print(f"{name:24}" + " ".join(cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100, 10_000, 100_000])
    parser.add_argument("--postgres", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        os.environ |= {"STATE_DIR": str(folder / "state"), "DJANGO_SETTINGS_MODULE": "leaderboard.settings"}
        if options.postgres:
            from tests.services import postgres_server

            server = stack.enter_context(postgres_server(folder / "postgres"))
            os.environ |= {"DATABASE_URL": server.create_database(), "SECRET_KEY": "benchmark", "TRACK_SECRET": "benchmark"}
        import django

        django.setup()
        from django.core.management import call_command

        from leaderboard.accounts.models import User
        from leaderboard.boards.catalogue_rows import write_catalogue
        from leaderboard.boards.models import Board, Track

        call_command("migrate", verbosity=0)
        write_catalogue(json.loads((ROOT / "tests" / "catalogue.json").read_text()), fingerprint="benchmark")
        owner, track = User.objects.create_user("competitor"), Track.objects.get(slug="digits-classification")
        found = {}
        for rows in options.rows:
            board = Board.objects.create(slug=f"rows-{rows}", title=str(rows), track=track, host=owner)
            found[rows] = measure(board, owner, rows)
        report(found)


if __name__ == "__main__":
    main()
