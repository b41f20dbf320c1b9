"""What the pages show of submissions before claims: on a submission's page each claim with its verdict without and with it, on
a claim's page the submissions that overturn it. Lays out what `claims` stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from evaluators.claim_verdicts import LEVEL
from evaluators.claim_verdicts import Verdict as Words
from leaderboard.claims import reading, trials
from leaderboard.claims.models import Claim, Outcome
from leaderboard.claims.wording import names_in
from leaderboard.permissions import Viewer
from leaderboard.submissions.models import Submission
from leaderboard.web.evidence import CLASSES, ClauseView, clauses_of, probability, signed

HEADS = {
    Words.HOLDS: "Holds with it",
    Words.DOES_NOT_HOLD: "Fails with it too",
    Words.UNDECIDED: "Undecided with it",
    Words.NOT_EVALUATED: "Not evaluated",
}


@dataclass(frozen=True)
class OutcomeView:
    """A claim with a submission in it. `head`: what becomes of it, in two or three words; `style`: the class of its badge."""

    outcome: Outcome
    head: str
    style: str
    p: str
    effect: str
    interval: str
    clauses: tuple[ClauseView, ...]


@dataclass(frozen=True)
class TrialView:
    """All outcomes of a submission. `due`: it is waiting for its turn."""

    outcomes: tuple[OutcomeView, ...]
    overturned: int
    judged_at: datetime | None
    due: bool


@dataclass(frozen=True)
class ChallengeView:
    """The submissions that overturn a claim, how many were put into it, and one in how many of those that are no better stands
    here by chance, at most."""

    outcomes: tuple[OutcomeView, ...]
    tried: int
    one_in: int


def trial_of(submission: Submission, viewer: Viewer) -> TrialView:
    """Lay out the outcomes of a submission."""
    found = reading.outcomes_of(submission, viewer)
    return TrialView(
        outcomes=_views(found),
        overturned=sum(each.overturns for each in found),
        judged_at=found[0].trial.judged_at if found else None,
        due=trials.is_due(submission),
    )


def challenges_of(claim: Claim, viewer: Viewer) -> ChallengeView:
    """Lay out the submissions that overturn a claim."""
    # A two-sided level: half of it lies on the side of the challenger.
    return ChallengeView(_views(reading.overturning(claim, viewer)), reading.tried(claim), round(2 / LEVEL))


def _views(outcomes: Sequence[Outcome]) -> tuple[OutcomeView, ...]:
    names = names_in(finding.text for outcome in outcomes for finding in outcome.findings)
    return tuple(_view(outcome, names) for outcome in outcomes)


def _view(outcome: Outcome, names: dict[str, str]) -> OutcomeView:
    effect, interval = signed(outcome.effect, outcome.ci_low, outcome.ci_high)
    word = Words(outcome.verdict)
    return OutcomeView(
        outcome=outcome,
        head="Overturned" if outcome.overturns else HEADS[word],
        style=CLASSES[word],
        p=probability(outcome.p_adjusted),
        effect=effect,
        interval=interval,
        clauses=clauses_of(outcome.findings, names),
    )
