"""Real workers on real submissions: success, reuse, cancel, stop, and kills in mid-evaluation. The test process shares its
database with them, SQLite, and the broker is a folder. Faults on PostgreSQL and Redis are those of tests/faults."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from django.conf import settings as django_settings
from django.db import connection, transaction
from django.utils import timezone

from evaluators.failures import FailureCode
from leaderboard.boards.models import Board
from leaderboard.evaluations import lifecycle
from leaderboard.evaluations.heartbeat import LEAVE_SECONDS
from leaderboard.evaluations.models import FINAL_STATES, Evaluation, Scheduler, State, Worker
from leaderboard.standings.models import Score, Standing
from leaderboard.submissions import storage
from leaderboard.submissions.models import Submission
from tests.evaluations.conftest import use_broker
from tests.services import PYTHON, ROOT, Process, environment_of, wait_until

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("workers")]

FAST = {"model": "logistic", "config": {"epochs": 3}}
SLOW = {"model": "fractalnet", "config": {}}
REAL_ROWS = """
import json
from evaluators import catalogue
names = ("logistic", "fractalnet")
rows = {"tracks": [catalogue.describe_track("digits-classification")], "models": [*map(catalogue.describe_model, names)]}
print(json.dumps(rows))
"""


@pytest.fixture(scope="session")
def real_rows():
    """What the catalogue says of the real track and two of its models."""
    out = subprocess.run([sys.executable, "-c", REAL_ROWS], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    return json.loads(out, parse_constant=lambda infinite: None)


@pytest.fixture
def catalogue(system, real_rows):
    """The real digits track instead of the one of the other tests."""
    from leaderboard.boards.catalogue_rows import write_catalogue

    write_catalogue(real_rows, fingerprint="real")
    return real_rows


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """The workers' cache of data, kept between tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def deployment(tmp_path, transactional_db, broker_folder, cache):
    """Starts processes that share this test's database, files and broker; the log is shown when a test fails."""
    running = Running(tmp_path / "deployment", cache=cache, broker=broker_folder)
    running.use_files_of_this_test()
    yield running
    running.stop()
    running.show_log()


@pytest.fixture(scope="module")
def standing_by(django_db_setup, tmp_path_factory, cache):
    """A deployment with a broker of its own, for all tests that leave its processes as they were."""
    folder = tmp_path_factory.mktemp("standing-by")
    running = Running(folder, cache=cache, broker=folder / "broker")
    yield running
    running.stop()


@pytest.fixture
def shared(standing_by, transactional_db, broker_folder):
    """A worker with two processes that other tests use too."""
    standing_by.use_files_of_this_test()
    use_broker("fssafe://localhost", {"folder": str(standing_by.broker)})
    if not standing_by.processes:
        standing_by.worker(concurrency=2)
    yield standing_by
    standing_by.show_log()


class Running:
    """Processes of one deployment, in a folder of its own; they work on the database of the tests."""

    def __init__(self, folder, *, cache, broker):
        state = folder / "state"
        state.mkdir(parents=True)
        broker.mkdir(exist_ok=True)
        (state / "cache").symlink_to(cache)
        (state / "queue").symlink_to(broker)
        (state / "standings.sqlite3").symlink_to(connection.settings_dict["NAME"])
        self.environment = environment_of(
            folder,
            LEASE_SECONDS="30",  # on a busy machine too, no lease expires but those that `silent_for_a_lease` ends
            HEARTBEAT_SECONDS="0.5",
            REAP_EVERY_SECONDS="0.3",
            REPUBLISH_AFTER_SECONDS="1",
        )
        self.state, self.broker, self.log, self.processes = state, broker, folder / "log", []

    def use_files_of_this_test(self):
        files, own = self.state / "files", Path(django_settings.MEDIA_ROOT)
        own.mkdir(exist_ok=True)
        files.unlink(missing_ok=True)
        files.symlink_to(own)

    def start(self, *command, **extra):
        process = Process([PYTHON, "manage.py", *command], self.log, {**self.environment, **extra}).start()
        self.processes.append(process)
        return process

    def worker(self, *, concurrency=1, **extra):
        """Start one, and wait until it is warm."""
        process = self.start("worker", "--pool", "cpu", "--concurrency", str(concurrency), **extra)
        rows = Worker.objects.filter(name__startswith=f"cpu-{process.popen.pid}@")
        wait_until(lambda: rows.count() == concurrency, seconds=90, what="the worker is warm")
        return process

    def scheduler(self):
        process = self.start("scheduler")
        wait_until(Scheduler.objects.exists, seconds=30, what="the scheduler runs")
        return process

    def stop(self):
        for process in self.processes:
            process.stop()

    def show_log(self):
        print(self.log.read_text() if self.log.exists() else "")


