"""Truth planted exactly on a relation's bound, in a world of random units and random trainings: a verdict there is an error,
which happens no more often than stated; where little was measured there is no verdict. Simulated, with fixed seeds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from evaluators import registry
from evaluators.claim_parser import parse
from evaluators.claim_rows import Entry
from evaluators.claim_shares import at_least
from evaluators.claim_verdicts import Verdict, claim_p, decide
from evaluators.claims import judge
from evaluators.columns import Columns
from tests.claims.columns import SLICES

DIGITS = registry.get("digits-classification")(secret=b"tests")
GRAPHS = registry.get("homophily-and-depth")(secret=b"tests")
HOLDS, FAILS, OPEN, NONE = Verdict.HOLDS, Verdict.DOES_NOT_HOLD, Verdict.UNDECIDED, Verdict.NOT_EVALUATED
RUNS = 100


def most(rate: float) -> float:
    """What a share of RUNS may be where the true one is `rate`: one of a thousand such shares is larger. There are dozens of
    tests here, all of which must pass."""
    return float(binom.ppf(0.999, RUNS, rate)) / RUNS


class World:
    """One draw of test units and trainings: what entrants share, and what each has of its own."""

    def __init__(self, seed: int, *, seeds: int = 3, n: int = 100, luck: float = 0.05) -> None:
        self.rng = np.random.default_rng(seed)
        self.seeds, self.n, self.luck = seeds, n, luck
        self.units = 0.5 * self.rng.standard_normal(n)

    def digits(self, mean: float | np.ndarray) -> Entry:
        """A loss with this mean (or one for each of the ten slices) over all units and trainings that there could be."""
        trainings = self.luck * self.rng.standard_normal((self.seeds, 1))
        loss = self.units + trainings + 0.3 * self.rng.standard_normal((self.seeds, self.n))
        place = np.tile(np.arange(self.n) % 10, self.seeds)
        nll = loss.reshape(-1) + np.broadcast_to(mean, 10)[place]
        columns = Columns(
            unit=np.tile(np.arange(self.n), self.seeds),
            index={"slice": np.array(SLICES)[place], "seed": np.repeat(np.arange(self.seeds), self.n)},
            values={"nll": nll, "correct": (nll < 0).astype(float), "confidence": np.full(len(nll), 0.9)},
            facts={"params": 10.0, "macs": 100.0, "train_s": 1.0},
        )
        return Entry(columns, SLICES)

    def graphs(self, at_depth: dict[float, float]) -> Entry:
        """Accuracy with these means; each training has a graph of its own."""
        parts = []
        for seed in range(self.seeds):
            for depth, p in at_depth.items():
                nan = np.full(self.n, np.nan)
                luck = self.luck * self.rng.standard_normal()
                parts.append(
                    Columns(
                        unit=seed * self.n + np.arange(self.n),
                        index={
                            "slice": np.full(self.n, "csbm"),
                            "seed": np.full(self.n, seed),
                            "depth": np.full(self.n, depth),
                            "homophily": nan,
                            "tau": nan,
                        },
                        values={
                            "correct": (self.rng.random(self.n) < p + luck).astype(float),
                            "error": nan,
                            "energy": nan,
                            "gain": nan,
                        },
                    )
                )
        return Entry(Columns.concatenate(parts), ("csbm",))


def verdict(track, text: str, entries) -> Verdict:
    findings = judge(track, parse(text), entries)
    return decide(findings, p_adjusted=claim_p(findings))


ON_THE_BOUND = [
    ("better(nll; a than b)", {"a": 0.0, "b": 0.0}),
    ("better(nll; a than b, c by 0.1)", {"a": 0.0, "b": 0.1, "c": 0.6}),
    ("not_worse(nll; a than b within 0.1)", {"a": 0.1, "b": 0.0}),
    ("equal(nll; a as b within 0.2)", {"a": 0.2, "b": 0.0}),
    ("nll(a) <= 0.9*nll(b)", {"a": 1.8, "b": 2.0}),
    ("contains(nll(a), 1 within 0.25)", {"a": 1.0}),
    ("abs(nll(a) - nll(b)) <= 0.3", {"a": 0.3, "b": 0.0}),
    ("accuracy(a) >= accuracy(b)", {"a": 0.2, "b": 0.2}),
]


@pytest.mark.parametrize("luck", [0.0, 0.15])
@pytest.mark.parametrize(("text", "means"), ON_THE_BOUND, ids=[text for text, _ in ON_THE_BOUND])
def test_on_its_bound_a_relation_is_decided_no_more_often_than_stated(text, means, luck):
    decided = 0
    for run in range(RUNS):
        world = World(run, luck=luck)
        found = verdict(DIGITS, text, {name: world.digits(mean) for name, mean in means.items()})
        decided += found in ((FAILS,) if text.startswith("contains") else (HOLDS, FAILS))
    assert decided / RUNS <= most(0.05)


def test_a_number_that_lies_just_out_of_reach_is_said_to_be_contained_no_more_often_than_stated():
    text = "contains(nll(a), 1 within 0.25)"
    held = sum(verdict(DIGITS, text, {"a": World(run).digits(1.25)}) == HOLDS for run in range(RUNS))
    assert held / RUNS <= most(0.025)


@pytest.mark.parametrize(
    ("text", "at_depth"),
    [
        ("slope(accuracy, depth; a) in [-0.01, 0.5]", {2.0: 0.85, 8.0: 0.79, 32.0: 0.55}),
        ("slope(accuracy, depth; a) in [-0.5, -0.01]", {2.0: 0.85, 8.0: 0.79, 32.0: 0.55}),
        ("loglog_slope(accuracy, depth; a) in [-0.1, 0.5]", {2.0: 0.9, 8.0: 0.9 * 4**-0.1, 32.0: 0.9 * 16**-0.1}),
        ("decreasing(accuracy, depth; a)", {2.0: 0.9, 8.0: 0.6, 32.0: 0.6}),
        ("increasing(accuracy, depth; a within 0.1)", {2.0: 0.7, 8.0: 0.6, 32.0: 0.9}),
        ("spearman(accuracy, depth; a) in [0.6, 1]", {2.0: 0.7, 8.0: 0.7, 32.0: 0.7}),
        ("accuracy@depth=32(a) >= 0.6", {2.0: 0.7, 8.0: 0.7, 32.0: 0.6}),
    ],
)
@pytest.mark.parametrize("luck", [0.0, 0.08])
def test_on_its_bound_a_trend_holds_no_more_often_than_stated(text, at_depth, luck):
    held = sum(verdict(GRAPHS, text, {"a": World(run, luck=luck).graphs(at_depth)}) == HOLDS for run in range(RUNS))
    assert held / RUNS <= most(0.025)


@pytest.mark.parametrize("luck", [0.0, 0.15])
@pytest.mark.parametrize("least", [0.5, 0.9])
def test_a_share_with_one_case_too_few_holds_no_more_often_than_stated(least, luck):
    """So many slices less one hold by far, and the others just do not."""
    clear = round(10 * least) - 1
    mean = np.array([-1.0] * clear + [1e-9] * (10 - clear))
    held = 0
    for run in range(RUNS):
        world = World(run, luck=luck)
        entries = {"a": world.digits(mean), "b": world.digits(0.0)}
        held += verdict(DIGITS, f"share(nll(a) <= nll(b) over slice) >= {least}", entries) == HOLDS
    assert held / RUNS <= most(0.025)


def test_the_number_of_true_effects_is_not_overstated() -> None:
    """Partial conjunction, of independent tests of which four are of true effects."""
    rng = np.random.default_rng(0)
    p = rng.random((4000, 10))
    p[:, :4] *= 1e-3
    most = np.array([np.flatnonzero(at_least(row) <= 0.05)[-1] for row in p])
    assert np.mean(most > 4) <= 0.06
    assert np.mean(most == 4) > 0.8


# --- where little is known


WIDE = ["nll(a) <= nll(b)", "accuracy(a) >= accuracy(b)", "equal(nll; a as b within 0.5)", "contains(nll(a), 0 within 0.5)"]


@pytest.mark.parametrize("text", [*WIDE, "ece(a) <= ece(b)", "share(nll(a) <= nll(b) over slice) >= 0.5"])
def test_wide_intervals_leave_it_undecided(text):
    """Ten units, and trainings that differ by more than anything that is claimed: also where the claim is true."""
    undecided = 0
    for run in range(40):
        world = World(run, n=10, luck=2.0)
        undecided += verdict(DIGITS, text, {"a": world.digits(0.0), "b": world.digits(0.1)}) == OPEN
    assert undecided >= 36


def with_nll(entry: Entry, nll: np.ndarray) -> Entry:
    columns = entry.columns
    return Entry(Columns(columns.unit, columns.index, {**columns.values, "nll": nll}, columns.facts), entry.slices)


@pytest.mark.parametrize("text", ["nll(a) <= nll(b)", "better(nll; a than b)", "nll(b) <= nll(a)", "ece(a) <= ece(b)"])
def test_identical_columns_do_not_decide_who_is_better(text):
    """What agrees on all that was seen may differ on what was not."""
    entry = World(0).digits(0.2)
    assert verdict(DIGITS, text, {"a": entry, "b": entry}) == OPEN


def test_identical_columns_are_not_worse_than_each_other():
    entry = World(0).digits(0.2)
    assert verdict(DIGITS, "not_worse(nll; a than b within 0.05)", {"a": entry, "b": entry}) == HOLDS


def test_equal_facts_meet_at_least():
    entry = World(0).digits(0.2)
    assert verdict(DIGITS, "macs(a) <= macs(b)", {"a": entry, "b": entry}) == HOLDS
    assert verdict(DIGITS, "share(macs(a) <= macs(b) over seed) >= 1", {"a": entry, "b": entry}) == HOLDS


def test_missing_numbers_in_some_rows_are_left_out_and_in_all_rows_give_no_verdict():
    world = World(0)
    a, b = world.digits(0.0), world.digits(1.0)
    some = b.columns.values["nll"].copy()
    some[::7] = np.nan
    assert verdict(DIGITS, "nll(a) <= nll(b)", {"a": a, "b": with_nll(b, some)}) == HOLDS
    (found,) = judge(DIGITS, parse("nll(a) <= nll(b)"), {"a": a, "b": with_nll(b, np.full_like(some, np.nan))})
    assert (found.effect, found.reason) == (None, "nll(b) has no finite value")


def test_an_infinite_value_gives_no_verdict():
    world = World(0)
    b = world.digits(1.0)
    endless = b.columns.values["nll"].copy()
    endless[0] = np.inf
    (found,) = judge(DIGITS, parse("nll(a) <= nll(b)"), {"a": world.digits(0.0), "b": with_nll(b, endless)})
    assert (found.effect, found.reason) == (None, "nll(b) has no finite value")


def test_one_replicate_each_counts_units_only_and_plans_nothing():
    world = World(0, seeds=1)
    (found,) = judge(DIGITS, parse("nll(a) <= nll(b)"), {"a": world.digits(0.0), "b": world.digits(1.0)})
    assert found.holds
    assert found.plan is None
    assert "units" in found.method


def test_one_unit_and_one_replicate_decide_nothing():
    world = World(0, seeds=1, n=1)
    entries = {"a": world.digits(0.0), "b": world.digits(9.0)}
    for text in ("nll(a) <= nll(b)", "ece(a) <= ece(b)", "nll(a) - nll(b) in [-99, 99]"):
        assert verdict(DIGITS, text, entries) == OPEN, text
