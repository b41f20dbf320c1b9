"""Bodies of requests, read strictly: JSON as RFC 8259 has it, sizes and depths bounded. Every refusal says where."""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from evaluators import limits
from leaderboard.refusals import TooLarge


class StrictJSONParser(JSONParser):
    """application/json, always UTF-8."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The document of the body, which must be an object."""
        del media_type, parser_context
        raw = stream.read(limits.MAX_JSON_BYTES + 1)
        if len(raw) > limits.MAX_JSON_BYTES:
            raise TooLarge(f"A JSON body may have {limits.MAX_JSON_BYTES} bytes; send files as multipart/form-data.")
        try:
            document = strict_json(raw)
        except ValueError as error:
            raise ParseError(f"The body is not valid JSON: {error}.") from None
        if not isinstance(document, dict):
            raise ParseError(f'The body must be a JSON object like {{"name": ...}}, not {_kind(document)}.')
        return document


def strict_json(raw: bytes | str) -> Any:
    """Parse JSON. Raises ValueError with a position or a path, without a full stop, on anything that is not plain JSON:
    bad UTF-8, NaN and Infinity, numbers beyond float64, repeated names, NUL and lone surrogates, more than 20 levels."""
    try:
        text = raw.removeprefix(codecs.BOM_UTF8).decode() if isinstance(raw, bytes) else raw
        document = json.loads(
            text, parse_constant=_no_constant, parse_float=_finite, parse_int=_integer, object_pairs_hook=_unique
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg[0].lower()}{error.msg[1:]} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise ValueError(f"it is nested more than {limits.MAX_JSON_DEPTH} levels deep") from None
    _check(document)
    return document


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number; leave the field out, or give a finite value")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is beyond the range of a 64-bit float")
    return value


def _integer(text: str) -> int:
    if len(text) > limits.MAX_JSON_DIGITS:
        raise ValueError(f"a number of {len(text)} digits is beyond what is read ({limits.MAX_JSON_DIGITS})")
    return int(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'"{twice[:80]}" is given twice')
    return document


def _check(document: Any) -> None:
    """Walk with a stack of our own: depth is what an attacker chooses."""
    waiting = [(document, 1)]
    while waiting:
        value, depth = waiting.pop()
        if depth > limits.MAX_JSON_DEPTH:
            raise ValueError(f"it is nested more than {limits.MAX_JSON_DEPTH} levels deep")
        if isinstance(value, str):
            _check_text(value)
        elif isinstance(value, dict):
            waiting.extend((part, depth + 1) for item in value.items() for part in item)
        elif isinstance(value, list):
            waiting.extend((part, depth + 1) for part in value)


def _check_text(text: str) -> None:
    """Texts that no database takes: PostgreSQL has no NUL, and a lone surrogate has no UTF-8."""
    bad = next((character for character in text if character == "\0" or "\ud800" <= character <= "\udfff"), None)
    if bad is not None:
        raise ValueError(f"a text holds the character U+{ord(bad):04X}, which cannot be stored")


def _kind(document: Any) -> str:
    names = {list: "an array", str: "a text", bool: "a boolean", type(None): "null"}
    return names.get(type(document), "a number")
