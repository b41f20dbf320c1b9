"""Real faults against one running deployment, at moments that a seed decides (FAULTS_SEED; it is shown when a test fails). A
stream of submissions goes on all the time; after each fault everything is over exactly once, and at the end it all adds up.

Every fault happens once, with short leases; FAULTS_ROUNDS: how often instead. FAULTS_SETTINGS=shipped: with the settings that a
server has unless told otherwise. What each recovery took is shown at the end."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from _pytest.mark import ParameterSet

from tests.faults import checks
from tests.faults.conftest import RECOVERY
from tests.faults.drill import Drill
from tests.faults.faults import FAULTS
from tests.faults.stand import QUICK, SCHEDULERS, WORKERS, stand

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("faults"), pytest.mark.timeout(600)]

SEED = int(os.environ.get("FAULTS_SEED", "20261121"))
ROUNDS = int(os.environ.get("FAULTS_ROUNDS", "1"))
SETTINGS = {"quick": QUICK, "shipped": {}}[os.environ.get("FAULTS_SETTINGS", "quick")]


def drills() -> list[ParameterSet]:
    """Every fault once a round, in an order that the seed decides."""
    order = random.Random(SEED)
    rounds = [(number, kind) for number in range(ROUNDS) for kind in order.sample(sorted(FAULTS), len(FAULTS))]
    return [pytest.param(kind, number, id=f"{kind} {number}" if number else kind) for number, kind in rounds]


@pytest.fixture(scope="module")
def drill() -> Iterator[Drill]:
    with TemporaryDirectory(prefix="standings-faults-") as folder, stand(Path(folder), SETTINGS) as built:
        run = Drill(built, SEED)
        run.begin()
        yield run
        run.stream.stop()


@pytest.mark.parametrize(("kind", "number"), drills())
def test_everything_is_over_exactly_once_after(
    drill: Drill, kind: str, number: int, record_property: Callable[[str, object], None]
) -> None:
    record_property(RECOVERY, (kind, drill.do(kind, number)))


def test_at_rest_nothing_waits_and_quota_adds_up(drill: Drill) -> None:
    drill.end()
    assert drill.stream.statuses["201"] >= len(FAULTS)


def test_scores_are_those_of_an_undisturbed_run(drill: Drill) -> None:
    assert checks.undisturbed(drill.stand, drill.stream, others=6) >= 6


def test_nothing_is_left_running_or_lying_about(drill: Drill) -> None:
    checks.the_killed_are_forgotten(drill.stand)
    for name in (*WORKERS, *SCHEDULERS, "web"):
        drill.stand.process(name).stop()
    checks.after_the_stop(drill.stand)
