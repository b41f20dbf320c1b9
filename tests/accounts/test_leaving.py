"""Leaving: what goes with an account, what stays, and that nobody can step into a name that was left."""

from __future__ import annotations

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import models
from django.test import Client

from leaderboard.accounts import teams
from leaderboard.accounts.leaving import KEPT, leave
from leaderboard.accounts.models import ApiToken, Team, User
from leaderboard.accounts.tokens import issue_token
from leaderboard.boards.models import QuotaUse
from leaderboard.evaluations.models import Evaluation
from leaderboard.operations.table_rows import columns_of, tables
from leaderboard.refusals import Conflict, NotAllowed
from leaderboard.submissions.intake import submit
from leaderboard.submissions.models import Submission

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "correct horse battery"

# What becomes of each table that refers to people when one of them leaves.
DECIDED = {
    "admin.LogEntry": "stays, under the new name",
    "audit.AuditEntry": "stays, under the new name",
    "account.EmailAddress": "goes",
    "mfa.Authenticator": "goes",
    "usersessions.UserSession": "goes",
    "accounts.User_groups": "goes",
    "accounts.User_user_permissions": "goes",
    "accounts.ApiToken": "goes",
    "accounts.Membership": "goes",
    "accounts.Invitation": "goes",
    "accounts.Team": "stays the team's",
    "boards.Board_cohosts": "goes",
    "boards.Board_members": "goes",
    "boards.Board": "an account that hosts one is not deleted",
    "boards.Participation": "goes",
    "boards.QuotaUse": "goes",
    "submissions.Submission": "withdrawn, or stays under the new name",
    "submissions.IdempotencyKey": "goes",
    "webhooks.Webhook": "goes",
}


@pytest.fixture(autouse=True)
def nobody_is_woken(no_broker):
    """No worker runs."""


@pytest.fixture
def sent(user, board):
    fields = {"kind": "config", "model": "logistic", "config": {}}
    return submit(user=user, board=board, name="Mine", idempotency_key="k", **fields).submission


def everything_stored():
    found = []
    for model in tables():
        found += map(repr, model._base_manager.values_list(*(field.attname for field in columns_of(model))))
    return "\n".join(found)


def test_every_table_that_refers_to_people_is_decided_upon():
    relations = [each for each in User._meta.get_fields(include_hidden=True) if each.auto_created and not each.concrete]
    found = {(each.related_model._meta.label, each.on_delete) for each in relations if not each.many_to_many}
    assert {label for label, _ in found} == set(DECIDED)
    going = {label for label, on_delete in found if on_delete is models.CASCADE and label not in KEPT}
    assert going == {label for label, what in DECIDED.items() if what == "goes"}


@pytest.mark.parametrize("withdraw", [True, False])
def test_what_the_person_is_known_by_goes(user, sent, withdraw):
    User.objects.filter(pk=user.pk).update(first_name="Augusta", last_name="Lovelace")
    EmailAddress.objects.create(user=user, email="ada@example.org")
    Authenticator.objects.create(user=user, type="totp", data={"secret": "of the app"})
    issue_token(user=user, name="of the laptop")
    name = leave(User.objects.get(pk=user.pk), withdraw=withdraw)
    stored = everything_stored()
    words = ("'ada'", "Augusta", "Lovelace", "ada@example.org", "of the app", "of the laptop")
    assert [word for word in words if word in stored] == []
    row = User.objects.get(pk=user.pk)
    assert (row.username, row.is_active, row.has_usable_password()) == (name, False, False)
    assert name == f"deleted-user-{user.pk}"
    assert not QuotaUse.objects.filter(user=user).exists()


def test_submissions_are_withdrawn_where_the_person_wants_it(user, sent):
    leave(user, withdraw=True)
    assert Submission.objects.get().withdrawn_by == "competitor"
    assert not Evaluation.objects.exists()


def test_else_they_stay_on_the_boards_without_the_name(user, sent):
    leave(user, withdraw=False)
    row = Submission.objects.get()
    assert (row.withdrawn_at, row.name, row.competitor) == (None, "Mine", f"deleted-user-{user.pk}")
    assert Evaluation.objects.exists()


def test_what_was_sent_for_a_team_stays_the_team_s(user, other_user, board):
    team = teams.create_team(user=user, name="Analysts")
    teams.invite(team, by=user, username="ben")
    teams.accept(team, by=other_user)
    team.memberships.filter(user=other_user).update(role="owner")
    own = submit(user=user, board=board, name="Ours", kind="config", model="logistic", team=team.slug).submission
    leave(user, withdraw=True)
    own.refresh_from_db()
    assert (own.withdrawn_at, own.competitor) == (None, "Analysts")
    assert [each.user_id for each in team.memberships.all()] == [other_user.pk]


def test_a_team_is_not_left_without_an_owner(user, other_user, sent):
    team = teams.create_team(user=user, name="Analysts")
    teams.invite(team, by=user, username="ben")
    teams.accept(team, by=other_user)
    with pytest.raises(Conflict, match="needs an owner"):
        leave(user, withdraw=True)
    assert Submission.objects.get().withdrawn_at is None, "nothing is done by halves"
    assert Team.objects.get().memberships.count() == 2


