"""The order over all tracks, as it was last computed, for the API and the page. One query; a second one only where there is
nothing to show. Computing is `overall_refresh`'s."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from leaderboard.boards.models import Board
from leaderboard.standings.models import OverallRanking
from leaderboard.standings.overall_inputs import SHOWS_ALL
from leaderboard.standings.overall_words import rule_of
from leaderboard.standings.selection import check_choice


@dataclass(frozen=True)
class Entry:
    """Where a player stands on one board, and by which submission; its id is None where that is private."""

    board: str
    title: str
    submission: str | None
    name: str
    rank: int
    rank_low: int
    rank_high: int


@dataclass(frozen=True)
class Player:
    """A reference model by its default config, a competitor by the best submission on each track, or the baseline of each.

    strength: natural logarithm of the odds to be better than the baseline, ties aside. low, high: 95 %, over tracks; None with
    too few. mean, mean_low, mean_high: interquartile mean of the scores, 0 at the baseline and 1 at the metric's bound, its
    95 % interval over training seeds. wins, ties, losses: against every other player of each track. reason: why there is no
    rank.
    """

    player: str
    name: str
    kind: str
    rank: int | None
    rank_low: int | None
    rank_high: int | None
    strength: float | None
    low: float | None
    high: float | None
    mean: float | None
    mean_low: float | None
    mean_high: float | None
    tracks: int
    wins: int
    ties: int
    losses: int
    reason: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Overall:
    """family: "" for all. tracks: {board, title, family} of those that count. families: all that can be asked for."""

    family: str
    players: tuple[Player, ...]
    tracks: tuple[dict[str, str], ...]
    families: tuple[str, ...]
    computed_at: datetime | None

    @property
    def rule(self) -> list[str]:
        """What the numbers are, in words."""
        return rule_of(len(self.tracks))


def overall(family: str = "") -> Overall:
    """The order over the tracks of one family, or over all of them (`family` empty). Nobody is on it where nothing was computed
    yet, or where a board that it rests on is hidden by now. Raises InvalidRequest for a family without a track."""
    shown = OverallRanking.objects.exclude(boards__in=Board.objects.exclude(SHOWS_ALL).order_by())
    row = shown.filter(family=family).first()
    if row is None:
        known = [name for name in shown.values_list("family", flat=True) if name]
        check_choice("family", family, ["", *known])
        return Overall(family, (), (), tuple(sorted(known)), None)
    document = row.document
    return Overall(
        family=family,
        players=tuple(_player(each) for each in document["players"]),
        tracks=tuple(document["tracks"]),
        families=tuple(document["families"]),
        computed_at=row.computed_at,
    )


def _player(document: dict[str, Any]) -> Player:
    return Player(**{**document, "entries": tuple(Entry(**entry) for entry in document["entries"])})