def fresh(evaluation):
    return Evaluation.objects.get(pk=evaluation.pk)


def finished(evaluation, *, seconds=120.0):
    return wait_until(
        lambda: Evaluation.objects.filter(pk=evaluation.pk, state__in=FINAL_STATES).first(), seconds=seconds, what="it is over"
    )


def computing(evaluation):
    """Wait until its model trains in the sandbox."""
    wait_until(lambda: fresh(evaluation).stage == "predict", seconds=60, what="it computes")
    return fresh(evaluation)


def silent_for_a_lease(evaluation):
    """Its worker is dead: nobody renews the lease any more, and this is how it looks when its time has passed."""
    Evaluation.objects.filter(pk=evaluation.pk, attempt=1, state=State.RUNNING).update(lease_expires_at=timezone.now())


def make_the_next_attempt_short():
    """A submission never changes, but tests have no minute."""
    Submission.objects.update(**FAST)


def assert_one_result(evaluation):
    row = finished(evaluation)
    assert (row.state, row.failure_message) == (State.SUCCEEDED, "")
    assert Standing.objects.filter(submission=row.submission_id).count() == 1
    scores = Score.objects.filter(evaluation__submission=row.submission_id, slice="")
    assert len({score.metric for score in scores}) == len(scores) > 0
    return row


def family(process):
    return psutil.Process(process.popen.pid).children(recursive=True)


def all_gone(processes):
    return all(not process.is_running() or process.status() == psutil.STATUS_ZOMBIE for process in processes)


def test_a_submission_is_trained_scored_and_ranked(shared, submit):
    evaluation = lifecycle.enqueue(submit(**FAST))
    row = assert_one_result(evaluation)
    accuracy = row.scores.get(metric="accuracy", slice="")
    assert 0.5 < accuracy.ci_low < accuracy.value < accuracy.ci_high <= 1
    assert Standing.objects.get(evaluation=row).rank == 1
    assert storage.read(row.columns_sha256)
    assert row.provenance["device_kind"] == "cpu"
    assert row.key == evaluation.key, "what was expected is what was measured"
    assert row.faults == 0


def test_an_equal_submission_reuses_the_result_but_a_second_evaluation_measures_again(shared, submit, other_user):
    first = assert_one_result(lifecycle.enqueue(submit(**FAST)))
    twin = submit(by=other_user, **FAST)
    copy = assert_one_result(lifecycle.enqueue(twin))
    assert copy.provenance["reused_from"] == first.pk
    assert copy.columns_sha256 == first.columns_sha256
    again = finished(lifecycle.enqueue(twin))
    assert again.state == State.SUCCEEDED
    assert "reused_from" not in again.provenance
    assert again.number == 2


def test_a_model_of_the_wrong_kind_fails_with_one_sentence_and_is_not_tried_again(shared, submit):
    row = finished(lifecycle.enqueue(submit(model="no-such-model", config={})))
    assert row.state == State.FAILED
    assert row.failure_code in set(FailureCode) - {FailureCode.SYSTEM_ERROR}
    assert "no-such-model" in row.failure_message
    assert row.attempt == 1


