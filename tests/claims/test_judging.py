"""Each relation on columns whose truth is known: it holds, does not hold, or is undecided, and errs at the stated rate."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from evaluators import registry
from evaluators.claim_orders import answer
from evaluators.claim_parser import parse
from evaluators.claim_rows import Entry
from evaluators.claim_verdicts import Finding, Plan, Verdict, claim_p, decide
from evaluators.claims import judge
from evaluators.columns import Columns
from evaluators.planning import more_seeds
from tests.claims.columns import digits, entry, to_entries

DIGITS = registry.get("digits-classification")(secret=b"tests")
GRAPHS = registry.get("homophily-and-depth")(secret=b"tests")
HOLDS, FAILS, OPEN, NONE = Verdict.HOLDS, Verdict.DOES_NOT_HOLD, Verdict.UNDECIDED, Verdict.NOT_EVALUATED


@pytest.fixture(scope="module")
def entrants() -> dict[str, Entry]:
    """Truth: good 0.97 with 100 multiply-accumulates, fair 0.965, poor 0.80; good-once is good with one replicate."""
    rng = np.random.default_rng(1)
    return to_entries(
        good=digits(0.97, rng=rng),
        fair=digits(0.965, rng=rng, macs=90.0),
        poor=digits(0.80, rng=rng, macs=100.0),
        **{"good-once": digits(0.97, rng=rng, seeds=1)},
    )


def trained(p_of_seed: dict[int, float]) -> Columns:
    """One replicate a seed, each as good as its training went."""
    parts = [digits(p, rng=np.random.default_rng(seed), seeds=1) for seed, p in p_of_seed.items()]
    for seed, part in zip(p_of_seed, parts, strict=True):
        part.index["seed"][:] = seed
    return Columns.concatenate(parts)


def verdict(track, text: str, entries) -> Verdict:
    findings = judge(track, parse(text), entries)
    return decide(findings, p_adjusted=claim_p(findings))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("accuracy(good) >= accuracy(poor)", HOLDS),
        ("accuracy(poor) >= accuracy(good)", FAILS),
        ("accuracy(good) >= accuracy(fair)", OPEN),
        ("accuracy(good) >= accuracy(poor) + 0.05", HOLDS),
        ("accuracy(good) >= accuracy(poor) + 0.3", FAILS),
        ("accuracy(good) >= accuracy(poor) + 0.14", OPEN),
        ("accuracy(poor) <= 0.9*accuracy(good)", HOLDS),
        ("accuracy(good) + accuracy(poor) - 2*accuracy(fair) <= -0.05", HOLDS),
        ("accuracy(good) >= 0.9", HOLDS),
        ("accuracy(good) >= 0.99", FAILS),
        ("accuracy(good) >= 0.968", OPEN),
        ("accuracy(good-once) >= accuracy(poor)", HOLDS),
        ("nll(good) <= nll(poor)", HOLDS),
        ("nll(good) >= nll(poor)", FAILS),
        ("ece(good) >= ece(fair)", OPEN),
        ("ece(poor) <= 0.5", HOLDS),
        ("ece(poor) >= 0.5", FAILS),
        ("macs(fair) <= macs(good)", HOLDS),
        ("macs(good) <= macs(fair)", FAILS),
        ("macs(good) <= macs(poor)", HOLDS),
        ("accuracy(good) - accuracy(fair) in [-0.05, 0.05]", HOLDS),
        ("accuracy(good) - accuracy(poor) in [-0.05, 0.05]", FAILS),
        ("accuracy(good) - accuracy(fair) in [-0.001, 0.001]", OPEN),
        ("abs(accuracy(good) - accuracy(fair)) <= 0.05", HOLDS),
        ("abs(accuracy(good) - 0.5) >= 0.3", HOLDS),
        ("better(accuracy; good than poor by 0.05)", HOLDS),
        ("better(nll; good than poor)", HOLDS),
        ("better(accuracy; good than poor, fair)", OPEN),
        ("not_worse(accuracy; good than fair within 0.05)", HOLDS),
        ("not_worse(accuracy; poor than good within 0.05)", FAILS),
        ("equal(accuracy; good as fair within 0.05)", HOLDS),
        ("equal(accuracy; good as poor within 0.05)", FAILS),
        ("contains(accuracy(good), 0.97 within 0.03)", HOLDS),
        ("contains(accuracy(good), 0.97 within 0.001)", OPEN),
        ("contains(accuracy(good), 0.90 within 0.2)", FAILS),
        ("share(accuracy(good) >= accuracy(poor) over slice) >= 0.8", HOLDS),
        ("share(accuracy(good) >= accuracy(poor) + 0.3 over slice) >= 0.8", FAILS),
        ("share(accuracy(good) >= accuracy(poor) over seed) >= 0.9", HOLDS),
        ("accuracy@slice=digit-3(good) >= accuracy@slice=digit-3(poor)", HOLDS),
        ("accuracy(good) >= accuracy(poor) AND accuracy(poor) >= accuracy(good)", FAILS),
        ("accuracy(good) >= accuracy(absent)", NONE),
    ],
)
def test_a_relation_on_known_truth(entrants, text, expected):
    assert verdict(DIGITS, text, entrants) == expected


def test_an_effect_is_by_how_much_the_claim_holds(entrants):
    (found,) = judge(DIGITS, parse("nll(good) <= nll(poor) - 0.1"), entrants)
    means = [entrants[name].columns.values["nll"].mean() for name in ("good", "poor")]
    assert found.effect == pytest.approx(means[1] - 0.1 - means[0])
    assert [each.value for each in found.values] == pytest.approx(means)


def test_the_interval_and_p_agree(entrants):
    for margin in np.linspace(0.05, 0.3, 26):
        (found,) = judge(DIGITS, parse(f"accuracy(good) >= accuracy(poor) + {margin:.3f}"), entrants)
        if found.p <= 0.05:
            assert found.ci_low > 0 or found.ci_high < 0, margin
        if found.ci_low > 0 or found.ci_high < 0:
            assert found.p <= 0.3, margin  # the t of three seeds alone may say less, and then it counts


def test_pairing_makes_an_interval_shorter(entrants):
    """The same numbers with the units of one side relabelled: what the two share no longer cancels."""
    columns = entrants["fair"].columns
    apart = replace(columns, unit=columns.unit + 10_000)
    paired, unpaired = (
        judge(DIGITS, parse("accuracy(good) >= accuracy(other)"), {**entrants, "other": entry(table)})[0]
        for table in (columns, apart)
    )
    assert paired.effect == pytest.approx(unpaired.effect)
    assert paired.ci_high - paired.ci_low < 0.9 * (unpaired.ci_high - unpaired.ci_low)


def test_two_that_answer_alike_are_not_told_apart_by_certainty(entrants):
    twin = {**entrants, "twin": entrants["good"]}
    (found,) = judge(DIGITS, parse("accuracy(good) >= accuracy(twin)"), twin)
    assert found.effect == 0.0
    assert found.ci_low < 0 < found.ci_high


def test_an_undecided_claim_says_about_how_many_seeds_would_decide(entrants):
    """Training goes well or badly by chance: a few more seeds would show the difference, more images would not."""
    fickle = trained({0: 0.75, 1: 0.88, 2: 0.95})
    (found,) = judge(DIGITS, parse("accuracy(good) >= accuracy(fickle)"), {**entrants, "fickle": entry(fickle)})
    assert found.p > 0.05
    assert 1 <= more_seeds(found.plan) <= 30
    (near,) = judge(DIGITS, parse("accuracy(good) >= accuracy(fair)"), entrants)
    assert (more_seeds(near.plan) or 1000) > 30  # the images set the limit


def test_only_slices_that_all_entrants_entered_count(entrants):
    """`half` is right everywhere on its own slices; what was filled in for it on the others is wrong, and must not count."""
    columns = entrants["good"].columns
    own = np.isin(columns.index["slice"], ["digit-0", "digit-1"])
    half = Columns(columns.unit, columns.index, {**columns.values, "correct": own.astype(float)}, columns.facts)
    entries = {**entrants, "half": entry(half, slices=("digit-0", "digit-1"))}
    assert verdict(DIGITS, "accuracy(half) >= accuracy(poor)", entries) == HOLDS
    (found,) = judge(DIGITS, parse("accuracy@slice=digit-5(half) >= 0.5"), entries)
    assert found.reason == "half does not enter the slice digit-5"
    (found,) = judge(
        DIGITS, parse("accuracy(half) >= accuracy(rest)"), {**entries, "rest": entry(columns, slices=("digit-5",))}
    )
    assert "nothing that its entrants have in common" in found.reason


def test_a_value_that_is_not_a_number_gives_no_effect(entrants):
    columns = entrants["good"].columns
    unknown = replace(columns, facts={**columns.facts, "macs": float("nan")})
    assert verdict(DIGITS, "macs(good) <= macs(unknown)", {**entrants, "unknown": entry(unknown)}) == NONE


# --- sweeps: the graph track, where each seed has nodes of its own


def graph_columns(at_depth: dict[float, float], *, seed: int, nodes: int = 300) -> Columns:
    rng = np.random.default_rng(seed)
    parts = []
    for graph in range(3):
        for depth, p in at_depth.items():
            nan = np.full(nodes, np.nan)
            correct = (rng.random(nodes) < p + 0.01 * rng.standard_normal()).astype(float)
            parts.append(
                Columns(
                    unit=graph * nodes + np.arange(nodes),
                    index={
                        "slice": np.full(nodes, "csbm"),
                        "seed": np.full(nodes, graph),
                        "depth": np.full(nodes, depth),
                        "homophily": nan,
                        "tau": nan,
                    },
                    values={"correct": correct, "error": nan, "energy": nan, "gain": nan},
                )
            )
    return Columns.concatenate(parts)


def test_seeds_that_agree_by_chance_are_not_taken_for_certain():
    """Three graphs on each of which one node of 300 is wrong: the interval is Wilson's, and not a point."""
    columns = graph_columns({2.0: 1.0}, seed=3)
    columns.values["correct"][:] = 1.0
    columns.values["correct"][::300] = 0.0
    (found,) = judge(GRAPHS, parse("accuracy@depth=2(a) >= 0.9"), {"a": Entry(columns, ("csbm",))})
    assert found.values[0].ci_low < 0.9967 - 0.002
    assert found.values[0].ci_high > 0.9967 + 0.001


