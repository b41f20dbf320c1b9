"""A form from the JSON Schema of a reference model's Config: one field a property, with bounds, default and help, and back from
what was typed to a config. Bounds are shown here and enforced by intake, whose errors come back to the fields. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

Schema = Mapping[str, Any]

TRAINING = frozenset(
    {"batch", "batch_size", "epochs", "label_smoothing", "learning_rate", "lr", "momentum", "optimizer"}
    | {"patience", "schedule", "steps", "warmup", "weight_decay"}
)


@dataclass(frozen=True)
class Property:
    """One property of a Config: its own schema with references resolved and "or null" taken off."""

    name: str
    schema: Schema
    required: bool

    @property
    def title(self) -> str:
        """The name as words, unless the schema has a better title than the one that pydantic makes of the name."""
        return str(self.schema.get("title") or self.name).replace("_", " ").capitalize()

    @property
    def group(self) -> str:
        """Where the form shows it: what the schema says, or "Training" for how long and how fast it learns."""
        return str(self.schema.get("group") or ("Training" if self.name in TRAINING else "Method"))


def properties(schema: Schema) -> Iterator[Property]:
    """The properties of a Config in the order of its class."""
    required = schema.get("required", ())
    for name, raw in schema.get("properties", {}).items():
        yield Property(name=name, schema=_resolved(raw, schema), required=name in required)


def defaults(schema: Schema) -> dict[str, Any]:
    """The config that the model has without any choice."""
    return {each.name: each.schema["default"] for each in properties(schema) if "default" in each.schema}


def field_for(each: Property) -> forms.Field:
    """The form field of a property. An empty one means the default. `clean` gives a JSON value, or None for empty."""
    schema = each.schema
    common: dict[str, Any] = {
        "label": each.title,
        "required": each.required,
        "initial": schema.get("default"),
        "help_text": described(schema),
    }
    if "enum" in schema or "const" in schema:
        return _Choice(schema.get("enum", [schema.get("const")]), **common)
    make = _MAKERS.get(str(schema.get("type")), _json_text)
    return make(schema, common)


def config_from(cleaned: Mapping[str, Any]) -> dict[str, Any]:
    """The config of cleaned fields: what was left empty is left out."""
    return {name: value for name, value in cleaned.items() if value is not None}


class _Choice(forms.ChoiceField):
    """A choice between JSON values, which travel as JSON."""

    def __init__(self, values: list[Any], **common: Any) -> None:
        common["initial"] = json.dumps(common["initial"])
        common["required"] = True
        super().__init__(choices=[(json.dumps(value), _spoken(value)) for value in values], **common)

    def clean(self, value: Any) -> Any:
        return json.loads(super().clean(value))


class _ListField(forms.CharField):
    """A short list, typed with commas: "32, 64". Elements are JSON values, or plain words where the schema wants texts."""

    def __init__(self, *, words: bool, **common: Any) -> None:
        self.words = words
        super().__init__(**common)

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(_spoken(item) for item in value) if isinstance(value, list | tuple) else value

    def clean(self, value: Any) -> Any:
        text = str(super().clean(value)).strip().removeprefix("[").removesuffix("]")
        if not text:
            return None
        if self.words:
            return [word.strip().strip('"') for word in text.split(",")]
        try:
            return json.loads(f"[{text}]")
        except json.JSONDecodeError:
            raise ValidationError('Write numbers with commas between them, like "32, 64".', code="invalid") from None


class _WordField(forms.CharField):
    def clean(self, value: Any) -> Any:
        return super().clean(value) or None


def _integer(schema: Schema, common: dict[str, Any]) -> forms.Field:
    widget = forms.NumberInput(
        attrs={**_bounds(schema, open_by=1), "step": schema.get("multipleOf", 1), "inputmode": "numeric"}
    )
    return forms.IntegerField(widget=widget, **common)


def _number(schema: Schema, common: dict[str, Any]) -> forms.Field:
    widget = forms.NumberInput(
        attrs={**_bounds(schema, open_by=0), "step": schema.get("multipleOf", "any"), "inputmode": "decimal"}
    )
    return forms.FloatField(widget=widget, **common)


def _switch(schema: Schema, common: dict[str, Any]) -> forms.Field:
    del schema
    return forms.BooleanField(**{**common, "required": False})


def _word(schema: Schema, common: dict[str, Any]) -> forms.Field:
    return _WordField(max_length=schema.get("maxLength"), **common)


def _list(schema: Schema, common: dict[str, Any]) -> forms.Field:
    items: Schema = schema.get("items") or next(iter(schema.get("prefixItems", ())), {})
    common["help_text"] = f"{common['help_text']} Write with commas between.".strip()
    return _ListField(words=items.get("type") == "string", **common)


def _json_text(schema: Schema, common: dict[str, Any]) -> forms.Field:
    del schema
    return forms.JSONField(widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}), **common)


_MAKERS = {"integer": _integer, "number": _number, "boolean": _switch, "string": _word, "array": _list}


def _resolved(raw: Schema, root: Schema) -> Schema:
    """References followed, and a type "or null" reduced to the type: an empty field is the null."""
    if "$ref" in raw:
        target = root.get("$defs", {})[str(raw["$ref"]).rpartition("/")[2]]
        raw = {**target, **{key: value for key, value in raw.items() if key != "$ref"}}
    options = [option for option in raw.get("anyOf", ()) if option.get("type") != "null"]
    if len(options) == 1:
        return _resolved({**options[0], **{key: value for key, value in raw.items() if key != "anyOf"}}, root)
    return raw


def _bounds(schema: Schema, *, open_by: int) -> dict[str, Any]:
    """`min` and `max` of a number field. HTML has no open bounds: integers move in by one, others are told in the help."""
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None and "exclusiveMinimum" in schema:
        low = schema["exclusiveMinimum"] + open_by
    if high is None and "exclusiveMaximum" in schema:
        high = schema["exclusiveMaximum"] - open_by
    return {name: value for name, value in (("min", low), ("max", high)) if value is not None}


def described(schema: Schema) -> str:
    """The description and the bounds, in words."""
    about = str(schema.get("description", "")).strip()
    about = about[:1].upper() + about[1:]
    if about and about[-1] not in ".?!":
        about += "."
    return f"{about} {_range(schema)}".strip()


def _range(schema: Schema) -> str:
    parts = [
        f"{words} {schema[key]:g}"
        for key, words in (
            ("minimum", "at least"),
            ("exclusiveMinimum", "more than"),
            ("maximum", "at most"),
            ("exclusiveMaximum", "less than"),
        )
        if key in schema
    ]
    if "minimum" in schema and "maximum" in schema:
        return f"{schema['minimum']:g} to {schema['maximum']:g}."
    return f"{', '.join(parts).capitalize()}." if parts else ""


def _spoken(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
