"""What becomes of a check when somebody else enters it: other values in a clause, another entrant in the place of one, or a
challenger beside those that are compared. Pure Python: checks in, checks out. Called by `evaluators.claims` and by servers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from evaluators.claim_language import (
    Absolute,
    Between,
    Check,
    Clause,
    Comparison,
    Contains,
    Monotone,
    Named,
    Number,
    Op,
    Scaled,
    Share,
    Sum,
    Term,
    Trend,
    Value,
    Vocabulary,
    values_of,
)

Change = Callable[[Value], Value]


def replaced(check: Check, *, entrant: str, by: str) -> Check:
    """The check with another entrant in the place of one."""
    return tuple(_with_entrant(clause, entrant, by) for clause in check)


def challenged(check: Check, vocabulary: Vocabulary, *, challenger: str) -> Check:
    """What the check says of its winners, against a challenger: each clause that puts a value of one entrant before the same
    value of another (by whatever margin or factor) says that it is at least as good as the challenger's. Empty where none does.

    Which is put before which follows from the metric's direction; where it has none, nothing is. A check that compares at a
    like cost says nothing of a challenger, whose cost is another.
    """
    costs = [clause for clause in check if _is_cost(clause, vocabulary)]
    if 0 < len(costs) < len(check):
        return ()
    found = [plain for clause in check for plain in _challenge(clause, vocabulary, challenger)]
    return tuple(dict.fromkeys(found))


def with_values(comparison: Comparison, change: Change) -> Comparison:
    """The comparison with other values in it."""
    return Comparison(_sum(comparison.left, change), comparison.op, _sum(comparison.right, change))


def _is_cost(clause: Clause, vocabulary: Vocabulary) -> bool:
    return all(value.metric in vocabulary.costs for value in values_of(clause))


def _challenge(clause: Clause, vocabulary: Vocabulary, challenger: str) -> list[Clause]:
    match clause:
        case Named("better" | "not_worse", value):
            return [_at_least(value, vocabulary.metrics[value.metric], challenger)]
        case Comparison():
            winner = _winner(clause, vocabulary)
            return [] if winner is None else [_at_least(winner, vocabulary.metrics[winner.metric], challenger)]
        case Share(case, axis, least):
            winner = _winner(case, vocabulary)
            return (
                [] if winner is None else [Share(_at_least(winner, vocabulary.metrics[winner.metric], challenger), axis, least)]
            )
    return []


def _at_least(winner: Value, direction: str, challenger: str) -> Comparison:
    op: Op = ">=" if direction == "max" else "<="
    return Comparison(Sum(((1, winner),)), op, Sum(((1, replace(winner, entrant=challenger)),)))


def _winner(comparison: Comparison, vocabulary: Vocabulary) -> Value | None:
    """The value that is put before the same one of another entrant."""
    left, right = _only_value(comparison.left), _only_value(comparison.right)
    if left is None or right is None or (left.metric, left.at) != (right.metric, right.at) or left.entrant == right.entrant:
        return None
    direction = vocabulary.metrics[left.metric]
    if direction == "none":
        return None
    return left if (comparison.op == ">=") == (direction == "max") else right


def _only_value(of: Sum) -> Value | None:
    """The value of a sum that has one value, counted once and in its own direction, beside numbers."""
    values = [(sign, term) for sign, term in of.terms if not isinstance(term, Number)]
    if len(values) != 1:
        return None
    sign, term = values[0]
    inner = term.of if isinstance(term, Scaled) else term
    return inner if sign > 0 and isinstance(inner, Value) else None


def _with_entrant(clause: Clause, entrant: str, by: str) -> Clause:
    def change(value: Value) -> Value:
        return replace(value, entrant=by) if value.entrant == entrant else value

    match clause:
        case Comparison():
            return with_values(clause, change)
        case Between(of, low, high):
            return Between(_sum(of, change), low, high)
        case Share(case, axis, least):
            return Share(with_values(case, change), axis, least)
        case Named(kind, value, than, margin):
            return Named(kind, change(value), tuple(by if each == entrant else each for each in than), margin)
        case Trend() | Monotone() | Contains():
            return replace(clause, value=change(clause.value))


def _sum(of: Sum, change: Change) -> Sum:
    return Sum(tuple((sign, _term(term, change)) for sign, term in of.terms))


def _term(term: Term, change: Change) -> Term:
    match term:
        case Value():
            return change(term)
        case Absolute(of):
            return Absolute(_sum(of, change))
        case Scaled(factor, of):
            inner = _term(of, change)
            return Scaled(factor, inner) if isinstance(inner, Value | Absolute | Number) else term
        case Number():
            return term
