"""The language of claims: a check is text such as `accuracy@depth=32(grand) >= accuracy@depth=32(gcn) + 0.3`, and becomes plain
values that `evaluators.claims` evaluates; `claim_parser` reads it. Pure Python: forms and listings need no numerical library.

    check    := clause (" AND " clause)*
    clause   := sum (">=" | "<=") sum  |  sum "in" "[" number "," number "]"
              | ("slope" | "loglog_slope" | "spearman") "(" metric "," axis ";" entrant ")" "in" "[" number "," number "]"
              | ("increasing" | "decreasing") "(" metric "," axis ";" entrant ["within" number] ")"
              | "better" "(" metric ";" entrant "than" entrant ("," entrant)* ["by" number] ")"
              | "not_worse" "(" metric ";" entrant "than" entrant ("," entrant)* "within" number ")"
              | "equal" "(" metric ";" entrant "as" entrant ("," entrant)* "within" number ")"
              | "contains" "(" value "," number "within" number ")"
              | "share" "(" sum (">=" | "<=") sum "over" axis ")" ">=" number
    sum      := ["-"] term (("+" | "-") term)*
    term     := [number "*"] (value | number | "abs" "(" sum ")")
    value    := metric "(" entrant ")"
    metric   := name ["@" key "=" setting (";" key "=" setting)*]          key: slice, or an axis of the track
    entrant  := name | "#" id                                              a submission of the board, by its id

`better` and its kin know which direction of a metric is the good one; `share` counts the settings of an axis (or the slices,
or the seeds) at which the comparison holds.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

Setting = str | float
At = tuple[tuple[str, Setting], ...]
Op = Literal[">=", "<="]
TREND_KINDS = ("slope", "loglog_slope", "spearman")
MONOTONE_KINDS = ("increasing", "decreasing")
NAMED_WORDS = {"better": ("than", "by"), "not_worse": ("than", "within"), "equal": ("as", "within")}
SLICE, SEED = "slice", "seed"
SUBMISSION = "#"
"""What an entrant that is a submission begins with; its id follows."""


class ClaimSyntaxError(ValueError):
    """A check that cannot be read. `position` counts characters from 0; the message quotes the place."""

    def __init__(self, message: str, *, text: str = "", position: int = 0) -> None:
        self.position = position
        around = text[max(0, position - 12) : position + 20]
        super().__init__(f"at character {position + 1}, near “{around}”: {message}" if text else message)


@dataclass(frozen=True)
class Value:
    """A metric of one entrant, over all that it has in common with the other entrants of the clause, or at a setting."""

    metric: str
    at: At
    entrant: str
    position: int = field(default=0, compare=False)

    def moved(self, key: str, setting: Setting) -> Value:
        """The same at one more setting."""
        return Value(self.metric, (*self.at, (key, setting)), self.entrant, self.position)


@dataclass(frozen=True)
class Number:
    """A constant, not negative: a sign belongs to the sum."""

    number: float


@dataclass(frozen=True)
class Absolute:
    """|of|."""

    of: Sum


@dataclass(frozen=True)
class Scaled:
    """factor * of."""

    factor: float
    of: Value | Absolute | Number


Term = Value | Number | Absolute | Scaled


@dataclass(frozen=True)
class Sum:
    """Terms with their signs (1 or -1)."""

    terms: tuple[tuple[int, Term], ...]


@dataclass(frozen=True)
class Comparison:
    """left >= right, or left <= right."""

    left: Sum
    op: Op
    right: Sum


@dataclass(frozen=True)
class Between:
    """low <= of <= high."""

    of: Sum
    low: float
    high: float


@dataclass(frozen=True)
class Trend:
    """Slope, log-log slope or rank correlation of a metric over an axis, within bounds."""

    kind: str
    value: Value
    axis: str
    low: float
    high: float


@dataclass(frozen=True)
class Monotone:
    """A metric that rises (or falls) from each setting of an axis to the next, but for `slack`."""

    kind: str
    value: Value
    axis: str
    slack: float


@dataclass(frozen=True)
class Named:
    """better, not_worse or equal: one entrant against others in the metric's direction."""

    kind: str
    value: Value
    than: tuple[str, ...]
    margin: float


@dataclass(frozen=True)
class Contains:
    """The 95 % interval of a value contains a number, and reaches no farther from it than `within`: the data are compatible
    with it, and would not be with a number farther away."""

    value: Value
    number: float
    within: float


@dataclass(frozen=True)
class Share:
    """The comparison holds at at least `least` of the settings of an axis."""

    case: Comparison
    axis: str
    least: float


Clause = Comparison | Between | Trend | Monotone | Named | Contains | Share
Check = tuple[Clause, ...]


