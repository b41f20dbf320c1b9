"""Performance profiles from columns: a small track of the kind "time to target" by hand, the properties that hold for any, and
the track of ours whose axis is a cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators import registry
from evaluators.columns import Columns
from evaluators.profiles import Target, costs_to_target, profiles_of
from evaluators.track import Run
from evaluators.tradeoffs import profile_score
from tests.evaluators.cases import CASES

TARGET = Target(axis="epochs", column="error", target=0.1)
EPOCHS = (1.0, 2.0, 4.0, 8.0)


def learner(errors, *, seeds=(0,), slices=("all",)):
    """Columns of a track that keeps the error of each unit after 1, 2, 4 and 8 epochs: errors [units, 4]."""
    units = np.arange(len(errors))
    parts = [
        Columns(
            unit=units,
            index={
                "slice": np.full(len(units), part), "seed": np.full(len(units), seed), "epochs": np.full(len(units), epochs)
            },
            values={"error": np.asarray(errors, dtype=float)[:, place]},
        )
        for part in slices
        for seed in seeds
        for place, epochs in enumerate(EPOCHS)
    ]  # fmt: skip
    return Columns.concatenate(parts)


FAST = learner([[0.5, 0.1, 0.1, 0.0], [0.5, 0.3, 0.05, 0.0], [0.5, 0.5, 0.5, 0.5]])
SLOW = learner([[0.5, 0.3, 0.1, 0.1], [0.5, 0.3, 0.2, 0.1], [0.9, 0.5, 0.2, 0.1]])


def test_the_cost_is_the_least_setting_that_reaches_the_target():
    assert costs_to_target(FAST, target=TARGET) == {(0, 0, "all"): 2.0, (1, 0, "all"): 4.0, (2, 0, "all"): np.inf}
    rising = Target(axis="epochs", column="error", target=0.5, direction="max")
    assert set(costs_to_target(FAST, target=rising).values()) == {1.0}


def test_profiles_by_hand():
    found = profiles_of({"fast": FAST, "slow": SLOW}, target=TARGET)
    assert found.shares(within=np.array([1.0, 2.0, 10.0])).tolist() == [[2 / 3, 2 / 3, 2 / 3], [1 / 3, 1.0, 1.0]]


def test_scores_are_areas_with_intervals_around_them():
    found = profiles_of({"fast": FAST, "slow": SLOW}, target=TARGET)
    scores = found.scores(up_to=4.0)
    assert [score for score, _, _ in scores] == pytest.approx(profile_score(found.costs, up_to=4.0).tolist())
    assert all(0 <= low <= score <= high <= 1 for score, low, high in scores)
    with pytest.raises(ValueError, match="beyond 1"):
        found.scores(up_to=1.0)


def test_seeds_and_slices_are_problems_and_units_are_resampled():
    found = profiles_of({"a": learner([[0.5, 0.1, 0.1, 0.0]] * 5, seeds=(0, 1), slices=("x", "y"))}, target=TARGET)
    assert found.costs.shape == (1, 20)
    assert sorted(set(found.units.tolist())) == [0, 1, 2, 3, 4]


def test_only_problems_that_all_were_given_are_compared():
    short = learner([[0.0] * 4])
    assert profiles_of({"fast": FAST, "short": short}, target=TARGET).costs.tolist() == [[2.0], [1.0]]
    elsewhere = learner([[0.0] * 4], slices=("other",))
    with pytest.raises(ValueError, match="share no problem"):
        profiles_of({"fast": FAST, "elsewhere": elsewhere}, target=TARGET)
    with pytest.raises(ValueError, match="share no problem"):
        profiles_of({}, target=TARGET)


def test_rows_that_do_not_apply_are_left_out():
    errors = FAST.values["error"].copy()
    errors[FAST.unit == 1] = np.nan
    costs = costs_to_target(replace(FAST, values={"error": errors}), target=TARGET)
    assert set(costs) == {(0, 0, "all"), (2, 0, "all")}


@pytest.mark.parametrize(
    ("changed", "says"), [({"axis": "steps"}, 'no axis "steps"'), ({"column": "loss"}, 'no column "loss"; there are error')]
)
def test_what_the_columns_do_not_have_is_named(changed, says):
    with pytest.raises(ValueError, match=says):
        costs_to_target(FAST, target=replace(TARGET, **changed))


def test_an_axis_that_is_no_cost_is_refused():
    index = {**FAST.index, "epochs": FAST.index["epochs"] - 1.0}
    with pytest.raises(ValueError, match="must be positive"):
        costs_to_target(replace(FAST, index=index), target=TARGET)


curves = st.lists(st.lists(st.sampled_from([0.0, 0.1, 0.2, np.inf]), min_size=4, max_size=4), min_size=3, max_size=3)


@given(curves, curves, st.integers(0, 2**32 - 1))
def test_profiles_rise_stay_within_bounds_and_know_no_order_of_rows_or_submissions(first, second, seed):
    a, b = learner(first), learner(second)
    found = profiles_of({"a": a, "b": b}, target=TARGET)
    shares = found.shares(within=np.array([1.0, 2.0, 4.0, 8.0]))
    assert (np.diff(shares, axis=1) >= 0).all()
    assert ((shares >= 0) & (shares <= 1)).all()
    order = np.random.default_rng(seed).permutation(len(a.unit))
    shuffled = Columns(
        unit=a.unit[order],
        index={name: column[order] for name, column in a.index.items()},
        values={name: column[order] for name, column in a.values.items()},
    )
    again = profiles_of({"b": b, "a": shuffled}, target=TARGET)
    assert again.shares(within=np.array([1.0, 2.0, 4.0, 8.0]))[::-1].tolist() == shares.tolist()


def test_an_easier_target_is_never_dearer():
    easy, hard = (costs_to_target(SLOW, target=replace(TARGET, target=target)) for target in (0.3, 0.1))
    assert all(easy[problem] <= hard[problem] for problem in hard)


def test_a_track_of_ours_whose_axis_is_a_cost_has_profiles():
    track = registry.get("few-step-sampling")(secret=b"tests")
    case, data = CASES["few-step-sampling"], track.load()
    run = Run(slices=("gm2",), seeds=track.spec.seeds)
    perfect = track.score(case.perfect(track, data, run), data, run)
    useless = track.score(case.useless(track, data, run)["constant"].outputs, data, run)
    found = profiles_of({"perfect": perfect, "useless": useless}, target=Target("nfe", "distance", 1e-9))
    assert found.shares(within=np.array([1.0, 1e9])).tolist() == [[1.0, 1.0], [0.0, 0.0]]
    assert set(found.costs[0]) == {min(track.spec.axes[0].values)}
    assert [score for score, _, _ in found.scores(up_to=10.0)] == [1.0, 0.0]
