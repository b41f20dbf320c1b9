"""Which rows of a board are shown, and in which order: all as they were placed, or a selection that is ranked anew.
Called by `standings.reading`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from django.db.models import QuerySet

from evaluators.ordering import Compare, Entry, Place
from leaderboard.boards.models import Board
from leaderboard.evaluations.models import Evaluation, State
from leaderboard.refusals import FieldError, InvalidRequest
from leaderboard.standings.models import Score, Standing
from leaderboard.standings.pairs import comparing, contestant, stored_tests
from leaderboard.standings.places import Contender, Placed, head_of, places_of, superseded, whose
from leaderboard.standings.policies import Policy, policy_of
from leaderboard.standings.ranking import LADDER_KEEPS
from leaderboard.standings.results import announcements
from leaderboard.standings.sight import Level, Sight
from leaderboard.submissions.models import Submission

BEST_PER = ("submission", "competitor")
IN_ORDER = ("tier", "-over", "-merit", "submitted_at", "submission_id")
"""The order of a board's rows, which its index has."""
_SUBMISSION = (
    *("id", "name", "kind", "origin", "model", "visibility", "created_at"),
    *("user_id", "user__username", "user__is_system", "team_id", "team__name"),
)


@dataclass(frozen=True)
class Selection:
    """What `standings.reading.standings_of` was asked for; see there."""

    order: str | None = None
    as_of: datetime | None = None
    kind: str | None = None
    best_per: str | None = None
    version: str | None = None
    slice: str | None = None
    part: str | None = None


@dataclass(frozen=True)
class Candidate:
    """One submission by one of its evaluations, with the value that ranks it."""

    submission_id: UUID
    name: str
    kind: str
    origin: str
    model: str
    visibility: str
    submitted_at: datetime
    user_id: int
    username: str
    is_system: bool
    team_id: int | None
    team: str | None
    evaluation_id: int
    evaluated_at: datetime
    track_version: str
    value: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    reason: str = ""


Row = tuple[Candidate, Placed]
SCORES_AT_ONCE = 5_000


def read_selection(board: Board, selection: Selection, sight: Sight, *, offset: int, limit: int | None) -> list[Row]:
    """The candidates with their places, best first, as far as `sight` goes. Raises InvalidRequest, which names the wrong
    parameter."""
    policy = _policy(board, selection, sight)
    end = None if limit is None else offset + limit
    if sight.whose == Board.Shows.NOTHING:
        return []
    if _as_settled(board, selection, policy) and sight.whose == Board.Shows.ALL:
        rows = _standings(board, selection).filter(superseded=False).order_by(*IN_ORDER)[offset:end]
        if limit is not None:  # keys first: what is skipped is read from the index alone, without its submissions
            return read_rows(list(rows.values_list("pk", flat=True)), first=offset + 1)
        return _stored(rows, first=offset + 1)
    if selection.as_of is None:
        candidates = [candidate for candidate, _ in _stored(_standings(board, selection).order_by(), first=1)]
    else:
        candidates = _candidates_as_of(board, selection)
    candidates = [one for one in candidates if level_of(one, sight) is not Level.NOTHING]
    if _needs_values(board, selection, policy):
        candidates = _valued(candidates, board, policy, sight, of_slice=selection.slice or "")
    return _ranked(candidates, selection, policy)[offset:end]


def read_rows(standings: Sequence[int], *, first: int) -> list[Row]:
    """These standings as they are stored, best first; positions count from `first`."""
    return _stored(Standing.objects.filter(pk__in=standings).order_by(*IN_ORDER), first=first)


def level_of(one: Candidate, sight: Sight) -> Level:
    """How much is seen of the result of a candidate."""
    return sight.level(user_id=one.user_id, team_id=one.team_id, origin=one.origin)


