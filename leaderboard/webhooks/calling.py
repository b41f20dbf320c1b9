"""Makes the calls. What has ended is found by looking, and kept as a row for each call before any is made: a server that dies
loses none. A row is taken by moving its next try ahead, one conditional UPDATE, so several schedulers share the work; one that
dies in a call leaves it to be made again. Receivers may get a call twice, and tell by its id. Run beside the scheduler."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import UUID

from cryptography.fernet import InvalidToken
from django.db import Error, connection
from django.db.models import F
from django.utils import timezone

from leaderboard.evaluations.models import FINAL_STATES, Evaluation
from leaderboard.permissions import may_host, owns
from leaderboard.webhooks import outgoing
from leaderboard.webhooks.models import Delivery, Webhook
from leaderboard.webhooks.registering import secret_of

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 2.0
LATEST_NEWS = timedelta(days=1)
"""What ended longer ago, while no scheduler ran, is told to nobody any more."""
OVERLAP = timedelta(minutes=5)
"""Results are seen when they commit, later than the moment they bear; looking back finds them, and a row is made once."""
RETRY_SECONDS = (30, 120, 600, 3600, 6 * 3600, 24 * 3600)
TAKEN = timedelta(seconds=6 * outgoing.SECONDS)
AT_ONCE = 8
GIVE_UP_AFTER = 5
"""Calls in a row that nobody took until the last try; then the webhook is switched off."""
KEEP = timedelta(days=30)


def keep_up(*, stop: threading.Event) -> None:
    """Look, and call, until `stop` is set."""
    since = timezone.now() - LATEST_NEWS
    while not stop.wait(LOOK_EVERY_SECONDS):
        try:
            began = timezone.now()
            queue_news(since=since)
            since = began - OVERLAP
            make_calls()
            Delivery.objects.filter(next_try_at=None, created_at__lt=began - KEEP).delete()
        except Error as error:
            logger.warning("webhooks wait, the database is away: %s", error)
            connection.close()
        except Exception:
            logger.exception("webhooks failed; the next look goes on")
    connection.close()


def queue_news(*, since: datetime) -> int:
    """A row for each call to make about what has ended since; how many are new."""
    webhooks = list(Webhook.objects.filter(active=True, user__is_active=True).select_related("user"))
    if not webhooks:
        return 0
    news = Evaluation.objects.filter(state__in=FINAL_STATES, finished_at__gte=since).order_by("id")
    made = 0
    for evaluation in news.select_related("submission__board", "submission__user", "submission__team").iterator():
        calls = [_call(webhook, evaluation) for webhook in _interested(webhooks, evaluation)]
        known = set(Delivery.objects.filter(evaluation=evaluation).values_list("webhook_id", flat=True)) if calls else set()
        fresh = [call for call in calls if call.webhook_id not in known]
        Delivery.objects.bulk_create(fresh, ignore_conflicts=True)
        made += len(fresh)
    return made


def make_calls() -> None:
    """Every call that is due, AT_ONCE side by side."""
    due = Delivery.objects.filter(next_try_at__lte=timezone.now(), webhook__active=True).order_by("next_try_at")
    taken = [key for key, moment in due.values_list("pk", "next_try_at")[:200] if _take(key, moment)]
    if taken:
        with ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="webhook") as pool:
            list(pool.map(_make_and_close, taken))


def signature(body: bytes, *, secret: bytes, moment: int) -> str:
    """The header Standings-Signature: when it was signed, and HMAC-SHA256 over "moment.body". Whoever checks both takes no call
    of others, and no old one again."""
    digest = hmac.new(secret, f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def _interested(webhooks: Iterable[Webhook], evaluation: Evaluation) -> Iterator[Webhook]:
    """Those who may know of it now: rights that ended since the webhook was made end its calls."""
    submission = evaluation.submission
    for webhook in webhooks:
        if evaluation.finished_at is None or evaluation.finished_at < webhook.created_at:
            continue
        if webhook.board_id is None:
            concerned = owns(webhook.user, submission)
        else:
            concerned = webhook.board_id == submission.board_id and may_host(webhook.user, submission.board)
        if concerned:
            yield webhook


def _call(webhook: Webhook, evaluation: Evaluation) -> Delivery:
    """What is told is what happened and where to read more: no score, so the rules of who sees one hold."""
    submission, event = evaluation.submission, f"evaluation.{evaluation.state}"
    body = {
        "event": event,
        "submission": str(submission.pk),
        "name": submission.name,
        "board": submission.board.slug,
        "evaluation": evaluation.number,
        "state": evaluation.state,
        "finished_at": evaluation.finished_at.isoformat() if evaluation.finished_at else None,
        "path": f"/api/v1/submissions/{submission.pk}/",
    }
    return Delivery(webhook=webhook, evaluation=evaluation, event=event, body=json.dumps(body))


def _take(key: UUID, moment: datetime | None) -> bool:
    until = timezone.now() + TAKEN
    return Delivery.objects.filter(pk=key, next_try_at=moment).update(next_try_at=until, attempts=F("attempts") + 1) == 1


def _make_and_close(key: UUID) -> None:
    """In a thread of its own, which has a database connection of its own."""
    try:
        _make(Delivery.objects.select_related("webhook").get(pk=key))
    except (Error, Delivery.DoesNotExist) as error:  # taken again after TAKEN; or its webhook was removed
        logger.warning("a webhook's call was cut short: %s", error)
    finally:
        connection.close()


def _make(delivery: Delivery) -> None:
    body, moment = delivery.body.encode(), int(time.time())
    delivery.status, delivery.error = None, ""
    try:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Standings",
            "Standings-Event": delivery.event,
            "Standings-Delivery": str(delivery.pk),
            "Standings-Signature": signature(body, secret=secret_of(delivery.webhook), moment=moment),
        }
        delivery.status = outgoing.post(delivery.webhook.url, body, headers=headers)
    except InvalidToken:
        delivery.error = "its secret cannot be read any more: remove the webhook, and make it anew"
    except (outgoing.AddressRefusedError, outgoing.CallFailedError) as error:
        delivery.error = str(error)[:200]
    _record(delivery)


def _record(delivery: Delivery) -> None:
    now = timezone.now()
    if delivery.status is not None and 200 <= delivery.status < 300:
        delivery.delivered_at, delivery.next_try_at = now, None
    elif delivery.attempts > len(RETRY_SECONDS):
        delivery.next_try_at = None
    else:
        delivery.next_try_at = now + timedelta(seconds=RETRY_SECONDS[delivery.attempts - 1])
    if delivery.status is not None and 300 <= delivery.status < 400:
        delivery.error = "the answer was a redirect, which is not followed"
    delivery.save(update_fields=["status", "error", "delivered_at", "next_try_at"])
    if delivery.next_try_at is None and delivery.delivered_at is None:
        _give_up_where_nobody_answers(delivery.webhook)


def _give_up_where_nobody_answers(webhook: Webhook) -> None:
    over = webhook.deliveries.filter(next_try_at=None).order_by("-created_at").values_list("delivered_at", flat=True)
    newest = list(over[:GIVE_UP_AFTER])
    if len(newest) == GIVE_UP_AFTER and not any(newest):
        Webhook.objects.filter(pk=webhook.pk).update(active=False)
        logger.warning("webhook %s is switched off: nobody takes its calls", webhook.pk)