@dataclass(frozen=True)
class Vocabulary:
    """The names that a check may use. metrics: direction by name ("max", "min", "none"); axes: their settings; costs: the
    metrics that count what an evaluation took, exactly."""

    metrics: Mapping[str, str]
    slices: tuple[str, ...]
    axes: Mapping[str, tuple[float, ...]]
    entrants: tuple[str, ...]
    costs: frozenset[str] = frozenset()

    @classmethod
    def of(cls, spec: Mapping[str, Any], *, entrants: Iterable[str]) -> Vocabulary:
        """From a track's spec as JSON. entrants: besides its baselines."""
        return cls(
            metrics={metric["name"]: metric["direction"] for metric in spec["metrics"]},
            slices=tuple(part["slug"] for part in spec["slices"]),
            axes={axis["name"]: tuple(axis["values"]) for axis in spec["axes"]},
            entrants=tuple(dict.fromkeys([*(baseline["slug"] for baseline in spec["baselines"]), *entrants])),
            costs=frozenset(metric["name"] for metric in spec["metrics"] if metric["estimator"] == "fact"),
        )

    def settings(self, axis: str) -> tuple[Setting, ...]:
        """The settings of an axis, or the slices."""
        return self.slices if axis == SLICE else self.axes[axis]


# --- writing


def written(check: Check) -> str:
    """The check as text, in one spelling: `parse(written(check)) == check`."""
    return " AND ".join(write_clause(clause) for clause in check)


def write_clause(clause: Clause) -> str:
    """One clause as text."""
    match clause:
        case Comparison(left, op, right):
            return f"{_sum(left)} {op} {_sum(right)}"
        case Between(of, low, high):
            return f"{_sum(of)} in {_bounds(low, high)}"
        case Share(case, axis, least):
            return f"share({write_clause(case)} over {axis}) >= {_number(least)}"
    return _call(clause)


def _call(clause: Trend | Monotone | Named | Contains) -> str:
    value = clause.value
    match clause:
        case Trend(kind, _, axis, low, high):
            return f"{kind}({_metric(value)}, {axis}; {value.entrant}) in {_bounds(low, high)}"
        case Monotone(kind, _, axis, slack):
            return f"{kind}({_metric(value)}, {axis}; {value.entrant}{_with('within', slack)})"
        case Named(kind, _, than, margin):
            joint, word = NAMED_WORDS[kind]
            tail = _with(word, margin) if kind == "better" else f" {word} {_number(margin)}"
            return f"{kind}({_metric(value)}; {value.entrant} {joint} {', '.join(than)}{tail})"
        case Contains(_, number, within):
            return f"contains({write_value(value)}, {_number(number)} within {_number(within)})"


def write_value(value: Value) -> str:
    """`accuracy@slice=csbm;depth=32(gcn)`."""
    return f"{_metric(value)}({value.entrant})"


def _metric(value: Value) -> str:
    at = ";".join(f"{key}={each if isinstance(each, str) else _number(each)}" for key, each in value.at)
    return f"{value.metric}@{at}" if at else value.metric


def _with(word: str, number: float) -> str:
    return f" {word} {_number(number)}" if number else ""


def _bounds(low: float, high: float) -> str:
    return f"[{_number(low)}, {_number(high)}]"


def _number(number: float) -> str:
    return repr(number).removesuffix(".0")


def _sum(of: Sum) -> str:
    (sign, first), *others = of.terms
    start = f"{'-' if sign < 0 else ''}{_term(first)}"
    return start + "".join(f" {'+' if sign > 0 else '-'} {_term(term)}" for sign, term in others)


def _term(term: Term) -> str:
    match term:
        case Number(number):
            return _number(number)
        case Value():
            return write_value(term)
        case Absolute(of):
            return f"abs({_sum(of)})"
        case Scaled(factor, of):
            return f"{_number(factor)}*{_term(of)}"


# --- asking


def nearest(word: str, known: Iterable[str]) -> str:
    """A clause that suggests the known name nearest to a word; empty if none is near."""
    names = list(known)
    near = difflib.get_close_matches(word, names, n=1) or [name for name in names if name.lower() == word.lower()]
    return f"; did you mean “{near[0]}”?" if near else ""


def values_of(clause: Clause) -> list[Value]:
    """Every value that a clause reads, in order; for a sweep, without its axis."""
    match clause:
        case Comparison(left, _, right):
            return [*_values_in(left), *_values_in(right)]
        case Between(of):
            return list(_values_in(of))
        case Named(_, value, than):
            return [value, *(Value(value.metric, value.at, each, value.position) for each in than)]
        case Share(case):
            return values_of(case)
        case Trend() | Monotone() | Contains():
            return [clause.value]


def _values_in(of: Sum) -> Iterator[Value]:
    for _, term in of.terms:
        inner = term.of if isinstance(term, Scaled) else term
        if isinstance(inner, Value):
            yield inner
        elif isinstance(inner, Absolute):
            yield from _values_in(inner.of)


