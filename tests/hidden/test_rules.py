"""What a host may choose, what is refused with which words, and what the API and the pages say of it."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from leaderboard.boards.closing import shown_elsewhere
from leaderboard.standings.models import PairedTest, Score
from leaderboard.standings.reading import standings_of
from leaderboard.standings.revealing import reveal_due
from leaderboard.standings.settling import settle
from leaderboard.standings.waking import ask_for
from tests.hidden.conftest import UNITS, public_units

BOTH = {"accuracy": 0.7, "params": {"weight": 0.3, "zero": 100_000, "one": 1_000, "log": True}}


def refused(board, **changes):
    for name, value in changes.items():
        setattr(board, name, value)
    with pytest.raises(ValidationError) as caught:
        board.full_clean()
    return {field: " ".join(told) for field, told in caught.value.message_dict.items()}


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"public_share": 0.01}, "public_share", "0.05"),
        ({"public_share": 0.99}, "public_share", "0.95"),
        ({"closes_at": None}, "closes_at", "needs a closing time"),
        ({"public_share": None, "shows": "own", "closes_at": None}, "closes_at", "needs a closing time"),
        ({"public_share": None, "ladder": True}, "ladder", "belongs to a board with a public share"),
        ({"ladder": True, "ranking_metric": "params"}, "ladder", "bounded values"),
        ({"ladder": True, "combination": BOTH}, "ladder", "bounded values"),
        ({"combination": BOTH, "ranking_metric": "nll"}, "combination", "cannot both"),
        ({"combination": {"accuracy": 1}}, "combination", "at least two metrics"),
        ({"combination": "accuracy"}, "combination", "at least two metrics"),
        ({"ranking_metric": "accurasy"}, "ranking_metric", "it has accuracy"),
        ({"shows": "some"}, "shows", "not a valid choice"),
    ],
)
def test_what_does_not_go_together_is_refused_by_its_field(board_of, fields, field, says):
    assert says in refused(board_of(), **fields)[field]


def test_a_share_cannot_change_once_people_have_seen_results(board_of, land, user, system):
    board = board_of()
    land(board, system, "baseline", np.ones(UNITS), origin="baseline")
    board.public_share = 0.3
    board.full_clean()
    board.save()
    land(board, user, "mine", np.ones(UNITS))
    for share in (0.4, None):
        assert "people have results here" in refused(board, public_share=share)["public_share"]


def test_what_was_revealed_cannot_be_hidden_again(board_of, land, user, close):
    board = board_of()
    land(board, user, "mine", np.ones(UNITS))
    close(board)
    reveal_due()
    board.refresh_from_db()
    assert "cannot hide it again" in refused(board, closes_at=timezone.now() + timedelta(days=9))["closes_at"]


def test_the_host_is_warned_of_boards_that_show_the_whole_of_the_same_test(board_of, board):
    hidden = board_of()
    assert board.slug in shown_elsewhere(hidden)
    board.closes_at = timezone.now() - timedelta(hours=1)
    board.save()
    assert shown_elsewhere(hidden) == ""
    assert shown_elsewhere(board) == ""


def test_the_administration_takes_all_of_it_and_warns(board_of, board, staff):
    hidden = board_of(public_share=None)
    client = Client()
    client.force_login(staff)
    address = reverse("admin:boards_board_change", args=[hidden.pk])
    page = client.get(address, follow=True)
    assert page.status_code == 200, page.content[:500]
    form = page.context["adminform"].form
    values = {name: value for name, value in form.initial.items() if value not in (None, "", []) and name in form.fields}
    values |= {"public_share": "0.4", "combination": '{"accuracy": 1}', "members": [], "cohosts": [], "host": hidden.host_id}
    values |= {"closes_at_0": "2999-01-01", "closes_at_1": "12:00"}
    for name in ("closes_at", "opens_at"):
        values.pop(name, None)
    assert b"at least two metrics" in client.post(address, values).content
    values["combination"] = ""
    done = client.post(address, values, follow=True)
    assert b"protects against tuning" in done.content, done.content[-3000:]
    hidden.refresh_from_db()
    assert (hidden.public_share, hidden.combination) == (0.4, None)


def test_a_combination_orders_the_board_by_tests_on_the_same_columns(board_of, land, user, other_user):
    board = board_of(public_share=None, combination=BOTH)
    good = (np.arange(UNITS) % 10 > 0).astype(float)
    land(board, user, "large and good", good, facts={"params": 100_000.0})
    land(board, other_user, "small and nearly as good", good * (np.arange(UNITS) % 11 > 0), facts={"params": 1_000.0})
    rows = standings_of(board)
    assert [(row.name, row.rank, row.rule) for row in rows] == [
        ("small and nearly as good", 1, "tests"), ("large and good", 2, "tests")
    ]  # fmt: skip
    assert rows[1].value == pytest.approx(0.7 * good.mean())
    assert rows[0].scores["combination"].value == rows[0].value
    assert rows[0].ci_low < rows[0].value < rows[0].ci_high
    by_accuracy = standings_of(board, order="accuracy")
    assert [row.name for row in by_accuracy] == ["large and good", "small and nearly as good"]
    assert PairedTest.objects.get().metric == "combination"


def test_a_combination_that_changes_is_measured_again_and_its_tests_made_anew(board_of, land, user, other_user):
    board = board_of(public_share=None, combination=BOTH)
    good = (np.arange(UNITS) % 10 > 0).astype(float)
    land(board, user, "large", good, facts={"params": 100_000.0})
    land(board, other_user, "small", good * 0.9, facts={"params": 1_000.0})
    before = PairedTest.objects.get().difference
    board.combination = {**BOTH, "accuracy": 7}
    board.full_clean()
    board.save()
    ask_for(board)
    assert settle(board, track_version=board.track.version, rest=0) is not None
    assert [row.name for row in standings_of(board)] == ["large", "small"]
    assert PairedTest.objects.get().difference != before
    board.combination = None
    board.save()
    ask_for(board)
    settle(board, track_version=board.track.version, rest=0)
    assert not Score.every.filter(metric="combination").exists()
    assert [row.value for row in standings_of(board)] == [pytest.approx(good.mean()), pytest.approx(0.9 * good.mean())]


def test_a_combination_on_a_divided_test_is_that_of_the_part(board_of, land, user):
    board = board_of(combination=BOTH)
    public = public_units(board)
    land(board, user, "mine", np.where(public, 1.0, 0.0), facts={"params": 1_000.0})
    values = dict(Score.every.filter(metric="combination", slice="").values_list("part", "value"))
    assert values == {
        "public": pytest.approx(1.0), "private": pytest.approx(0.3), "whole": pytest.approx(0.3 + 0.7 * public.mean())
    }  # fmt: skip


def test_the_api_tells_the_rules(board_of, board):
    hidden = board_of(shows="own", combination=BOTH)
    told = Client().get(f"/api/v1/boards/{hidden.slug}/").json()
    assert (told["hides"], told["revealed_at"]) == (True, None)
    assert (told["rules"]["public_share"], told["rules"]["shows"], told["rules"]["ladder"]) == (0.5, "own", False)
    assert told["rules"]["combination"] == BOTH
    assert told["rules"]["formula"] == "0.7 (accuracy from 0 to 1) + 0.3 (log params from 100000 to 1000)"
    assert told["ranking_metric"] == "combination"
    words = " ".join(told["ranking"])
    assert "Combination: 0.7 Accuracy + 0.3" in words
    assert "about 50 % of its units" in words
    assert "sees own scores" in words
    assert Client().get(f"/api/v1/boards/{board.slug}/").json()["hides"] is False


def test_the_page_says_what_ranks_before_and_after_and_shows_both_ranks(board_of, land, user, other_user, close):
    board = board_of()
    public = public_units(board)
    land(board, user, "quick", np.where(public, 1.0, 0.2))
    land(board, other_user, "steady", np.where(public, 0.3, 1.0))
    page = Client().get(f"/boards/{board.slug}/").content.decode()
    assert "the rest decides the final ranks" in page
    assert "public part" in page
    close(board)
    assert "before the rest is shown" in Client().get(f"/boards/{board.slug}/").content.decode()
    reveal_due()
    assert "made anew by the private part" in Client().get(f"/boards/{board.slug}/").content.decode()
    board.refresh_from_db()
    settle(board, track_version=board.track.version, rest=0)
    page = Client().get(f"/boards/{board.slug}/").content.decode()
    assert "1 rank better than on the public part" in page
    assert "Ranks are by the private part of the test" in page
    assert "?part=whole" in page
    rows = Client().get(f"/api/v1/boards/{board.slug}/standings/").json()
    assert (rows["part"], [row["public_rank"] for row in rows["results"]]) == ("private", [2, 1])


def test_the_ladder_announces_what_beats_the_best_by_more_than_chance(board_of, land, user, other_user, system):
    board = board_of(ladder=True)
    public = np.flatnonzero(public_units(board))
    right = np.ones(UNITS)
    right[public[:60]] = 0
    better, probe = right.copy(), right.copy()
    better[public[:40]] = 1
    probe[public[0]] = 1
    land(board, system, "baseline", np.zeros(UNITS), origin="baseline")
    land(board, user, "first", right)
    land(board, user, "probe", probe)
    land(board, user, "better", better)
    land(board, other_user, "somebody else", probe)
    rows = {row.name: row for row in standings_of(board)}
    assert {name for name, row in rows.items() if row.rank is None} == {"probe"}
    assert "does not beat the best" in rows["probe"].reason
    assert rows["better"].value * len(public) == pytest.approx(round(rows["better"].value * len(public)))
    assert (rows["better"].ci_low, set(rows["better"].scores)) == (None, {"accuracy"})
    assert rows["baseline"].ci_low is not None
    host = {row.name: row for row in standings_of(board, viewer=board.host)}
    assert host["probe"].scores["accuracy"].value == pytest.approx(probe[public].mean())
