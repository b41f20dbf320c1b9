"""One order over many tracks, for the server: `python -m evaluators.across_tracks` reads one JSON document and prints one.

It takes what stands on each track (values, intervals, paired tests, where the columns lie) and gives, for each family of tracks
and for all together, every player's strength, rank, interquartile mean, wins, ties and losses. A process of its own, since it
loads the tracks' code to read columns by seed, and may compute for a minute. Called by `leaderboard.standings.overall_refresh`.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evaluators import registry
from evaluators.aggregate import BOOTSTRAPS, bradley_terry, interquartile_mean_interval, normalised
from evaluators.columns import Columns, Floats
from evaluators.ordering import interval_ranks
from evaluators.pairwise import Signs, signs
from evaluators.track import Track
from evaluators.versions import track_version

BASELINE = "baseline"
LEAST_TRACKS = 6
"""Strengths have an interval, and players a rank, from so many tracks on. With fewer, even winning all of them happens to one
of two equals more often than once in twenty (2 / 2^5 = 6 %); simulated, 21 % of equals then have somebody wrongly ranked above
them at three tracks, 12 % at four, and 4 % at six."""
GAMES_TO_DRAW = 100_000
FEWEST_BOOTSTRAPS = 200


@dataclass(frozen=True)
class Entry:
    """A player on a track. `runs`: the value of each seed, as far as they are known."""

    player: str
    value: float
    low: float
    high: float
    runs: Floats


@dataclass(frozen=True)
class League:
    """One track: who is there, and who is better than whom. `one`: the value that counts as 1 where the baseline is 0; None:
    there is no scale."""

    slug: str
    entries: tuple[Entry, ...]
    signs: Signs
    one: float | None

    @property
    def baseline(self) -> Entry | None:
        """What counts as 0."""
        return next((entry for entry in self.entries if entry.player == BASELINE), None)

    def scaled(self, player: str) -> Floats | None:
        """The player's runs on the scale of the baseline; None without a scale."""
        entry = next((entry for entry in self.entries if entry.player == player), None)
        if entry is None or self.baseline is None or self.one is None or self.one == self.baseline.value:
            return None
        return normalised(entry.runs, baseline=self.baseline.value, reference=self.one)


def main() -> None:
    """One document in, one out."""
    json.dump(answer(json.load(sys.stdin)), sys.stdout, allow_nan=False)


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """request: {"tracks": [...], "families": {family: [slugs]}, "runs": {evaluation: [values]}}; a track is {"slug", "version",
    "metric", "direction", "one", "entries": [{"player", "evaluation", "value", "low", "high", "columns"}], "tests":
    [[i, j, difference, p]]}, i and j places in entries.

    Returns {"families": {family: [player, ...]}, "runs": {evaluation: [values]}}, the players in order; `runs` may be given
    again.
    """
    runs = {
        str(entry["evaluation"]): request["runs"].get(str(entry["evaluation"])) or _runs(track, entry)
        for track in request["tracks"]
        for entry in track["entries"]
    }
    leagues = {track["slug"]: _league(track, runs) for track in request["tracks"]}
    families = {
        family: ranked([leagues[slug] for slug in slugs if slug in leagues]) for family, slugs in request["families"].items()
    }
    return {"families": families, "runs": runs}


