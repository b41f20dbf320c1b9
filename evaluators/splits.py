"""The public and the private part of a test, and the rule by which a public part announces a new best. Pure: takes ids, keys
and losses. Called by the standings of boards that keep a part of the test back until they close."""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluators.columns import Columns, Floats


def public_part(ids: Sequence[str | int], *, secret: bytes, name: str, share: float) -> NDArray[np.bool_]:
    """Which test units are in the public part: bool [n].

    A unit is public if HMAC-SHA256(secret, name, id), read as a number in [0, 1), is below `share`. So a unit stays where it
    is when others are added or reordered, a larger share only adds units, and nobody can tell without the secret.
    name: what is split (a board's slug): parts of different boards are independent.
    Raises ValueError for a share outside [0, 1] and for an empty secret.
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"the public share of a test lies between 0 and 1, got {share}")
    if not secret:
        raise ValueError("the split of a test needs a secret: without one everybody can tell which part is private")
    key = hmac.digest(secret, b"public part\0" + name.encode(), "sha256")
    limit = share * 2.0**64
    return np.array([_hash(key, str(unit)) < limit for unit in ids], dtype=np.bool_)


def public_rows(columns: Columns, *, secret: bytes, name: str, share: float) -> NDArray[np.bool_]:
    """Which rows of a table are in the public part: bool [rows]. All rows of a unit are in the same part, and all units of a
    cluster where the track has such groups (`statistics.CLUSTER`): what was drawn together cannot be held out from itself."""
    groups = columns.index.get("cluster", columns.unit)
    names, of_row = np.unique(groups, return_inverse=True)
    return public_part(names.tolist(), secret=secret, name=name, share=share)[of_row.ravel()]


def rows_of(columns: Columns, keep: NDArray[np.bool_]) -> Columns:
    """The rows that a mask [rows] keeps. Units keep their numbers, so that tests pair them, and facts stay."""
    return Columns(
        unit=columns.unit[keep],
        index={name: column[keep] for name, column in columns.index.items()},
        values={name: column[keep] for name, column in columns.values.items()},
        facts=columns.facts,
    )


def _hash(key: bytes, unit: str) -> int:
    return int.from_bytes(hmac.digest(key, unit.encode(), hashlib.sha256)[:8], "big")


@dataclass(frozen=True)
class Best:
    """The best that a public part has announced. value: its announced mean loss. losses: those behind it, [n]."""

    value: float
    losses: Floats


TIE = 1e-12
"""One more unit right is a gain of exactly one step (1 / n both): rounding must not make it more."""


def ladder(losses: Floats, *, best: Best | None) -> Best:
    """The announced best after one more submission: `best` itself unless the new one is better by more than chance.

    The parameter-free Ladder (Blum & Hardt 2015, "The Ladder: a reliable leaderboard for machine learning competitions",
    Algorithm 2): a new mean loss R counts if R < best - s / sqrt(n), where s is the standard deviation of the differences of
    the losses, and is announced rounded to a multiple of 1 / n. An announcement then reveals little of the public part, however
    many submissions probe it: the error of the announced best grows with the logarithm of their number.

    losses: [n], in [0, 1], smaller is better, one for each unit of the public part in fixed order.
    Raises ValueError where a loss is not finite or their number differs from that of `best`.
    """
    if not len(losses) or not np.isfinite(losses).all():
        raise ValueError("the Ladder needs at least one loss, and finite ones only")
    if best is not None and len(losses) != len(best.losses):
        raise ValueError(f"expected losses of the same {len(best.losses)} units as before, got {len(losses)}")
    n = len(losses)
    mean = float(losses.mean())
    if best is not None:
        step = float((losses - best.losses).std(ddof=1)) / math.sqrt(n) if n > 1 else math.inf
        if not best.value - mean > step + TIE:
            return best
    return Best(value=round(mean * n) / n, losses=losses.copy())