@pytest.fixture(scope="module")
def sweeps() -> dict[str, Entry]:
    tables = {
        "falls": graph_columns({2.0: 0.9, 8.0: 0.7, 32.0: 0.4}, seed=1),
        "stays": graph_columns({2.0: 0.8, 8.0: 0.8, 32.0: 0.8}, seed=2),
    }
    return {name: Entry(table, ("csbm",)) for name, table in tables.items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("accuracy@depth=32(stays) >= accuracy@depth=32(falls) + 0.2", HOLDS),
        ("accuracy@depth=2(stays) >= accuracy@depth=2(falls)", FAILS),
        ("slope(accuracy, depth; falls) in [-0.03, -0.005]", HOLDS),
        ("slope(accuracy, depth; stays) in [-0.03, -0.01]", FAILS),
        ("slope(accuracy, depth; stays) in [-0.02, 0.02]", HOLDS),
        ("loglog_slope(accuracy, depth; falls) in [-0.5, -0.1]", HOLDS),
        ("loglog_slope(accuracy, depth; falls) in [0.1, 0.5]", FAILS),
        ("spearman(accuracy, depth; falls) in [-1, -0.5]", HOLDS),
        ("spearman(accuracy, depth; falls) in [0.5, 1]", FAILS),
        ("decreasing(accuracy, depth; falls)", HOLDS),
        ("increasing(accuracy, depth; falls)", FAILS),
        ("increasing(accuracy, depth; stays within 0.25)", HOLDS),
        ("share(accuracy(stays) >= accuracy(falls) over depth) >= 0.9", FAILS),
        ("share(accuracy(stays) >= accuracy(falls) over depth) >= 0.5", HOLDS),
        ("sweep_accuracy(stays) >= sweep_accuracy(falls)", HOLDS),
    ],
)
def test_a_relation_over_a_sweep(sweeps, text, expected):
    assert verdict(GRAPHS, text, sweeps) == expected


