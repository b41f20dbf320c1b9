"""People's submissions before the claims of their boards: which of them would a submission overturn?

A submission enters a claim in the place of the entrant that is a config of the same reference model, margins and all. Where
no entrant is (or several are), it challenges the claim's winner: each clause that puts a value of one entrant before the same
value of another then says that it is at least as good as the submission's. A claim is overturned where it does not hold any
more with the submission in it, by the statistics of all verdicts; the claims of a board are corrected together for each
submission.

Judged are, of each board, the 50 best submissions of people and the 150 newest results, each once for each result and each
state of the claims, newest first, ten at a time. A board that hides results until it closes judges nobody before. Called by
`claims.keeping_up`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from evaluators.claim_changes import challenged, replaced
from evaluators.claim_language import SUBMISSION, Check, ClaimSyntaxError, Vocabulary, check_names, entrants_of, written
from evaluators.claim_verdicts import Finding, worst
from leaderboard.boards.closing import hides
from leaderboard.boards.models import Board
from leaderboard.claims.evidence import Bench, Comparison, Identity, identity_of
from leaderboard.claims.judging import comparisons_of
from leaderboard.claims.models import Outcome, Trial
from leaderboard.claims.process import ask, judged_by
from leaderboard.claims.wording import vocabulary_of
from leaderboard.evaluations.models import Evaluation
from leaderboard.standings.models import Standing
from leaderboard.submissions.models import Submission

BEST, NEWEST = 50, 150
AT_ONCE = 10


class Entry(NamedTuple):
    """A claim with a submission in it. `instead_of`: whose place it takes; empty: it challenges the winner."""

    comparison: Comparison
    instead_of: str
    check: Check


@dataclass(frozen=True)
class Docket:
    """The claims of a board with what they rest on, what their entrants are, and a hash of all that."""

    bench: Bench
    comparisons: tuple[Comparison, ...]
    state: str

    @classmethod
    def of(cls, board: Board) -> Docket:
        """The claims that have at least one result."""
        bench = Bench(board)
        found = tuple(each for each in comparisons_of(bench) if each.evaluations)
        rests = [[each.claim.pk, each.claim.check_text, each.numbers] for each in found]
        return cls(bench, found, _hash([judged_by(), board.track.version, rests]))

    @cached_property
    def identities(self) -> dict[int, dict[str, Identity | None]]:
        """What the entrants of each claim are, by claim and name."""
        return {
            each.claim.pk: {name: self.bench.identity(each.claim, name) for name in entrants_of(each.check)}
            for each in self.comparisons
        }

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The names that checks on this board may use."""
        return vocabulary_of(self.bench.board)

    def basis(self, evaluation_id: int) -> str:
        """What the trial of a result rests on."""
        return _hash([self.state, evaluation_id])


def judge_some(board: Board) -> int:
    """Judge the next few submissions that wait; how many are left. Raises JudgingError."""
    if hides(board):
        return 0  # an outcome would tell of the whole of a result; what waits is judged when it is shown
    docket = Docket.of(board)
    if not docket.comparisons:
        return 0
    due = _due(docket)
    evaluations = Evaluation.objects.select_related("submission").defer("log").in_bulk(due[:AT_ONCE])
    _judge([evaluations[key] for key in due[:AT_ONCE] if key in evaluations], docket)
    return max(0, len(due) - AT_ONCE)


def is_due(submission: Submission) -> bool:
    """Whether a submission's newest result will be judged, and is not yet."""
    if hides(submission.board):
        return False
    standings = submission.standings.filter(track_version=submission.board.track.version)
    newest = standings.values_list("pk", "evaluation").first()
    if newest is None or Trial.objects.filter(submission=submission, evaluation=newest[1]).exists():
        return False
    if not submission.board.claims.filter(available=True, verdict__isnull=False).exists():
        return False
    return within_bounds(submission.board).filter(pk=newest[0]).exists()


