"""Real faults against one running deployment, at moments that a seed decides (FAULTS_SEED; it is shown when a test fails). A
stream of submissions goes on all the time; after each fault everything is over exactly once, and at the end it all adds up."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.faults import checks
from tests.faults.drill import Drill
from tests.faults.faults import FAULTS
from tests.faults.stand import SCHEDULERS, WORKERS, stand

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("faults"), pytest.mark.timeout(600)]

SEED = int(os.environ.get("FAULTS_SEED", "20261121"))
KINDS = random.Random(SEED).sample(sorted(FAULTS), len(FAULTS))


@pytest.fixture(scope="module")
def drill() -> Iterator[Drill]:
    with TemporaryDirectory(prefix="standings-faults-") as folder, stand(Path(folder)) as built:
        run = Drill(built, SEED)
        run.begin()
        yield run
        run.stream.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_everything_is_over_exactly_once_after(drill: Drill, kind: str) -> None:
    drill.do(kind)


def test_at_rest_nothing_waits_and_quota_adds_up(drill: Drill) -> None:
    drill.end()
    assert drill.stream.statuses["201"] >= len(KINDS)


def test_scores_are_those_of_an_undisturbed_run(drill: Drill) -> None:
    assert checks.undisturbed(drill.stand, drill.stream, others=6) >= 6


def test_nothing_is_left_running_or_lying_about(drill: Drill) -> None:
    for name in (*WORKERS, *SCHEDULERS, "web"):
        drill.stand.process(name).stop()
    checks.after_the_stop(drill.stand)