def test_what_was_queued_while_no_worker_was_there_is_evaluated_in_order_of_priority(deployment, submit, board):
    type(board).objects.update(max_concurrent=10)
    board.refresh_from_db()
    late, early = submit(1, on=board, **FAST), submit(2, on=board, model="logistic", config={"epochs": 2})
    late, early = lifecycle.enqueue(late, priority=9), lifecycle.enqueue(early, priority=0)
    deployment.worker()
    assert finished(early).started_at < finished(late).started_at


def test_a_worker_of_another_pool_leaves_it_alone(shared, submit, board):
    type(board).objects.update(pool="gpu")
    waiting = lifecycle.enqueue(submit(1, **FAST))
    type(board).objects.update(pool="cpu")
    board.refresh_from_db()
    assert_one_result(lifecycle.enqueue(submit(2, **FAST)))
    assert fresh(waiting).state == State.QUEUED


def test_a_duplicate_message_finds_the_row_taken(shared, submit):
    evaluation = lifecycle.enqueue(submit(**FAST))
    for _ in range(5):
        lifecycle.dispatch.publish(evaluation)
    assert assert_one_result(evaluation).attempt == 1


def test_a_cancelled_evaluation_is_killed_and_the_worker_goes_on(shared, submit):
    evaluation = lifecycle.enqueue(submit(1, **SLOW))
    computing(evaluation)
    busy = family(shared.processes[0])
    asked = timezone.now()
    lifecycle.cancel(evaluation, by="ada")
    row = finished(evaluation, seconds=20)
    assert row.state == State.CANCELLED
    assert row.finished_at - asked < timedelta(seconds=5)
    after = lifecycle.enqueue(submit(2, **FAST))
    assert_one_result(after)
    assert [process for process in busy if not all_gone([process])], "the pool process and its zygote are still there"


def test_a_worker_killed_in_mid_evaluation_leaves_no_process_and_no_evaluation_behind(deployment, submit):
    deployment.scheduler()
    worker = deployment.worker()
    evaluation = lifecycle.enqueue(submit(**SLOW))
    computing(evaluation)
    children = family(worker)
    assert len(children) >= 2
    worker.kill(signal.SIGKILL)
    wait_until(lambda: all_gone(children), seconds=15, what="its children are gone")
    make_the_next_attempt_short()
    silent_for_a_lease(evaluation)
    deployment.worker()
    row = assert_one_result(evaluation)
    assert (row.attempt, row.faults) == (2, 1)


def test_a_pool_process_killed_in_mid_evaluation_is_replaced(deployment, submit):
    deployment.scheduler()
    worker = deployment.worker()
    evaluation = lifecycle.enqueue(submit(**SLOW))
    name = computing(evaluation).worker
    make_the_next_attempt_short()
    victim = psutil.Process(int(name.rpartition("/")[2]))
    victim.kill()
    wait_until(lambda: all_gone([victim]), seconds=15, what="it is gone")
    silent_for_a_lease(evaluation)
    row = assert_one_result(evaluation)
    assert row.attempt == 2
    assert row.worker != name
    assert worker.popen.poll() is None
    stops_in_time(deployment, worker, grace=5)


def test_a_stopped_worker_hands_back_what_it_cannot_finish(deployment, submit):
    worker = deployment.worker(STOP_GRACE_SECONDS="0.2")
    children = family(worker)
    evaluation = lifecycle.enqueue(submit(**SLOW))
    computing(evaluation)
    worker.popen.send_signal(signal.SIGTERM)
    assert worker.popen.wait(timeout=20) == 0
    row = fresh(evaluation)
    assert (row.state, row.faults, row.attempt, row.lease_token) == (State.QUEUED, 0, 1, None)
    assert not Worker.objects.filter(pid__in=[child.pid for child in children]).exists()
    wait_until(lambda: all_gone(children), seconds=10, what="its children are gone")


def test_a_stopped_worker_finishes_what_is_nearly_done_even_if_its_whole_group_is_signalled(deployment, submit):
    worker = deployment.worker(STOP_GRACE_SECONDS="60")
    evaluation = lifecycle.enqueue(submit(model="fractalnet", config={"epochs": 2}))
    computing(evaluation)
    os.killpg(worker.popen.pid, signal.SIGTERM)
    assert worker.popen.wait(timeout=90) == 0
    assert fresh(evaluation).state == State.SUCCEEDED


