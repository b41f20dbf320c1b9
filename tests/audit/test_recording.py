"""What goes into the audit log, and what does not."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db import transaction

from leaderboard.accounts.models import ApiToken
from leaderboard.audit.models import AuditEntry, Via
from leaderboard.audit.recording import Actor, differences, operator, record, snapshot
from leaderboard.boards import hosting
from leaderboard.refusals import InvalidRequest


@pytest.mark.django_db(transaction=True)
def test_what_is_recorded_outside_of_a_transaction_is_refused(board):
    with pytest.raises(transaction.TransactionManagementError, match="must be recorded"):
        record(operator("test"), "board.change", board)


@pytest.mark.django_db(transaction=True)
def test_a_change_that_fails_after_its_entry_leaves_none(board, staff, monkeypatch):
    def fail(*_args):
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(hosting, "ask_for", fail)
    with pytest.raises(RuntimeError):
        hosting.change_board(board, actor=Actor(staff, Via.SESSION), rules={"daily_quota": 1})
    board.refresh_from_db()
    assert board.daily_quota == 20
    assert not AuditEntry.objects.exists()


def test_a_change_that_changes_nothing_leaves_no_entry(board, staff):
    hosting.change_board(board, actor=Actor(staff, Via.SESSION), rules={"daily_quota": board.daily_quota})
    assert not AuditEntry.objects.exists()


def test_an_entry_says_who_by_which_way_what_before_and_after(board, staff):
    actor = Actor(staff, Via.TOKEN, token="ci (st_abc…)", request_id="a-request", address="192.0.2.7")
    hosting.change_board(board, actor=actor, rules={"daily_quota": 3})
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.actor_name, entry.via, entry.token) == (staff, "root", "token", "ci (st_abc…)")
    assert (entry.action, entry.object_type, entry.object_id) == ("board.change", "boards.Board", str(board.pk))
    assert (entry.before, entry.after) == ({"daily_quota": 20}, {"daily_quota": 3})
    assert (entry.request_id, entry.address) == ("a-request", "192.0.2.7")


def test_entries_outlive_the_account_of_the_actor(board, user):
    board.cohosts.add(user)
    hosting.change_board(board, actor=Actor(user, Via.SESSION), rules={"daily_quota": 3})
    board.cohosts.clear()
    user.delete()
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.actor_name) == (None, "ada")


def test_a_token_that_an_operator_makes_is_logged_without_its_text(user, capsys):
    call_command("create_token", "ada", scope=["read", "host"])
    text = capsys.readouterr().out.strip()
    assert ApiToken.objects.get().scopes == ["read", "host"]
    entry = AuditEntry.objects.get()
    assert (entry.via, entry.actor_name, entry.action) == ("command", "manage.py create_token", "apitoken.create")
    assert text not in f"{entry.after}{entry.object_id}{entry.object_name}"


def test_secrets_are_in_no_snapshot(user, token):
    shown = f"{snapshot(user)}{snapshot(ApiToken.objects.get())}"
    assert user.password not in shown
    assert ApiToken.objects.get().digest not in shown


def test_long_texts_are_cut(board):
    board.about = "x" * 20_000
    assert len(snapshot(board)["about"]) < 2_100


def test_differences_are_the_fields_that_differ():
    assert differences({"a": 1, "b": 2}, {"a": 1, "b": 3}) == ({"b": 2}, {"b": 3})


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ({"track": "other"}, "track"),
        ({"pool": "gpu"}, "pool"),
        ({"ranking_metric": "beauty"}, "ranking_metric"),
        ({"title": "a\nb"}, "title"),
        ({"title": ""}, "title"),
        ({"opens_at": "2026-02-02T00:00Z", "closes_at": "2026-01-01T00:00Z"}, "closes_at"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_by_its_name_and_not_logged(board, staff, rules, field):
    from django.utils.dateparse import parse_datetime

    typed = {name: parse_datetime(value) if name.endswith("_at") else value for name, value in rules.items()}
    with pytest.raises(InvalidRequest) as caught:
        hosting.change_board(board, actor=Actor(staff, Via.SESSION), rules=typed)
    assert field in [error.field for error in caught.value.errors]
    assert not AuditEntry.objects.exists()