def ranked(leagues: Sequence[League]) -> list[dict[str, Any]]:
    """Every player of these tracks, in order: those that are ranked by rank and strength, then the others by how many tracks
    they entered and strength; `reason` says why they are not."""
    names = sorted({entry.player for league in leagues for entry in league.entries} | {BASELINE})
    if not leagues:
        return []
    wins, present = _tables(leagues, names)
    entered = present.sum(axis=0)
    enough = entered >= LEAST_TRACKS
    draws = max(FEWEST_BOOTSTRAPS, min(BOOTSTRAPS, GAMES_TO_DRAW // len(names))) if enough.any() else 1
    found = bradley_terry(wins, present, anchor=names.index(BASELINE), bootstraps=draws)
    low, high = (np.where(enough, ends, np.nan) for ends in (found.low, found.high))
    ranks = _ranks(found.value, low, high, enough)
    losses = wins.sum(axis=(0, 1))
    games = (present * (present.sum(axis=1, keepdims=True) - 1)).sum(axis=0)
    players = [
        {
            "player": name,
            "strength": _finite(found.value[i]),
            "low": _finite(low[i]),
            "high": _finite(high[i]),
            **ranks[i],
            **_interquartile(name, leagues),
            "tracks": int(entered[i]),
            "wins": int(wins[:, i].sum()),
            "losses": int(losses[i]),
            "ties": int(games[i] - wins[:, i].sum() - losses[i]),
            "reason": "" if enough[i] else _reason(int(entered[i]), len(leagues)),
        }
        for i, name in enumerate(names)
        if entered[i]
    ]
    return sorted(players, key=_order)


def _order(player: Mapping[str, Any]) -> tuple[Any, ...]:
    strength = -math.inf if player["strength"] is None else player["strength"]
    if player["rank"] is not None:
        return 0, player["rank"], -strength, player["player"]
    return 1, -player["tracks"], -strength, player["player"]


def _tables(leagues: Sequence[League], names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """wins bool [T, n, n], i is better than j as the rank of j counts it; present bool [T, n]."""
    place = {name: index for index, name in enumerate(names)}
    wins = np.zeros((len(leagues), len(names), len(names)), dtype=bool)
    present = np.zeros((len(leagues), len(names)), dtype=bool)
    for track, league in enumerate(leagues):
        where = np.array([place[entry.player] for entry in league.entries], dtype=np.int64)
        present[track, where] = True
        wins[track][np.ix_(where, where)] = league.signs > 0
    return wins, present


def _ranks(values: Floats, low: Floats, high: Floats, enough: np.ndarray) -> list[dict[str, int | None]]:
    """rank, rank_low and rank_high among those that entered enough tracks: strengths differ where their stretched intervals do
    not touch, as on a long board."""
    found: list[dict[str, int | None]] = [{"rank": None, "rank_low": None, "rank_high": None} for _ in values]
    those = np.flatnonzero(enough)
    rank, reach = interval_ranks(values[those], low[those], high[those], direction="max")
    for i, first, last in zip(those.tolist(), rank.tolist(), reach.tolist(), strict=True):
        found[i] = {"rank": first, "rank_low": first, "rank_high": last}
    return found


def _interquartile(name: str, leagues: Sequence[League]) -> dict[str, float | None]:
    """The interquartile mean over all tracks that the player entered and that have a scale."""
    runs = [scaled for league in leagues if (scaled := league.scaled(name)) is not None]
    value, low, high = interquartile_mean_interval(runs) if runs else (math.nan,) * 3
    return {"mean": _finite(value), "mean_low": _finite(low), "mean_high": _finite(high)}


def _reason(entered: int, tracks: int) -> str:
    return f"it stands on {entered} of {tracks} track{'' if tracks == 1 else 's'}; ranks begin at {LEAST_TRACKS}"


def _league(track: Mapping[str, Any], runs: Mapping[str, Sequence[float]]) -> League:
    entries = tuple(
        Entry(
            each["player"],
            each["value"],
            _number(each["low"]),
            _number(each["high"]),
            np.asarray(runs[str(each["evaluation"])], dtype=np.float64),
        )
        for each in track["entries"]
    )
    differences, p_values = (np.full((len(entries), len(entries)), np.nan) for _ in range(2))
    for i, j, difference, p in track["tests"]:
        differences[i, j], differences[j, i] = difference, -difference
        p_values[i, j] = p_values[j, i] = p
    table = signs(
        np.array([entry.value for entry in entries], dtype=np.float64),
        np.array([entry.low for entry in entries], dtype=np.float64),
        np.array([entry.high for entry in entries], dtype=np.float64),
        direction=track["direction"],
        differences=differences,
        p_values=p_values,
    )
    return League(slug=track["slug"], entries=entries, signs=table, one=track["one"])


def _runs(track: Mapping[str, Any], entry: Mapping[str, Any]) -> list[float]:
    """The metric of each seed, from the columns that the evaluation kept; the one value where these cannot tell."""
    alone = [float(entry["value"])]
    try:
        kind = registry.get(track["slug"])
        if not entry["columns"] or track_version(kind) != track["version"]:
            return alone
        found = by_seed(kind(secret=b"unused"), Columns.from_bytes(Path(entry["columns"]).read_bytes()), track["metric"])
    except (OSError, LookupError, ValueError, ArithmeticError) as error:
        print(f"evaluation {entry['evaluation']} cannot be read by seed: {error!r}", file=sys.stderr)  # noqa: T201
        return alone
    return found if found and np.isfinite(found).all() else alone


def by_seed(track: Track, columns: Columns, metric: str) -> list[float]:
    """The metric over the rows of each seed; empty where the track has no such metric."""
    if metric not in {each.name for each in track.spec.metrics}:
        return []
    return [float(track.reduce(columns.select(seed=seed))[metric]) for seed in np.unique(columns.index["seed"])]


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _finite(value: float) -> float | None:
    """Rounded to nine decimals: the baseline's own mean is 0, and not -1e-15."""
    return round(float(value), 9) if math.isfinite(value) else None


if __name__ == "__main__":
    main()
