"""Reads checks: from text to the values of `claim_language`, by recursive descent. Pure Python. An error says where, what was
expected, and what was perhaps meant."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from evaluators.claim_language import (
    MONOTONE_KINDS,
    NAMED_WORDS,
    TREND_KINDS,
    Absolute,
    At,
    Between,
    Check,
    ClaimSyntaxError,
    Clause,
    Comparison,
    Contains,
    Monotone,
    Named,
    Number,
    Op,
    Scaled,
    Setting,
    Share,
    Sum,
    Term,
    Trend,
    Value,
    nearest,
)

MAX_CHARACTERS = 2000
MAX_DEPTH = 20


class Token(NamedTuple):
    """kind: "sign", "number" or "name"; "end" once, last."""

    kind: str
    text: str
    position: int


TOKEN = re.compile(
    r"(?P<sign>>=|<=|[-+*(),;\[\]@=])|(?P<number>\d+(?:\.\d+)?(?:e[-+]?\d+)?)(?![\w-])|(?P<name>#?[A-Za-z_][\w.-]*|#?\d[\w.-]*)"
)


def parse(text: str) -> Check:
    """Read a check. Raises ClaimSyntaxError, which says where, what was expected, and what was perhaps meant."""
    if len(text) > MAX_CHARACTERS:
        raise ClaimSyntaxError(f"a check has at most {MAX_CHARACTERS} characters, this one has {len(text)}")
    return _Reader(text).check()


def _tokens(text: str) -> Iterator[Token]:
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        match = TOKEN.match(text, position)
        if match is None:
            raise ClaimSyntaxError(f"“{text[position]}” has no meaning here", text=text, position=position)
        yield Token(str(match.lastgroup), match[0], position)
        position = match.end()
    yield Token("end", "the end", len(text))


class _Reader:
    """Recursive descent over the tokens."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(_tokens(text))
        self.place = 0
        self.depth = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.place]

    def after(self, steps: int) -> str:
        return self.tokens[min(self.place + steps, len(self.tokens) - 1)].text

    def fail(self, message: str, *, at: Token | None = None) -> ClaimSyntaxError:
        return ClaimSyntaxError(message, text=self.text, position=(at or self.next).position)

    def take(self, *wanted: str) -> str:
        token = self.next
        if token.kind == "end" or token.text not in wanted:
            raise self.fail(f"expected {_either(wanted)}, got “{token.text}”{nearest(token.text, wanted)}")
        self.place += 1
        return token.text

    def name(self, what: str) -> str:
        token = self.next
        if token.kind != "name":
            raise self.fail(f"expected {what}, got “{token.text}”")
        self.place += 1
        return token.text

    def number(self) -> float:
        """With its sign."""
        negative = self.next.text == "-"
        if negative:
            self.take("-")
        return -self.constant() if negative else self.constant()

    def constant(self) -> float:
        token = self.next
        if token.kind != "number" or not math.isfinite(float(token.text)):
            raise self.fail(f"expected a number, got “{token.text}”")
        self.place += 1
        return float(token.text)

    def check(self) -> Check:
        clauses = [self.clause()]
        while self.next.kind != "end":
            self.take("AND")
            clauses.append(self.clause())
        return tuple(clauses)

    def clause(self) -> Clause:
        calls: dict[str, Callable[[], Clause]] = {
            **dict.fromkeys(TREND_KINDS, self.trend),
            **dict.fromkeys(MONOTONE_KINDS, self.monotone),
            **dict.fromkeys(NAMED_WORDS, self.named),
            "contains": self.contains,
            "share": self.share,
        }
        # `share(a)` is a metric called "share"; `share(accuracy(a) ...` and `slope(accuracy, ...` are calls.
        if self.next.text in calls and self.after(1) == "(" and self.after(3) != ")":
            return calls[self.next.text]()
        left = self.sum()
        if self.next.text == "in":
            return Between(left, *self.bounds())
        return self.compared(left)

    def compared(self, left: Sum) -> Comparison:
        op: Op = ">=" if self.take(">=", "<=") == ">=" else "<="
        return Comparison(left, op, self.sum())

    def bounds(self) -> tuple[float, float]:
        self.take("in")
        opening = self.next
        self.take("[")
        low = self.number()
        self.take(",")
        high = self.number()
        self.take("]")
        if low > high:
            raise self.fail(f"the lower bound {low:g} is above the upper one {high:g}", at=opening)
        return low, high

    def over_axis(self) -> tuple[Value, str]:
        """`metric, axis; entrant` behind an opened parenthesis."""
        position = self.next.position
        metric, at = self.metric()
        self.take(",")
        axis = self.name("the name of an axis")
        self.take(";")
        return Value(metric, at, self.name("an entrant"), position), axis

    def trend(self) -> Trend:
        kind = self.take(*TREND_KINDS)
        self.take("(")
        value, axis = self.over_axis()
        self.take(")")
        return Trend(kind, value, axis, *self.bounds())

    def monotone(self) -> Monotone:
        kind = self.take(*MONOTONE_KINDS)
        self.take("(")
        value, axis = self.over_axis()
        slack = self.optional("within")
        self.take(")")
        return Monotone(kind, value, axis, slack)

    def optional(self, word: str) -> float:
        """The number behind a word that may be left out; 0 without it."""
        if self.next.text == ")":
            return 0.0
        self.take(word)
        return self.constant()

    def named(self) -> Named:
        kind = self.take(*NAMED_WORDS)
        joint, margin_word = NAMED_WORDS[kind]
        self.take("(")
        position = self.next.position
        metric, at = self.metric()
        self.take(";")
        value = Value(metric, at, self.name("an entrant"), position)
        self.take(joint)
        than = [self.name("an entrant")]
        while self.next.text == ",":
            self.take(",")
            than.append(self.name("an entrant"))
        if kind != "better" and self.next.text == ")":
            raise self.fail(f"“{kind}” needs a margin: “{margin_word}” and a number")
        margin = self.optional(margin_word)
        self.take(")")
        return Named(kind, value, tuple(than), margin)

    def contains(self) -> Contains:
        self.take("contains")
        self.take("(")
        value = self.value()
        self.take(",")
        number = self.number()
        self.take("within")
        within = self.constant()
        self.take(")")
        return Contains(value, number, within)

    def share(self) -> Share:
        self.take("share")
        self.take("(")
        case = self.compared(self.sum())
        self.take("over")
        axis = self.name("the name of an axis")
        self.take(")")
        self.take(">=")
        token = self.next
        least = self.constant()
        if least > 1:
            raise self.fail("a share is at most 1", at=token)
        return Share(case, axis, least)

    def sum(self) -> Sum:
        terms = [(self.sign(), self.term())]
        while self.next.text in ("+", "-"):
            terms.append((1 if self.take("+", "-") == "+" else -1, self.term()))
        return Sum(tuple(terms))

    def sign(self) -> int:
        if self.next.text != "-":
            return 1
        self.take("-")
        return -1

    def term(self) -> Term:
        if self.next.kind != "number":
            return self.factor()
        number = self.constant()
        if self.next.text != "*":
            return Number(number)
        self.take("*")
        return Scaled(number, Number(self.constant()) if self.next.kind == "number" else self.factor())

    def factor(self) -> Value | Absolute:
        # `abs(x)` is a metric called "abs" of the entrant x; anything longer, or a number, is an absolute value.
        named = self.tokens[min(self.place + 2, len(self.tokens) - 1)].kind == "name" and self.after(3) == ")"
        if self.next.text != "abs" or self.after(1) != "(" or named:
            return self.value()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fail(f"“abs” is nested more than {MAX_DEPTH} times")
        self.take("abs")
        self.take("(")
        inner = self.sum()
        self.take(")")
        self.depth -= 1
        return Absolute(inner)

    def value(self) -> Value:
        position = self.next.position
        metric, at = self.metric()
        self.take("(")
        entrant = self.name("an entrant")
        self.take(")")
        return Value(metric, at, entrant, position)

    def metric(self) -> tuple[str, At]:
        metric = self.name("the name of a metric")
        at: dict[str, Setting] = {}
        if self.next.text == "@":
            self.take("@")
            self.setting(at)
            while self.next.text == ";" and self.after(2) == "=":
                self.take(";")
                self.setting(at)
        return metric, tuple(at.items())

    def setting(self, at: dict[str, Setting]) -> None:
        token = self.next
        key = self.name("an axis or “slice”")
        if key in at:
            raise self.fail(f"“{key}” is set twice", at=token)
        self.take("=")
        at[key] = self.name("a setting") if self.next.kind == "name" else self.number()


def _either(words: Iterable[str]) -> str:
    return " or ".join(f"“{word}”" for word in words)
