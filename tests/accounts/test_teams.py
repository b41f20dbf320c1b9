"""Teams: how they come together and apart, and that they compete as one."""

from __future__ import annotations

import threading

import pytest
from django.db import connection
from django.utils import timezone

from leaderboard.accounts import teams
from leaderboard.accounts.models import Invitation, Membership, Team, User
from leaderboard.boards.models import Participation, QuotaUse, TeamQuotaUse
from leaderboard.boards.participation import team_on
from leaderboard.boards.quota import quota_of, refund
from leaderboard.evaluations import lifecycle
from leaderboard.permissions import get_submission, owns, visible_submissions
from leaderboard.refusals import Conflict, InvalidRequest, InvalidSubmission, NotAllowed, NotFound, QuotaSpent
from leaderboard.submissions.intake import evaluate_again, submit
from leaderboard.submissions.models import Submission


@pytest.fixture
def team(user, other_user) -> Team:
    """Ada owns it, Ben is a member."""
    made = teams.create_team(user=user, name="The Nets")
    teams.invite(made, by=user, username="ben")
    teams.accept(made, by=other_user)
    return made


@pytest.fixture
def third(db) -> User:
    return User.objects.create_user("cyd")


def send(board, user, *, steps: int = 1, team: str = "", **more) -> Submission:
    receipt = submit(
        user=user, board=board, name="x", kind="config", model="logistic", config={"steps": steps}, team=team, **more
    )
    return receipt.submission


# --- who is in


def test_a_team_is_its_makers_until_somebody_accepts(user, other_user):
    made = teams.create_team(user=user, name="  The Nets ")
    assert (made.name, made.slug) == ("The Nets", "the-nets")
    teams.invite(made, by=user, username="ben")
    assert not owns(other_user, Submission(team=made, user=user))
    teams.accept(made, by=other_user)
    assert dict(made.memberships.values_list("user__username", "role")) == {"ada": "owner", "ben": "member"}
    assert not Invitation.objects.exists()


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "a\nb", "a\u202eb", "ada", "ADA", "The Nets", "the nets"])
def test_a_name_that_misleads_or_cannot_be_read_is_refused(team, user, name):
    with pytest.raises(InvalidRequest):
        teams.create_team(user=user, name=name)
    assert Team.objects.count() == 1


def test_names_without_latin_letters_get_addresses_of_their_own(user):
    assert [teams.create_team(user=user, name=name).slug for name in ("網", "网")] == ["team", "team-2"]


def test_only_owners_run_a_team(team, other_user, third):
    for act in (
        lambda: teams.invite(team, by=other_user, username="cyd"),
        lambda: teams.rename(team, by=other_user, name="Mine"),
        lambda: teams.remove(team, by=other_user, username="ada"),
        lambda: teams.set_role(team, by=other_user, username="ben", role="owner"),
        lambda: teams.close(team, by=other_user),
        lambda: teams.accept(team, by=third),
        lambda: teams.leave(team, by=third),
    ):
        with pytest.raises(NotAllowed):
            act()
    assert team.memberships.count() == 2


def test_a_team_keeps_an_owner(team, user, other_user):
    for act in (
        lambda: teams.leave(team, by=user),
        lambda: teams.remove(team, by=user, username="ada"),
        lambda: teams.set_role(team, by=user, username="ada", role="member"),
    ):
        with pytest.raises(Conflict, match="needs an owner"):
            act()
    teams.set_role(team, by=user, username="ben", role="owner")
    teams.leave(team, by=user)
    assert [membership.user for membership in team.memberships.all()] == [other_user]


def test_invitations_are_declined_by_the_guest_and_withdrawn_by_owners(team, user, third):
    teams.invite(team, by=user, username="cyd")
    assert teams.invite(team, by=user, username="cyd") == Invitation.objects.get()
    teams.turn_down(team, by=third, username="cyd")
    teams.invite(team, by=user, username="cyd")
    teams.turn_down(team, by=user, username="cyd")
    with pytest.raises(NotFound):
        teams.turn_down(team, by=user, username="cyd")
    with pytest.raises(NotAllowed):
        teams.accept(team, by=third)


@pytest.mark.parametrize("username", ["nobody", "standings", "", "ben"])
def test_who_cannot_be_invited(team, system, user, username):
    with pytest.raises((InvalidRequest, Conflict)):
        teams.invite(team, by=user, username=username)


def test_the_number_of_members_and_teams_is_limited(team, user, third, monkeypatch):
    monkeypatch.setattr(teams, "MOST_MEMBERS", 2)
    with pytest.raises(Conflict, match="at most 2"):
        teams.invite(team, by=user, username="cyd")
    monkeypatch.setattr(teams, "MOST_TEAMS", 1)
    with pytest.raises(Conflict, match="more than 1"):
        teams.create_team(user=user, name="Another")


# --- what is sent for it


def test_a_teams_submission_is_every_members_and_nobody_elses(board, team, user, other_user, third):
    sent = send(board, user, team="the-nets", visibility="private")
    assert get_submission(sent.pk, other_user).competitor == "The Nets"
    assert sent not in visible_submissions(third)
    teams.leave(team, by=other_user)
    with pytest.raises(NotFound):
        get_submission(sent.pk, other_user)


def test_who_sent_it_and_left_has_lost_it(board, team, user, other_user):
    sent = send(board, other_user, team="the-nets", visibility="private")
    teams.leave(team, by=other_user)
    assert not owns(other_user, sent)
    assert owns(user, sent)


@pytest.mark.parametrize("value", ["no-such", "THE-NETS", 7, ["the-nets"], {"a": 1}, "x" * 500])
def test_a_team_that_one_is_not_in_is_refused(board, team, user, value):
    with pytest.raises(InvalidSubmission) as caught:
        send(board, user, team=value)
    assert [error.field for error in caught.value.errors] == ["team"]
    assert not Submission.objects.exists()
    assert not Participation.objects.exists()


