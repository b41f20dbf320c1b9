"""Writing the audit log: who acts (`Actor`), what an object looks like (`snapshot`), and the entry itself (`record`). Called by
the services that change what hosts and administrators govern, inside the transaction of the change, and by the administration
through `audit.admin.Audited`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction
from django.http import HttpRequest
from rest_framework.request import Request

from leaderboard.accounts.models import ApiToken, User
from leaderboard.audit.models import AuditEntry, Via
from leaderboard.throttling import caller_address

SECRETS = frozenset({"password", "digest", "token_key", "last_login", "secret", "data", "session_key"})
"""Fields whose values never stand in the log; of a password, only that it changed."""
CHANGED = "(changed)"
LONGEST_TEXT = 2_000

Values = dict[str, Any]


@dataclass(frozen=True)
class Actor:
    """Who acts, and by which way. `user` None is the operator at the command line, or the server itself; `name` says which
    command. `token` has the name and the beginning of the token, for `via` token."""

    user: User | None
    via: Via
    name: str = ""
    token: str = ""
    request_id: str = ""
    address: str | None = None

    @property
    def title(self) -> str:
        """How the log calls the actor."""
        return self.name or (self.user.username if self.user else "")


def actor_of(request: HttpRequest | Request, *, via: Via = Via.SESSION) -> Actor:
    """Whoever sent this request. Call it for people who are logged in only."""
    token = getattr(request, "auth", None)
    plain = request._request if isinstance(request, Request) else request  # noqa: SLF001
    return Actor(
        user=request.user if isinstance(request.user, User) else None,
        via=Via.TOKEN if isinstance(token, ApiToken) else via,
        token=f"{token.name[:60]} ({token.token_key}…)" if isinstance(token, ApiToken) else "",
        request_id=plain.META.get("HTTP_X_REQUEST_ID", ""),
        address=caller_address(plain),
    )


def operator(command: str) -> Actor:
    """Whoever runs a management command on the server."""
    return Actor(user=None, via=Via.COMMAND, name=f"manage.py {command}")


def record(
    actor: Actor,
    action: str,
    subject: models.Model,
    *,
    board: models.Model | None = None,
    before: Values | None = None,
    after: Values | None = None,
    name: str = "",
) -> AuditEntry:
    """Write one entry. Raises TransactionManagementError outside of a transaction: the change and its entry stand or fall
    together.

    before, after: as `snapshot` and `differences` give them; None where the object did not exist before, or does not after.
    name: how the log calls the object; empty: by its own label.
    """
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError(f"{action} must be recorded in the transaction that does it")
    return AuditEntry.objects.create(
        actor=actor.user,
        actor_name=actor.title[:150],
        via=actor.via,
        token=actor.token[:80],
        action=action,
        object_type=subject._meta.label,  # noqa: SLF001
        object_id=_public_key(subject),
        object_name=(name or str(subject))[:200],
        board_id=None if board is None else board.pk,
        before=before,
        after=after,
        request_id=actor.request_id[:64],
        address=actor.address,
    )


def snapshot(subject: models.Model) -> Values:
    """The object's fields as JSON, many-to-many ones as names. Secrets are left out."""
    meta = subject._meta  # noqa: SLF001
    plain = {
        field.name: _plain(field.value_from_object(subject)) for field in meta.concrete_fields if field.name not in SECRETS
    }
    many = {field.name: sorted(str(each) for each in getattr(subject, field.name).all()) for field in meta.many_to_many}
    return {**plain, **many}


def differences(before: Values, after: Values) -> tuple[Values, Values]:
    """The fields that differ, as they were and as they are."""
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return {name: before.get(name) for name in names}, {name: after.get(name) for name in names}


def named(people: Iterable[User]) -> list[str]:
    """People as the log has them."""
    return sorted(person.username for person in people)


def without_secrets(values: Mapping[str, Any]) -> Values:
    """The values as JSON. Of a secret, only that there was one."""
    return {name: CHANGED if name in SECRETS else _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    """As JSON has it; long texts are cut, for the log is no archive."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | dict):
        return value
    text = value if isinstance(value, str) else _encoded(value)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… ({len(text)} characters)"


def _encoded(value: Any) -> str:
    try:
        return str(DjangoJSONEncoder().default(value))
    except TypeError:
        return str(value)


def _public_key(subject: models.Model) -> str:
    """The key that names the object; of a token, whose key is its digest, the beginning."""
    return str(subject.pk)[:32] if isinstance(subject, ApiToken) else str(subject.pk)[:64]
