"""Leaving: an account is deleted, by its person or by an administrator. Called by the account page, the administration and
`manage.py delete_account`.

Gone: name, e-mail addresses, password, second factors, sessions, tokens, webhooks, memberships, quota, and whatever else the
database deletes with an account. The row stays, without a name of its own ("deleted-user-12"), as the competitor of what was
sent: submissions are withdrawn, or stay on the boards under that name, as the person chooses. A team's submissions stay the
team's. Nobody can take the old name: papers and links may still mean the one who left.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import models, transaction
from django.utils import timezone

from leaderboard.accounts import teams
from leaderboard.accounts.models import RetiredName, User
from leaderboard.accounts.names import PSEUDONYM, digest_of
from leaderboard.refusals import Conflict
from leaderboard.submissions.models import Submission
from leaderboard.submissions.withdrawing import empty

logger = logging.getLogger(__name__)

KEPT = ("admin.LogEntry", "audit.AuditEntry")
"""What an administrator or a host did is not theirs alone: the log stays, under the new name."""


def leave(user: User, *, withdraw: bool) -> str:
    """Delete an account; its new name. withdraw: take what the person has sent alone off the boards; else it stays there under
    the new name. Raises Conflict while others depend on the account."""
    _refuse_needed(user)
    teams.leave_all(user)
    if withdraw:
        _withdraw_all(user)
    with transaction.atomic():
        row = User.objects.select_for_update().get(pk=user.pk)
        _refuse_needed(row)
        if withdraw:
            _withdraw_all(row)  # what was sent in between: intake finds the account closed from here on
        name = _forget(row)
    logger.info("account %s was deleted", user.pk)
    return name


def _refuse_needed(user: User) -> None:
    if user.is_system:
        raise Conflict("the system's account hosts the default boards, and cannot be deleted")
    hosted = list(user.hosted_boards.values_list("title", flat=True)[:5])
    if hosted:
        raise Conflict(f"this account hosts boards: {', '.join(hosted)}; an administrator can give them another host first")
    others = User.objects.filter(is_superuser=True, is_active=True).exclude(pk=user.pk)
    if user.is_superuser and not others.exists():
        raise Conflict("this is the last administrator's account; make another administrator first")


def _withdraw_all(user: User) -> None:
    own = Submission.objects.filter(user=user, team=None, withdrawn_at=None)
    for key in list(own.values_list("pk", flat=True)):
        empty(key, by=Submission.Withdrawer.COMPETITOR, now=timezone.now())


def _forget(user: User) -> str:
    RetiredName.objects.get_or_create(digest=digest_of(user.username))
    open_sessions = UserSession.objects.filter(user=user).values("session_key")
    Session.objects.filter(session_key__in=open_sessions).delete()
    for model, field in _belonging():
        model._base_manager.filter(**{field: user}).delete()  # noqa: SLF001  a default manager may hide some
    user.username = f"{PSEUDONYM}{user.pk}"
    user.first_name = user.last_name = user.email = ""
    user.is_active = user.is_staff = user.is_superuser = False
    user.last_login = None
    user.set_unusable_password()
    user.save()
    return user.username


def _belonging() -> Iterator[tuple[type[models.Model], str]]:
    """Every table whose rows the database would delete with the account: (model, field that names the person)."""
    for relation in User._meta.get_fields(include_hidden=True):  # noqa: SLF001
        if not relation.auto_created or relation.concrete or relation.many_to_many:
            continue
        told: Any = relation
        if told.on_delete is models.CASCADE and told.related_model._meta.label not in KEPT:  # noqa: SLF001
            yield told.related_model, told.field.name