def stops_in_time(deployment, worker, *, grace):
    """It was told to stop: it ends by itself within its grace and five seconds (on a machine with time for it), and leaves no
    process, no row and no file behind."""
    children = family(worker)
    worker.popen.send_signal(signal.SIGTERM)
    worker.popen.wait(timeout=grace + 30)
    wait_until(lambda: all_gone(children), seconds=10, what="its children are gone")
    assert not Worker.objects.filter(pid__in=[child.pid for child in children]).exists()
    assert sorted((deployment.state / "temporary").glob("*")) == []
    assert "FileNotFoundError" not in deployment.log.read_text(), "the folder went before what lies in it"


def test_a_worker_that_waits_stops(deployment):
    worker = deployment.worker(STOP_GRACE_SECONDS="0.2")
    stops_in_time(deployment, worker, grace=0.2)
    assert worker.popen.returncode == 0


def test_a_worker_that_is_still_warming_stops(deployment):
    worker = deployment.start("worker", STOP_GRACE_SECONDS="0.2")
    wait_until(lambda: len(family(worker)) > 1, seconds=60, what="its zygote starts")
    stops_in_time(deployment, worker, grace=0.2)


@pytest.fixture
def no_new_zygotes(cache):
    """Somebody holds the lock under which they are made."""
    folder = os.open(cache, os.O_RDONLY)
    yield lambda: fcntl.flock(folder, fcntl.LOCK_EX)
    os.close(folder)


def test_a_worker_that_is_stuck_hands_back_and_stops(deployment, submit, no_new_zygotes):
    """Neither computing nor reporting: it waits for something."""
    worker = deployment.worker(STOP_GRACE_SECONDS="0.2")
    no_new_zygotes()
    next(each for each in family(worker) if "evaluators.runtime.zygote" in each.cmdline()).kill()
    evaluation = lifecycle.enqueue(submit(**FAST))
    wait_until(lambda: fresh(evaluation).stage == "load", seconds=30, what="it is stuck")
    stops_in_time(deployment, worker, grace=0.2)
    row = fresh(evaluation)
    assert (row.state, row.faults, row.attempt) == (State.QUEUED, 0, 1)


def test_a_worker_that_reports_a_result_finishes_that_and_stops(deployment, submit):
    """The database keeps it waiting for longer than its grace. Columns are stored just before the result is recorded."""
    worker = deployment.worker(STOP_GRACE_SECONDS="0.2")
    evaluation = lifecycle.enqueue(submit(model="fractalnet", config={"epochs": 1}))
    computing(evaluation)
    store = Path(django_settings.MEDIA_ROOT) / "sha256"
    with transaction.atomic():
        Board.objects.select_for_update().get(pk=evaluation.submission.board_id)
        wait_until(lambda: list(store.glob("*/*")), seconds=60, what="it reports")
        worker.popen.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            worker.popen.wait(timeout=0.2 + LEAVE_SECONDS + 0.5)
    assert worker.popen.wait(timeout=30) == 0
    assert_one_result(evaluation)


def test_a_message_that_was_lost_is_sent_again(shared, submit, broker_folder):
    """It went to where nobody listens."""
    use_broker("fssafe://localhost", {"folder": str(broker_folder)})
    evaluation = lifecycle.enqueue(submit(**FAST))
    scheduler = shared.start("scheduler")
    assert_one_result(evaluation)
    scheduler.stop()
    shared.processes.remove(scheduler)


def test_the_worker_s_parent_imports_no_torch(shared):
    parent = shared.processes[0].popen.pid
    mapped = {Path(region.path).name for region in psutil.Process(parent).memory_maps()}
    assert not [name for name in mapped if "torch" in name]


def test_a_stopped_scheduler_removes_its_row(deployment):
    scheduler = deployment.scheduler()
    scheduler.popen.send_signal(signal.SIGTERM)
    assert scheduler.popen.wait(timeout=20) == 0
    assert not Scheduler.objects.exists()
