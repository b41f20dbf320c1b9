"""From values to the places of a board by its policy, over plain values. Settling stores what comes out, reading computes it
anew for other metrics, dates and selections. Who is significantly better is `evaluators.ordering`'s to say."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluators.ordering import HEAD, Compare, Entry, Place, rank, why_not_ranked
from leaderboard.standings.policies import Policy

COMPETITOR = ("submission__user_id", "submission__team_id", "submission__user__is_system")
"""What `whose` is told of a standing: user, team, whether it is the system's."""


def first_of_each(competitors: Sequence[Hashable]) -> NDArray[np.bool_]:
    """Which rows count, of rows sorted best first, where the best of each competitor does. All of those of None count."""
    seen: set[Hashable] = set()
    first = np.ones(len(competitors), dtype=bool)
    for position, competitor in enumerate(competitors):
        if competitor is not None:
            first[position] = competitor not in seen
            seen.add(competitor)
    return first


class Contender(NamedTuple):
    """A submission that may be ranked. `competitor` says whose it is where a board counts one of each; None for the system's
    entrants, which are different methods and not tries of one competitor."""

    entry: Entry
    competitor: Any


def whose(*, user_id: int, team_id: int | None, is_system: bool) -> Any:
    """`Contender.competitor` of a submission: its team, or else its person; None for the system's."""
    if is_system:
        return None
    return ("person", user_id) if team_id is None else ("team", team_id)


class Placed(NamedTuple):
    """A place, and the rule that gave it: "tests", "intervals", or "" where there is no rank."""

    place: Place
    rule: str


def superseded(contenders: Sequence[Contender], policy: Policy) -> set[Any]:
    """The keys of those that do not count, since a better one of the same competitor does: the best value, of equal ones the
    earlier. One that is not ranked gives way to any that is."""
    if policy.counts == "submission":
        return set()
    best: dict[Any, Entry] = {}
    owned = [contender for contender in contenders if contender.competitor is not None]
    for entry, competitor in owned:
        if competitor not in best or _standing_order(entry, policy) < _standing_order(best[competitor], policy):
            best[competitor] = entry
    return {entry.key for entry, competitor in owned if best[competitor].key != entry.key}


def head_of(entries: Sequence[Entry], policy: Policy) -> list[Entry]:
    """The HEAD best values, best first."""
    known = [entry for entry in entries if not why_not_ranked(entry)]
    return sorted(known, key=lambda entry: _standing_order(entry, policy))[:HEAD]


def places_of(entries: Sequence[Entry], policy: Policy, *, compare: Compare | None) -> list[Placed]:
    """A place for each, best first. compare: the paired tests of `head_of(entries)`; None: intervals decide everywhere."""
    placed = rank(entries, direction=policy.direction, compare=compare, head=HEAD)
    tested = {entry.key for entry in head_of(entries, policy)} if compare is not None else set()
    return [Placed(place, _rule(place, tested)) for place in placed]


def _rule(place: Place, tested: Collection[Any]) -> str:
    if place.rank is None:
        return ""
    return "tests" if place.key in tested and len(tested) > 1 else "intervals"


def _standing_order(entry: Entry, policy: Policy) -> tuple[Any, ...]:
    unranked = bool(why_not_ranked(entry))
    return unranked, 0.0 if unranked or entry.value is None else -policy.sign * entry.value, entry.order, entry.key
