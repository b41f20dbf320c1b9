"""Lists of everything, as everybody gets them: what is hidden is neither in a list, nor counted, nor found by a filter."""

from __future__ import annotations

import re

import pytest

from tests.permissions.world import EVERYBODY, SUBMISSIONS, World

pytestmark = pytest.mark.django_db


def listed(world: World, who: str, path: str) -> str:
    """All pages of a list, as text."""
    text, address = "", f"/api/v1/{path}"
    while address:
        answer = world.call(who, "GET", address, None, api=True)
        assert answer.status_code == 200, answer.content
        text += answer.content.decode()
        address = answer.json()["next"]
    return text


@pytest.mark.parametrize("who", EVERYBODY)
@pytest.mark.parametrize("query", ["", "?page_size=1", "?board=lab", "?user=competitor", "?team=team", "?kind=onnx"])
def test_a_list_of_submissions_has_those_that_one_may_see(scratch, who, query):
    text = listed(scratch, who, f"submissions/{query}")
    for scene in SUBMISSIONS:
        fits = {"?board=lab": scene.board == "private", "?team=team": scene.of == "team"}.get(query, True)
        assert (str(scratch.submissions[scene].pk) in text) == (fits and who in scene.sees), (who, scene)


@pytest.mark.parametrize("who", EVERYBODY)
def test_lists_of_boards_and_claims_have_those_that_one_may_see(scratch, who):
    boards, claims = (listed(scratch, who, path) for path in ("boards/", "claims/"))
    for visibility, board in scratch.boards.items():
        sees = visibility == "public" or who in next(s for s in SUBMISSIONS if s.board == "private").sees_board
        assert (f'"slug":"{board.slug}"' in boards) == sees
        assert (f'"board":"{board.slug}"' in claims.replace(" ", "")) == sees


@pytest.mark.parametrize("who", EVERYBODY)
@pytest.mark.parametrize("style", ["json", "csv"])
def test_standings_name_everybody_and_link_to_what_one_may_see(scratch, who, style):
    for scene in SUBMISSIONS:
        if who not in scene.sees_board:
            continue
        board = scratch.boards[scene.board]
        answer = scratch.call(who, "GET", f"/api/v1/boards/{board.slug}/standings/?format={style}", None, api=True)
        text = answer.content.decode()
        assert (str(scratch.submissions[scene].pk) in text) == (who in scene.sees), (who, scene)
        assert f"{scene.of} {scene.submission} " in text


@pytest.mark.parametrize("who", EVERYBODY)
def test_pages_link_to_nothing_hidden(scratch, who):
    pages = ["/", "/boards/open/", "/papers/", *(["/submissions/", "/hosting/", "/teams/"] if who != "visitor" else [])]
    text = "".join(scratch.call(who, "GET", page, None, api=False).content.decode() for page in pages)
    for scene in SUBMISSIONS:
        if who not in scene.sees:
            assert str(scratch.submissions[scene].pk) not in text, (who, scene)
        if who not in scene.sees_board | {"teammate", "fellow"}:  # whose own submissions say where they are
            assert f"/boards/{scratch.boards[scene.board].slug}/" not in text


@pytest.mark.parametrize(
    ("path", "hidden", "none"),
    [
        ("boards/{}/", "lab", "non"),
        ("boards/{}/standings/", "lab", "non"),
        ("boards/{}/members/", "lab", "non"),
        ("teams/{}/", "team", "none"),
        ("claims/{}/", "", "999999"),
        ("submissions/{}/", "", "00000000-0000-4000-8000-000000000000"),
        ("submissions/{}/log/", "", "00000000-0000-4000-8000-000000000000"),
    ],
)
def test_hidden_and_missing_are_told_in_the_same_words(scratch, path, hidden, none):
    if not hidden:
        scene = next(s for s in SUBMISSIONS if s.board == "private" and s.submission == "private")
        hidden = str((scratch.claims["private"] if path.startswith("claims") else scratch.submissions[scene]).pk)
    told = []
    for key in (hidden, none):
        answer = scratch.call("stranger", "GET", f"/api/v1/{path.format(key)}", None, api=True)
        assert answer.status_code == 404
        told.append(re.sub(rf"\b{re.escape(key)}\b(?!\s+\\)", "KEY", answer.content.decode()))
    assert told[0] == told[1]
