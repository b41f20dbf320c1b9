"""Who sees a board, and who may submit to it when."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import AnonymousUser

from leaderboard.boards.models import Board
from leaderboard.boards.rules import check_may_submit
from leaderboard.permissions import get_board, visible_boards
from leaderboard.refusals import BoardClosed, NotAllowed, NotFound

NOON = datetime(2026, 12, 3, 12, 0, tzinfo=UTC)


@pytest.fixture
def private(board, user, other_user):
    """A private board that `user` hosts, with `other_user` as a member."""
    made = Board.objects.create(
        slug="lab", track=board.track, title="Lab", host=user, visibility=Board.Visibility.PRIVATE, entry=Board.Entry.MEMBERS
    )
    made.members.add(other_user)
    return made


def test_a_private_board_is_seen_by_host_members_and_staff_only(private, user, other_user, staff, system):
    for viewer, sees in (
        (user, True),
        (other_user, True),
        (staff, True),
        (system, False),
        (None, False),
        (AnonymousUser(), False),
    ):
        assert visible_boards(viewer).filter(slug="lab").exists() == sees
        assert visible_boards(viewer).filter(slug="digits-classification").count() == 1


def test_a_hidden_board_is_not_found_in_the_same_words_as_none(private, system):
    with pytest.raises(NotFound) as hidden:
        get_board("lab", None)
    with pytest.raises(NotFound) as none:
        get_board("bal", None)
    assert hidden.value.detail.replace("lab", "bal") == none.value.detail
    assert get_board("lab", private.host) == private


def test_a_board_with_many_members_is_listed_once(private, staff, user, system):
    private.members.add(staff, system, user)
    assert list(visible_boards(user)).count(private) == 1


def test_only_members_and_the_host_enter_a_members_board(private, user, other_user, staff):
    for person in (user, other_user):
        check_may_submit(private, person, NOON)
    with pytest.raises(NotAllowed, match="ask its host, ada"):
        check_may_submit(private, staff, NOON)


@pytest.mark.parametrize("nobody", [None, AnonymousUser()])
def test_a_visitor_must_log_in(board, nobody):
    with pytest.raises(NotAllowed, match="log in"):
        check_may_submit(board, nobody, NOON)


def test_an_account_that_is_not_active_may_not_submit(board, user):
    user.is_active = False
    with pytest.raises(NotAllowed, match="not active"):
        check_may_submit(board, user, NOON)


def test_a_board_opens_and_closes_to_the_second(board, user):
    board.opens_at, board.closes_at = NOON, NOON + timedelta(hours=1)
    with pytest.raises(BoardClosed, match="opens on 3 December 2026 at 12:00 UTC") as early:
        check_may_submit(board, user, NOON - timedelta(seconds=90))
    assert early.value.retry_after == 90
    check_may_submit(board, user, NOON)
    check_may_submit(board, user, NOON + timedelta(minutes=59, seconds=59))
    with pytest.raises(BoardClosed, match="closed on 3 December 2026 at 13:00 UTC"):
        check_may_submit(board, user, NOON + timedelta(hours=1))


def test_the_systems_entrants_stand_before_a_board_opens(board, system):
    board.opens_at = NOON
    check_may_submit(board, system, NOON - timedelta(days=9))


def test_a_track_that_is_not_installed_takes_nothing(board, user, system):
    board.track.available = False
    for person in (user, system):
        with pytest.raises(BoardClosed, match="not installed"):
            check_may_submit(board, person, NOON)
