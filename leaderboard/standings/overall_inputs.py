"""What the order over all tracks is made of: the boards that count, who stands on them as which player, and the paired tests
among these. Read from the tables as plain values. Called by `overall_refresh`, in the scheduler's process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db.models import F, Q, QuerySet

from evaluators.across_tracks import BASELINE
from evaluators.versions import code_hash
from leaderboard.boards.models import Board, ReferenceModel
from leaderboard.refusals import InvalidSubmission
from leaderboard.standings.models import Settlement, Standing
from leaderboard.standings.pairs import stored_tests
from leaderboard.standings.policies import policy_of
from leaderboard.standings.selection import IN_ORDER
from leaderboard.submissions import storage
from leaderboard.submissions.configs import complete_config
from leaderboard.submissions.models import Submission

MOST_COMPETITORS = 50
"""How many competitors of one board take part, the best of it."""
MOST_ROWS = 2000
"""How far down a board they are looked for."""
SHOWS_ALL = Q(visibility=Board.Visibility.PUBLIC, public_share=None, shows=Board.Shows.ALL)
"""Boards whose standings everybody sees, and sees all of."""


@dataclass(frozen=True)
class Standee:
    """A player on a board, by one standing. `shown`: what a page says of it."""

    player: str
    name: str
    kind: str
    evaluation: int
    value: float
    low: float | None
    high: float | None
    columns_sha256: str
    shown: dict[str, Any]


@dataclass(frozen=True)
class BoardInput:
    """One track by its default board, best player first."""

    board: Board
    standees: tuple[Standee, ...]


def counted_boards() -> QuerySet[Board]:
    """The tracks' own boards, as far as they are public, hide nothing of their results, are ordered by one metric, and can be
    evaluated still."""
    own = Board.objects.select_related("track", "host").filter(slug=F("track_id"), host__is_system=True)
    return own.filter(SHOWS_ALL, track__available=True, combination__isnull=True).order_by("slug")


def trace() -> object:
    """Changes whenever an input could have: two queries, instead of looking at every standing."""
    boards = list(counted_boards().values_list("pk", "track__version", "ranking_metric", "track__synced_at"))
    settled = Settlement.objects.filter(board__in=[board[0] for board in boards])
    return boards, list(settled.order_by("pk").values_list("pk", "settled", "policy"))


def read_inputs() -> list[BoardInput]:
    """Every board that counts and has somebody on it."""
    models = {model.name: model for model in ReferenceModel.objects.all()}
    found = [BoardInput(board, tuple(_standees(board, models))) for board in counted_boards()]
    return [each for each in found if each.standees]


def request_of(inputs: Sequence[BoardInput], *, runs: Mapping[str, list[float]]) -> dict[str, Any]:
    """The document for `evaluators.across_tracks`. runs: the values by seed that are known, by evaluation; only for the others
    it is told where the columns lie."""
    tracks = [_track(each) for each in inputs]
    for each, track in zip(inputs, tracks, strict=True):
        for standee, entry in zip(each.standees, track["entries"], strict=True):
            entry["columns"] = None if str(standee.evaluation) in runs else _path_of(standee)
    wanted = {str(standee.evaluation) for each in inputs for standee in each.standees}
    return {
        "tracks": tracks,
        "families": families_of(inputs),
        "runs": {evaluation: values for evaluation, values in runs.items() if evaluation in wanted},
    }


def families_of(inputs: Sequence[BoardInput]) -> dict[str, list[str]]:
    """The tracks of each family, and of all families under the empty name."""
    families: dict[str, list[str]] = {"": [each.board.slug for each in inputs]}
    for each in inputs:
        families.setdefault(each.board.track.family, []).append(each.board.slug)
    return families


def fingerprint_of(inputs: Sequence[BoardInput]) -> str:
    """A hash of all that is computed from, of what pages say of the players, and of the code that computes."""
    shown = [[standee.player, standee.name, standee.shown] for each in inputs for standee in each.standees]
    text = json.dumps([[_track(each) for each in inputs], families_of(inputs), shown, _code()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def _code() -> str:
    return code_hash("evaluators.across_tracks")


def _standees(board: Board, models: dict[str, ReferenceModel]) -> Iterator[Standee]:
    """References, then competitors: each player once, by its best standing."""
    seen: set[str] = set()
    baseline = _baseline_of(board, models)
    ranked = Standing.objects.filter(board=board, track_version=board.track.version, superseded=False, rank__isnull=False)
    rows = ranked.select_related("submission__user", "submission__team", "evaluation").defer(
        "evaluation__log", "evaluation__result", "evaluation__provenance"
    )
    own = Submission.objects.filter(board=board, user__is_system=True, kind=Submission.Kind.CONFIG)
    for standing in rows.filter(submission__in=list(own.order_by().values_list("pk", flat=True))).order_by(*IN_ORDER):
        standee = _reference(standing, board, models, baseline)
        if standee is not None and standee.player not in seen:
            seen.add(standee.player)
            yield standee
    keys = list(ranked.order_by(*IN_ORDER).values_list("pk", flat=True)[:MOST_ROWS])
    competitors = 0
    for standing in rows.filter(pk__in=keys, submission__user__is_system=False).order_by(*IN_ORDER).iterator(chunk_size=200):
        standee = _competitor(standing, board)
        if standee.player not in seen:
            seen.add(standee.player)
            yield standee
            competitors += 1
        if competitors == MOST_COMPETITORS:
            return


def _baseline_of(board: Board, models: dict[str, ReferenceModel]) -> tuple[str, dict[str, Any]] | None:
    """(model, config) of the first baseline that the track names: what counts as 0."""
    for baseline in board.track.spec["baselines"][:1]:
        return baseline["model"], _completed(baseline["config"], models.get(baseline["model"]))
    return None


def _completed(config: dict[str, Any], model: ReferenceModel | None) -> dict[str, Any]:
    """A config with its defaults filled in, as submissions keep it."""
    try:
        return complete_config(config, model.schema) if model else config
    except InvalidSubmission:  # the model has changed, and this config is none of it any more
        return config


def _reference(
    standing: Standing, board: Board, models: dict[str, ReferenceModel], baseline: tuple[str, dict[str, Any]] | None
) -> Standee | None:
    """A reference model by its default config; the track's first baseline is the player that all tracks share."""
    submission = standing.submission
    if (submission.model, submission.config) == baseline:
        return _standee(standing, board, BASELINE, "Baseline", "baseline")
    model = models.get(submission.model)
    if model is None or submission.config != _completed({}, model):
        return None
    return _standee(standing, board, f"model:{model.name}", model.title, "model")