def within_bounds(board: Board) -> QuerySet[Standing]:
    """The standings of people whose submissions are judged."""
    people = Standing.objects.filter(board=board, track_version=board.track.version, submission__user__is_system=False)
    best = people.filter(superseded=False).values_list("pk", flat=True)[:BEST]
    newest = people.order_by("-evaluation_id").values_list("pk", flat=True)[:NEWEST]
    return Standing.objects.filter(pk__in={*best, *newest})


def enter(submission: Submission, docket: Docket) -> Iterator[Entry]:
    """The claims that a submission can be put into."""
    for comparison in docket.comparisons:
        try:
            entry = _entry(submission, comparison, docket)
        except ClaimSyntaxError:
            continue  # the track has changed since the claim was written; its verdict says so
        if entry is not None:
            yield entry


def _entry(submission: Submission, comparison: Comparison, docket: Docket) -> Entry | None:
    me = f"{SUBMISSION}{submission.pk}"
    own, known = identity_of(submission), docket.identities[comparison.claim.pk]
    if me in known or (own is not None and own in known.values()):
        return None  # the claim is about this very submission, or about one just like it
    same = [name for name, identity in known.items() if identity and own and identity.model == own.model]
    if len(same) == 1:
        return Entry(comparison, same[0], replaced(comparison.check, entrant=same[0], by=me))
    vocabulary = replace(docket.vocabulary, entrants=(*docket.vocabulary.entrants, *known))
    check_names(comparison.check, vocabulary)
    check = challenged(comparison.check, vocabulary, challenger=me)
    return Entry(comparison, "", check) if check else None


def _due(docket: Docket) -> list[int]:
    """The evaluations whose trials are missing or out of date, newest first."""
    standings = within_bounds(docket.bench.board).order_by("-evaluation_id")
    bases = dict(standings.filter(submission__trial__isnull=False).values_list("evaluation", "submission__trial__basis"))
    return [key for key in standings.values_list("evaluation", flat=True) if bases.get(key) != docket.basis(key)]


def _judge(evaluations: Sequence[Evaluation], docket: Docket) -> None:
    entered = [list(enter(evaluation.submission, docket)) for evaluation in evaluations]
    orders = [
        [_order(entry, evaluation, docket.bench) for entry in entries]
        for evaluation, entries in zip(evaluations, entered, strict=True)
    ]
    answers = ask(docket.bench.board, orders) if any(orders) else [[] for _ in orders]
    for evaluation, entries, found in zip(evaluations, entered, answers, strict=True):
        outcomes = [_outcome(entry, answer) for entry, answer in zip(entries, found, strict=True)]
        _record(evaluation, docket.basis(evaluation.pk), outcomes)


def _order(entry: Entry, evaluation: Evaluation, bench: Bench) -> dict[str, Any]:
    me = f"{SUBMISSION}{evaluation.submission_id}"
    named = entrants_of(entry.check)
    evaluations = {name: each for name, each in entry.comparison.evaluations.items() if name in named}
    return {"id": entry.comparison.claim.pk, **bench.order(written(entry.check), {**evaluations, me: evaluation})}


def _outcome(entry: Entry, answer: dict[str, Any]) -> Outcome:
    deciding = worst([Finding.from_document(document) for document in answer["findings"]])
    return Outcome(
        claim=entry.comparison.claim,
        instead_of=entry.instead_of,
        verdict=answer["verdict"],
        effect=deciding.effect,
        ci_low=deciding.ci_low,
        ci_high=deciding.ci_high,
        p_adjusted=answer["p_adjusted"],
        reason=deciding.reason[:300],
        clauses=answer["findings"],
    )


def _record(evaluation: Evaluation, basis: str, outcomes: Sequence[Outcome]) -> None:
    """Store a trial in the place of an earlier one. Of two judges the later one's stays, which is the same."""
    values = {"evaluation": evaluation, "basis": basis, "judged_at": timezone.now()}
    with transaction.atomic():
        trial, _ = Trial.objects.update_or_create(submission=evaluation.submission, defaults=values)
        trial.outcomes.all().delete()
        for outcome in outcomes:
            outcome.trial = trial
        Outcome.objects.bulk_create(outcomes)


def _hash(document: object) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
