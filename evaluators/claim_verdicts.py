"""From the findings of a claim's clauses to a verdict. Pure Python: values in, values out. Called by `evaluators.claims`, and
by whoever stores or shows verdicts.

A claim is the AND of its clauses, so the worst clause decides. Its p is an intersection-union test where every clause points
its way (the largest p; Berger 1982), and where one points the other way the smallest p of those that do, times the number of
clauses. The p of all claims on one board are corrected together (Holm 1979). A verdict falls only if the 95 % intervals and
the corrected p (at 5 %) agree; intervals themselves are not corrected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

LEVEL = 0.05


class Verdict(StrEnum):
    """What the evaluations say of a claim."""

    HOLDS = "holds"
    DOES_NOT_HOLD = "does not hold"
    UNDECIDED = "undecided"
    NOT_EVALUATED = "not yet evaluated"


@dataclass(frozen=True)
class Evidence:
    """A value that a clause reads, with its own 95 % interval. `at`: the setting of the swept axis, where there is one."""

    text: str
    value: float
    ci_low: float | None
    ci_high: float | None
    at: float | None = None


@dataclass(frozen=True)
class Plan:
    """What it takes to tell how many more seeds would decide: how far the mean lies from its bound, and the variances of it:
    of one seed, of the units alone, and of one seed's share in the units' (see `planning.more_seeds`)."""

    seeds: int
    distance: float
    one_seed: float
    still: float
    moving: float


@dataclass(frozen=True)
class Finding:
    """What was found of one clause.

    effect: signed, more than 0 where the clause holds: by how much it lies beyond its bound, in the metric's unit.
    p:      two-sided, that the truth lies on the bound. Exact facts have p = 0, and their interval is the value.
    resamples: how many resamples p was counted from; 0: it was not counted, or seeds alone gave a larger one.
    plan: what planning of more seeds needs, where seeds vary.
    reason: why there is no effect.
    """

    text: str
    effect: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p: float | None = None
    method: str = ""
    resamples: int = 0
    plan: Plan | None = None
    reason: str = ""
    values: tuple[Evidence, ...] = ()

    @property
    def holds(self) -> bool:
        """The whole interval is on the side of the claim, or on the bound."""
        return self.ci_low is not None and self.ci_low >= 0

    @property
    def fails(self) -> bool:
        """The whole interval is on the other side."""
        return self.ci_high is not None and self.ci_high < 0

    def as_document(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Finding:
        """The inverse of `as_document`; fields that an older version wrote, and that are none any more, are left out."""
        known = {each.name for each in fields(cls)}
        kept = {name: value for name, value in document.items() if name in known}
        plan = Plan(**kept["plan"]) if kept.get("plan") else None
        return cls(**{**kept, "plan": plan, "values": tuple(Evidence(**each) for each in document["values"])})


def claim_p(findings: Sequence[Finding]) -> float | None:
    """The p of the whole claim before correction; None where a clause has no effect."""
    if not findings or any(finding.effect is None or finding.p is None for finding in findings):
        return None
    against = [finding.p or 0.0 for finding in findings if (finding.effect or 0.0) < 0]
    if against:
        return min(1.0, len(findings) * min(against))
    return max(finding.p or 0.0 for finding in findings)


def decide(findings: Sequence[Finding], *, p_adjusted: float | None) -> Verdict:
    """The verdict on a claim from its clauses and its corrected p."""
    if p_adjusted is None or claim_p(findings) is None:
        return Verdict.NOT_EVALUATED
    if p_adjusted > LEVEL:
        return Verdict.UNDECIDED
    if worst(findings).fails:
        return Verdict.DOES_NOT_HOLD
    return Verdict.HOLDS if all(finding.holds for finding in findings) else Verdict.UNDECIDED


def worst(findings: Sequence[Finding]) -> Finding:
    """The clause that decides: one without an effect; else the surest that points the other way; else the least sure."""
    unknown = [finding for finding in findings if finding.effect is None]
    against = [finding for finding in findings if finding.effect is not None and finding.effect < 0]
    if unknown:
        return unknown[0]
    if against:
        return min(against, key=lambda finding: finding.p or 0.0)
    return max(findings, key=lambda finding: finding.p or 0.0)
