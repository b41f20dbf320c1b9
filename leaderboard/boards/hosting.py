"""What hosts do with their boards: create, change rules, choose members and co-hosts. Each function asks
`leaderboard.permissions` and writes the audit log in the transaction of the change. Called by the API and the pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction

from leaderboard.accounts.models import User
from leaderboard.audit.recording import Actor, differences, record, snapshot
from leaderboard.boards.models import Board, Track
from leaderboard.permissions import check_hosts, check_may_create_board
from leaderboard.refusals import Conflict, FieldError, InvalidRequest, NotFound
from leaderboard.standings.waking import ask_for

RULES = (
    *("title", "about", "visibility", "entry", "opens_at", "closes_at"),
    *("daily_quota", "total_quota", "max_concurrent", "ranking_metric", "combination", "counts", "eligible"),
    *("public_share", "ladder", "shows"),
)
"""What a host may change. The track, the slug and the pool of workers stay as they were made."""
THROUGH: Mapping[str, type[models.Model]] = {"members": Board.members.through, "cohosts": Board.cohosts.through}
RESERVED = frozenset({"new"})
"""Slugs that are addresses of pages."""


def create_board(*, actor: Actor, track: str, slug: str, rules: Mapping[str, Any]) -> Board:
    """A new board with the actor as its host. rules: values of RULES; those that are not given have their defaults.

    Raises NotAllowed, and InvalidRequest with every wrong field.
    """
    check_may_create_board(actor.user)
    found = Track.objects.filter(slug=track, available=True).first()
    if found is None:
        raise _wrong("track", f'there is no track "{track[:80]}" on this server')
    if slug in RESERVED:
        raise _wrong("slug", f'"{slug}" cannot be the slug of a board; choose another')
    board = Board(track=found, slug=slug, host=actor.user, **_known(rules))
    with transaction.atomic():
        _save(board)
        record(actor, "board.create", board, board=board, after=snapshot(board))
    return board


def change_board(board: Board, *, actor: Actor, rules: Mapping[str, Any]) -> Board:
    """Change some of the RULES. A new rule of ranking takes effect on what stands already. Raises NotAllowed,
    InvalidRequest."""
    check_hosts(actor.user, board)
    with transaction.atomic():
        kept = Board.objects.select_for_update(no_key=True, of=("self",)).select_related("track", "host").get(pk=board.pk)
        before = snapshot(kept)
        for name, value in _known(rules).items():
            setattr(kept, name, value)
        _save(kept)
        was, became = differences(before, snapshot(kept))
        if became:
            record(actor, "board.change", kept, board=kept, before=was, after=became)
            ask_for(kept)
    return kept


def add_member(board: Board, *, actor: Actor, username: str) -> User:
    """Let somebody see a private board, and submit to a board of members. Raises NotAllowed, InvalidRequest, Conflict."""
    return _add(board, "members", actor=actor, username=username)


def remove_member(board: Board, *, actor: Actor, username: str) -> None:
    """What they have submitted stays, and stays theirs. Raises NotAllowed, NotFound."""
    _remove(board, "members", actor=actor, username=username)


def add_cohost(board: Board, *, actor: Actor, username: str) -> User:
    """Let somebody do with the board what its host may. Raises NotAllowed, InvalidRequest, Conflict."""
    if board.host.username == username:
        raise Conflict(f"{username} is the board's host already")
    return _add(board, "cohosts", actor=actor, username=username)


def remove_cohost(board: Board, *, actor: Actor, username: str) -> None:
    """The host whom the board names cannot be removed but by an administrator. Raises NotAllowed, NotFound."""
    _remove(board, "cohosts", actor=actor, username=username)


def _add(board: Board, which: str, *, actor: Actor, username: str) -> User:
    check_hosts(actor.user, board)
    someone = User.objects.filter(username=username, is_active=True, is_system=False).first()
    if someone is None:
        raise _wrong("username", f'there is no account "{username[:150]}"')
    with transaction.atomic():
        _, added = THROUGH[which]._default_manager.get_or_create(board_id=board.pk, user_id=someone.pk)  # noqa: SLF001
        if not added:
            raise Conflict(f"{username} is one of its {which} already")
        record(actor, f"board.add_{which.removesuffix('s')}", board, board=board, after={which: username})
    return someone


def _remove(board: Board, which: str, *, actor: Actor, username: str) -> None:
    check_hosts(actor.user, board)
    rows = THROUGH[which]._default_manager.filter(board_id=board.pk, user__username=username)  # noqa: SLF001
    with transaction.atomic():
        deleted, _ = rows.delete()
        if not deleted:
            raise NotFound(f'nobody named "{username[:150]}" is one of its {which}')
        record(actor, f"board.remove_{which.removesuffix('s')}", board, board=board, before={which: username})


def _known(rules: Mapping[str, Any]) -> dict[str, Any]:
    for name in rules:
        if name not in RULES:
            raise _wrong(name, f"{name} cannot be chosen by a host; rules are {', '.join(RULES)}")
    return dict(rules)


def _save(board: Board) -> None:
    """Raises InvalidRequest with every wrong field."""
    if not board.title.isprintable():
        raise _wrong("title", "the title holds characters that cannot be printed, such as a line break")
    try:
        board.full_clean()
        with transaction.atomic():
            board.save()
    except ValidationError as error:
        errors = tuple(_field_errors(error))
        raise InvalidRequest("; ".join(each.detail for each in errors[:3]), errors=errors) from error
    except IntegrityError as error:  # somebody took the slug at the same time
        raise _wrong("slug", "another board has this slug") from error


def _field_errors(error: ValidationError) -> list[FieldError]:
    found = []
    for name, errors in error.error_dict.items():
        for each in errors:
            field = "closes_at" if name == "__all__" else name
            found.append(FieldError(field, each.code or "invalid", " ".join(each.messages)))
    return found


def _wrong(field: str, detail: str) -> InvalidRequest:
    return InvalidRequest(detail, errors=(FieldError(field, "invalid", detail),))