def test_the_curve_that_a_trend_reads_is_kept(sweeps):
    (found,) = judge(GRAPHS, parse("slope(accuracy, depth; falls) in [-1, 0]"), sweeps)
    assert [each.at for each in found.values] == [2.0, 8.0, 32.0]


# --- errors at the stated rate


def luck(rng: np.random.Generator, *, spread: float, n: int = 200) -> Columns:
    """Three trainings whose accuracy varies by luck."""
    parts = [digits(min(0.99, 0.88 + spread * rng.standard_normal()), rng=rng, seeds=1, n=n) for _ in range(3)]
    for seed, part in enumerate(parts):
        part.index["seed"][:] = seed
    return Columns.concatenate(parts)


@pytest.mark.parametrize("text", ["accuracy(a) >= accuracy(b)", "ece(a) >= ece(b)"])
@pytest.mark.parametrize("spread", [0.0, 0.01, 0.04])
def test_equals_are_told_apart_no_more_often_than_stated(text, spread):
    """Whether trainings vary not at all, as much as the images make them, or more."""
    rng = np.random.default_rng(5)
    decided, runs = 0, 100
    for _ in range(runs):
        entries = to_entries(a=luck(rng, spread=spread), b=luck(rng, spread=spread))
        decided += verdict(DIGITS, text, entries) in (HOLDS, FAILS)
    assert decided / runs <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / runs)


