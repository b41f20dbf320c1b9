"""At how many cases (settings of an axis, slices, seeds) a comparison holds: from a test of each case to one of their share.
Called by `evaluators.claims`.

A share that was seen is no estimate with a smooth error: a case that is a tie falls to one side or the other. So each case is
tested by itself, and the claim "at least u of n hold" by the partial conjunction of these tests (Benjamini & Heller 2008, with
Simes' test): its p is the least of (n - u + 1) / (v - u + 1) times the v-th smallest p, v = u ... n. Simes' test is valid where
the cases are independent or go together, as the results of the same trainings do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluators.claim_estimates import EXACT, Located
from evaluators.claim_verdicts import LEVEL, Evidence, Finding
from evaluators.columns import Floats

METHOD = "partial conjunction of the cases' own tests"
ROUNDING = 1e-9


@dataclass(frozen=True)
class Cases:
    """Where the comparison lies at each case, beyond its bound where it holds, and the share at which it must."""

    located: Sequence[Located]
    least: float


def shared(text: str, cases: Cases, *, values: tuple[Evidence, ...]) -> Finding:
    """The finding: by how much the share at which the comparison holds lies above the least that is claimed."""
    n = len(cases.located)
    tests = [each.test(0.0) for each in cases.located]
    p = np.array([_one_sided(each, test.p) for each, test in zip(cases.located, tests, strict=True)])
    holding, failing = at_least(p[:, 0]), at_least(p[:, 1])
    wanted = math.ceil(cases.least * n - ROUNDING)
    share = sum(each.value >= 0 for each in cases.located) / n
    low = _most(holding) / n
    high = 1 - _most(failing) / n
    one_sided = holding[wanted] if share >= cases.least - ROUNDING else failing[n - wanted + 1]
    return Finding(
        text=text,
        effect=share - cases.least if abs(share - cases.least) > ROUNDING else 0.0,
        ci_low=low - cases.least if abs(low - cases.least) > ROUNDING else 0.0,
        ci_high=high - cases.least if abs(high - cases.least) > ROUNDING else 0.0,
        p=min(1.0, 2 * float(one_sided)),
        method=METHOD,
        resamples=min((test.resamples for test in tests if test.resamples), default=0),
        values=values,
    )


def at_least(p: Floats) -> Floats:
    """[n + 1]: the p that at least u of n one-sided tests are of true effects, for u = 0 ... n. It rises with u, so the
    largest u at a level is a bound at that level."""
    n, ordered = len(p), np.sort(p)
    found = [np.min(ordered[u - 1 :] * (n - u + 1) / np.arange(1, n - u + 2)) for u in range(1, n + 1)]
    return np.asarray(np.minimum(1.0, [0.0, *found]), dtype=np.float64)


def _one_sided(located: Located, p: float) -> tuple[float, float]:
    """(that the case holds, that it fails), from the two-sided p of the bound. Equal facts hold: "at least" is met."""
    if located.method == EXACT:
        return (0.0, 1.0) if located.value >= 0 else (1.0, 0.0)
    if located.value == 0:
        return 1.0, 1.0
    return (p / 2, 1 - p / 2) if located.value > 0 else (1 - p / 2, p / 2)


def _most(p: Floats) -> int:
    """The most cases that half of the 95 % level says there are."""
    return int(np.flatnonzero(p <= LEVEL / 2)[-1])