def test_hosts_the_system_and_the_last_administrator_cannot_leave(board, user, staff, system):
    board.host = user
    board.save()
    with pytest.raises(Conflict, match="hosts boards: Handwritten digits"):
        leave(user, withdraw=True)
    with pytest.raises(Conflict, match="the last administrator"):
        leave(staff, withdraw=True)
    with pytest.raises(Conflict, match="the system's account"):
        leave(system, withdraw=True)
    assert User.objects.filter(is_active=True).count() == 3


def test_what_an_administrator_did_stays_in_the_log(user, staff):
    User.objects.create_superuser("second")
    content = ContentType.objects.get_for_model(User)
    LogEntry.objects.create(user=staff, content_type=content, object_id=str(user.pk), action_flag=2, change_message="quota")
    leave(staff, withdraw=False)
    assert LogEntry.objects.get().user.username == f"deleted-user-{staff.pk}"


@pytest.mark.parametrize("name", ["ada", "ADA", "deleted-user-1", "Deleted-User-99"])
def test_nobody_can_take_a_name_that_was_left_or_stands_for_one(user, name):
    leave(user, withdraw=False)
    fresh = {"username": name, "email": "new@example.org", "password1": "qx8-Zt_77pl", "password2": "qx8-Zt_77pl"}
    answer = Client().post("/accounts/signup/", fresh)
    assert "somebody else" in answer.content.decode()
    assert not User.objects.filter(username=name).exists()
    with pytest.raises(ValidationError, match="somebody else"):
        User(username=name, password="!").full_clean()
    from leaderboard.refusals import InvalidRequest

    with pytest.raises(InvalidRequest, match="somebody else"):
        teams.create_team(user=User.objects.create_user("eve"), name=name)


def test_sessions_and_tokens_are_refused_at_once(user, client):
    _, token = issue_token(user=user, name="t")
    browser = Client()
    browser.force_login(user)
    leave(user, withdraw=False)
    assert browser.get("/account/").status_code == 302
    assert client.get("/api/v1/me/", HTTP_AUTHORIZATION=f"Bearer {token}").status_code == 401
    assert not client.login(username="ada", password=PASSWORD)
    assert not ApiToken.objects.exists()


def test_what_is_sent_while_the_account_is_deleted_is_refused(user, board):
    """Intake has looked at the person before, and comes to writing after."""
    leave(user, withdraw=True)
    with pytest.raises(NotAllowed, match=r"closed meanwhile|not active"):
        submit(user=user, board=board, name="Late", kind="config", model="logistic", config={})
    assert not Submission.objects.exists()


FORM = {"submissions": "withdraw", "password": PASSWORD, "sure": "on"}


def test_a_person_deletes_the_account_with_the_password(user, sent):
    browser = Client()
    browser.force_login(user)
    assert "Delete my account" in browser.get("/account/delete/").content.decode()
    answer = browser.post("/account/delete/", FORM, follow=True)
    assert "Your account is deleted." in answer.content.decode()
    assert not answer.context["user"].is_authenticated
    assert Submission.objects.get().withdrawn_at is not None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"password": "wrong"}, "This is not your password."),
        ({"password": ""}, "required"),
        ({"sure": ""}, "required"),
        ({"submissions": ""}, "required"),
        ({"submissions": "sell"}, "not one of the available choices"),
    ],
)
def test_nothing_is_deleted_without_password_choice_and_tick(user, sent, change, told):
    browser = Client()
    browser.force_login(user)
    answer = browser.post("/account/delete/", {key: value for key, value in {**FORM, **change}.items() if value})
    assert answer.status_code == 422
    assert told in answer.content.decode()
    assert User.objects.get(username="ada").is_active
    assert Submission.objects.get().withdrawn_at is None


def test_a_host_is_told_on_the_page_why_not(board, user):
    board.host = user
    board.save()
    browser = Client()
    browser.force_login(user)
    answer = browser.post("/account/delete/", FORM)
    assert answer.status_code == 409
    assert "hosts boards" in answer.content.decode()


def test_an_administrator_deletes_by_command(user, sent, capsys):
    call_command("delete_account", "ada", keep=True)
    assert capsys.readouterr().out == f"ada is deleted-user-{user.pk} from now on\n"
    with pytest.raises(CommandError, match="there is no account"):
        call_command("delete_account", "ada", keep=True)


def test_a_person_gets_what_the_server_holds_about_them_and_no_secret_of_it(user, other_user, sent):
    issue_token(user=user, name="of the laptop")
    browser = Client()
    browser.force_login(user)
    answer = browser.get("/account/data/")
    assert answer["Content-Disposition"].startswith("attachment")
    document = answer.json()
    assert document["account"]["email"] == "ada@example.org"
    assert document["submissions.Submission"][0]["name"] == "Mine"
    assert document["evaluations.Evaluation"][0]["state"] == "queued"
    assert document["accounts.ApiToken"][0]["name"] == "of the laptop"
    for secret in (user.password, ApiToken.objects.get().digest, "ben@example.org"):
        assert secret not in answer.content.decode()


def test_pages_of_leaving_are_for_people_who_are_logged_in(db):
    for path in ("/account/delete/", "/account/data/"):
        assert Client().get(path).status_code == 302
