"""What the server holds about a person, for that person: every row that belongs to the account or names it, as plain values.
Secrets of the server (digests, keys) are left out. Called by the account page."""

from __future__ import annotations

from typing import Any

from django.db import models

from leaderboard.accounts.models import User
from leaderboard.evaluations.models import Evaluation

SECRET = frozenset({"password", "digest", "token_key", "secret", "session_key", "data", "request_hash", "key", "body"})
EVALUATION = ("number", "state", "queued_at", "started_at", "finished_at", "track_version", "failure_code", "failure_message")


def personal_data(user: User) -> dict[str, Any]:
    """By table: the account, then every table that refers to it, the oldest rows first. A submission has its evaluations; its
    file, log and per-example results are at the addresses that the API gives."""
    document: dict[str, Any] = {"account": _values(user)}
    for model, field in _referring():
        rows = model._base_manager.filter(**{field: user}).order_by(*_by_age(model))  # noqa: SLF001
        found = [_values(row) for row in rows.iterator()]
        if found:
            document.setdefault(model._meta.label, []).extend(found)  # noqa: SLF001
    evaluations = Evaluation.objects.filter(submission__user=user, submission__team=None).order_by("pk")
    document["evaluations.Evaluation"] = [
        {"submission": str(key), **dict(zip(EVALUATION, values, strict=True))}
        for key, *values in evaluations.values_list("submission", *EVALUATION).iterator()
    ]
    return document


def _referring() -> list[tuple[type[models.Model], str]]:
    every = User._meta.get_fields(include_hidden=True)  # noqa: SLF001
    relations: list[Any] = [each for each in every if each.auto_created and not each.concrete and not each.many_to_many]
    return [(each.related_model, each.field.name) for each in relations]


def _by_age(model: type[models.Model]) -> list[str]:
    dated = any(field.name == "created_at" for field in model._meta.concrete_fields)  # noqa: SLF001
    return ["created_at", "pk"] if dated else ["pk"]


def _values(row: models.Model) -> dict[str, Any]:
    fields = [field for field in row._meta.concrete_fields if field.name not in SECRET]  # noqa: SLF001
    return {field.name: field.value_from_object(row) for field in fields}