def _needs_values(board: Board, selection: Selection, policy: Policy) -> bool:
    """Whether standings do not hold the values that are asked for. Those of an older version of a divided test may have been
    made before it was divided."""
    other = policy.metric["name"] != board.metric["name"] or policy.part != policy_of(board).part
    older = board.public_share is not None and selection.version not in (None, board.track.version)
    return other or older or selection.as_of is not None or bool(selection.slice)


def _policy(board: Board, selection: Selection, sight: Sight) -> Policy:
    """The board's rule with what was asked for instead."""
    check_choice("kind", selection.kind, [*Submission.Kind.values, None])
    check_choice("best_per", selection.best_per, [*BEST_PER, None])
    check_choice("slice", selection.slice, [*(each["slug"] for each in board.track.spec["slices"]), None])
    policy = policy_of(board)
    if sight.part != policy.part:
        policy = replace(policy, part=cast("Any", sight.part), ladder=False)
    if selection.best_per is not None:
        policy = replace(policy, counts=cast("Any", selection.best_per))
    if selection.order is None:
        return policy
    metrics = {metric["name"]: metric for metric in board.metrics if metric["direction"] != "none"}
    check_choice("order", selection.order, list(metrics))
    return replace(policy, metric=metrics[selection.order])


def _as_settled(board: Board, selection: Selection, policy: Policy) -> bool:
    """Whether the ranks that are stored are those that are asked for."""
    plain = selection.as_of is None and selection.kind is None and selection.slice is None
    return plain and policy == policy_of(board) and not _needs_values(board, selection, policy)


def check_choice(name: str, value: str | None, choices: Iterable[str | None]) -> None:
    """Raises InvalidRequest, with the nearest choice, for a value of the parameter `name` that is none of them."""
    if value in choices:
        return
    known = [choice for choice in choices if choice is not None]
    near = difflib.get_close_matches(str(value)[:100], known, n=1)
    hint = f'did you mean "{near[0]}"?' if near else f"it may be {', '.join(known)}"
    detail = f'{name} cannot be "{str(value)[:60]}"; {hint}'
    raise InvalidRequest(detail, errors=(FieldError(name, "not_a_choice", detail),))


def _standings(board: Board, selection: Selection) -> QuerySet[Standing]:
    return Standing.objects.filter(board=board, track_version=selection.version or board.track.version)


def _stored(standings: QuerySet[Standing], *, first: int) -> list[Row]:
    """Standings as they are stored; positions count from `first`."""
    columns = standings.values_list(
        *(f"submission__{name}" for name in _SUBMISSION),
        *("evaluation_id", "evaluation__finished_at", "track_version", "value", "ci_low", "ci_high", "reason"),
        *("id", "rank", "rank_low", "rank_high", "rule"),
    )
    return [
        (Candidate(*row[:-5]), Placed(Place(row[-5], position, row[-4], row[-3], row[-2], row[-6]), row[-1]))
        for position, row in enumerate(columns, start=first)
    ]


def _candidates_as_of(board: Board, selection: Selection) -> list[Candidate]:
    """The newest evaluation of each submission that had succeeded by then."""
    finished = Evaluation.objects.filter(submission__board=board, state=State.SUCCEEDED, finished_at__lte=selection.as_of)
    version = selection.version or finished.order_by("-finished_at", "-id").values_list("track_version", flat=True).first()
    columns = finished.filter(track_version=version or "").order_by("number")
    rows = columns.values_list(*(f"submission__{name}" for name in _SUBMISSION), "id", "finished_at", "track_version")
    newest = {row[0]: Candidate(*row) for row in rows}  # later numbers replace earlier ones
    return list(newest.values())


