"""How many more seeds would decide an undecided comparison. `plan_of` says what that takes to know, once; `more_seeds` answers
at any level, such as the one that a correction for several claims leaves. Called by the judging of claims."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from evaluators.claim_verdicts import LEVEL, Plan
from evaluators.columns import Floats
from evaluators.statistics import components_of

MOST_SEEDS = 1000
POWER = 0.8


def plan_of(differences: Floats, *, margin: float = 0.0) -> Plan | None:
    """What planning needs to know of `differences` [S, n] (a - b, by seed and unit; [S] where only the seeds' means are known;
    NaN where a unit is not of a seed) beside a margin. None: one seed says nothing of how seeds differ."""
    table = differences[:, None] if differences.ndim == 1 else differences
    if len(table) < 2:
        return None
    seeds, units = np.nonzero(~np.isnan(table))
    parts = components_of(table[seeds, units], unit=units, seed=seeds)
    return Plan(
        seeds=len(table),
        distance=abs(float(np.nanmean(table)) - margin),
        one_seed=parts.seeds.variance * len(table),
        still=0.0 if math.isnan(parts.units.variance) else max(parts.units.variance - parts.both, 0.0),
        moving=parts.both * len(table),
    )


def more_seeds(plan: Plan, *, level: float = LEVEL, power: float = POWER, most: int = MOST_SEEDS) -> int | None:
    """How many seeds beyond those there are would show, with probability `power` in tests at `level`, that the mean lies beyond
    its margin, on the side where it lies now. 0: the seeds there are suffice. None: no number up to `most` does (the units set
    the limit, or the mean lies on the margin).

    An approximation: it takes the observed mean d and the observed variance components as the true ones, and asks for the
    smallest S' at which both tests of `comparison` reject,

        |d - margin| >= (t(S' - 1) + z_power) sqrt(v_s / S')   and   |d - margin| >= (z + z_power) sqrt(v_u / n + v_us / (n S'))

    with v_s the variance of one seed's mean (Cohen 1988, ch. 2, with the test's own t quantile). Three seeds fix a standard
    deviation within a factor of 0.5 to 6 only (the 95 % interval from chi-square), hence the number of seeds within its
    square: it is an order of magnitude, for planning.
    """
    reach = float(special.ndtri(power))
    count = np.arange(plan.seeds, most + 1, dtype=np.float64)
    over_seeds = (special.stdtrit(count - 1, 1 - level / 2) + reach) * np.sqrt(plan.one_seed / count)
    over_units = (special.ndtri(1 - level / 2) + reach) * np.sqrt(plan.still + plan.moving / count)
    enough = np.flatnonzero(plan.distance >= np.maximum(over_seeds, over_units))
    return int(enough[0]) if plan.distance > 0 and len(enough) else None
