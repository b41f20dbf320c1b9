"""The list of boards, and a board."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from leaderboard.boards.models import Board
from leaderboard.boards.quota import charge
from tests.web.page import get

TO = "\N{EN DASH}"


def test_the_home_page_lists_boards_by_family(client, digits):
    page = get(client, "/")
    assert [heading.text for heading in page.all("h2")] == ["Graph nodes", "Image classification"]
    assert [heading.text for heading in page.all("h3")] == ["Homophily and depth Open", "Handwritten digits Open"]


def test_a_card_says_metric_count_leaders_and_state(client, digits):
    card = get(client, "/").all("li", class_="board-card")[1].text
    assert "Accuracy ↑" in card
    assert "Standings 13" in card
    assert "ResNeXt, 8 groups · fractal-4 columns and 3 more 0.9911" in card
    assert "Open" in card


def test_an_empty_board_says_that_nobody_leads(client, board):
    assert "nobody yet" in get(client, "/").text


def test_a_server_without_boards_says_so(client, db):
    assert "no board that you may see" in get(client, "/").text


def test_standings_of_an_older_track_version_are_not_counted(client, digits, board):
    board.track.version = "f" * 64
    board.track.save()
    assert "Standings 0" in get(client, "/").all("li", class_="board-card")[1].text


def test_the_home_page_costs_the_same_for_many_boards(client, digits, board, django_assert_max_num_queries):
    for number in range(20):
        Board.objects.create(slug=f"copy-{number}", track=board.track, title=f"Copy {number}", host=board.host)
    with django_assert_max_num_queries(4):
        get(client, "/")


@pytest.fixture
def private_board(board, user):
    """The digits board, for the user and its host only."""
    board.visibility = Board.Visibility.PRIVATE
    board.save()
    board.members.add(user)
    return board


@pytest.mark.parametrize(("reader", "status"), [("client", 404), ("as_other", 404), ("as_user", 200)])
def test_a_private_board_is_there_for_its_members_only(request, private_board, reader, status):
    board, who = private_board, request.getfixturevalue(reader)
    assert who.get(f"/boards/{board.slug}/").status_code == status
    assert (board.title in get(who, "/").text) is (status == 200)


def test_a_board_that_does_not_exist_is_a_page_of_the_site(client, db):
    page = get(client, "/boards/nowhere/", expect=404)
    assert 'There is no board "nowhere"' in page.text


def test_a_row_shows_rank_interval_name_competitor_kind_and_value(client, digits, board):
    row = get(client, f"/boards/{board.slug}/").all("tr")[1].text
    assert row.startswith(f"1 1{TO}3 ResNeXt, 8 groups paper standings 0.9911")
    assert "2026-10-06" in row


def test_ranks_are_shared_and_rows_keep_their_order(client, digits, board):
    ranks = [cell.text.split()[0] for cell in get(client, f"/boards/{board.slug}/").all("td", class_="rank")]
    assert ranks == ["1", "1", "1", "1", "1", "2", "3", "4", "5", "7", "8", "8", TO]


def test_a_row_that_is_not_ranked_is_last_and_says_why(client, digits, board):
    last = get(client, f"/boards/{board.slug}/").all("tr")[-1].text
    assert "all zeros" in last
    assert "Not ranked: accuracy is not a number" in last


def test_whiskers_are_drawn_for_every_ranked_row(client, digits, board):
    drawings = get(client, f"/boards/{board.slug}/").all("svg", role="img")
    assert len(drawings) == 12
    assert drawings[0].attributes["aria-label"] == "interval 0.9825 to 0.9955"


def test_a_metric_that_was_not_measured_is_a_dash_with_its_reason(client, digits, board):
    cells = get(client, f"/boards/{board.slug}/").all("td", title="no probabilities")
    assert [cell.text for cell in cells] == [TO]


def test_the_table_can_be_ordered_by_any_metric(client, digits, board):
    page = get(client, f"/boards/{board.slug}/?order=nll&best_per=submission")
    names = [cell.all("a")[0].text for cell in page.all("th", class_="who") if cell.all("a")]
    assert names[:2] == ["fractal-4 columns", "ResNeXt, 8 groups"]
    assert "Negative log-likelihood ↓" in page.all("th", class_="main-metric")[0].text


def test_a_metric_that_the_track_does_not_have_is_refused(client, digits, board):
    page = get(client, f"/boards/{board.slug}/?order=speed", expect=400)
    assert "speed" in page.text


def test_links_that_order_keep_the_filters(client, digits, board):
    page = get(client, f"/boards/{board.slug}/?kind=config&best_per=competitor")
    links = [link.attributes["href"] for link in page.all("thead")[0].all("a")]
    assert "?kind=config&best_per=competitor&order=nll" in links


def test_the_filter_by_kind_leaves_the_others_out(client, digits, board):
    names = get(client, f"/boards/{board.slug}/?kind=weights").all("tbody")[0].text
    assert "my first try" in names
    assert "ResNeXt" not in names


def test_best_per_competitor_shows_each_person_once(client, digits, board):
    rows = get(client, f"/boards/{board.slug}/?best_per=competitor").all("span", class_="competitor")
    names = [row.text.split()[-1] for row in rows]
    assert (names.count("ada"), names.count("ben"), names.count("standings")) == (1, 1, 7)


def test_own_rows_are_marked(as_user, digits, board):
    page = get(as_user, f"/boards/{board.slug}/")
    assert all("you" in row.text for row in page.all("tr", class_="mine"))
    assert len(page.all("tr", class_="mine")) == 4


def test_a_private_submission_stands_without_a_link(client, as_user, digits, board):
    digits[1].visibility = "private"
    digits[1].save()
    path = f"/boards/{board.slug}/"
    assert "fractal-4 columns" in get(client, path).text
    assert f"/submissions/{digits[1].pk}/" not in get(client, path).raw
    assert f"/submissions/{digits[1].pk}/" in get(as_user, path).raw


def test_an_empty_board_invites_to_be_the_first(as_user, board):
    assert "Nobody stands here yet" in get(as_user, f"/boards/{board.slug}/").text


def test_a_choice_that_nothing_matches_leads_back_to_all(client, digits, board):
    assert "No standing matches this choice" in get(client, f"/boards/{board.slug}/?page=7").text


@pytest.mark.parametrize("page", ["0", "-1", "x", "1e3", "٣", "99999999999", "1 "])
def test_a_page_number_that_is_none_is_not_found(client, board, page):
    assert "pages are counted from 1" in get(client, f"/boards/{board.slug}/?page={page}", expect=404).text


def test_pages_lead_on_and_back(client, board, system, monkeypatch):
    from leaderboard.web.views import boards
    from tests.web import rows

    rows.fill_digits(board, people=[system], system=system)
    monkeypatch.setattr(boards, "PAGE", 5)
    page = get(client, f"/boards/{board.slug}/?page=2")
    assert [link.attributes["rel"] for link in page.all("nav", class_="pages")[0].all("a")] == ["prev", "next"]
    assert len(page.all("tbody")[0].all("tr")) == 5


def test_the_quota_is_told_to_the_person_who_is_logged_in(as_user, client, board, user):
    charge(board, user, now=timezone.now())
    path = f"/boards/{board.slug}/"
    assert "19 of 20 left today" in get(as_user, path).text
    assert "left today" not in get(client, path).text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"closes_at": -1}, "closed on"),
        ({"opens_at": 2, "closes_at": 3}, "opens on"),
        ({"entry": "members"}, "only members may submit"),
    ],
)
def test_a_board_says_why_one_cannot_submit(as_user, board, changes, words):
    for name, value in changes.items():
        setattr(board, name, timezone.now() + timedelta(days=value) if isinstance(value, int) else value)
    board.save()
    page = get(as_user, f"/boards/{board.slug}/")
    assert words in page.text.lower() or words in page.text
    assert not page.all("a", href=f"/boards/{board.slug}/submit/", class_="btn")


def test_rules_and_facts_are_in_words(client, board):
    text = get(client, f"/boards/{board.slug}/").text
    assert "20 submissions per competitor and UTC day; 4 may wait or run at once." in text
    assert "It takes configs, weights, ONNX models and predictions." in text
    assert "Input x float32 [n, 1, 8, 8]" in text
    assert "1 min of wall time, 1 thread" in text
    assert board.track.version[:12] in text


def test_rows_can_be_had_as_files_with_the_same_choice(client, digits, board):
    page = get(client, f"/boards/{board.slug}/?kind=config")
    links = [link.attributes["href"] for link in page.all("p", class_="exports")[0].all("a")]
    assert links == [
        f"/boards/{board.slug}/tradeoff/",
        f"/api/v1/boards/{board.slug}/standings/?kind=config&format=csv",
        f"/api/v1/boards/{board.slug}/standings/?kind=config",
    ]


def test_slices_that_a_baseline_fills_are_said_in_the_row(client, graph_submission):
    assert "filled by mlp" in get(client, f"/boards/{graph_submission.board.slug}/").all("tbody")[0].text


def test_pages_are_only_read(as_user, board):
    assert as_user.post(f"/boards/{board.slug}/").status_code == 405
    assert as_user.post("/").status_code == 405
