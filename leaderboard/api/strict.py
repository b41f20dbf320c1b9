"""Serializers for what comes in: an unknown or repeated name is an error that suggests the right one, never ignored."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, NoReturn

from django.http import QueryDict
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from leaderboard.api.parsing import strict_json


class Strict(serializers.Serializer):
    """Base of every query and every body."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Refuses names that are not fields, and single values that are given twice."""
        if isinstance(data, Mapping):
            errors = {name: [detail] for name in data if (detail := self._objection(data, name))}
            if errors:
                raise ValidationError(errors)
        return super().to_internal_value(data)

    def _objection(self, data: Mapping[str, Any], name: str) -> ErrorDetail | None:
        if name not in self.fields:
            return ErrorDetail(self._unknown(name), code="unknown")
        if not isinstance(data, QueryDict):
            return self._objection_to_type(data[name], self.fields[name])
        if isinstance(self.fields[name], GivenList):
            return None
        if len(data.getlist(name)) > 1:
            return ErrorDetail("This is given more than once.", code="repeated")
        if data[name] == "" and not isinstance(self.fields[name], Given):
            return ErrorDetail("This is empty: give a value, or leave it out.", code="blank")
        return None

    @staticmethod
    def _objection_to_type(value: Any, field: serializers.Field) -> ErrorDetail | None:
        """In JSON a text is a text: REST framework would take a number for one."""
        if isinstance(field, serializers.CharField) and not isinstance(value, str | None):
            return ErrorDetail("Not a valid string.", code="invalid")
        return None

    def _unknown(self, name: str) -> str:
        if not self.fields:
            return "This address takes no parameters."
        near = difflib.get_close_matches(name, self.fields, n=1)
        hint = f'Did you mean "{near[0]}"? ' if near else ""
        return f"There is no such field. {hint}Known: {', '.join(self.fields)}."


class NoQuery(Strict):
    """For addresses without parameters."""


class Choice(serializers.ChoiceField):
    """One of a few words; the error lists them."""

    def fail(self, key: str, **kwargs: Any) -> NoReturn:
        """Raises ValidationError."""
        if key == "invalid_choice":
            allowed = ", ".join(str(choice) for choice in self.choices)
            raise ValidationError(f'"{kwargs["input"]}" is not one of: {allowed}.', code=key)
        super().fail(key, **kwargs)


class Given(serializers.Field):
    """A value as it was given, of whatever type: the function that takes it checks it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_null=True, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        """Itself."""
        return data


@extend_schema_field({"type": "array", "items": {"type": "string"}})
class GivenList(Given):
    """Values as they were given: an array in JSON, a repeated name in a form."""

    def get_value(self, dictionary: Mapping[str, Any]) -> Any:
        """All values of the name."""
        if isinstance(dictionary, QueryDict):
            return dictionary.getlist(str(self.field_name)) or serializers.empty
        return super().get_value(dictionary)


class JSONObject(serializers.JSONField):
    """An object: as such in a JSON body, as text in a form."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Raises ValidationError with the position where a text is not JSON."""
        document = self._read(data) if isinstance(data, str) else data
        if not isinstance(document, dict):
            raise ValidationError('This must be a JSON object like {"learning_rate": 0.1}.', code="not_an_object")
        return document

    def _read(self, text: str) -> Any:
        try:
            return strict_json(text)
        except ValueError as error:
            raise ValidationError(f"This is not valid JSON: {error}.", code="malformed") from None
