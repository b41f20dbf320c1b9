"""Nothing that is derived from what a board hides reaches those from whom it is hidden. Two worlds are made that differ only
in what is hidden; every page and every call of the API must answer the same in both, byte by byte but for names of things."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from leaderboard.accounts.people import system_user
from leaderboard.api.urls import version_1
from leaderboard.boards.models import Board
from leaderboard.submissions.models import Submission
from leaderboard.web.urls import urlpatterns
from tests.hidden.conftest import UNITS, public_units

OUTSIDE = ("visitor", "owner", "competitor")
INSIDE = ("host", "staff")
ANY_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|\+00:00)?|\d+ \w+ \d{4},? \d\d:\d\d"
    r'|M58\.0 [^"]*"|class="curve-dot" cx="[\d.]+"'  # times on an axis
)
TOKEN = re.compile(r'name="(csrfmiddlewaretoken|idempotency_key)" value="[^"]+"|X-CSRFToken[^}]+}')
QUERIES = {
    "standings": [
        "", "?order=nll", "?order=params", "?as_of=2999-01-01T00:00:00Z", "?kind=config", "?best_per=competitor",
        "?slice=digits",
        "?format=csv", "?format=csv&order=nll", "?part=public", "?part=private", "?part=whole", "?part=private&format=csv",
        "?page_size=1", "?cursor=1",
    ],
    "submission": ["", "?part=public", "?part=private", "?part=whole", "?wait=0.1"],
    "columns": ["", "?part=public", "?part=private", "?part=whole"],
    "submissions": ["", "?state=succeeded", "?board=hidden-1"],
    "board": ["", "?order=nll", "?as_of=2999-01-01", "?best_per=competitor", "?slice=digits", "?part=private", "?part=whole"],
    "submission-live": ["", "?part=private"],
    "submission-page": ["", "?part=private", "?part=whole"],
}  # fmt: skip
SKIPPED = {"nothing", "schema", "docs", "problems"}


@pytest.fixture
def people(user, other_user, hedy, staff, board_of) -> dict[str, Any]:
    from leaderboard.accounts.models import User

    member = User.objects.create_user("mia", password="correct horse battery")
    return {"visitor": None, "owner": user, "competitor": other_user, "member": member, "host": hedy, "staff": staff}


def addresses(board: Board) -> Iterator[str]:
    """Every GET of the API and of the pages, about this board and all that stands on it."""
    shown = list(Submission.objects.filter(board=board).order_by("name"))
    for prefix, routes in (("api:", version_1), ("", urlpatterns)):
        for route in routes:
            if route.name in SKIPPED or route.name is None or not _reads(route):
                continue
            names = list(getattr(route.pattern, "converters", None) or route.pattern.regex.groupindex)
            for values in _values(names, board, shown):
                if values is None:
                    continue
                key = "submission-page" if (prefix, route.name) == ("", "submission") else route.name
                for query in QUERIES.get(key, [""]):
                    yield reverse(f"{prefix}{route.name}", kwargs=values) + query
    for a, b in itertools.pairwise(shown):
        for part in ("", "&part=private", "&part=whole"):
            yield f"/api/v1/compare/?a={a.pk}&b={b.pk}{part}"
            yield f"/compare/?a={a.pk}&b={b.pk}{part}"


def _reads(route: Any) -> bool:
    view = getattr(route.callback, "cls", None)
    return view is None or hasattr(view, "get")


def _values(names: list[str], board: Board, shown: list[Submission]) -> Iterator[dict[str, Any] | None]:
    if not names:
        yield {}
    elif names == ["slug"]:
        yield {"slug": board.slug}
    elif names in (["submission_id"], ["pk"]):
        yield from ({names[0]: one.pk} for one in shown)
    else:
        yield None  # catalogue, papers, tokens and teams have no results


def answers(person: Any, board: Board) -> dict[str, str]:
    """What every address answers to this person, with the names of things instead of their ids."""
    client = Client(raise_request_exception=False)
    if person is not None:
        client.force_login(person)
    names = {str(one.pk): one.name for one in Submission.objects.filter(board=board)}
    found = {}
    for address in addresses(board):
        response = client.get(address)
        raw = b"".join(response.streaming_content) if response.streaming else response.content
        told = (
            f"{response.status_code} {response.headers.get('ETag', '') if response.streaming else ''} {raw.decode('latin-1')}"
        )
        assert response.status_code < 500, (address, told[:2000])
        found[plain(address, names)] = plain(told, names)
    return found


def plain(text: str, names: dict[str, str]) -> str:
    for key, name in names.items():
        text = text.replace(key, name)
    return MOMENT.sub("MOMENT", TOKEN.sub("TOKEN", ANY_ID.sub("ID", text)))


def in_a_world(make: Callable[[], None], look: Callable[[], Any]) -> Any:
    """What is seen in a world that is made, and gone afterwards."""
    with transaction.atomic():
        make()
        seen = look()
        transaction.set_rollback(True)
    return seen


def pattern(seed: int, share: float, n: int = UNITS) -> Any:
    return (np.random.default_rng(seed).random(n) < share).astype(float)


@pytest.fixture
def divided(board_of, land, people, system):
    """divided(board, seed): four results whose public part is the same for every seed, and whose private part is not."""

    def make(board: Board, seed: int) -> None:
        public = public_units(board)
        for n, (who, share) in enumerate([("owner", 0.9), ("owner", 0.7), ("competitor", 0.85), ("baseline", 0.4)]):
            hidden = pattern(100 * seed + n, [0.95, 0.1, 0.5, 0.8][(seed + n) % 4])
            right = np.where(public, pattern(n, share), hidden)
            fields = {"origin": "baseline"} if who == "baseline" else {}
            land(board, people.get(who) or system, f"{who} {n}", right, settle_it=n == 3, **fields)

    return make


@pytest.fixture
def same_in_both(people):
    def check(board: Board, make: Callable[[Board, int], None], who: tuple[str, ...]) -> None:
        seen = [
            in_a_world(lambda seed=seed: make(board, seed), lambda: {one: answers(people[one], board) for one in who})
            for seed in (1, 2)
        ]
        for one in who:
            first, second = seen[0][one], seen[1][one]
            assert first.keys() == second.keys()
            assert len(first) > 100
            for address, answer in first.items():
                assert answer == second[address], (one, address)

    return check


def test_the_private_part_changes_nothing_that_others_see(board_of, divided, same_in_both, people):
    same_in_both(board_of(), divided, OUTSIDE)


def test_it_changes_nothing_that_hosts_see_unless_they_ask_for_it(board_of, divided, people):
    board = board_of()
    seen = [
        in_a_world(lambda seed=seed: divided(board, seed), lambda: {one: answers(people[one], board) for one in INSIDE})
        for seed in (1, 2)
    ]
    for one in INSIDE:
        first, second = seen[0][one], seen[1][one]
        differ = {address for address in first if first[address] != second[address]}
        asked = {address for address in first if "part=private" in address or "part=whole" in address}
        assert differ <= asked, sorted(differ - asked)
        assert any("standings" in address for address in differ)
        assert any("columns" in address for address in differ)
        assert any("compare" in address for address in differ)
        assert any(address.startswith("/boards/") for address in differ)
        assert all("administrator" in first[address] for address in differ if address.startswith("/boards/"))


def test_every_hidden_address_refuses_the_private_part_in_the_same_words(board_of, divided, people):
    board = board_of()
    found = in_a_world(lambda: divided(board, 1), lambda: answers(people["owner"], board))
    asked = {address: answer for address, answer in found.items() if "part=private" in address or "part=whole" in address}
    others = {address[:21] for address, answer in asked.items() if not answer.startswith("403")}
    assert others == {"/api/v1/boards/hidden"}  # the rules of a board, which have no part
    assert len(asked) > 30


@pytest.mark.parametrize("share", [None, 0.5])
def test_where_nothing_is_shown_no_result_changes_anything(board_of, land, people, same_in_both, share):
    board = board_of(public_share=share, shows="nothing")

    def make(board: Board, seed: int) -> None:
        for n, who in enumerate(["owner", "owner", "competitor", "baseline"]):
            fields = {"origin": "baseline"} if who == "baseline" else {}
            right = pattern(10 * seed + n, [0.9, 0.2, 0.5, 0.7][(seed + n) % 4])
            land(board, people.get(who) or system_user(), f"{who} {n}", right, settle_it=n == 3, **fields)

    same_in_both(board, make, OUTSIDE)


def test_where_own_scores_are_shown_those_of_others_change_nothing(board_of, land, people, system, same_in_both):
    board = board_of(public_share=None, shows="own")

    def make(board: Board, seed: int) -> None:
        land(board, people["competitor"], "mine", pattern(1, 0.6), settle_it=False)
        land(board, people["competitor"], "mine too", pattern(2, 0.7), settle_it=False)
        land(board, system, "baseline", pattern(3, 0.4), settle_it=False, origin="baseline")
        for n in range(3):
            land(board, people["owner"], f"other {n}", pattern(9 * seed + n, [0.9, 0.2, 0.5][(seed + n) % 3]), settle_it=n == 2)

    same_in_both(board, make, ("visitor", "competitor"))


def test_own_scores_and_those_of_baselines_are_shown_ranked_among_themselves(board_of, land, people, system):
    board = board_of(public_share=None, shows="own")
    land(board, people["owner"], "other", pattern(1, 1.0))
    land(board, people["competitor"], "mine", pattern(2, 0.8))
    land(board, system, "baseline", pattern(3, 0.2), origin="baseline")
    client = Client()
    client.force_login(people["competitor"])
    page = client.get(f"/api/v1/boards/{board.slug}/standings/").json()
    assert [(row["name"], row["rank"]) for row in page["results"]] == [("mine", 1), ("baseline", 2)]
    assert "only your own scores" in page["hidden"]


def test_on_a_board_with_the_ladder_small_tries_teach_nothing(board_of, land, people, system, same_in_both):
    board = board_of(public_share=0.5, ladder=True)
    public = np.flatnonzero(public_units(board))

    def make(board: Board, seed: int) -> None:
        first = np.ones(UNITS)
        first[public[: len(public) // 4]] = 0
        land(board, people["owner"], "first", first)
        for n in range(3):
            probe = first.copy()
            probe[public[seed * 5 + n]] = 1 if seed == 1 else 0  # one unit right, or one wrong: which, must not be told
            probe[public[-1 - n]] = 0
            land(board, people["owner"], f"probe {n}", probe)

    same_in_both(board, make, OUTSIDE)
