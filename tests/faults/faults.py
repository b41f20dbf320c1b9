"""Every fault: a function that does it to a running stand at a moment that `choice` draws, and puts back what an operator or a
supervisor would put back. It returns when the cause is over; recovering is the deployment's business."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest
import redis as redis_client
from celery import Celery

from leaderboard.celery import EVALUATE
from tests.faults.stand import BOARD, SCHEDULERS, WORKERS, Stand, die, moment
from tests.services import ROOT, Process, wait_until

Fault = Callable[[Stand, random.Random], None]


def worker_killed(stand: Stand, choice: random.Random) -> None:
    """kill -9 of a worker's parent while it computes, and a new worker, as a supervisor starts one."""
    name, _ = stand.computing()
    moment(choice)
    family = stand.family(name)
    stand.process(name).kill(signal.SIGKILL)
    wait_until(lambda: all(gone(each) for each in family), seconds=15, what="everything of the worker has ended")
    stand.start_worker(name)


def pool_process_killed(stand: Stand, choice: random.Random) -> None:
    name, _ = stand.computing()
    victim = stand.pool_process(name)
    moment(choice)
    die(victim)


def zygote_killed(stand: Stand, choice: random.Random) -> None:
    """The outer or the inner one."""
    name, _ = stand.computing()
    victims = stand.zygotes(name)[:2]
    moment(choice, longest=0.2)
    die(choice.choice(victims))


def sandboxed_child_killed(stand: Stand, choice: random.Random) -> None:
    def child() -> psutil.Process | None:
        """A zygote's child that is not the inner zygote: it lies below two others."""
        for name in WORKERS:
            zygotes = stand.zygotes(name)
            if len(zygotes) > 2:
                return zygotes[-1]
        return None

    victim = wait_until(child, seconds=40, what="a model runs in its sandbox")
    moment(choice, longest=0.1)
    die(victim)


def worker_stopped_past_its_lease(stand: Stand, choice: random.Random) -> None:
    """SIGSTOP for all of a worker until its evaluation is somebody else's; then it goes on where it was."""
    name, row = stand.computing()
    moment(choice, longest=0.2)
    family = stand.family(name)
    for each in family:
        each.suspend()
    try:
        attempt = "SELECT attempt, state FROM evaluations_evaluation WHERE id = %s"
        wait_until(
            lambda: any(now["attempt"] > row["attempt"] or now["state"] != "running" for now in stand.rows(attempt, row["id"])),
            seconds=30, what="the evaluation was taken away",
        )  # fmt: skip
        moment(choice, longest=1.0)
    finally:
        for each in family:
            if not gone(each):
                each.resume()


def worker_stopped_in_a_transaction(stand: Stand, choice: random.Random) -> None:
    """SIGSTOP while it holds the lock of the board, until everything that was sent before is over without it."""
    waits = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%boards_board%%'"
    addresses = "SELECT client_port FROM pg_stat_activity WHERE pid = %s"
    with psycopg.connect(stand.database_url) as held:
        held.execute("SELECT 1 FROM boards_board WHERE slug = %s FOR NO KEY UPDATE", [BOARD])
        session = wait_until(lambda: stand.rows(waits), seconds=40, what="a worker wants to place a result")[0]["pid"]
        port = stand.rows(addresses, session)[0]["client_port"]
        name = wait_until(lambda: stand.owner_of(port), what="the worker that waits")
        family = stand.family(name)
        for each in family:
            each.suspend()
    try:
        moment(choice)
        stuck = "SELECT count(*) AS n FROM evaluations_evaluation WHERE state IN ('queued', 'running') AND id <= %s"
        newest = stand.rows("SELECT max(id) AS id FROM evaluations_evaluation")[0]["id"]
        wait_until(lambda: stand.rows(stuck, newest) == [{"n": 0}], seconds=60, what="the other worker did it all")
    finally:
        for each in family:
            if not gone(each):
                each.resume()


def redis_restarted(stand: Stand, choice: random.Random) -> None:
    stand.redis.process.kill(signal.SIGKILL)
    moment(choice, longest=1.5)
    stand.redis.restart()


def redis_restarted_empty(stand: Stand, choice: random.Random) -> None:
    """It comes back without anything that it knew."""
    stand.redis.process.kill(signal.SIGKILL)
    moment(choice, longest=1.5)
    shutil.rmtree(stand.redis.folder / "appendonlydir")
    stand.redis.restart()


def redis_flushed(stand: Stand, choice: random.Random) -> None:
    moment(choice)
    redis_client.Redis.from_url(stand.redis.url).flushall()


def redis_hangs(stand: Stand, choice: random.Random) -> None:
    """It accepts connections, and answers nothing."""
    os.kill(stand.redis.process.popen.pid, signal.SIGSTOP)
    try:
        time.sleep(choice.uniform(1.0, 4.0))
    finally:
        os.kill(stand.redis.process.popen.pid, signal.SIGCONT)


def postgres_restarted(stand: Stand, choice: random.Random) -> None:
    """Fast mode: sessions are ended, what is committed stays."""
    moment(choice)
    stand.postgres.process.kill(signal.SIGINT)
    moment(choice, longest=1.5)
    stand.postgres.restart()


def postgres_crashed(stand: Stand, choice: random.Random) -> None:
    """Immediate mode: it ends without a word, and recovers from its log."""
    moment(choice)
    stand.postgres.process.kill(signal.SIGQUIT)
    moment(choice, longest=1.5)
    stand.postgres.restart()


