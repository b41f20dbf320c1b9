"""Follows evaluations until all are over, with a progress bar, and workers of its own where none serves. Called by
`manage.py claims --run`."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from django.db.models.functions import Now
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from leaderboard.claims.evidence import Bench
from leaderboard.evaluations.models import FINAL_STATES, Evaluation, State, Worker
from leaderboard.operations import serving
from leaderboard.operations.supervisor import Child
from leaderboard.submissions.models import Submission

LOOK_SECONDS = 1.0
ALIVE_SECONDS = 30.0


def is_served(pool: str) -> bool:
    """Whether a worker of this pool said lately that it is alive."""
    return Worker.objects.filter(pool=pool, seen_at__gte=Now() - timedelta(seconds=ALIVE_SECONDS)).exists()


@contextmanager
def own_workers(*, pool: str, jobs: int) -> Iterator[None]:
    """A scheduler and a worker with so many processes, for as long as the block lasts. They die with this process; what they
    were doing goes back to the queue."""
    environment = serving.environment()
    children = [
        Child("scheduler", serving.scheduler_command(), environment),
        Child("worker", serving.worker_command(pool=pool, concurrency=jobs), environment),
    ]
    try:
        for child in children:
            child.start()
        yield
    finally:
        _stop(children)


def follow(evaluations: Sequence[int], *, console: Console) -> Counter[str]:
    """Wait until all are over, and show how far they are: a line for each that is over, which a log keeps too, and a bar where
    there is a terminal. How many ended in which state."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("evaluating", total=len(evaluations))
        told: set[int] = set()
        while True:
            for each in _ended(evaluations, but=told):
                told.add(each.pk)
                bar.console.print(f"{len(told)} of {len(evaluations)}: {each.submission.name} {each.state}", markup=False)
            bar.update(task, completed=len(told), description=_spoken(evaluations))
            if len(told) == len(evaluations):
                return states_of(evaluations)
            time.sleep(LOOK_SECONDS)


def states_of(evaluations: Iterable[int]) -> Counter[str]:
    """How many are in each state."""
    return Counter(Evaluation.objects.filter(pk__in=list(evaluations)).values_list("state", flat=True))


def _ended(evaluations: Iterable[int], *, but: set[int]) -> list[Evaluation]:
    """Those that are over, in the order in which they ended, without those that are known."""
    found = Evaluation.objects.filter(pk__in=set(evaluations) - but, state__in=FINAL_STATES)
    return list(found.select_related("submission").defer("log", "result").order_by("finished_at", "id"))


def waiting(benches: Iterable[Bench]) -> list[int]:
    """The evaluations of the system's submissions on these boards that wait or run: also those of an earlier call that was
    interrupted."""
    submissions = Submission.objects.filter(board__in=[bench.home.pk for bench in benches], user__is_system=True)
    active = Evaluation.objects.filter(submission__in=submissions).exclude(state__in=FINAL_STATES)
    return list(active.order_by("id").values_list("pk", flat=True))


def _spoken(evaluations: Sequence[int]) -> str:
    running = Evaluation.objects.filter(pk__in=evaluations, state=State.RUNNING).select_related("submission")
    names = [f"{each.submission.name} {each.progress:.0%}" for each in running[:3]]
    return ", ".join(names) or "waiting for a worker"


def _stop(children: Sequence[Child]) -> None:
    for child in reversed(children):
        child.send(signal.SIGTERM)
    for child in reversed(children):
        if child.process is not None:
            child.process.wait()
