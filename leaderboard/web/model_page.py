"""The settings of a reference model and its standings, as lines of tables. Pure layout; called by the page of a model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from leaderboard.standings.models import Standing
from leaderboard.web import numbers
from leaderboard.web.schema_fields import described, properties


@dataclass(frozen=True)
class SettingLine:
    """One setting of a Config: what it may be, and what it is by default."""

    name: str
    kind: str
    default: str
    about: str


@dataclass(frozen=True)
class StandingLine:
    """One standing: rank and value as text."""

    standing: Standing
    ranks: str
    value: str
    interval: str
    metric: str


def settings_of(schema: Mapping[str, Any]) -> list[SettingLine]:
    """A line for each setting, in the order of the class."""
    return [
        SettingLine(
            name=each.name,
            kind=_kind(each.schema),
            default=json.dumps(each.schema["default"]) if "default" in each.schema else "",
            about=described(each.schema),
        )
        for each in properties(schema)
    ]


def standing_lines(standings: Iterable[Standing]) -> list[StandingLine]:
    """A line for each standing."""
    return [_line(standing) for standing in standings]


def _kind(schema: Mapping[str, Any]) -> str:
    if "enum" in schema or "const" in schema:
        return "one of " + ", ".join(json.dumps(value) for value in schema.get("enum", [schema.get("const")]))
    return {"array": "list", "string": "text", "boolean": "true or false"}.get(
        str(schema.get("type")), str(schema.get("type", ""))
    )


def _line(standing: Standing) -> StandingLine:
    half = numbers.half_width(standing.ci_low, standing.ci_high)
    decimals = numbers.decimals_for([standing.value], half_widths=[half])
    low, high = (numbers.written(end, decimals) for end in (standing.ci_low, standing.ci_high))
    return StandingLine(
        standing=standing,
        ranks=numbers.rank_range(standing.rank_low, standing.rank_high),
        value=numbers.written(standing.value, decimals),
        interval=f"{low} to {high}" if half is not None else "",
        metric=str(standing.board.metric["title"]),
    )
