"""Verdicts follow evaluations by themselves. What is out of date is found by looking: a claim whose entrants have newer results
than its verdict rests on. So nothing is lost where a process dies in between, and judging twice writes nothing twice.

The numbers are computed by a process of its own (`claims.process`). Called by the scheduler through `claims.keeping_up`, and by
`manage.py claims`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from django.db import transaction

from evaluators.claim_language import ClaimSyntaxError
from evaluators.claim_verdicts import Finding, claim_p, worst
from evaluators.claim_verdicts import Verdict as Words
from leaderboard.boards.models import Board
from leaderboard.claims.evidence import Bench, Comparison
from leaderboard.claims.models import Claim, Verdict
from leaderboard.claims.process import ask, judged_by

logger = logging.getLogger(__name__)

NOT_BY_SEEDS = "more seeds alone would not decide it"


def judge_all(*, family: str | None = None) -> int:
    """Judge every board whose claims are out of date; how many verdicts are new. Raises JudgingError."""
    return sum(judge_board(board) for board in boards_with_claims(family=family))


def boards_with_claims(*, family: str | None = None) -> list[Board]:
    """Boards that claims stand on."""
    boards = Board.objects.select_related("track").filter(claims__available=True, track__available=True).distinct()
    return list(boards.filter(track__family=family) if family else boards)


def judge_board(board: Board) -> int:
    """Judge what is out of date on a board; how many verdicts are new. The claims of a board are corrected together, so the
    others may get a new verdict too. Raises JudgingError."""
    bench = Bench(board)
    comparisons = comparisons_of(bench)
    if all(_is_current(each, board) for each in comparisons):
        return 0
    answers = _answers(comparisons, bench)
    with transaction.atomic():
        return sum(_record(each, answers[each.claim.pk], board) for each in comparisons)


def comparisons_of(bench: Bench) -> list[Comparison]:
    """The claims of a board with what they rest on; those that cannot be read are left out."""
    claims = Claim.objects.filter(board=bench.board, available=True).select_related("verdict").order_by("id")
    found = []
    for claim in claims:
        try:
            found.append(bench.compare(claim))
        except ClaimSyntaxError as error:
            logger.warning("claim %s cannot be judged: %s", claim.pk, error)
    return found


def _is_current(comparison: Comparison, board: Board) -> bool:
    verdict = comparison.claim.verdict
    return verdict is not None and (
        verdict.evaluations == comparison.numbers
        and verdict.track_version == board.track.version
        and verdict.check_text == comparison.claim.check_text
        and verdict.judged_by == judged_by()
    )


def _answers(comparisons: Sequence[Comparison], bench: Bench) -> dict[int, dict[str, Any]]:
    """What the judging process says of each claim; it is not started where there is nothing to read."""
    if not any(each.evaluations for each in comparisons):
        return {each.claim.pk: _without_results(each) for each in comparisons}
    (answers,) = ask(bench.board, [[_ordered(each, bench) for each in comparisons]])
    return {answer["id"]: answer for answer in answers}


def _ordered(comparison: Comparison, bench: Bench) -> dict[str, Any]:
    claim = comparison.claim
    order = {"id": claim.pk, **bench.order(claim.check_text, comparison.evaluations)}
    if _is_current(comparison, bench.board) and claim.verdict is not None:
        order["findings"] = claim.verdict.clauses
    return order


def _without_results(comparison: Comparison) -> dict[str, Any]:
    finding = Finding(comparison.claim.check_text, reason="no entrant has a result yet")
    verdict = Words.NOT_EVALUATED.value
    return {"findings": [finding.as_document()], "p": None, "p_adjusted": None, "verdict": verdict, "more_seeds": None}


def _record(comparison: Comparison, answer: dict[str, Any], board: Board) -> bool:
    """Store a verdict that says something new. Of two judges one stores it: the claim's newest verdict is the ticket."""
    claim = comparison.claim
    verdict = _verdict(comparison, answer, board)
    if claim.verdict is not None and _is_current(comparison, board) and _same(claim.verdict, verdict):
        return False
    if not Claim.objects.select_for_update().filter(pk=claim.pk, verdict=claim.verdict_id).exists():
        return False
    verdict.save()
    Claim.objects.filter(pk=claim.pk).update(verdict=verdict)
    return True


def _same(old: Verdict, new: Verdict) -> bool:
    return (old.verdict, old.p_adjusted) == (new.verdict, new.p_adjusted)


def _verdict(comparison: Comparison, answer: dict[str, Any], board: Board) -> Verdict:
    findings = [Finding.from_document(document) for document in answer["findings"]]
    deciding = worst(findings)
    return Verdict(
        claim=comparison.claim,
        verdict=answer["verdict"],
        effect=deciding.effect,
        ci_low=deciding.ci_low,
        ci_high=deciding.ci_high,
        p=claim_p(findings),
        p_adjusted=answer["p_adjusted"],
        more_seeds=answer["more_seeds"],
        reason=(deciding.reason or _why_open(answer))[:300],
        clauses=answer["findings"],
        evaluations=comparison.numbers,
        check_text=comparison.claim.check_text,
        track_version=board.track.version,
        judged_by=judged_by(),
        versions=_versions(comparison),
    )


def _why_open(answer: dict[str, Any]) -> str:
    """What keeps a claim undecided that more seeds alone would not decide."""
    return NOT_BY_SEEDS if answer["verdict"] == Words.UNDECIDED and answer["more_seeds"] is None else ""


def _versions(comparison: Comparison) -> dict[str, str]:
    """Libraries of the newest evaluation that it rests on."""
    newest = max(comparison.evaluations.values(), key=lambda evaluation: evaluation.pk, default=None)
    return dict(newest.provenance.get("versions") or {}) if newest else {}