def test_the_interval_covers_the_truth():
    rng = np.random.default_rng(6)
    covered, runs = 0, 150
    for _ in range(runs):
        entries = to_entries(a=digits(0.9, rng=rng, n=200), b=digits(0.8, rng=rng, n=200))
        truth = shared_truth(0.9, n=200) - shared_truth(0.8, n=200)
        (found,) = judge(DIGITS, parse("accuracy(a) >= accuracy(b)"), entries)
        covered += found.ci_low <= truth <= found.ci_high
    assert covered / runs >= 0.93


def shared_truth(p: float, *, n: int, hard: float = 0.5) -> float:
    """The mean accuracy over the shared images, whose hardness is fixed by `digits`."""
    from scipy.special import ndtr, ndtri

    level = np.sqrt(hard) * np.random.default_rng(7).standard_normal(n)
    return float(ndtr((ndtri(p) - level) / np.sqrt(1 - hard)).mean())


# --- the judging process


def test_the_judging_process_answers_an_order_as_json(entrants, tmp_path):
    for name in ("good", "poor"):
        (tmp_path / name).write_bytes(entrants[name].columns.to_bytes())
    entries = {name: {"columns": str(tmp_path / name), "slices": list(entrants[name].slices)} for name in ("good", "poor")}
    claims = [
        {"id": 1, "check": "accuracy(good) >= accuracy(poor)", "entries": entries},
        {"id": 2, "check": "accuracy(good) >= accuracy(absent)", "entries": {"good": entries["good"]}},
        {"id": 3, "check": "accuracy(good) >=", "entries": {"good": entries["good"]}},
    ]
    order = {"track": "digits-classification", "families": [claims, claims[:1]]}
    done = subprocess.run(
        [sys.executable, "-m", "evaluators.claim_orders"], input=json.dumps(order), capture_output=True, text=True, check=True
    )
    (first, second, third), (alone,) = json.loads(done.stdout)["families"]
    assert (first["verdict"], second["verdict"], third["verdict"]) == (HOLDS, NONE, NONE)
    assert second["findings"][0]["reason"] == "absent has no result"
    assert (alone["verdict"], alone["p"]) == (first["verdict"], first["p"])
    again = corrected([{**claims[0], "findings": first["findings"]}])
    assert again[0]["p_adjusted"] == pytest.approx(first["p_adjusted"])