def disk_full(stand: Stand, choice: random.Random) -> None:
    """Artifacts and columns cannot be stored for longer than a lease."""
    if not stand.has_own_disk:
        pytest.skip("no tmpfs can be mounted here, and the machine's own disk is not ours to fill")
    filler = stand.disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for block in (2**20, 2**12):
            try:
                while True:
                    file.write(bytes(block))
            except OSError:
                continue
    time.sleep(choice.uniform(1.0, 5.0))
    filler.unlink()


def leases_jump_back(stand: Stand, choice: random.Random) -> None:
    """The database's clock is set forward by an hour: everything that runs has expired."""
    stand.computing()
    moment(choice)
    stand.change(
        "UPDATE evaluations_evaluation SET lease_expires_at = lease_expires_at - interval '1 hour' WHERE state = 'running'"
    )


def leases_jump_ahead(stand: Stand, choice: random.Random) -> None:
    """The database's clock is set back by two hours, and a worker dies: its lease seems to be good for two hours yet."""
    name, _ = stand.computing()
    moment(choice, longest=0.2)
    family = stand.family(name)
    for each in family:
        each.suspend()
    ahead = "UPDATE {} SET {} = {} + interval '2 hours'"
    for table, column in (
        ("evaluations_evaluation", "lease_expires_at"),
        ("evaluations_evaluation", "published_at"),
        ("standings_settlement", "not_before"),
        ("standings_settlement", "expires_at"),
        ("standings_settlement", "asked_at"),
    ):
        stand.change(ahead.format(table, column, column))
    for each in reversed(family):
        die(each)
    stand.process(name).popen.wait(timeout=20)
    stand.start_worker(name)


def messages_twice_and_out_of_order(stand: Stand, choice: random.Random) -> None:
    """Every evaluation that ever was gets two more wake-ups, shuffled, with random priorities."""
    ids = [row["id"] for row in stand.rows("SELECT id FROM evaluations_evaluation")] * 2
    choice.shuffle(ids)
    with Celery("outside", broker=stand.redis.url) as sender:
        options = {"queue_order_strategy": "priority", "priority_steps": list(range(10)), "sep": ":"}
        sender.conf.broker_transport_options = options
        for each in ids:
            sender.send_task(EVALUATE, args=[each], queue="cpu", priority=choice.randrange(10), ignore_result=True)


def scheduler_killed(stand: Stand, choice: random.Random) -> None:
    name = choice.choice(SCHEDULERS)
    stand.process(name).kill(signal.SIGKILL)
    moment(choice)
    stand.start_scheduler(name)


def new_version_deployed(stand: Stand, choice: random.Random) -> None:
    """A release with a migration: the database first, while everything of the old release runs; then, one after another and
    gracefully, the processes."""
    stand.tree = next_release(stand.folder)
    moment(choice)
    released = Process(
        ["env", f"PYTHONPATH={stand.tree}", *stand._manage("migrate", "--verbosity", "0")],
        stand.folder / "migrate.log", stand.server.environment,
    ).start()  # fmt: skip
    assert released.popen.wait(timeout=120) == 0, (stand.folder / "migrate.log").read_text()
    stand.server.environment["PYTHONPATH"] = str(stand.tree)
    for name in (*WORKERS, *SCHEDULERS):
        restart_gracefully(stand, name)
        stand.computing()


def restart_gracefully(stand: Stand, name: str) -> None:
    process = stand.process(name)
    process.kill(signal.SIGTERM)
    assert process.popen.returncode == 0, f"{name} ended with {process.popen.returncode}"
    (stand.start_worker if name in WORKERS else stand.start_scheduler)(name)


def next_release(folder: Path) -> Path:
    """A copy of the source tree in which evaluations have one more column, and the migration that adds it."""
    tree = folder / "release-2"
    if tree.exists():
        return tree
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for part in ("leaderboard", "evaluators", "reference_models"):
        shutil.copytree(ROOT / part, tree / part, ignore=ignored)
    shutil.copy(ROOT / "manage.py", tree / "manage.py")
    models = tree / "leaderboard" / "evaluations" / "models.py"
    last = "    provenance = models.JSONField(default=dict)\n"
    text = models.read_text()
    assert text.count(last) == 1
    models.write_text(text.replace(last, f"{last}    note = models.CharField(max_length=80, null=True)\n"))
    migrations = tree / "leaderboard" / "evaluations" / "migrations"
    newest = max(path.stem for path in migrations.glob("0*.py"))
    (migrations / "9999_note.py").write_text(MIGRATION.format(newest=newest))
    return tree


MIGRATION = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("evaluations", "{newest}")]
    operations = [
        migrations.AddField("evaluation", "note", models.CharField(max_length=80, null=True)),
    ]
"""


def gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


FAULTS: dict[str, Fault] = {
    fault.__name__.replace("_", " "): fault
    for fault in (
        worker_killed,
        pool_process_killed,
        zygote_killed,
        sandboxed_child_killed,
        worker_stopped_past_its_lease,
        worker_stopped_in_a_transaction,
        redis_restarted,
        redis_restarted_empty,
        redis_flushed,
        redis_hangs,
        postgres_restarted,
        postgres_crashed,
        disk_full,
        leases_jump_back,
        leases_jump_ahead,
        messages_twice_and_out_of_order,
        scheduler_killed,
        new_version_deployed,
    )
}
