"""A weighted sum of a track's metrics as a metric of its own. Pure: takes plain descriptions of metrics, gives a metric whose
value, resamples and paired tests come from the same columns as every other. Called by boards that order by a combination.

Metrics have units, so each is first turned into a worth between 0 and 1, the one-sided desirability of Derringer & Suich
(1980, "Simultaneous optimization of several response variables", eq. 2, with r = 1):

    worth(v) = min(1, max(0, (v - zero) / (one - zero))),        combination = sum of weight * worth,  weights summing to 1.

`zero` and `one` are the values that count for nothing and for everything. A metric with two bounds has them from its bounds and
its direction (the min-max scaling of OECD & JRC 2008, "Handbook on constructing composite indicators", sec. 5.2); any other (a
log-likelihood, a number of parameters, seconds) needs both, since a sum would depend on a scale that nobody chose. They are
fixed numbers and no results: a combination of one submission never changes because another one came. `log` compares factors
instead of differences, for what spans decades. What lies beyond either end counts no more, so an infinite loss costs its
weight and not the board.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluators.columns import Columns, Floats
from evaluators.track import Metric, Track

NAME = "combination"
KEYS = {"weight", "zero", "one", "log"}


@dataclass(frozen=True)
class Term:
    """One metric of a combination. weight: its share of the sum. zero, one: the values that are worth 0 and 1."""

    metric: str
    title: str
    weight: float
    zero: float
    one: float
    log: bool = False

    def worth(self, values: Floats) -> Floats:
        """0 to 1 for each value; NaN stays NaN."""
        zero, one, at = (self._scaled(np.asarray(each, dtype=np.float64)) for each in (self.zero, self.one, values))
        return np.clip((at - zero) / (one - zero), 0.0, 1.0)

    def _scaled(self, values: Floats) -> Floats:
        if not self.log:
            return values
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(np.maximum(values, 0.0)), dtype=np.float64)

    @property
    def formula(self) -> str:
        """Such as "0.3 (log params from 1e+05 to 1000)"."""
        return f"{self.weight:.3g} ({'log ' if self.log else ''}{self.metric} from {self.zero:g} to {self.one:g})"


@dataclass(frozen=True)
class Combination:
    """Terms whose weights sum to 1."""

    terms: tuple[Term, ...]
    exact: bool

    @property
    def title(self) -> str:
        """Such as "Combination: 0.7 Accuracy + 0.3 Calibration error"."""
        return "Combination: " + " + ".join(f"{term.weight:.3g} {term.title}" for term in self.terms)

    @property
    def formula(self) -> str:
        """The sum; "m from a to b" is worth 0 at a, 1 at b, and a share between them."""
        return " + ".join(term.formula for term in self.terms)

    @property
    def metric(self) -> Metric:
        """As a metric; all terms exact (facts): so is their sum."""
        return Metric(
            name=NAME,
            title=self.title,
            direction="max",
            unit="0 to 1",
            lower=0.0,
            upper=1.0,
            estimator="fact" if self.exact else "function",
            about=f"{self.formula}, each from 0 at the first value to 1 at the second, and no further",
        )

    def of(self, values: Mapping[str, Floats]) -> Floats:
        """The combination from the values of its metrics, scalars or [resamples]; NaN where one of them is."""
        return np.asarray(sum(term.weight * term.worth(values[term.metric]) for term in self.terms), dtype=np.float64)


def read(document: Any, metrics: Sequence[Mapping[str, Any]]) -> Combination:
    """The combination that a document {metric: weight or {"weight", "zero", "one", "log"}} describes.

    metrics: those of the track, as its spec's JSON has them; a bound of null is none. Raises ValueError with one sentence.
    """
    if not isinstance(document, dict) or len(document) < 2:
        raise ValueError('a combination names at least two metrics with their weights, such as {"accuracy": 0.7, "ece": 0.3}')
    known = {metric["name"]: metric for metric in metrics}
    if NAME in known:
        raise ValueError(f'this track has a metric of its own that is called "{NAME}", so its boards order by single metrics')
    found = [_term(name, value, known) for name, value in document.items()]
    total = sum(term.weight for term in found)
    terms = tuple(Term(t.metric, t.title, t.weight / total, t.zero, t.one, t.log) for t in found)
    return Combination(terms, exact=all(known[term.metric]["estimator"] == "fact" for term in terms))


def combined(track: Track, combination: Combination | None) -> Track:
    """The track with the combination as one more metric, in slices and resamples alike; the track itself for none."""
    if combination is None:
        return track

    def reduce(self: Any, columns: Columns, weights: Floats | None = None) -> dict[str, Floats]:
        del self
        values = track.reduce(columns, weights)
        shape = () if weights is None or combination.exact else weights.shape[:-1]
        return {**values, NAME: np.broadcast_to(combination.of(values), shape)}

    spec = track.spec.model_copy(update={"metrics": (*track.spec.metrics, combination.metric)})
    kind = type(track)
    wider: type[Track] = type(kind.__name__, (kind,), {"spec": spec, "reduce": reduce, "__module__": kind.__module__})
    return wider(secret=track.secret, data_dir=track.data_dir)


def _term(name: str, value: Any, known: Mapping[str, Mapping[str, Any]]) -> Term:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"it has {', '.join(known)}"
        raise ValueError(f'this track has no metric "{name[:60]}"; {hint}')
    metric = known[name]
    given = value if isinstance(value, dict) else {"weight": value}
    if unknown := set(given) - KEYS:
        raise ValueError(f'"{name}" takes weight, zero, one and log; "{min(unknown)}" is none of them')
    weight = _number(name, "weight", given.get("weight"))
    if weight <= 0:
        raise ValueError(f'the weight of "{name}" must be more than 0, not {weight:g}: the direction is the metric\'s own')
    log = given.get("log", False)
    if log not in (True, False):
        raise ValueError(f'"log" of "{name}" is true or false')
    zero, one = _ends(metric, given)
    if log and min(zero, one) <= 0:
        raise ValueError(f'"log" of "{name}" needs a zero and a one above 0, not {zero:g} and {one:g}')
    return Term(name, metric["title"], weight, zero, one, bool(log))


def _ends(metric: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[float, float]:
    """The values that are worth 0 and 1: given, or the metric's bounds in its direction."""
    name, direction = metric["name"], metric["direction"]
    low, high = (_bound(metric[end]) for end in ("lower", "upper"))
    by_bounds = {"max": (low, high), "min": (high, low)}.get(direction, (None, None))
    ends = []
    for key, bound in zip(("zero", "one"), by_bounds, strict=True):
        if key not in given and bound is None:
            lacks = "no direction" if direction == "none" else "no bound there"
            raise ValueError(f'"{name}" has {lacks}, so say which value is worth 0 and which 1: {_example(name)}')
        ends.append(_number(name, key, given[key]) if key in given else float(bound or 0.0))
    zero, one = ends
    if zero == one:
        raise ValueError(f'the zero and the one of "{name}" are the same value, {zero:g}')
    if direction != "none" and (one > zero) != (direction == "max"):
        better = "more" if direction == "max" else "less"
        raise ValueError(f'{better} is better in "{name}", so the value worth 1 is {better} than the value worth 0')
    return zero, one


def _example(name: str) -> str:
    return f'{{"{name}": {{"weight": 0.3, "zero": ..., "one": ...}}}}'


def _bound(value: float | None) -> float | None:
    return None if value is None or math.isinf(value) else float(value)


def _number(name: str, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f'the {key} of "{name}" must be a number, not {str(value)[:40]}')
    return float(value)
