"""A config against the JSON Schema of its reference model: defaults filled in, numbers in one spelling, and every fault as
a FieldError that says what would be right. Pure: values in, values out. Called by `submissions.fields`."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from evaluators import limits
from leaderboard.refusals import FieldError, InvalidSubmission

MAX_ERRORS = 20

Schema = Mapping[str, Any]


def complete_config(config: Any, schema: Schema) -> dict[str, Any]:
    """The config with every default filled in. Equal configs come out equal: 3 and 3.0 are one number, in the field's type.

    Raises InvalidSubmission with one FieldError per fault: `config.learning_rate`, code, sentence.
    """
    errors = _unreadable(config) or list(islice(_misfits(config, schema), MAX_ERRORS))
    if errors:
        raise InvalidSubmission(errors[0].detail, errors=tuple(errors))
    completed: dict[str, Any] = _complete(config, schema, root=schema)
    return completed


def _unreadable(config: Any) -> list[FieldError]:
    """Faults that make it no JSON document that we could store, whatever the schema says."""
    if not isinstance(config, dict):
        return [FieldError("config", "wrong_type", f"a config is a JSON object, got {_type_name(config)}")]
    errors = list(islice(_unstorable(config, "config", depth=1), MAX_ERRORS))
    if not errors and (size := len(json.dumps(config))) > limits.MAX_CONFIG_BYTES:
        errors.append(
            FieldError(
                "config", "too_large", f"the config has {size} bytes as JSON, at most {limits.MAX_CONFIG_BYTES} are taken"
            )
        )
    return errors


def _unstorable(value: Any, where: str, *, depth: int) -> Iterator[FieldError]:
    if depth > limits.MAX_CONFIG_DEPTH:
        yield FieldError(where, "too_deep", f"a config nests at most {limits.MAX_CONFIG_DEPTH} levels")
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _unstorable_text(name, where)
            yield from _unstorable(inner, f"{where}.{_cut(name)}", depth=depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _unstorable(inner, f"{where}.{index}", depth=depth + 1)
    elif isinstance(value, str):
        yield from _unstorable_text(value, where)
    elif isinstance(value, float) and not math.isfinite(value):
        yield FieldError(where, "not_finite", f"{where} is {value}, but must be a finite number")
    elif isinstance(value, int) and abs(value) > limits.MAX_CONFIG_INTEGER:
        yield FieldError(where, "out_of_range", f"{where} is an integer beyond ±2^53")
    elif not isinstance(value, int | float | None):
        yield FieldError(where, "wrong_type", f"{where} is a {type(value).__name__}, which JSON does not have")


def _unstorable_text(text: Any, where: str) -> Iterator[FieldError]:
    if not isinstance(text, str):
        yield FieldError(where, "wrong_type", f"the names in {where} must be text")
    elif "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        yield FieldError(where, "not_text", f"{where} holds a character that is not text (NUL, or half of a surrogate pair)")


def _misfits(config: dict[str, Any], schema: Schema) -> Iterator[FieldError]:
    for error in sorted(
        _validator(json.dumps(schema)).iter_errors(config), key=lambda error: [str(part) for part in error.path]
    ):
        yield from _explained(error)


@lru_cache(maxsize=512)
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(schema))


def _explained(error: ValidationError) -> Iterator[FieldError]:
    """What one violated keyword means for the person who wrote the config."""
    where = ".".join(["config", *(str(part) for part in error.absolute_path)])
    if error.validator == "additionalProperties":
        yield from _unknown_fields(error, where)
    elif error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        yield from (FieldError(f"{where}.{name}", "required", f"{where}.{name} is missing") for name in missing)
    elif error.validator in ("anyOf", "oneOf"):
        yield from _alternatives(error, where)
    else:
        code, expected = _expectation(error.validator, error.schema)
        yield FieldError(where, code, f"{where} is {_shown(error.instance)}, expected {expected}")


def _unknown_fields(error: ValidationError, where: str) -> Iterator[FieldError]:
    known = list(error.schema.get("properties", {}))
    for name in sorted(set(error.instance) - set(known)):
        near = difflib.get_close_matches(name, known, n=1)
        hint = f', did you mean "{near[0]}"?' if near else f"; it has {', '.join(known) or 'no fields'}"
        yield FieldError(f"{where}.{_cut(name)}", "unknown_field", f'{where} has no field "{_cut(name)}"{hint}')


def _alternatives(error: ValidationError, where: str) -> Iterator[FieldError]:
    """None of several schemas fits: speak of the one whose type fits, for that is the one that was meant."""
    meant = [inner for inner in error.context or () if inner.validator != "type"]
    if meant:
        yield from _explained(meant[0])
        return
    expected = " or ".join(_expectation("type", inner)[1] for inner in error.validator_value)
    yield FieldError(where, "wrong_type", f"{where} is {_shown(error.instance)}, expected {expected}")


def _expectation(keyword: str, schema: Schema) -> tuple[str, str]:
    """Code, and what would be right, in words."""
    code, words = _KEYWORDS.get(keyword, ("invalid", lambda s: f"something that fits {json.dumps({keyword: s.get(keyword)})}"))
    return code, words(schema)


_TYPES = {
    "integer": "an integer",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def _type_words(schema: Schema) -> str:
    if "type" not in schema:
        return "another type"
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    words = " or ".join(_TYPES[kind] for kind in kinds)
    bounds = _range(schema)
    return f"{words} {bounds}" if bounds else words


def _range(schema: Schema) -> str:
    bounds = [
        f"{words} {schema[keyword]}"
        for keyword, words in (
            ("minimum", "at least"),
            ("exclusiveMinimum", "more than"),
            ("maximum", "at most"),
            ("exclusiveMaximum", "less than"),
            ("multipleOf", "a multiple of"),
        )
        if keyword in schema
    ]
    return " and ".join(bounds)


def _between(schema: Schema, what: str) -> str:
    bounds = (("at least", f"min{what}"), ("at most", f"max{what}"))
    return " and ".join(f"{words} {schema[keyword]}" for words, keyword in bounds if keyword in schema)


def _choices(schema: Schema) -> str:
    return "one of " + ", ".join(json.dumps(choice) for choice in schema.get("enum", [schema.get("const")]))


_KEYWORDS: dict[str, tuple[str, Callable[[Schema], str]]] = {
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), ("out_of_range", _range)),
    **dict.fromkeys(("enum", "const"), ("not_a_choice", _choices)),
    **dict.fromkeys(("minItems", "maxItems"), ("wrong_length", lambda s: f"{_between(s, 'Items')} items")),
    **dict.fromkeys(("minLength", "maxLength"), ("wrong_length", lambda s: f"{_between(s, 'Length')} characters")),
    "type": ("wrong_type", _type_words),
    "pattern": ("wrong_form", lambda s: f"text that matches {s['pattern']}"),
}


def _type_name(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)


def _shown(value: Any) -> str:
    return _cut(json.dumps(value, ensure_ascii=False))


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _complete(value: Any, schema: Schema, *, root: Schema) -> Any:
    """Fill in defaults and give each number its field's type. `value` fits `schema`."""
    schema = _resolved(value, schema, root=root)
    if isinstance(value, dict):
        return _complete_object(value, schema, root=root)
    if isinstance(value, list):
        return [_complete(inner, _item_schema(schema, index), root=root) for index, inner in enumerate(value)]
    if isinstance(value, bool):
        return value
    if schema.get("type") == "integer":
        return int(value)
    if schema.get("type") == "number":
        return float(value) + 0.0  # -0.0 and 0.0 are one number
    return value


def _complete_object(value: dict[str, Any], schema: Schema, *, root: Schema) -> dict[str, Any]:
    fields: Mapping[str, Schema] = schema.get("properties", {})
    defaults = {name: field["default"] for name, field in fields.items() if "default" in field}
    extra = schema.get("additionalProperties", {})
    return {
        name: _complete(inner, fields.get(name, extra if isinstance(extra, dict) else {}), root=root)
        for name, inner in sorted({**defaults, **value}.items())
    }


def _item_schema(schema: Schema, index: int) -> Schema:
    first: list[Schema] = schema.get("prefixItems", [])
    if index < len(first):
        return first[index]
    items = schema.get("items", {})
    return items if isinstance(items, dict) else {}


def _resolved(value: Any, schema: Schema, *, root: Schema) -> Schema:
    """Follow $ref, and of several alternatives take the first that `value` fits."""
    while True:
        if "$ref" in schema:
            schema = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        elif alternatives := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
            schema = next((inner for inner in alternatives if _fits(value, inner, root=root)), {})
        else:
            return schema


def _fits(value: Any, schema: Schema, *, root: Schema) -> bool:
    return _validator(json.dumps({**schema, "$defs": root.get("$defs", {})})).is_valid(value)
