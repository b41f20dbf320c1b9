"""What a migration must not do while the release back still runs: the rule "expand now, contract a release later" as a function
over Django's migration graph. released.json names the last migrations of the release back; what comes after is checked,
and null stands for an app that the release back does not have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from django.db import models
from django.db.migrations import Migration, operations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState
from django.db.models import NOT_PROVIDED

from leaderboard.operations.schema_changes import AddIndexConcurrently, AddUniqueConcurrently

RELEASED: dict[str, str | None] = json.loads((Path(__file__).parent / "released.json").read_text())
HARMLESS = (
    operations.CreateModel,
    operations.AlterModelOptions,
    operations.AlterModelManagers,
    operations.AlterModelTableComment,
    operations.RemoveConstraint,
    operations.RemoveIndex,
    operations.RenameIndex,
    operations.RunPython,
    AddIndexConcurrently,
)


def released_nodes() -> list[tuple[str, str]]:
    return [(app, name) for app, name in RELEASED.items() if name is not None]


def objections(loader: MigrationLoader, *, released: list[tuple[str, str]]) -> list[str]:
    """Everything that the migrations after the release do to it, as sentences."""
    old = loader.project_state(released)
    shipped = {node for end in released for node in loader.graph.forwards_plan(end)}
    state = ProjectState()
    found: list[str] = []
    for node in in_order(loader):
        migration = loader.graph.nodes[node]
        if node not in shipped and node[0] in RELEASED:
            found += _of_migration(migration, state, old)
        else:
            state = migration.mutate_state(state, preserve=False)
    return found


def in_order(loader: MigrationLoader) -> list[tuple[str, str]]:
    """Every migration once, each after those that it depends on."""
    seen: dict[tuple[str, str], None] = {}
    for leaf in loader.graph.leaf_nodes():
        seen.update(dict.fromkeys(loader.graph.forwards_plan(leaf)))
    return list(seen)


def _of_migration(migration: Migration, state: ProjectState, old: ProjectState) -> Iterator[str]:
    app = migration.app_label
    for operation in migration.operations:
        what = f"{app}.{migration.name}, {operation.describe()}"
        yield from (f"{what}: {why}" for why in _of_operation(operation, app, state, old, atomic=migration.atomic))
        operation.state_forwards(app, state)


def _of_operation(operation: Operation, app: str, state: ProjectState, old: ProjectState, *, atomic: bool) -> Iterator[str]:
    if isinstance(operation, AddIndexConcurrently | AddUniqueConcurrently) and atomic:
        yield "it needs a migration of its own with atomic = False"
    if isinstance(operation, HARMLESS):
        return
    name = getattr(operation, "model_name", None) or getattr(operation, "name", "")
    known = old.models.get((app, name.lower()))
    if known is None and isinstance(operation, operations.models.ModelOperation | operations.fields.FieldOperation):
        return  # a table that the release back does not know
    if known is None and isinstance(operation, operations.AddIndex | operations.AddConstraint):
        return
    yield from _of_known_table(operation, known, state.models.get((app, name.lower())))


def _of_known_table(operation: Operation, old: ModelState | None, now: ModelState | None) -> Iterator[str]:
    if old is None or now is None:
        yield "what this does to the release back cannot be read from it; make it one of Django's operations, or RunPython"
    elif isinstance(operation, operations.AddField):
        yield from _added(operation.field)
    elif isinstance(operation, operations.AlterField):
        if operation.name in old.fields:
            yield from _altered(now.fields[operation.name], operation.field)
    elif isinstance(operation, operations.RemoveField):
        if operation.name in old.fields:
            yield "the release back still reads and writes it; remove it a release later"
    elif isinstance(operation, operations.RenameField):
        if operation.old_name in old.fields:
            yield "the release back knows it by the old name; add a field, and remove the old one a release later"
    elif isinstance(operation, operations.AddConstraint):
        yield from _constrained(operation, old, now)
    elif isinstance(operation, operations.AddIndex):
        yield "it locks out writers while it is built; take AddIndexConcurrently of leaderboard.operations.schema_changes"
    else:
        yield "the release back uses this table as it is"


def _added(field: models.Field) -> Iterator[str]:
    if field.many_to_many:
        return
    if not field.null and field.db_default is NOT_PROVIDED:
        yield "the release back leaves it out when it inserts; give it a db_default, or null=True"
    if field.unique and not field.null:
        yield "the rows of the release back would all have the same value; make it null=True, or unique a release later"
    if field.db_index and field.remote_field is None:
        yield "its index locks out everybody while it is built; take AddIndexConcurrently in a migration of its own"


def _altered(before: models.Field, after: models.Field) -> Iterator[str]:
    if before.null and not after.null:
        yield "the release back may write null"
    if after.unique and not before.unique:
        yield "the release back may write the same value twice, and its index locks out everybody while it is built"
    if after.db_index and not before.db_index:
        yield "its index locks out writers while it is built; take AddIndexConcurrently in a migration of its own"
    if before.db_default is not NOT_PROVIDED and after.db_default is NOT_PROVIDED and not after.null:
        yield "the release back may rely on its db_default"
    if before.get_internal_type() != after.get_internal_type():
        yield f"{before.get_internal_type()} to {after.get_internal_type()} rewrites the table; add a field of the new type"
    elif (after.max_length or 10**9) < (before.max_length or 10**9):
        yield "the release back may write longer values"


def _constrained(operation: operations.AddConstraint, old: ModelState, now: ModelState) -> Iterator[str]:
    """A unique constraint holds for the rows of the release back if that has a stricter one, or writes null into a column."""
    constraint = operation.constraint
    if not isinstance(constraint, models.UniqueConstraint):
        yield "the release back may write what it forbids, and every row is read under a lock; check it in code first"
        return
    columns = set(constraint.fields)
    stricter = [set(each.fields) for each in old.options["constraints"] if isinstance(each, models.UniqueConstraint)]
    always_null = {
        name for name in columns - set(old.fields) if now.fields[name].null and constraint.nulls_distinct is not False
    }
    if not columns or not (always_null or any(fields and fields <= columns for fields in stricter)):
        yield "the release back may write the same values twice; make it unique a release later"
    elif not isinstance(operation, AddUniqueConcurrently):
        yield "its index locks out everybody while it is built; take AddUniqueConcurrently of operations.schema_changes"
