"""Migration operations that lock nobody out: for changes to tables that a running server reads and writes. Used by the apps'
migrations, in place of Django's operations of similar names, in a migration of its own with `atomic = False`.

Django builds an index inside a transaction that keeps every writer (for a constraint, every reader too) waiting until it is
done. On PostgreSQL these build it concurrently. On SQLite, which has one writer at a time anyhow, they do what Django does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from django.db import transaction
from django.db.migrations.operations import AddConstraint, AddIndex
from django.db.migrations.state import ProjectState
from django.db.models import Model, Q, UniqueConstraint
from django.db.transaction import TransactionManagementError

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor


class AddIndexConcurrently(AddIndex):
    """AddIndex that lets reads and writes go on. One that was interrupted is begun anew."""

    atomic = False

    def describe(self) -> str:
        """For `showmigrations --plan`."""
        return f"Concurrently: {super().describe()}"

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Build the index."""
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        statement = str(self.index.create_sql(model, schema_editor))
        with _patiently(schema_editor, str(self.index.name)):
            schema_editor.execute(statement.replace("CREATE INDEX", "CREATE INDEX CONCURRENTLY", 1))


class AddUniqueConcurrently(AddConstraint):
    """AddConstraint for a UniqueConstraint over plain fields that lets reads and writes go on while its index is built."""

    atomic = False

    def describe(self) -> str:
        """For `showmigrations --plan`."""
        return f"Concurrently: {super().describe()}"

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Build the index, then make it the constraint's."""
        if schema_editor.connection.vendor != "postgresql":
            with transaction.atomic(schema_editor.connection.alias):  # SQLite copies the table for it
                super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        constraint = cast("UniqueConstraint", self.constraint)
        name, table = (schema_editor.quote_name(each) for each in (constraint.name, model._meta.db_table))  # noqa: SLF001
        with _patiently(schema_editor, constraint.name):
            schema_editor.execute(_unique_index(constraint, model, schema_editor))
        if not constraint.condition:  # one with a condition is an index and nothing more, for Django as for the database
            schema_editor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE USING INDEX {name}")


def _unique_index(constraint: UniqueConstraint, model: type[Model], schema_editor: BaseDatabaseSchemaEditor) -> str:
    """The index as Django would make it for the same constraint with a condition, without and with one."""
    condition = constraint.condition or Q(pk__isnull=False)
    alike = UniqueConstraint(fields=constraint.fields, condition=condition, name=constraint.name)
    statement = str(alike.create_sql(model, schema_editor))
    if not constraint.condition:
        statement = statement.partition(" WHERE ")[0]
    return statement.replace("CREATE UNIQUE INDEX", "CREATE UNIQUE INDEX CONCURRENTLY", 1)


@contextmanager
def _patiently(schema_editor: BaseDatabaseSchemaEditor, name: str) -> Iterator[None]:
    """Waiting for old transactions locks nobody out, so it may take as long as it takes. An interrupted try has left an invalid
    index of that name behind."""
    if schema_editor.connection.in_atomic_block:
        raise TransactionManagementError("an index cannot be built concurrently in a transaction: set atomic = False")
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout')")
        limit = cursor.fetchone()[0]
        cursor.execute("SET lock_timeout = 0")
        cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {schema_editor.quote_name(name)}")
    try:
        yield
    finally:
        schema_editor.execute("SELECT set_config('lock_timeout', %s, false)", [limit])