def entrants_of(check: Check) -> list[str]:
    """The entrants that a check names, each once, in order."""
    return list(dict.fromkeys(value.entrant for clause in check for value in values_of(clause)))


def axis_of(clause: Clause) -> str | None:
    """The axis that a clause sweeps, if it does."""
    return clause.axis if isinstance(clause, Trend | Monotone | Share) else None


def check_names(check: Check, vocabulary: Vocabulary, *, text: str = "") -> None:
    """Raises ClaimSyntaxError for the first name that the track does not have, with the nearest that it has."""
    for clause in check:
        axis = axis_of(clause)
        for value in values_of(clause):
            _check_value(value, vocabulary, text)
        if axis is not None:
            swept = (*vocabulary.axes, SLICE, SEED) if isinstance(clause, Share) else tuple(vocabulary.axes)
            _check_known("axis", axis, swept, text, position=max(text.find(axis), 0))
        if isinstance(clause, Named) and vocabulary.metrics[clause.value.metric] == "none" and clause.kind != "equal":
            raise ClaimSyntaxError(
                f"no direction of “{clause.value.metric}” is better: compare values with >= or <=",
                text=text,
                position=clause.value.position,
            )


def _check_value(value: Value, vocabulary: Vocabulary, text: str) -> None:
    _check_known("metric", value.metric, vocabulary.metrics, text, position=value.position)
    _check_known("entrant", value.entrant, vocabulary.entrants, text, position=value.position)
    for key, setting in value.at:
        _check_known("axis", key, (*vocabulary.axes, SLICE), text, position=value.position)
        _check_setting(key, setting, vocabulary.settings(key), text, position=value.position)


def _check_setting(key: str, setting: Setting, known: Iterable[Setting], text: str, *, position: int) -> None:
    if setting in known:
        return
    names = [each if isinstance(each, str) else _number(each) for each in known]
    near = nearest(setting, names) if isinstance(setting, str) else ""
    told = setting if isinstance(setting, str) else _number(setting)
    listed = near or f"; it has {', '.join(names)}"
    raise ClaimSyntaxError(f"“{key}” has no setting “{told}”{listed}", text=text, position=position)


def _check_known(what: str, name: str, known: Iterable[str], text: str, *, position: int) -> None:
    names = list(known)
    if name not in names:
        listed = nearest(name, names) or (f"; it has {', '.join(names[:12])}" if names else "; it has none")
        raise ClaimSyntaxError(f"the track has no {what} “{name}”{listed}", text=text, position=position)


def expanded(check: Check, vocabulary: Vocabulary) -> Check:
    """The check with `better` and its kin, and monotone sweeps, as the comparisons that they stand for."""
    return tuple(plain for clause in check for plain in _expand(clause, vocabulary))


def _expand(clause: Clause, vocabulary: Vocabulary) -> list[Clause]:
    if isinstance(clause, Named):
        return [_against(clause, other, vocabulary.metrics[clause.value.metric]) for other in clause.than]
    if isinstance(clause, Monotone):
        settings = vocabulary.axes[clause.axis]
        op: Op = ">=" if clause.kind == "increasing" else "<="
        value, slack = clause.value, clause.slack if op == "<=" else -clause.slack
        return [
            Comparison(_alone(value.moved(clause.axis, later)), op, _shifted(value.moved(clause.axis, earlier), slack))
            for earlier, later in pairwise(settings)
        ]
    return [_as_band(clause) if isinstance(clause, Comparison) else clause]


def _as_band(clause: Comparison) -> Clause:
    """`abs(x) <= 0.03` is `x in [-0.03, 0.03]`: |x| of an estimate is biased upwards, its band is not."""
    inner, bound = (clause.left, clause.right) if clause.op == "<=" else (clause.right, clause.left)
    match inner.terms, bound.terms:
        case ((1, Absolute(of)),), ((1, Number(width)),):
            return Between(of, -width, width)
    return clause


def _against(clause: Named, other: str, direction: str) -> Clause:
    mine, theirs = clause.value, Value(clause.value.metric, clause.value.at, other, clause.value.position)
    if clause.kind == "equal":
        return Between(Sum(((1, mine), (-1, theirs))), -clause.margin, clause.margin)
    better = clause.margin if clause.kind == "better" else -clause.margin
    op: Op = ">=" if direction == "max" else "<="
    return Comparison(_alone(mine), op, _shifted(theirs, better if op == ">=" else -better))


def _alone(value: Value) -> Sum:
    return Sum(((1, value),))


def _shifted(value: Value, by: float) -> Sum:
    return Sum(((1, value), (1 if by > 0 else -1, Number(abs(by))))) if by else _alone(value)
