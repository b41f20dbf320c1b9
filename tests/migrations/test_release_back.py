"""An upgrade while the release back runs: its rows survive the migrations, and its code goes on reading and writing after them.
On both databases, with the tables as that release made them."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from django.apps import apps as present
from django.db import connections, models, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.operations.base import Operation

from leaderboard.operations.schema_changes import AddIndexConcurrently, AddUniqueConcurrently
from leaderboard.settings import env
from tests.migrations.expand_only import RELEASED, released_nodes
from tests.migrations.rows import insert
from tests.services import ROOT, environment_of, postgres_server

SCRATCH = "scratch"


@pytest.fixture(scope="module")
def postgres():
    with TemporaryDirectory() as name, postgres_server(Path(name) / "server") as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.services)])
def scratch(request, tmp_path, django_db_blocker):
    """An empty database beside the tests' own."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/scratch.sqlite3"
    else:
        url = request.getfixturevalue("postgres").create_database()
    connections.databases[SCRATCH] = connections.configure_settings({"default": env.db_url_config(url)})["default"]
    with django_db_blocker.unblock():
        yield connections[SCRATCH]
        connections[SCRATCH].close()
    del connections[SCRATCH], connections.databases[SCRATCH]


def migrate(scratch, targets):
    executor = MigrationExecutor(scratch)
    executor.migrate(targets or executor.loader.graph.leaf_nodes())
    return executor.loader


def ours(apps):
    return [model for model in apps.get_models(include_auto_created=True) if model._meta.app_label in RELEASED]


def test_the_release_back_goes_on_reading_and_writing(scratch):
    old = migrate(scratch, released_nodes()).project_state(released_nodes()).apps
    insert(old, using=SCRATCH, number=1)
    files = files_of_tables(scratch)
    migrate(scratch, None)
    assert files_of_tables(scratch).items() >= files.items(), "a table was rewritten, which locks it"

    made = insert(old, using=SCRATCH, number=2)
    tried = {model._meta.label for model in ours(old) if not model._meta.auto_created}
    assert set(made) | {"boards.CatalogueState"} == tried
    for row in made.values():
        row.save(using=SCRATCH, force_update=True)
        row.refresh_from_db(using=SCRATCH)
    counts = {model._meta.label: model._base_manager.using(SCRATCH).count() for model in ours(old)}
    for label, count in counts.items():
        rows = list(present.get_model(label)._base_manager.using(SCRATCH))
        assert len(rows) == count, f"today's code reads every {label}"
    with transaction.atomic(SCRATCH), scratch.cursor() as cursor:
        for model in ours(old):
            cursor.execute(f"DELETE FROM {scratch.ops.quote_name(model._meta.db_table)}")


def files_of_tables(scratch) -> dict[str, int]:
    """PostgreSQL keeps each table in a file of its own, with another number after a rewrite."""
    if scratch.vendor != "postgresql":
        return {}
    with scratch.cursor() as cursor:
        cursor.execute(
            "SELECT relname, relfilenode FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        return {name: number for name, number in cursor.fetchall() if name.partition("_")[0] in RELEASED}


def change(scratch, operation: Operation, *, label: str = "submissions") -> None:
    """Carry out one operation on a table, as a migration without a transaction does."""
    loader = MigrationExecutor(scratch).loader
    before = loader.project_state(loader.graph.leaf_nodes())
    after = before.clone()
    operation.state_forwards(label, after)
    with scratch.schema_editor(atomic=False) as editor:
        operation.database_forwards(label, editor, before, after)


CONCURRENT = {
    "by_kind": AddIndexConcurrently("submission", models.Index(fields=["kind"], name="by_kind")),
    "one_name": AddUniqueConcurrently("submission", models.UniqueConstraint(fields=["name", "kind"], name="one_name")),
    "one_model": AddUniqueConcurrently(
        "submission",
        models.UniqueConstraint(fields=["name", "model"], condition=models.Q(model="x"), name="one_model"),
    ),
}
EXPECTED = {"by_kind": (["kind"], False), "one_name": (["name", "kind"], True), "one_model": (["name", "model"], True)}


def test_a_concurrent_operation_makes_what_django_s_would(scratch):
    migrate(scratch, None)
    for name, operation in CONCURRENT.items():
        change(scratch, operation)
        with scratch.cursor() as cursor:
            found = scratch.introspection.get_constraints(cursor, "submissions_submission")[name]
        assert (found["columns"], found["unique"]) == EXPECTED[name]


@pytest.mark.parametrize("scratch", [pytest.param("postgres", marks=pytest.mark.services)], indirect=True)
def test_a_concurrent_operation_waits_for_one_writer_and_keeps_no_other_waiting(scratch):
    released = migrate(scratch, None).project_state(released_nodes()).apps
    first, second = (insert(released, using=SCRATCH, number=number)["submissions.Submission"].pk for number in (1, 2))
    writer, other = (psycopg.connect(scratch_url(scratch)) for _ in range(2))
    writer.execute("UPDATE submissions_submission SET filename = 'a' WHERE id = %s", [first])

    def build() -> None:
        change(connections[SCRATCH], CONCURRENT["by_kind"])
        connections[SCRATCH].close()

    builder = threading.Thread(target=build)
    builder.start()
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE%CONCURRENTLY%' AND wait_event_type = 'Lock'"
    while other.execute(waiting).fetchone() == (0,):
        assert builder.is_alive()
        other.rollback()
    other.execute("SET lock_timeout = '5s'")
    other.execute("UPDATE submissions_submission SET filename = 'b' WHERE id = %s", [second])
    assert builder.is_alive()
    for connection in (other, writer):
        connection.commit()
        connection.close()
    builder.join(timeout=60)
    with scratch.cursor() as cursor:
        assert "by_kind" in scratch.introspection.get_constraints(cursor, "submissions_submission")


@pytest.mark.services
def test_a_migration_steps_back_from_a_table_in_use_and_is_done_once_it_is_free(postgres, tmp_path):
    """As an operator runs it, beside a writer with a long transaction: another writer gets through meanwhile."""
    environment = environment_of(tmp_path, database_url=postgres.create_database())
    manage = [sys.executable, "manage.py"]
    subprocess.run([*manage, "migrate", "standings", "zero"], cwd=ROOT, env=environment, check=True, capture_output=True)
    subprocess.run([*manage, "migrate", "submissions"], cwd=ROOT, env=environment, check=True, capture_output=True)
    with psycopg.connect(environment["DATABASE_URL"]) as writer:
        writer.execute("UPDATE submissions_submission SET filename = ''")
        command = [*manage, "shell", "-c", "from leaderboard.operations.migrating import migrate; migrate()"]
        running = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        said = iter(running.stdout.readline, "")
        assert any("waits for a table that is in use" in line for line in said)
        with psycopg.connect(environment["DATABASE_URL"], options="-c lock_timeout=10s") as other:
            other.execute("UPDATE submissions_submission SET filename = ''")
    assert running.wait(timeout=120) == 0
    with psycopg.connect(environment["DATABASE_URL"]) as after:
        assert after.execute("SELECT count(*) FROM standings_standing").fetchone() == (0,)


def scratch_url(scratch) -> str:
    settings = scratch.settings_dict
    return f"postgres://{settings['USER']}@{settings['HOST']}:{settings['PORT']}/{settings['NAME']}"
