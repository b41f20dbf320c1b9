"""Who sees a submission, and how much of it."""

import uuid

import pytest
from django.contrib.auth.models import AnonymousUser

from leaderboard.accounts.models import User
from leaderboard.boards.models import Board
from leaderboard.permissions import (
    check_answers_for,
    get_submission,
    may_create_board,
    may_read_artifact,
    may_read_details,
    visible_submissions,
)
from leaderboard.refusals import NotAllowed, NotFound
from leaderboard.submissions.intake import submit

# who            on a public board: public, private submission; on a private board: public, private
SEES = {
    "visitor": (True, False, False, False),
    "stranger": (True, False, False, False),
    "member": (True, False, True, False),
    "owner": (True, True, True, True),
    "host": (True, True, True, True),
    "staff": (True, True, True, True),
}
ANSWERS = {"owner", "host", "staff"}


@pytest.fixture
def people(user, other_user, staff):
    member = User.objects.create_user("mel")
    host = User.objects.create_user("hal")
    return {"visitor": AnonymousUser(), "stranger": other_user, "member": member, "owner": user, "host": host, "staff": staff}


@pytest.fixture
def submissions(board, people):
    """On a public and a private board of one host, each a public and a private submission of the owner."""
    made = []
    for slug, seen_by in (("open", "public"), ("lab", "private")):
        where = Board.objects.create(slug=slug, track=board.track, title=slug, host=people["host"], visibility=seen_by)
        where.members.add(people["member"])
        for steps, visibility in enumerate(("public", "private"), start=1):
            receipt = submit(
                user=people["owner"],
                board=where,
                name="x",
                kind="config",
                model="logistic",
                config={"steps": steps},
                visibility=visibility,
            )
            made.append(receipt.submission)
    return made


@pytest.mark.parametrize("who", SEES)
def test_lists_pages_and_details_agree_on_who_sees_what(submissions, people, who):
    viewer = people[who]
    listed = set(visible_submissions(viewer))
    for submission, sees in zip(submissions, SEES[who], strict=True):
        assert (submission in listed) == sees
        assert may_read_details(viewer, submission) == sees
        assert may_read_artifact(viewer, submission) == (who in ANSWERS)
        if sees:
            assert get_submission(submission.pk, viewer) == submission
        else:
            with pytest.raises(NotFound):
                get_submission(submission.pk, viewer)


@pytest.mark.parametrize("who", SEES)
def test_only_those_who_answer_for_it_may_act(submissions, people, who):
    for submission in submissions:
        if who in ANSWERS:
            check_answers_for(people[who], submission)
        else:
            with pytest.raises(NotAllowed):
                check_answers_for(people[who], submission)


def test_a_visitor_may_be_none(submissions):
    assert list(visible_submissions(None)) == [submissions[0]]


def test_hidden_and_missing_are_told_in_the_same_words(submissions):
    missing = uuid.uuid4()
    details = []
    for pk in (submissions[1].pk, missing):
        with pytest.raises(NotFound) as caught:
            get_submission(pk, None)
        details.append(caught.value.detail.replace(str(pk), "ID"))
    assert details[0] == details[1]


def test_a_list_needs_one_query(submissions, people, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert [(one.board.track.slug, one.user.username) for one in visible_submissions(people["host"])]


@pytest.mark.parametrize(("setting", "person"), [("administrators", False), ("everybody", True)])
def test_an_operator_may_let_everybody_create_boards(settings, user, staff, setting, person):
    settings.BOARD_CREATION = setting
    found = [may_create_board(each) for each in (None, AnonymousUser(), user, staff)]
    assert found == [False, False, person, True]