def corrected(claims: list[dict]) -> list[dict]:
    return answer({"track": "digits-classification", "families": [claims]})["families"][0]


def judged(p: float, **more) -> dict:
    return Finding("x", 0.5, 0.1, 0.9, p, **more).as_document()


def test_claims_of_a_board_are_corrected_together():
    def verdicts(*several: float) -> list[str]:
        return [claim["verdict"] for claim in corrected([{"id": p, "findings": [judged(p)]} for p in several])]

    assert verdicts(0.03) == [HOLDS]
    assert verdicts(0.03, 0.03) == [OPEN, OPEN]
    assert verdicts(0.03, 0.001) == [HOLDS, HOLDS]


def test_what_would_decide_is_planned_at_the_level_that_the_correction_leaves():
    plan = Plan(seeds=3, distance=0.5, one_seed=0.09, still=0.0, moving=0.0)

    def planned(*others: float) -> int:
        claims = [{"id": 0, "findings": [judged(0.06, plan=plan)]}, *({"id": p, "findings": [judged(p)]} for p in others)]
        return corrected(claims)[0]["more_seeds"]

    assert planned() < planned(0.5) < planned(0.5, 0.5, 0.5, 0.5)
    assert planned(0.001, 0.001) == planned()  # those that are decided already take nothing from it


# --- how finely a p is counted


def bootstrapped(entrants, check: str, *, claims: int) -> Finding:
    (found,) = judge(DIGITS, parse(check), entrants, claims=claims)
    return found


@pytest.fixture(scope="module")
def calibrated() -> dict[str, Entry]:
    """Two whose calibration errors are far apart; one replicate each, so that seeds say nothing."""
    rng = np.random.default_rng(3)
    return to_entries(a=digits(0.9, rng=rng, seeds=1, n=200), b=digits(0.4, rng=rng, seeds=1, n=200))


@pytest.mark.parametrize("claims", [1, 5, 60, 400])
def test_among_many_claims_a_clear_one_can_still_be_decided(calibrated, claims):
    """2 / 2,001 times 60 is more than 5 %: as many resamples are drawn as the correction asks for."""
    check = "ece(a) <= ece(b)"
    found = bootstrapped(calibrated, check, claims=claims)
    assert found.p * claims <= 0.05
    assert found.p == pytest.approx(2 / (found.resamples + 1))
    assert found.resamples == 2000 * max(1, -(-claims // 5))


def test_a_p_that_is_not_small_costs_no_more_among_many_claims(calibrated):
    found = bootstrapped(calibrated, "ece(a) <= 0.01", claims=400)
    assert (found.resamples, found.p) == (2000, bootstrapped(calibrated, "ece(a) <= 0.01", claims=1).p)


def test_a_finding_that_was_counted_for_few_claims_is_counted_again_among_many(calibrated, tmp_path):
    for name, each in calibrated.items():
        (tmp_path / name).write_bytes(each.columns.to_bytes())
    entries = {name: {"columns": str(tmp_path / name), "slices": list(each.slices)} for name, each in calibrated.items()}
    claim = {"id": 0, "check": "ece(a) <= ece(b)", "entries": entries}
    (alone,) = corrected([claim])
    crowd = [{"id": place, "findings": [judged(0.5)]} for place in range(1, 60)]
    first = corrected([{**claim, "findings": alone["findings"]}, *crowd])[0]
    assert (first["verdict"], first["findings"][0]["resamples"]) == (HOLDS, 24_000)
    again = corrected([{**claim, "entries": {}, "findings": first["findings"]}, *crowd])[0]
    assert again["p_adjusted"] == first["p_adjusted"]
