"""Claims that hosts put on their boards. Papers' claims come from the sources, and are nobody's to change. Called by the
pages."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from leaderboard.audit.recording import Actor, record, snapshot
from leaderboard.boards.models import Board
from leaderboard.claims.models import Claim
from leaderboard.permissions import check_hosts
from leaderboard.refusals import FieldError, InvalidRequest, NotFound


def claims_of(board: Board) -> QuerySet[Claim]:
    """What its hosts have claimed on the board, oldest first."""
    return Claim.objects.filter(board=board, paper=None).select_related("verdict").order_by("id")


def add_claim(board: Board, *, actor: Actor, statement: str, check_text: str, note: str = "") -> Claim:
    """Put a claim on the board; workers judge it. Raises NotAllowed, and InvalidRequest with the place in the check."""
    check_hosts(actor.user, board)
    claim = Claim(board=board, statement=statement, check_text=check_text, note=note)
    try:
        claim.full_clean()
    except ValidationError as error:
        errors = tuple(
            FieldError(name, each.code or "invalid", " ".join(each.messages))
            for name, several in error.error_dict.items()
            for each in several
        )
        raise InvalidRequest(errors[0].detail, errors=errors) from error
    with transaction.atomic():
        claim.save()
        record(actor, "claim.create", claim, board=board, after=snapshot(claim))
    return claim


def remove_claim(board: Board, *, actor: Actor, claim_id: int) -> None:
    """Take a claim and its verdicts off the board. Raises NotAllowed, NotFound."""
    check_hosts(actor.user, board)
    with transaction.atomic():
        claim = claims_of(board).filter(pk=claim_id).first()
        if claim is None:
            raise NotFound("there is no such claim of this board's hosts; it may have been removed already")
        record(actor, "claim.delete", claim, board=board, before=snapshot(claim))
        claim.delete()
