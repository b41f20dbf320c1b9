"""From findings to verdicts: the worst clause decides, and several claims are corrected together."""

from __future__ import annotations

import json

import pytest

from evaluators.claim_verdicts import Evidence, Finding, Plan, Verdict, claim_p, decide, worst


def finding(effect: float | None, half: float = 0.1, p: float | None = None, **more) -> Finding:
    if effect is None:
        return Finding("x", reason="no result")
    p = p if p is not None else (0.001 if abs(effect) > half else 0.4)
    return Finding("x", effect, effect - half, effect + half, p, **more)


UP, DOWN, OPEN, LEANING = finding(0.5), finding(-0.5), finding(0.05), finding(-0.05)


@pytest.mark.parametrize(
    ("findings", "verdict"),
    [
        ([UP], Verdict.HOLDS),
        ([DOWN], Verdict.DOES_NOT_HOLD),
        ([OPEN], Verdict.UNDECIDED),
        ([LEANING], Verdict.UNDECIDED),
        ([UP, UP], Verdict.HOLDS),
        ([UP, OPEN], Verdict.UNDECIDED),
        ([UP, DOWN], Verdict.DOES_NOT_HOLD),
        ([OPEN, DOWN], Verdict.DOES_NOT_HOLD),
        ([UP, finding(None)], Verdict.NOT_EVALUATED),
        ([DOWN, finding(None)], Verdict.NOT_EVALUATED),
        ([], Verdict.NOT_EVALUATED),
        ([finding(0.0, half=0.0, p=0.0)], Verdict.HOLDS),  # an exact tie: "at least" is met
    ],
)
def test_the_worst_clause_decides(findings, verdict):
    assert decide(findings, p_adjusted=claim_p(findings)) == verdict


@pytest.mark.parametrize("findings", [[UP], [DOWN], [UP, DOWN]])
def test_a_verdict_that_the_correction_takes_away_is_undecided(findings):
    assert decide(findings, p_adjusted=0.051) == Verdict.UNDECIDED


def test_the_p_of_a_claim_that_points_its_way_is_the_largest():
    assert claim_p([finding(0.5, p=0.001), finding(0.5, p=0.03)]) == 0.03


def test_the_p_against_a_claim_pays_for_the_choice_of_the_worst_clause():
    assert claim_p([finding(0.5, p=0.001), finding(-0.5, p=0.02), finding(-0.1, p=0.3)]) == pytest.approx(0.06)
    assert claim_p([finding(-0.5, p=0.6), finding(-0.5, p=0.7)]) == 1.0


def test_without_an_effect_there_is_no_p():
    assert claim_p([UP, finding(None)]) is None
    assert claim_p([]) is None


@pytest.mark.parametrize(
    ("findings", "place"),
    [([UP, DOWN], 1), ([UP, OPEN], 1), ([UP, finding(None), DOWN], 1), ([finding(-0.5, p=0.03), finding(-0.5, p=0.01)], 1)],
)
def test_the_deciding_clause_is_named(findings, place):
    assert worst(findings) is findings[place]


def test_a_finding_survives_json():
    plan = Plan(seeds=3, distance=0.5, one_seed=0.1, still=0.0, moving=0.2)
    values = (Evidence("a(b)", 0.9, 0.8, 1.0), Evidence("a(c)", 1.0, None, None, 2.0))
    whole = finding(0.5, method="exact", resamples=2000, plan=plan, values=values)
    assert Finding.from_document(json.loads(json.dumps(whole.as_document()))) == whole


def test_a_finding_that_an_older_version_wrote_is_read():
    document = {**UP.as_document(), "more_seeds": 3, "compatible": False}
    del document["resamples"], document["plan"]
    assert Finding.from_document(document) == UP
