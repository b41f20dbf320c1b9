"""A person's webhooks: made, listed, removed, tried out. Called by the API and the page."""

from __future__ import annotations

import json
import secrets
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from leaderboard.accounts.models import User
from leaderboard.permissions import get_hosted_board
from leaderboard.refusals import Conflict, FieldError, InvalidRequest, NotFound
from leaderboard.secrets import decrypted, encrypted
from leaderboard.webhooks import outgoing
from leaderboard.webhooks.models import Delivery, Webhook

MOST = 10
PURPOSE = "webhook secrets"


def webhooks_of(user: User) -> QuerySet[Webhook]:
    """Oldest first."""
    return Webhook.objects.filter(user=user).select_related("board")


def get_webhook(webhook_id: UUID, user: User) -> Webhook:
    """Raises NotFound, for another person's too."""
    found = webhooks_of(user).filter(pk=webhook_id).first()
    if found is None:
        raise NotFound(f"you have no webhook {webhook_id}")
    return found


def register(*, user: User, url: str, board: str = "") -> tuple[Webhook, str]:
    """A new webhook and its secret, which is shown this once. board: the slug of a board that the user hosts, whose submissions
    are all told of; empty: the user's own, and those of the user's teams.

    Raises InvalidRequest for an address that is not called, NotFound, NotAllowed, and Conflict for too many.
    """
    where = get_hosted_board(board, user) if board else None
    try:
        outgoing.check(url)
    except (outgoing.AddressRefusedError, outgoing.CallFailedError) as error:
        raise InvalidRequest(str(error), errors=(FieldError("url", "invalid", str(error)),)) from error
    secret = secrets.token_urlsafe(32)
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)  # two at once do not pass the limit
        if webhooks_of(user).count() >= MOST:
            raise Conflict(f"you have {MOST} webhooks, and that is the most; remove one first")
        kept = encrypted(secret, key=settings.SECRET_KEY, purpose=PURPOSE)
        return Webhook.objects.create(user=user, board=where, url=url, secret=kept), secret


def remove(webhook_id: UUID, user: User) -> None:
    """No further call is made. Raises NotFound."""
    get_webhook(webhook_id, user).delete()


def try_out(webhook: Webhook) -> Delivery:
    """Queue a call that says nothing but that it is one. It switches a webhook on that had been switched off."""
    Webhook.objects.filter(pk=webhook.pk).update(active=True)
    return Delivery.objects.create(webhook=webhook, event="ping", body=json.dumps({"event": "ping"}))


def secret_of(webhook: Webhook) -> bytes:
    """What its calls are signed with. Raises cryptography's InvalidToken where SECRET_KEY is another now."""
    return decrypted(webhook.secret, key=settings.SECRET_KEY, purpose=PURPOSE).encode()
