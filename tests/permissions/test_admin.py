"""The administration: for administrators only, every page of every model; what is done there is logged, once."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.forms import BaseFormSet
from django.urls import reverse

from leaderboard.audit.admin import Audited
from leaderboard.audit.models import AuditEntry
from leaderboard.audit.recording import CHANGED
from tests.permissions.routes import routes
from tests.permissions.table import LOGIN
from tests.permissions.test_matrix import check_markup, outcome_of
from tests.permissions.world import EVERYBODY, World

pytestmark = pytest.mark.django_db

# What may be done by hand: add, change, delete.
WRITABLE = {
    "account.emailaddress": (True, True, True),
    "mfa.authenticator": (False, True, True),
    "accounts.user": (True, True, True),
    "accounts.team": (True, True, True),
    "accounts.membership": (True, True, True),
    "accounts.apitoken": (False, True, True),
    "boards.board": (True, True, True),
    "boards.participation": (True, True, True),
    "boards.quotause": (False, True, True),
    "boards.teamquotause": (False, True, True),
    "claims.claim": (True, True, True),
}
LOOKED_AT = {
    *("usersessions.usersession", "audit.auditentry", "boards.track", "boards.referencemodel", "submissions.submission"),
    *("standings.standing", "claims.paper", "claims.verdict"),
}
MODELS = {model._meta.label_lower: model for model in admin.site._registry}
OTHER_PAGES = {
    "admin:index": 200,
    "admin:login": 302,  # to the one door, which sends on whoever is in
    "admin:logout": 405,
    "admin:password_change": 200,
    "admin:password_change_done": 200,
    "admin:autocomplete": 403,
    "admin:jsi18n": 200,
    "admin:auth_user_password_change": 200,
}


def test_the_table_has_exactly_the_models_that_there_are():
    named = {label for label in MODELS if label.partition(".")[0] in APPS}
    assert named - {*WRITABLE, *LOOKED_AT} == OTHERS_LOOK_ONLY
    assert {*WRITABLE, *LOOKED_AT} <= set(MODELS)


APPS = {label.partition(".")[0] for label in MODELS}
OTHERS_LOOK_ONLY = {label for label in MODELS if label not in {*WRITABLE, *LOOKED_AT}}


@pytest.mark.parametrize("label", sorted(OTHERS_LOOK_ONLY | LOOKED_AT))
def test_the_rest_can_only_be_looked_at(rf, label):
    request = rf.get("/")
    request.user = _superuser()
    model_admin = admin.site._registry[MODELS[label]]
    assert not model_admin.has_add_permission(request)
    assert not model_admin.has_change_permission(request)
    assert not model_admin.has_delete_permission(request)


@pytest.mark.parametrize("label", sorted(WRITABLE))
def test_what_can_be_written_is_logged_and_allows_what_the_table_says(rf, label):
    request = rf.get("/")
    request.user = _superuser()
    model_admin = admin.site._registry[MODELS[label]]
    assert isinstance(model_admin, Audited)
    may = (model_admin.has_add_permission, model_admin.has_change_permission, model_admin.has_delete_permission)
    assert tuple(each(request) for each in may) == WRITABLE[label]


def _superuser():
    from leaderboard.accounts.models import User

    return User(username="super", is_staff=True, is_superuser=True)


def test_every_route_of_the_administration_is_a_models_or_in_the_table():
    known = {f"admin:{model._meta.app_label}_{model._meta.model_name}_{what}" for model in MODELS.values() for what in
             ("changelist", "add", "history", "delete", "change")}  # fmt: skip
    named = {route.name for route in routes() if route.name.startswith("admin:")}
    assert named - known - set(OTHER_PAGES) - {"admin:app_list", "admin:view_on_site"} == set()


@pytest.mark.parametrize("label", sorted(MODELS))
def test_lists_and_forms_are_for_administrators_and_show_text_as_text(scratch, label):
    for path in paths_of(MODELS[label]):
        for who in EVERYBODY:
            response = scratch.call(who, "GET", path, None, api=False)
            check_markup(response)
            wanted = (200,) if who == "administrator" else (LOGIN, 302)
            if path.endswith(("/add/", "/delete/")) and who == "administrator":
                wanted = (200, 403)
            assert outcome_of(response) in wanted, (who, path, response.status_code)
            if who != "administrator":
                assert response["Location"].startswith(("/admin/login/", "/accounts/login/")), (who, path)


def paths_of(model) -> list[str]:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    paths = [reverse(f"{name}_changelist"), reverse(f"{name}_add")]
    first = model._base_manager.order_by("pk").first()
    if first is not None:
        paths += [reverse(f"{name}_{what}", args=[first.pk]) for what in ("change", "delete", "history")]
    return paths


@pytest.mark.parametrize(("name", "status"), OTHER_PAGES.items())
def test_other_pages(scratch, name, status):
    args = [scratch.people["member"].pk] if name == "admin:auth_user_password_change" else []
    path = reverse(name, args=args)
    assert scratch.call("administrator", "GET", path, None, api=False).status_code == status
    if status == 200:
        assert scratch.call("host", "GET", path, None, api=False).status_code == 302


# --- what is done there is logged


def entries_of(world: World, path: str, body: dict) -> list[AuditEntry]:
    known = set(AuditEntry.objects.values_list("pk", flat=True))
    world.status = world.call("administrator", "POST", path, body, api=False).status_code
    return list(AuditEntry.objects.exclude(pk__in=known))


def form_of(world: World, path: str) -> dict[str, object]:
    """What the browser would send back, unchanged."""
    from django.test import Client

    client = Client()
    client.force_login(world.people["administrator"])
    form = client.get(path).context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    plain = {}
    for name, value in values.items():
        field = form.fields[name]
        if hasattr(field, "fields"):
            for number, part in enumerate(field.widget.decompress(value)):
                plain[f"{name}_{number}"] = "" if part is None else part
        elif value is not None and value is not False:
            plain[name] = [getattr(each, "pk", each) for each in value] if isinstance(value, list | tuple) else value
    assert not isinstance(form, BaseFormSet)
    return plain


def test_a_change_is_one_entry_with_what_differs(scratch):
    board = scratch.boards["private"]
    path = reverse("admin:boards_board_change", args=[board.pk])
    body = {**form_of(scratch, path), "daily_quota": 3, "members": [scratch.people["stranger"].pk]}
    (entry,) = entries_of(scratch, path, body)
    assert (entry.action, entry.via, entry.actor_name, entry.board_id) == ("board.change", "admin", "administrator", board.pk)
    assert entry.before == {"daily_quota": 20, "members": ["competitor", "member"]}
    assert entry.after == {"daily_quota": 3, "members": ["stranger"]}
    assert entry.request_id
    assert entry.address == "127.0.0.1"


def test_a_refused_change_is_none(scratch):
    board = scratch.boards["private"]
    path = reverse("admin:boards_board_change", args=[board.pk])
    assert entries_of(scratch, path, {**form_of(scratch, path), "title": ""}) == []
    assert scratch.status == 200


def test_an_addition_is_one_entry(scratch):
    path = reverse("admin:boards_participation_add")
    body = {"board": scratch.boards["public"].pk, "user": scratch.people["member"].pk, "team": ""}
    (entry,) = entries_of(scratch, path, body)
    assert (entry.action, entry.before) == ("participation.create", None)
    assert entry.after["user"] == scratch.people["member"].pk


@pytest.mark.parametrize("way", ["page", "action"])
def test_a_deletion_is_one_entry(scratch, way):
    claim = scratch.claims["public"]
    if way == "page":
        entries = entries_of(scratch, reverse("admin:claims_claim_delete", args=[claim.pk]), {"post": "yes"})
    else:
        body = {"action": "delete_selected", ACTION_CHECKBOX_NAME: [claim.pk], "post": "yes"}
        entries = entries_of(scratch, reverse("admin:claims_claim_changelist"), body)
    (entry,) = entries
    assert (entry.action, entry.after) == ("claim.delete", None)
    assert entry.before["check_text"] == "accuracy(logistic) >= 0"
    assert not type(claim).objects.filter(pk=claim.pk).exists()


def test_a_password_is_in_no_entry(scratch):
    member = scratch.people["member"]
    path = reverse("admin:auth_user_password_change", args=[member.pk])
    secret = "correct horse battery staple"
    made = entries_of(
        scratch,
        reverse("admin:accounts_user_add"),
        {"username": "fresh", "password1": secret, "password2": secret, "usable_password": "true"},
    )
    assert scratch.status == 302
    assert [entry.action for entry in made] == ["user.create"]
    (entry,) = entries_of(scratch, path, {"password1": secret, "password2": secret, "usable_password": "true"})
    assert entry.action == "user.change"
    assert entry.after == {"password": CHANGED}
    for entry in AuditEntry.objects.all():
        assert secret not in f"{entry.before}{entry.after}"
        assert "password" not in (entry.before or {})


def test_a_token_that_an_administrator_deletes_leaves_neither_digest_nor_key(scratch):
    token = scratch.token
    path = reverse("admin:accounts_apitoken_delete", args=[token.pk])
    (entry,) = entries_of(scratch, path, {"post": "yes"})
    assert entry.action == "apitoken.delete"
    assert token.digest not in f"{entry.before}{entry.object_id}{entry.object_name}"


def test_an_entry_is_neither_changed_nor_deleted():
    entry = AuditEntry(action="x", actor_name="x", via="admin")
    entry._state.adding = False
    with pytest.raises(TypeError, match="never changed"):
        entry.save()
    with pytest.raises(TypeError, match="never deleted"):
        entry.delete()
