"""The page of a comparison as plain lines: what `standings.comparing` found, with numbers as text and whiskers around zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leaderboard.standings.comparing import Comparison, Difference
from leaderboard.web import numbers
from leaderboard.web.charts import Scale, Whisker, whisker

WIDTH, MARGIN = 150.0, 6.0


@dataclass(frozen=True)
class DifferenceLine:
    """One metric, over everything or a slice. `verdict` names the better one, or says that they cannot be told apart."""

    title: str
    part: str
    primary: bool
    arrow: str
    unit: str
    text: str
    interval: str
    p: str
    method: str
    verdict: str
    better: str
    whisker: Whisker | None


def lines_of(comparison: Comparison) -> list[DifferenceLine]:
    """The differences in the order of the track's metrics; slices after everything."""
    spec = comparison.a.board.track.spec
    metrics = {metric["name"]: metric for metric in comparison.a.board.metrics}
    parts = {part["slug"]: part["title"] for part in spec["slices"]}
    return [
        _line(each, metrics[each.metric], comparison, part=parts.get(each.slice, each.slice))
        for each in comparison.differences
        if each.metric in metrics
    ]


def _line(found: Difference, metric: Mapping[str, Any], comparison: Comparison, *, part: str) -> DifferenceLine:
    decimals = numbers.decimals_for([found.value], half_widths=[numbers.half_width(found.ci_low, found.ci_high)])
    known = found.ci_low is not None and found.ci_high is not None
    ends = " to ".join(numbers.written(end, decimals) for end in (found.ci_low, found.ci_high))
    scale = _around_zero([found.value, found.ci_low, found.ci_high])
    return DifferenceLine(
        title=metric["title"],
        part=part,
        primary=metric["primary"],
        arrow=numbers.ARROWS[metric["direction"]],
        unit=metric["unit"],
        text=numbers.written(found.value, decimals),
        interval=ends if known else "",
        p=_spoken_p(found.p),
        method=found.method or found.reason,
        verdict=_verdict(found, comparison),
        better=found.better,
        whisker=whisker(scale, value=found.value, low=found.ci_low, high=found.ci_high),
    )


def _around_zero(values: Sequence[float | None]) -> Scale | None:
    """A scale of its own for each metric, with zero in the middle: units differ, and zero is what matters."""
    reach = max((abs(value) for value in values if value is not None), default=0.0)
    return Scale(low=-reach, high=reach, start=MARGIN, end=WIDTH - MARGIN) if reach else None


def _spoken_p(p: float | None) -> str:
    if p is None:
        return numbers.MISSING
    return "< 0.0001" if p < 0.0001 else f"{p:.2g}"


def _verdict(found: Difference, comparison: Comparison) -> str:
    if found.better:
        return f"{(comparison.a if found.better == 'a' else comparison.b).name} is better"
    return "cannot be told apart" if found.p is not None else numbers.MISSING
