"""An order over seven tracks as the server keeps it, written straight to its table."""

from __future__ import annotations

from typing import Any

from leaderboard.boards.models import Board
from leaderboard.standings.models import OverallRanking

TITLES = (
    "Handwritten digits",
    "Few-step diffusion sampling",
    "Homophily and depth",
    "Molecules",
    "Time series",
    "Graphs",
    "Text",
)


def player(name: str, kind: str = "model", *, rank: int | None = None, strength: float | None = 0.0, **more: Any) -> dict:
    """One player; without a rank it stands on one track."""
    reason = "" if rank else "it stands on 1 of 7 tracks; ranks begin at 6"
    ranked = {"rank": rank, "rank_low": rank, "rank_high": more.pop("rank_high", rank)}
    half = more.pop("half", 0.6)
    ends = {"low": strength - half, "high": strength + half} if rank else {"low": None, "high": None}
    means = {"mean": 0.42, "mean_low": 0.38, "mean_high": 0.45}
    counts = {"tracks": 7 if rank else 1, "wins": 12, "ties": 5, "losses": 3}
    return {
        "player": f"{kind}:{name}", "name": name, "kind": kind, "strength": strength, "reason": reason, "entries": [],
        **ranked, **ends, **means, **counts, **more,
    }  # fmt: skip


def entry(board: Board, title: str, *, name: str = "mine", rank: int = 2, submission: str | None = None) -> dict:
    """Where a player stands."""
    ranks = {"rank": rank, "rank_low": rank, "rank_high": rank + 2}
    return {"board": board.slug, "title": title, "submission": submission, "name": name, **ranks}


def fill_overall(board: Board, *, submission: str | None = None, ranked: bool = True) -> OverallRanking:
    """Some who are ranked, some who are not."""
    entries = [entry(board, title, rank=n) for n, title in enumerate(TITLES, start=1)]
    entries[0]["submission"] = submission
    players = [
        player("ada", "person", rank=1, rank_high=2, strength=1.84, entries=entries),
        player("ResNeXt, 8 groups", rank=1, rank_high=3, strength=1.31, entries=entries[:2]),
        player("The Duo", "team", rank=3, strength=0.4, half=0.3, entries=entries[:1]),
        player("Baseline", "baseline", rank=4, strength=0.0, half=0.0, entries=[], mean=0.0, mean_low=0.0, mean_high=0.0),
    ]
    unranked = [
        player("DPM-Solver++(2M) with a rather long name", strength=2.11, entries=[entry(board, TITLES[1])]),
        player(
            "Network In Network", strength=-0.35, entries=[entry(board, TITLES[0])], mean=None, mean_low=None, mean_high=None
        ),
    ]
    tracks = [{"board": board.slug, "title": title, "family": board.track.family} for title in TITLES]
    document = {
        "players": [*(players if ranked else []), *unranked],
        "tracks": tracks if ranked else tracks[:3],
        "families": ["graph_nodes", "image_classification"],
        "runs": {},
    }
    for family in ("", "image_classification"):
        row = OverallRanking.objects.create(family=family, fingerprint="f", document=document)
        row.boards.set([board])
    return row
