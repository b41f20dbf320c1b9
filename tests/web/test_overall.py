"""The page of the order over all tracks."""

from __future__ import annotations

from tests.web.overall_rows import fill_overall
from tests.web.page import get

TO = "\N{EN DASH}"


def rows_of(page):
    return [[cell.text for cell in row.all("th") + row.all("td")] for body in page.all("tbody") for row in body.all("tr")]


def test_the_ranked_come_first_with_rank_strength_mean_and_counts(client, board):
    fill_overall(board)
    page = get(client, "/overall/")
    assert [heading.text for heading in page.all("h2")] == ["Ranked", "On too few tracks for a rank", "What the numbers are"]
    first = rows_of(page)[0]
    assert first[0] == "ada competitor"
    assert first[1] == f"1 1{TO}2"
    assert first[2].startswith("+1.84 1.24 to 2.44")
    assert first[3].startswith("0.420 0.380 to 0.450")
    assert first[4:6] == ["7", "12 · 5 · 3"]
    assert "4 more" in first[6]
    assert [row[0] for row in rows_of(page)][-2:] == [
        "DPM-Solver++(2M) with a rather long name reference model", "Network In Network reference model"
    ]  # fmt: skip


def test_a_player_without_a_rank_has_no_interval_of_its_strength(client, board):
    fill_overall(board)
    unranked = get(client, "/overall/").all("table")[1]
    assert {cell.text for cell in unranked.all("td", class_="rank")} == {TO}
    assert "to" not in unranked.all("td", class_="main-value")[0].text
    assert unranked.all("svg")[0].attributes["aria-label"] == "no interval"


def test_where_nobody_can_be_ranked_it_says_so_above_the_rows(client, board):
    fill_overall(board, ranked=False)
    page = get(client, "/overall/")
    assert "There are 3 tracks here today, so nobody is ranked" in page.all("p", class_="notice")[0].text


def test_places_link_to_boards_and_public_submissions(client, digits):
    fill_overall(digits[0].board, submission=str(digits[0].pk))
    page = get(client, "/overall/")
    assert page.all("a", href=f"/submissions/{digits[0].pk}/")
    assert page.all("a", href=f"/boards/{digits[0].board.slug}/")


def test_a_family_can_be_chosen_and_stays_chosen(client, board):
    fill_overall(board)
    page = get(client, "/overall/?family=image_classification")
    (chosen,) = [option for option in page.all("option") if "selected" in option.attributes]
    assert chosen.attributes["value"] == "image_classification"
    assert page.all("a", href="/api/v1/overall/?family=image_classification")
    assert "cannot be" in get(client, "/overall/?family=letters", expect=400).text


def test_every_page_leads_there(client, board):
    assert get(client, "/").all("header")[0].all("a", href="/overall/")
    assert get(client, "/overall/").all("a", href="/overall/", aria_current="page")


def test_before_anything_is_computed_it_says_so(client, db):
    assert "Nothing is computed yet" in get(client, "/overall/").text
