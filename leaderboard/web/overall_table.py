"""The order over all tracks as a table: numbers as text, whiskers on a common scale around the baseline's 0. Pure layout of
what `standings.overall` found; called by its page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from leaderboard.standings.overall import Entry, Overall, Player
from leaderboard.web import numbers
from leaderboard.web.charts import Scale, Whisker, scale_for, whisker

WIDTH, MARGIN = 150.0, 6.0
NAMED_ENTRIES = 3
KINDS = {"model": "reference model", "person": "competitor", "team": "team", "baseline": "baseline"}


@dataclass(frozen=True)
class Line:
    """One player. entries: the first boards that it stands on, each with its rank; more: how many others there are."""

    player: Player
    kind: str
    ranks: str
    strength: str
    strength_interval: str
    whisker: Whisker | None
    mean: str
    mean_interval: str
    entries: tuple[tuple[Entry, str], ...]
    more: tuple[tuple[Entry, str], ...]


@dataclass(frozen=True)
class Table:
    """`zero`: the pixel of the baseline's strength."""

    ranked: tuple[Line, ...]
    unranked: tuple[Line, ...]
    zero: float


def table_of(found: Overall) -> Table:
    """Lay out the players."""
    ends = [end for player in found.players for end in (player.strength, player.low, player.high)]
    scale = scale_for([0.0, *ends], start=MARGIN, end=WIDTH - MARGIN)
    lines = [_line(player, found.players, scale) for player in found.players]
    return Table(
        ranked=tuple(line for line in lines if line.player.rank is not None),
        unranked=tuple(line for line in lines if line.player.rank is None),
        zero=scale.at(0.0) if scale else 0.0,
    )


def _line(player: Player, players: Sequence[Player], scale: Scale | None) -> Line:
    strength = _decimals((each.strength, each.low, each.high) for each in players)
    mean = _decimals((each.mean, each.mean_low, each.mean_high) for each in players)
    entries = tuple((entry, numbers.rank_range(entry.rank_low, entry.rank_high)) for entry in player.entries)
    return Line(
        player=player,
        kind=KINDS[player.kind],
        ranks=numbers.rank_range(player.rank_low, player.rank_high),
        strength=_signed(player.strength, strength),
        strength_interval=_interval(player.low, player.high, strength),
        whisker=whisker(scale, value=player.strength, low=player.low, high=player.high),
        mean=numbers.written(player.mean, mean),
        mean_interval=_interval(player.mean_low, player.mean_high, mean),
        entries=entries[:NAMED_ENTRIES],
        more=entries[NAMED_ENTRIES:],
    )


def _decimals(columns: Iterable[tuple[float | None, float | None, float | None]]) -> int:
    """Two to four: strengths and means of several players are read side by side."""
    known = list(columns)
    found = numbers.decimals_for(
        (value for value, _, _ in known), half_widths=(numbers.half_width(low, high) for _, low, high in known)
    )
    return min(max(found, 2), 4)


def _signed(value: float | None, decimals: int) -> str:
    text = numbers.written(value, decimals)
    return f"+{text}" if value is not None and value > 0 else text


def _interval(low: float | None, high: float | None, decimals: int) -> str:
    if low is None or high is None:
        return ""
    return f"{numbers.written(low, decimals)} to {numbers.written(high, decimals)}"
