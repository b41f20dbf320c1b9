"""Tables as lines of JSON that every database can take in again. Called by `backing_up` and `restoring`.

The first line of a table says its model and fields, each further line is one row. Values are what Django's fields read, so a
row of SQLite is a row of PostgreSQL, floats to the last bit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from typing import IO, Any
from uuid import UUID

from django.apps import apps
from django.contrib.sessions.models import Session
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from django.db.models import Field, JSONField, Model

from leaderboard.evaluations.models import Scheduler, Worker

ROWS_AT_ONCE = 1000
LEFT_OUT: tuple[type[Model], ...] = (Session, Worker, Scheduler)
"""What belongs to the processes and browsers of the moment. A session that somebody has ended must not come back."""


def tables() -> list[type[Model]]:
    """The models whose rows a backup holds, by label: every table but those LEFT_OUT, those of libraries too."""
    every = apps.get_models(include_auto_created=True)
    kept = [model for model in every if model._meta.managed and not model._meta.proxy and not model._meta.swapped]  # noqa: SLF001
    return sorted((model for model in kept if model not in LEFT_OUT), key=label_of)


def label_of(model: type[Model]) -> str:
    """Such as "submissions.Submission"."""
    return model._meta.label  # noqa: SLF001


def columns_of(model: type[Model]) -> list[Field[Any, Any]]:
    """The stored fields, in the order of the model."""
    return [field for field in model._meta.local_concrete_fields if not field.generated]  # noqa: SLF001


def write_table(model: type[Model], out: IO[bytes], *, advance: Callable[[int], None]) -> int:
    """Write all rows by primary key; how many."""
    names = [field.attname for field in columns_of(model)]
    out.write(_line({"model": label_of(model), "fields": names}))
    count = 0
    for row in model._base_manager.order_by("pk").values_list(*names).iterator(chunk_size=ROWS_AT_ONCE):  # noqa: SLF001
        out.write(_line([_plain(value) for value in row]))
        count += 1
        advance(1)
    return count


def read_table(lines: IO[bytes], *, advance: Callable[[int], None]) -> int:
    """Insert all rows of a table as they are, defaults and automatic times untouched; how many. Within the caller's
    transaction, at whose end foreign keys are checked. Raises ValueError for a table that does not fit the installed code."""
    head = json.loads(lines.readline())
    model = apps.get_model(head["model"])
    fields = {field.attname: field for field in columns_of(model)}
    if set(head["fields"]) != set(fields):
        raise ValueError(
            f"its {head['model']} has other columns than the installed code's: {_differing(head['fields'], fields)}"
        )
    ordered = [fields[name] for name in head["fields"]]
    statement = _insert(model, ordered)
    count = 0
    rows = iter(lines)
    while chunk := [_stored(json.loads(line), ordered) for line in islice(rows, ROWS_AT_ONCE)]:
        with connection.cursor() as cursor:
            cursor.executemany(statement, chunk)
        count += len(chunk)
        advance(len(chunk))
    return count


def rows_in(model: type[Model]) -> int:
    """How many rows there are."""
    return model._base_manager.count()  # noqa: SLF001


def _line(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), cls=DjangoJSONEncoder).encode() + b"\n"


def _plain(value: Any) -> Any:
    """Times with their microseconds, which Django's own encoder cuts to milliseconds."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, UUID | Decimal | timedelta):
        return str(value)
    if isinstance(value, bytes | memoryview):
        raise TypeError("a column holds bytes, which this format has no words for")
    return value


def _stored(row: Sequence[Any], fields: Sequence[Field[Any, Any]]) -> list[Any]:
    return [_value(value, field) for value, field in zip(row, fields, strict=True)]


def _value(value: Any, field: Field[Any, Any]) -> Any:
    if value is None and isinstance(field, JSONField) and not field.null:
        return connection.ops.adapt_json_value(None, field.encoder)  # JSON's null, which is not the database's
    return field.get_db_prep_save(field.to_python(value), connection=connection)


def _insert(model: type[Model], fields: Sequence[Field[Any, Any]]) -> str:
    quote = connection.ops.quote_name
    columns = ", ".join(quote(str(field.column)) for field in fields)
    values = ", ".join(["%s"] * len(fields))
    return f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES ({values})"  # noqa: S608, SLF001  our own names


def _differing(found: Sequence[str], known: dict[str, Any]) -> str:
    return ", ".join(sorted(set(found) ^ set(known)))