def _valued(candidates: list[Candidate], board: Board, policy: Policy, sight: Sight, *, of_slice: str) -> list[Candidate]:
    """The candidates with their values of the policy's metric, on a slice where `of_slice` names one."""
    metric = policy.metric["name"]
    versions = {candidate.track_version for candidate in candidates}
    scores = Score.every.filter(
        metric=metric,
        slice=of_slice,
        part=policy.part,
        evaluation__submission__board=board,
        evaluation__track_version__in=versions,
    )
    found: dict[int, list[Any]] = {
        key: values for key, *values in scores.values_list("evaluation_id", "value", "ci_low", "ci_high", "reason")
    }
    filled = filled_slices([one.evaluation_id for one in candidates]) if of_slice or policy.eligible == "complete" else {}
    missing: list[Any] = [None, None, None, f"it has no score for {metric}" + (f" on {of_slice}" if of_slice else "")]

    named = sight.ladder and not of_slice and metric == board.metric["name"]
    announced = announcements([one.evaluation_id for one in candidates]) if named else {}

    def valued(candidate: Candidate) -> Candidate:
        value, low, high, reason = found.get(candidate.evaluation_id, missing)
        if level_of(candidate, sight) is Level.ANNOUNCED:
            value, low, high = announced.get(candidate.evaluation_id), None, None
            reason = reason if value is not None else LADDER_KEEPS
        stands_in = filled.get(candidate.evaluation_id) or {}
        reason = reason or _objection(candidate, policy, stands_in, of_slice=of_slice)
        return replace(candidate, value=value, ci_low=low, ci_high=high, reason=reason)

    return [valued(candidate) for candidate in candidates]


def _objection(candidate: Candidate, policy: Policy, filled: Mapping[str, str], *, of_slice: str) -> str:
    """On the board of a slice, what has not entered it is not ranked: the score there is a baseline's."""
    if of_slice in filled:
        return f"it does not enter this slice; {filled[of_slice]} stands in for it"
    return policy.objection(origin=candidate.origin, visibility=candidate.visibility, filled={} if of_slice else filled)


def filled_slices(evaluations: Sequence[int]) -> dict[int, dict[str, str] | None]:
    """The slices that each evaluation did not enter, with the baseline that stands in."""
    found: dict[int, dict[str, str] | None] = {}
    for start in range(0, len(evaluations), SCORES_AT_ONCE):
        some = Evaluation.objects.filter(pk__in=evaluations[start : start + SCORES_AT_ONCE])
        found |= dict(some.values_list("pk", "result__filled"))
    return found


def _ranked(candidates: list[Candidate], selection: Selection, policy: Policy) -> list[Row]:
    """Filter, then rank what is left among itself."""
    baseline = Submission.Origin.BASELINE
    shown = [one for one in candidates if selection.kind in (None, one.kind) or one.origin == baseline]
    contenders = [Contender(_entry(one), _competitor(one)) for one in shown]
    out = superseded(contenders, policy)
    by_id = {one.submission_id: one for one in shown if one.submission_id not in out}
    entries = [contender.entry for contender in contenders if contender.entry.key in by_id]
    compare = None if selection.slice else _kept_tests(entries, by_id, policy)
    return [(by_id[placed.place.key], placed) for placed in places_of(entries, policy, compare=compare)]


def _kept_tests(entries: list[Entry], by_id: Mapping[UUID, Candidate], policy: Policy) -> Compare | None:
    """The paired tests of this selection's head, if workers have made all of them; else intervals decide everywhere, for a
    mixture would rank two pairs by two rules."""
    head = head_of(entries, policy) if policy.tests_head else []
    if len(head) < 2:
        return None
    evaluation_of = {entry.key: by_id[entry.key].evaluation_id for entry in head}
    tests = stored_tests(list(evaluation_of.values()), metric=policy.metric["name"], part=policy.part)
    if len(tests) < len(head) * (len(head) - 1) // 2:
        return None
    return comparing(tests, {entry.key: contestant(entry, evaluation=evaluation_of[entry.key]) for entry in head})


def _competitor(one: Candidate) -> Any:
    return whose(user_id=one.user_id, team_id=one.team_id, is_system=one.is_system)


def _entry(one: Candidate) -> Entry:
    return Entry(one.submission_id, one.value, one.ci_low, one.ci_high, one.submitted_at, one.reason)
