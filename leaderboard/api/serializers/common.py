"""Shapes that several calls share."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field, inline_serializer
from rest_framework import serializers
from rest_framework.reverse import reverse

from leaderboard.api.strict import Choice, Strict
from leaderboard.standings.sight import PARTS


@extend_schema_field(OpenApiTypes.URI)
class Link(serializers.Field):
    """The absolute address of the object: route `name`, its `key` from `source`."""

    def __init__(self, name: str, key: str, **kwargs: Any) -> None:
        self.name, self.key = name, key
        kwargs["read_only"] = True
        super().__init__(**kwargs)

    def to_representation(self, value: Any) -> str:
        """Absolute: with the host that the caller asked."""
        return reverse(f"api:{self.name}", kwargs={self.key: value}, request=self.context["request"])


def page_of(serializer: type[serializers.Serializer]) -> serializers.Serializer:
    """The schema of one page of a list."""
    name = serializer.__name__.removesuffix("Serializer")
    return inline_serializer(
        f"{name}Page",
        {
            "next": serializers.URLField(allow_null=True),
            "previous": serializers.URLField(allow_null=True),
            "results": serializer(many=True),
        },
    )


class FieldErrorSerializer(serializers.Serializer):
    """What is wrong with one field."""

    field = serializers.CharField(help_text='Dotted: "config.learning_rate". Empty: the request as a whole.')
    code = serializers.CharField()
    detail = serializers.CharField()


class PartQuery(Strict):
    """Of which part of the test, on a board that keeps one back until it closes."""

    part = Choice(
        choices=list(PARTS),
        required=False,
        help_text="Of a divided test; until the board is revealed, for its host and administrators. Default: what ranks.",
    )


class ProblemSerializer(serializers.Serializer):
    """An error (RFC 9457)."""

    type = serializers.CharField(help_text="Where this kind of problem is documented.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What is wrong here, and what would be right.")
    code = serializers.CharField(help_text="For programs; stable.")
    errors = FieldErrorSerializer(many=True)  # type: ignore[assignment] # a field, not the errors of this serializer


class QuotaSerializer(serializers.Serializer):
    """What the caller may still send to a board. A limit of null does not exist."""

    daily_limit = serializers.IntegerField()
    daily_left = serializers.IntegerField()
    total_limit = serializers.IntegerField(allow_null=True)
    total_left = serializers.IntegerField(allow_null=True)
    concurrent_limit = serializers.IntegerField()
    concurrent_used = serializers.IntegerField()
    resets_at = serializers.DateTimeField(help_text="When the daily part is whole again.")
