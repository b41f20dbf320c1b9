"""Checks of claims against what a board's track, its submissions and the catalogue know; and submissions by their names where a
person reads a check. Called where claims are written and where they are shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from uuid import UUID

from evaluators.claim_language import SUBMISSION, Check, ClaimSyntaxError, Vocabulary, check_names, entrants_of
from evaluators.claim_parser import parse
from leaderboard.boards.models import Board, ReferenceModel
from leaderboard.submissions.models import Submission

LEAST_DIGITS = 8
MENTION = re.compile(rf"{SUBMISSION}([\w-]+)")
PRIVATE = "a private submission"
WITHDRAWN = "a withdrawn submission"


def read_check(text: str, board: Board, *, entrants: Iterable[str] = ()) -> Check:
    """The check, with names that the board's track and the board have. entrants: those that the claim itself names.

    Raises ClaimSyntaxError: where, what was expected, what was perhaps meant.
    """
    check = parse(text)
    mentioned = [name for name in entrants_of(check) if name.startswith(SUBMISSION)]
    for name in mentioned:
        _check_mention(name, board, text)
    check_names(check, vocabulary_of(board, entrants=[*entrants, *mentioned]), text=text)
    return check


def vocabulary_of(board: Board, *, entrants: Iterable[str] = ()) -> Vocabulary:
    """Metrics, slices, axes and baselines of the track, and the reference models of its role."""
    models = ReferenceModel.objects.filter(role=board.track.role, available=True).values_list("name", flat=True)
    return Vocabulary.of(board.track.spec, entrants=[*models, *entrants])


def completed(text: str, board: Board) -> str:
    """The text with every beginning of a submission's id written out, so that it means the same for ever.

    Raises ClaimSyntaxError for a beginning that is too short, or that several submissions of the board share.
    """
    return MENTION.sub(lambda mention: SUBMISSION + _whole_id(mention, text, board), text)


def submissions_in(texts: Iterable[str]) -> list[str]:
    """The ids of the submissions that checks (or findings) mention."""
    return list(dict.fromkeys(found for text in texts for found in MENTION.findall(text) if _is_id(found)))


def names_in(texts: Iterable[str]) -> dict[str, str]:
    """What a person reads for the submissions that texts mention: “name” by whom, by id."""
    found = Submission.objects.select_related("user", "team").filter(pk__in=submissions_in(texts))
    return {str(each.pk): _name_of(each) for each in found}


def spoken(text: str, names: Mapping[str, str]) -> str:
    """A text with submissions by their names."""
    return MENTION.sub(lambda mention: names.get(mention[1], mention[0]), text)


def _name_of(submission: Submission) -> str:
    if submission.withdrawn_at is not None:
        return WITHDRAWN
    if submission.visibility != Submission.Visibility.PUBLIC:
        return PRIVATE
    return f"“{submission.name}” by {submission.competitor}"


def _whole_id(mention: re.Match[str], text: str, board: Board) -> str:
    start = mention[1].lower()
    if _is_id(start) or re.fullmatch("[0-9a-f-]+", start) is None:
        return start
    if len(start) < LEAST_DIGITS:
        told = f"write at least {LEAST_DIGITS} digits of a submission's id"
        raise ClaimSyntaxError(told, text=text, position=mention.start())
    # Ids are kept as text or as UUIDs, depending on the database: ranges mean the same in both.
    low, high = UUID(_filled(start, "0")), UUID(_filled(start, "f"))
    found = list(Submission.objects.filter(board=board, pk__gte=low, pk__lte=high).values_list("pk", flat=True)[:2])
    if len(found) > 1:
        raise ClaimSyntaxError(
            f"several submissions begin with “{start}”: write more of it", text=text, position=mention.start()
        )
    return str(found[0]) if found else start


def _filled(start: str, digit: str) -> str:
    return start.replace("-", "")[:32].ljust(32, digit)


def _check_mention(name: str, board: Board, text: str) -> None:
    start = name.removeprefix(SUBMISSION)
    place = max(text.find(name), 0)
    found = Submission.objects.filter(board=board, pk=start).first() if _is_id(start) else None
    if found is None:
        told = f"“{board.title}” has no submission “{start[:40]}”; write {SUBMISSION} and the beginning of its id"
        raise ClaimSyntaxError(told, text=text, position=place)
    if found.withdrawn_at is not None:
        raise ClaimSyntaxError(f"the submission “{start}” was withdrawn: name another one", text=text, position=place)
    if found.visibility != Submission.Visibility.PUBLIC:
        told = f"“{found.name}” is private, and a claim shows more of a result than its row does: name public submissions"
        raise ClaimSyntaxError(told, text=text, position=place)


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
