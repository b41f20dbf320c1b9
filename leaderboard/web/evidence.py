"""The picture of a claim: each clause's effect and interval on a line whose zero is the bound, and the values behind it.
Pure layout of what `claims` stored; called by the pages of papers and boards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from evaluators.claim_verdicts import Evidence, Finding
from leaderboard.claims.models import Claim
from leaderboard.claims.wording import names_in, spoken
from leaderboard.web import numbers
from leaderboard.web.charts import Curve, Scale, Whisker, curve, scale_for, whisker

WIDTH, MARGIN = 300.0, 8.0
CLASSES = {"holds": "holds", "does not hold": "fails", "undecided": "open", "not yet evaluated": "none"}


@dataclass(frozen=True)
class Reading:
    """A value that a clause reads, as text."""

    text: str
    value: str
    interval: str


@dataclass(frozen=True)
class ClauseView:
    """One clause. `zero` is the pixel of its bound; the picture is missing where there is no effect."""

    text: str
    effect: str
    interval: str
    p: str
    method: str
    reason: str
    zero: float
    whisker: Whisker | None
    spoken: str
    readings: tuple[Reading, ...]
    curve: Curve | None


@dataclass(frozen=True)
class ClaimView:
    """A claim with its verdict, ready to draw. `style`: the class of its badge."""

    claim: Claim
    check: str
    reason: str
    word: str
    style: str
    p: str
    p_adjusted: str
    clauses: tuple[ClauseView, ...]


def views_of(claims: Sequence[Claim]) -> list[ClaimView]:
    """Lay out claims and their newest verdicts; the submissions that they mention stand under their names."""
    names = names_in(claim.check_text for claim in claims)
    return [_view(claim, names) for claim in claims]


def clauses_of(findings: Iterable[Finding], names: Mapping[str, str]) -> tuple[ClauseView, ...]:
    """Lay out what was found of the clauses of a check."""
    return tuple(_clause(finding, names) for finding in findings)


def _view(claim: Claim, names: Mapping[str, str]) -> ClaimView:
    verdict = claim.verdict
    return ClaimView(
        claim=claim,
        check=spoken(claim.check_text, names),
        reason=spoken(verdict.reason, names) if verdict else "",
        word=claim.word,
        style=CLASSES[claim.word],
        p=probability(verdict.p if verdict else None),
        p_adjusted=probability(verdict.p_adjusted if verdict else None),
        clauses=clauses_of(verdict.findings if verdict else (), names),
    )


def probability(p: float | None) -> str:
    """Two significant digits, not below 0.0001."""
    if p is None:
        return numbers.MISSING
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"


def _clause(finding: Finding, names: Mapping[str, str]) -> ClauseView:
    scale = scale_for((finding.effect, finding.ci_low, finding.ci_high, 0.0), start=MARGIN, end=WIDTH - MARGIN)
    effect, interval = signed(finding.effect, finding.ci_low, finding.ci_high)
    return ClauseView(
        text=spoken(finding.text, names),
        effect=effect,
        interval=interval,
        p=probability(finding.p),
        method=finding.method,
        reason=spoken(finding.reason, names),
        zero=scale.at(0.0) if scale else 0.0,
        whisker=_whisker(scale, finding),
        spoken=f"effect {effect}" + (f", interval {interval}" if interval else ""),
        readings=tuple(_reading(each, names) for each in finding.values),
        curve=_curve(finding.values),
    )


def _whisker(scale: Scale | None, finding: Finding) -> Whisker | None:
    return whisker(scale, value=finding.effect, low=finding.ci_low, high=finding.ci_high)


def signed(value: float | None, low: float | None, high: float | None) -> tuple[str, str]:
    """The effect with its sign, and its interval."""
    decimals = numbers.decimals_for([value], half_widths=[numbers.half_width(low, high)])
    text = numbers.written(value, decimals)
    if value is not None and value > 0:
        text = f"+{text}"
    if low is None or high is None:
        return text, ""
    return text, f"{numbers.written(low, decimals)} to {numbers.written(high, decimals)}"


def _reading(value: Evidence, names: Mapping[str, str]) -> Reading:
    text, interval = signed(value.value, value.ci_low, value.ci_high)
    return Reading(text=spoken(value.text, names), value=text.removeprefix("+"), interval=interval)


def _curve(values: Sequence[Evidence]) -> Curve | None:
    """The curve that a trend was read from."""
    swept = [each for each in values if each.at is not None]
    points = [{"at": each.at, "value": each.value, "ci_low": each.ci_low, "ci_high": each.ci_high} for each in swept]
    return curve(points, x_title="setting", y_title="value") if len(points) > 1 else None