def test_a_team_has_one_quota_and_its_people_keep_theirs(board, team, user, other_user, third):
    type(board).objects.update(daily_quota=2)
    board.refresh_from_db()
    send(board, user, steps=1, team="the-nets")
    send(board, other_user, steps=2, team="the-nets")
    with pytest.raises(QuotaSpent):
        send(board, user, steps=3, team="the-nets")
    now = timezone.now()
    assert quota_of(board, user, now=now, team=team).daily_left == 0
    assert quota_of(board, user, now=now).daily_left == 2
    send(board, third, steps=3)
    assert (TeamQuotaUse.objects.get(period="total").used, QuotaUse.objects.get(period="total").used) == (2, 1)


def test_a_refund_goes_to_the_team(board, team, user):
    sent = send(board, user, team="the-nets")
    assert refund(sent)
    assert TeamQuotaUse.objects.get(period="total").used == 0


def test_what_waits_for_the_team_counts_for_the_team(board, team, user, other_user):
    type(board).objects.update(max_concurrent=1)
    board.refresh_from_db()
    send(board, user, steps=1, team="the-nets")
    with pytest.raises(QuotaSpent, match="wait or run"):
        send(board, other_user, steps=2, team="the-nets")


def test_the_same_content_is_sent_once_by_a_team(board, team, user, other_user):
    send(board, user, team="the-nets")
    with pytest.raises(Conflict, match="your team has sent the same"):
        send(board, other_user, team="the-nets")
    assert TeamQuotaUse.objects.get(period="total").used == 1


@pytest.mark.parametrize(("first", "second"), [("", "the-nets"), ("the-nets", "")])
def test_on_a_board_one_competes_alone_or_for_one_team(*, board, graph_board, team, user, first, second):
    send(board, user, steps=1, team=first)
    with pytest.raises(Conflict) as caught:
        send(board, user, steps=2, team=second)
    assert caught.value.code == "other_side"
    assert Submission.objects.count() == 1
    assert (team_on(board, user) or "") == (team if first else "")
    receipt = submit(user=user, board=graph_board, name="y", kind="config", model="gcn", team=second)
    assert receipt.created  # another board is another choice


def test_leaving_a_team_does_not_free_one_for_another_side(board, team, user, other_user):
    send(board, other_user, steps=1, team="the-nets")
    teams.leave(team, by=other_user)
    with pytest.raises(Conflict, match="you compete for the team The Nets"):
        send(board, other_user, steps=2)
    Participation.objects.filter(user=other_user).delete()  # as an administrator may
    send(board, other_user, steps=2)


def test_evaluating_again_costs_the_team_and_binds_whoever_asks(board, team, user, other_user):
    from leaderboard.evaluations import lifecycle

    sent = send(board, user, team="the-nets")
    lifecycle.cancel(sent.evaluations.get(), by="tests")
    evaluate_again(sent, other_user)
    assert TeamQuotaUse.objects.get(period="total").used == 1
    assert team_on(board, other_user) == team


# --- the end of one


def test_a_team_that_sent_nothing_is_gone_when_it_closes(team, user):
    teams.close(team, by=user)
    assert not Team.objects.exists()
    assert not Membership.objects.exists()


def test_a_team_that_sent_something_stands_under_its_name_after_it_closes(board, team, user, other_user):
    sent = send(board, user, team="the-nets", visibility="private")
    teams.close(team, by=user)
    sent.refresh_from_db()
    assert sent.competitor == "The Nets"
    assert get_submission(sent.pk, other_user)
    with pytest.raises(InvalidSubmission):
        send(board, other_user, steps=2, team="the-nets")
    with pytest.raises(Conflict, match="closed"):
        teams.invite(Team.objects.get(), by=user, username="ben")
    lifecycle.cancel(sent.evaluations.get(), by="ada")
    with pytest.raises(NotAllowed):
        evaluate_again(sent, other_user)


def test_the_last_one_to_leave_closes_it(board, team, user, other_user):
    send(board, user, team="the-nets")
    teams.leave(team, by=other_user)
    teams.leave(team, by=user)
    assert Team.objects.get().closed_at is not None


# --- races


@pytest.mark.django_db(transaction=True)
def test_of_two_first_submissions_for_two_sides_one_is_taken(board, team, user, no_broker):
    outcomes = together(lambda: send(board, user, steps=1), lambda: send(board, user, steps=2, team="the-nets"))
    assert sorted(type(each).__name__ for each in outcomes) == ["Conflict", "Submission"]
    assert Submission.objects.count() == Participation.objects.count() == 1
    assert QuotaUse.objects.count() + TeamQuotaUse.objects.count() == 2  # a day and the total, of one side


@pytest.mark.django_db(transaction=True)
def test_a_team_that_is_closed_while_something_is_sent_is_closed_or_gone(board, team, user, other_user, no_broker):
    outcomes = together(lambda: send(board, other_user, team="the-nets"), lambda: teams.close(team, by=user))
    assert type(outcomes[0]).__name__ in ("Submission", "InvalidSubmission", "NotAllowed")
    if isinstance(outcomes[0], Submission):
        assert Team.objects.get().closed_at is not None
    else:
        assert not Team.objects.exists()


def together(*acts):
    """Each in a thread of its own, at once: what it returned or raised."""
    barrier, found = threading.Barrier(len(acts)), [None] * len(acts)

    def run(number, act):
        barrier.wait()
        try:
            found[number] = act()
        except Exception as error:  # noqa: BLE001 - whatever it was is the answer
            found[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=each) for each in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
