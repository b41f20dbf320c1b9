"""The rule of a trade-off in words, and what decided about one submission. Pure. Called by `tradeoff`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leaderboard.standings.tradeoff import Axis

RULE = (
    "A submission leaves the front only if another on it is significantly better on one axis and not significantly worse "
    "on the other."
)


def rule_of(x: Axis, y: Axis, *, part: str, bounded: bool, most: int, references: int) -> tuple[str, ...]:
    """What "better" means on either axis, and what was looked at, as sentences."""
    sentences = [RULE]
    measured = [axis.title for axis in (x, y) if not axis.exact]
    exact = [axis.title for axis in (x, y) if axis.exact]
    if measured:
        sentences.append(f"{_listed(measured)}: {_by_intervals() if part else _by_tests()}")
    if exact:
        sentences.append(f"{_listed(exact)}: taken as recorded, without an interval, so every difference counts.")
    if part and exact:
        sentences.append(f"{_listed(exact)}: of the whole evaluation, all slices that were entered together.")
    if bounded:
        sentences.append(
            f"This board is long. Its best {most} rows in the board's order are looked at, and up to {references} of the "
            "server's own baselines and reference models; a submission further down is neither shown nor does it remove one."
        )
    return tuple(sentences)


def because_of(name: str, axes: Sequence[Axis], signs: Sequence[int], tested: Sequence[bool]) -> str:
    """Why a submission is not on the front: who removed it, and what decided. signs: on each axis 1 where that one is better, 0
    where they cannot be told apart."""
    better = [_better(axis, by_test=known) for axis, sign, known in zip(axes, signs, tested, strict=True) if sign > 0]
    level = [axis.title for axis, sign in zip(axes, signs, strict=True) if sign == 0]
    told = f"{name} is better in {' and in '.join(better)}"
    return f"{told}, and not significantly worse in {level[0]}" if level else told


def _better(axis: Axis, *, by_test: bool) -> str:
    if axis.exact:
        return f"{axis.title} (as recorded)"
    return f"{axis.title} ({'paired test' if by_test else 'intervals'})"


def _by_tests() -> str:
    return (
        "a paired test on the same test examples decides where the server keeps one (among the best of the board), corrected "
        "by Holm at 5 %; elsewhere 95 % intervals, made wider by a quarter, must not touch."
    )


def _by_intervals() -> str:
    return "on one slice, 95 % intervals, made wider by a quarter, must not touch."


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names)
