"""Migrations keep the release back running: every kind of change that would break it is refused, and ours make none."""

from __future__ import annotations

import pytest
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.models import Index, Q, UniqueConstraint

from leaderboard.operations.schema_changes import AddIndexConcurrently, AddUniqueConcurrently
from tests.migrations.expand_only import RELEASED, objections, released_nodes

TEXT = {"max_length": 9}


@pytest.fixture
def loader():
    return MigrationLoader(None)


def added(loader, *operations, atomic=True):
    """The objections to a release that only adds these operations to `submissions`."""
    every = {app: name for app, name in loader.graph.leaf_nodes() if app in RELEASED}
    migration = migrations.Migration("9999_next", "submissions")
    migration.operations, migration.atomic = list(operations), atomic
    node = ("submissions", "9999_next")
    loader.graph.add_node(node, migration)
    loader.graph.add_dependency(migration, node, ("submissions", every["submissions"]))
    return objections(loader, released=list(every.items()))


def test_our_migrations_since_the_release_back_only_expand(loader):
    assert not objections(loader, released=released_nodes())


def test_every_app_with_migrations_of_ours_is_watched(loader):
    ours = {node[0] for node in loader.graph.leaf_nodes() if loader.graph.nodes[node].__module__.startswith("leaderboard.")}
    assert ours == set(RELEASED)


REFUSED = {
    "not null without a database default": migrations.AddField("submission", "x", models.CharField(default="", **TEXT)),
    "unique with one default": migrations.AddField("submission", "x", models.IntegerField(unique=True, db_default=0)),
    "indexed": migrations.AddField("submission", "x", models.IntegerField(null=True, db_index=True)),
    "removed": migrations.RemoveField("submission", "filename"),
    "renamed": migrations.RenameField("submission", "filename", "file_name"),
    "not null from now on": migrations.AlterField(
        "submission", "artifact", models.ForeignKey("submissions.Artifact", models.PROTECT)
    ),
    "unique from now on": migrations.AlterField("submission", "filename", models.CharField(max_length=200, unique=True)),
    "shorter": migrations.AlterField("submission", "filename", models.CharField(max_length=100)),
    "another type": migrations.AlterField("submission", "filename", models.IntegerField()),
    "indexed from now on": migrations.AlterField("submission", "filename", models.CharField(max_length=200, db_index=True)),
    "an index under a lock": migrations.AddIndex("submission", Index(fields=["kind"], name="by_kind")),
    "a new uniqueness": migrations.AddConstraint("submission", UniqueConstraint(fields=["name"], name="one_name")),
    "a wider uniqueness under a lock": migrations.AddConstraint(
        "submission", UniqueConstraint(fields=["board", "user", "content_hash", "kind"], name="one")
    ),
    "a check": migrations.AddConstraint("submission", models.CheckConstraint(condition=~Q(name=""), name="has_a_name")),
    "a table gone": migrations.DeleteModel("idempotencykey"),
    "a table renamed": migrations.RenameModel("idempotencykey", "posted"),
    "a table moved": migrations.AlterModelTable("idempotencykey", "elsewhere"),
    "statements": migrations.RunSQL("DROP TABLE submissions_artifact"),
}
ALLOWED = {
    "null": migrations.AddField("submission", "x", models.CharField(null=True, **TEXT)),
    "database default": migrations.AddField("submission", "x", models.CharField(db_default="", **TEXT)),
    "longer": migrations.AlterField("submission", "filename", models.CharField(max_length=300)),
    "nullable": migrations.AlterField("submission", "filename", models.CharField(max_length=200, null=True)),
    "other words": migrations.AlterField("submission", "filename", models.CharField(max_length=200, help_text="The name.")),
    "fewer constraints": migrations.RemoveConstraint("submission", "one_submission_per_content"),
    "data": migrations.RunPython(migrations.RunPython.noop),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_breaks_the_release_back_is_refused_with_the_way_out(loader, what):
    (found,) = added(loader, REFUSED[what])[:1]
    assert found.startswith("submissions.9999_next, ")


@pytest.mark.parametrize("what", ALLOWED)
def test_what_only_expands_is_allowed(loader, what):
    assert added(loader, ALLOWED[what]) == []


def test_a_table_that_the_release_back_does_not_know_may_change_at_will(loader):
    made = migrations.CreateModel("Note", [("id", models.BigAutoField(primary_key=True)), ("text", models.TextField())])
    assert added(loader, made, migrations.RemoveField("note", "text"), migrations.DeleteModel("Note")) == []


CONCURRENT = [
    AddIndexConcurrently("submission", Index(fields=["kind"], name="by_kind")),
    AddUniqueConcurrently("submission", UniqueConstraint(fields=["board", "user", "content_hash", "kind"], name="one")),
]


@pytest.mark.parametrize("operation", CONCURRENT, ids=lambda each: type(each).__name__)
def test_an_index_built_concurrently_needs_a_migration_without_a_transaction(loader, operation):
    assert "atomic = False" in added(loader, operation)[0]


def test_a_uniqueness_that_the_release_back_escapes_with_null_is_allowed(loader):
    column = migrations.AddField("submission", "x", models.IntegerField(null=True))
    constraint = UniqueConstraint(fields=["board", "x"], condition=Q(x__isnull=False), name="one_x")
    assert added(loader, column, AddUniqueConcurrently("submission", constraint), atomic=False) == []


@pytest.mark.parametrize("operation", CONCURRENT, ids=lambda each: type(each).__name__)
def test_an_index_built_concurrently_is_allowed(loader, operation):
    assert added(loader, operation, atomic=False) == []