def _competitor(standing: Standing, board: Board) -> Standee:
    """A person, or a team, by their best submission."""
    submission = standing.submission
    if submission.team is not None:
        return _standee(standing, board, f"team:{submission.team_id}", submission.team.name, "team")
    return _standee(standing, board, f"person:{submission.user_id}", submission.user.username, "person")


def _standee(standing: Standing, board: Board, player: str, name: str, kind: str) -> Standee:
    submission = standing.submission
    public = submission.visibility == Submission.Visibility.PUBLIC
    shown = {
        "board": board.slug,
        "title": board.title,
        "submission": str(submission.pk) if public else None,
        "name": submission.name,
        "rank": standing.rank,
        "rank_low": standing.rank_low,
        "rank_high": standing.rank_high,
    }
    assert standing.value is not None  # noqa: S101  what has a rank has a value
    return Standee(
        player,
        name,
        kind,
        standing.evaluation_id,
        standing.value,
        standing.ci_low,
        standing.ci_high,
        standing.evaluation.columns_sha256,
        shown,
    )


def _track(each: BoardInput) -> dict[str, Any]:
    policy = policy_of(each.board)
    evaluations = [standee.evaluation for standee in each.standees]
    place = {evaluation: index for index, evaluation in enumerate(evaluations)}
    tests = stored_tests(evaluations, metric=policy.metric["name"]) if policy.tests_head else {}
    return {
        "slug": each.board.slug,
        "version": each.board.track.version,
        "metric": policy.metric["name"],
        "direction": policy.direction,
        "one": _one(each, policy.metric),
        "entries": [_entry(standee) for standee in each.standees],
        "tests": [
            [place[first], place[second], found.difference, found.p]
            for (first, second), found in sorted(tests.items())
            if found.difference is not None and found.p is not None
        ],
    }


def _entry(standee: Standee) -> dict[str, Any]:
    return {
        "player": standee.player,
        "evaluation": standee.evaluation,
        "value": standee.value,
        "low": standee.low,
        "high": standee.high,
    }


def _path_of(standee: Standee) -> str | None:
    """None for a file that is missing or damaged: its player has one run, the value that is known."""
    try:
        return str(storage.path(standee.columns_sha256))
    except OSError:
        return None


def _one(each: BoardInput, metric: Any) -> float | None:
    """What counts as 1 where the baseline is 0: the metric's bound; where it has none, the best reference model's value."""
    bound = metric["upper"] if metric["direction"] == "max" else metric["lower"]
    if bound is not None:
        return float(bound)
    values = [standee.value for standee in each.standees if standee.kind == "model"]
    return (max(values) if metric["direction"] == "max" else min(values)) if values else None
