"""Intake, quotas, the life of evaluations and standings on PostgreSQL: these tests, races included, run there once more."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.services import postgres_server

ROOT = Path(__file__).resolve().parent.parent.parent
AREAS = (
    "tests/boards/test_quota.py",
    "tests/submissions/test_intake.py",
    "tests/permissions/test_rules.py",
    "tests/evaluations/test_lifecycle.py",
    "tests/evaluations/test_races.py",
    "tests/standings/test_ranking.py",
    "tests/standings/test_reading.py",
    "tests/standings/test_settling.py",
    "tests/standings/test_superseding.py",
    "tests/standings/test_bursts.py",
    "tests/standings/test_reevaluation.py",
)


@pytest.mark.services
@pytest.mark.timeout(600)
def test_boards_intake_evaluations_and_standings_work_on_postgresql():
    # Not below pytest's own folder: each pytest that starts closes that to other users, and the server runs as one.
    with tempfile.TemporaryDirectory() as name, postgres_server(Path(name) / "server") as server:
        environment = {
            **os.environ,
            "DATABASE_URL": server.create_database(),
            "SECRET_KEY": "for tests only",
            "TRACK_SECRET": "for tests only",
            "STATE_DIR": str(Path(name) / "state"),
        }
        environment.pop("PYTEST_XDIST_WORKER", None)
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "not services", *AREAS]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
