"""What it costs to test the head of a board pair by pair, on real columns: for a head of 20 and of 50, whole and for one new
member.

    OMP_NUM_THREADS=1 .venv/bin/python -m benchmarks.head_cost [--tracks ...] [--members 12]

Evaluates baselines of each track, makes further members of a head by mixing their columns unit by unit (neighbors in a head
agree on most units), and times the paired test of the track's first metric. A member is resampled once, whatever it is compared
with. A whole head is tested once in a board's life; after that a new member is tested against the others. Medians of one run.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluators import registry, versions
from evaluators.columns import Columns
from evaluators.comparison import Resamples, compare
from evaluators.runtime import Job, Runtime
from evaluators.track import Track

TRACKS = ("digits-classification", "few-step-sampling", "homophily-and-depth")
HEADS = (20, 50)
BASELINES = 3
KEPT = 0.9
"""How much of a mixed member is of one baseline."""


def evaluated(track: Track, runtime: Runtime) -> list[Columns]:
    """Columns of the track's baselines."""
    jobs = [Job(track.spec.slug, "config", model=each.model, config=dict(each.config)) for each in track.spec.baselines]
    results = [runtime.evaluate(job, on_event=lambda _: None, cancel=threading.Event()) for job in jobs[:BASELINES]]
    return [Columns.from_bytes(result.columns) for result in results]


def mixed(members: list[Columns], *, count: int) -> list[Columns]:
    """`count` members, each mostly one baseline's columns with some units of the next one's."""
    rng = np.random.default_rng(0)
    found = []
    for n in range(count):
        own, other = members[n % len(members)], members[(n + 1) % len(members)]
        theirs = rng.random(own.units) > KEPT
        rows = theirs[own.unit]
        values = {name: np.where(rows, other.values[name], column) for name, column in own.values.items()}
        found.append(Columns(unit=own.unit, index=own.index, values=values, facts=own.facts))
    return found


@dataclass(frozen=True)
class Cost:
    """Seconds. member: what a submission costs once, whatever it is compared with. pair: one test of two of those."""

    member: float
    pair: float

    def of_head(self, members: int) -> float:
        """All pairs."""
        return members * self.member + members * (members - 1) / 2 * self.pair

    def of_newcomer(self, members: int) -> float:
        """One against all others, which are read anew."""
        return members * self.member + (members - 1) * self.pair


def cost_of(track: Track, members: list[Columns]) -> Cost:
    """Medians. Every pair is tested twice with the same resamples: the second time nothing but the test is left."""
    metric = track.spec.primary
    compare(track, members[0], members[1], metric=metric)  # draws what all submissions share
    members_s, pairs_s = [], []
    for a, b in zip(members[::2], members[1::2], strict=True):
        kept = Resamples(track, metric)
        first, again = (seconds(lambda: compare(track, a, b, metric=metric, resamples=kept)) for _ in range(2))  # noqa: B023
        members_s.append((first - again) / 2)
        pairs_s.append(again)
    return Cost(max(statistics.median(members_s), 0.0), statistics.median(pairs_s))


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", nargs="+", default=TRACKS)
    parser.add_argument("--members", type=int, default=12)
    options = parser.parse_args()
    print(f"{'seconds':44}{'member':>8}{'pair':>8}" + "".join(f"{f'head {n}':>10}{'+1':>8}" for n in HEADS))
    with tempfile.TemporaryDirectory() as folder:
        runtime = Runtime(secret=versions.PUBLISHED_SECRET, cache_dir=Path(folder), data_dir=None, device="cpu", sandbox=False)
        with runtime:
            for slug in options.tracks:
                track = registry.get(slug)(secret=versions.PUBLISHED_SECRET)
                cost = cost_of(track, mixed(evaluated(track, runtime), count=options.members))
                heads = "".join(f"{cost.of_head(n):10.2f}{cost.of_newcomer(n):8.2f}" for n in HEADS)
                print(f"{f'{slug}: {track.spec.primary.name}':44}{cost.member:8.3f}{cost.pair:8.3f}{heads}", flush=True)


if __name__ == "__main__":
    main()
