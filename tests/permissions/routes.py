"""Every route of the server, from the URL configuration: what the tables of tests/permissions/table.py must cover."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.urls import URLPattern, URLResolver, get_resolver

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Route:
    """`name` with its namespace, or the pattern where a route has none."""

    name: str
    pattern: str
    callback: object
    parameters: tuple[str, ...]

    @property
    def is_api(self) -> bool:
        return self.pattern.startswith("api/v1/")


def routes() -> list[Route]:
    return list(_walk(get_resolver().url_patterns))


def _walk(patterns: list, prefix: str = "", namespace: str = "", parameters: tuple[str, ...] = ()) -> Iterator[Route]:
    for each in patterns:
        text = f"{prefix}{each.pattern}"
        known = (*parameters, *_parameters(each))
        if isinstance(each, URLResolver):
            inner = f"{namespace}{each.namespace}:" if each.namespace else namespace
            yield from _walk(each.url_patterns, text, inner, known)
        else:
            assert isinstance(each, URLPattern)
            yield Route(f"{namespace}{each.name}" if each.name else text, text, each.callback, known)


def _parameters(each: URLPattern | URLResolver) -> tuple[str, ...]:
    converters = tuple(each.pattern.converters)
    return converters or tuple(each.pattern.regex.groupindex)
