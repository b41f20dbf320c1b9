"""What holds on every page: no inline script or style, links that lead somewhere, labels for every control, one heading."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.template.loader import render_to_string
from django.urls import Resolver404, resolve
from django.utils import timezone

from leaderboard.accounts.tokens import issue_token
from tests.web import rows
from tests.web.overall_rows import fill_overall
from tests.web.page import Page, get

HANDLERS = ("onclick", "onload", "onerror", "onsubmit", "onchange", "hx-on", "style")


@pytest.fixture
def pages(digits, graph_submission, client, as_user, user) -> dict[str, Page]:
    """Every kind of page, as a visitor or a person gets it."""
    board = digits[0].board
    running = rows.add_submission(board, owner=user, name="running", day=50)
    rows.add_evaluation(running, state="running", stage="predict", progress=0.5, **rows.lease())
    fill_overall(board, submission=str(digits[0].pk))
    issue_token(user=user, name="laptop")
    submit = f"/boards/{board.slug}/submit/"
    of_a_person = [
        "/",
        f"/boards/{board.slug}/",
        f"/boards/{graph_submission.board.slug}/",
        f"/boards/{board.slug}/tradeoff/",
        "/overall/",
        *(f"{submit}?kind={kind}" for kind in ("config", "weights", "onnx", "predictions")),
        f"{submit}?kind=config&model=plain-cnn&as=json",
        *(f"/submissions/{made.pk}/" for made in (digits[0], digits[1], digits[-1], graph_submission, running)),
        "/submissions/",
        "/account/",
        "/accounts/password/change/",
        "/accounts/email/",
        "/accounts/logout/",
    ]
    found = {path: get(as_user, path) for path in of_a_person}
    for path in ("/accounts/login/", "/accounts/signup/", "/accounts/password/reset/"):
        found[path] = get(client, path)
    for path in ("/nowhere/", "/boards/nowhere/"):
        found[path] = get(client, path, expect=404)
    return found


def test_no_page_has_inline_script_style_or_handlers(pages):
    for path, page in pages.items():
        assert not page.all("style"), path
        for script in page.all("script"):
            assert script.attributes.get("src", "").startswith("/static/") or script.attributes["type"] == "application/json", (
                path
            )
        for element in page.root.walk():
            assert not [name for name in element.attributes if name.startswith(HANDLERS)], (path, element.tag)


def test_every_page_sends_the_strict_policy(client, board):
    policy = client.get("/")["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_every_link_leads_to_a_page_that_exists(pages):
    for path, page in pages.items():
        for link in page.all("a"):
            target = link.attributes["href"].partition("?")[0].partition("#")[0]
            if not target.startswith("/"):
                continue
            try:
                resolved = resolve(target)
            except Resolver404:
                pytest.fail(f"{path} links to {target}")
            assert resolved.url_name != "nothing", f"{path} links to {target}"


def test_every_control_has_a_name_that_can_be_spoken(pages):
    for path, page in pages.items():
        labelled = {label.attributes.get("for") for label in page.all("label")}
        for tag in ("input", "select", "textarea"):
            for control in page.all(tag):
                if control.attributes.get("type") not in ("hidden", "submit"):
                    assert control.attributes.get("id") in labelled, (path, control.attributes)
        for button in page.all("button"):
            assert button.text or button.attributes.get("aria-label"), path


def test_every_page_has_one_main_heading_a_title_and_unique_ids(pages):
    for path, page in pages.items():
        assert len(page.all("h1")) == 1, path
        assert page.all("title")[0].children, path
        ids = [element.attributes["id"] for element in page.root.walk() if "id" in element.attributes]
        assert len(ids) == len(set(ids)), (path, sorted(ids))
        assert page.all("html", lang="en"), path


def test_every_page_links_to_the_documentation_of_the_api(pages):
    for path, page in pages.items():
        assert page.all("footer")[0].all("a", href="/api/docs/"), path


@pytest.mark.parametrize("template", ["400.html", "403.html", "404.html", "500.html", "403_csrf.html"])
def test_error_pages_are_rendered_without_a_request(db, template):
    page = Page(render_to_string(template))
    assert len(page.all("h1")) == 1
    assert page.all("p", class_="error-status")[0].text == template[:3]


def test_a_fault_of_the_server_is_a_page_without_its_cause(client, board, monkeypatch):
    from leaderboard.web.views import boards

    def fail(*_args, **_more):
        raise RuntimeError("a secret cause")

    monkeypatch.setattr(boards, "boards_by_family", fail)
    client.raise_request_exception = False
    page = get(client, "/", expect=500)
    assert "Something broke here" in page.text
    assert "secret" not in page.raw


def test_a_refusal_says_when_to_come_back(rf, user):
    from leaderboard.refusals import FieldError, QuotaSpent
    from leaderboard.web.middleware import refusal_page

    request = rf.get("/")
    request.user = user
    refusal = QuotaSpent("you have used today's 20", errors=(FieldError("quota", "spent", "none left"),), retry_after=90.2)
    response = refusal_page(request, refusal)
    page = Page(response.content.decode())
    assert response.status_code == 429
    assert response["Retry-After"] == "90"
    assert "You have used today's 20" in page.text
    assert "none left" in page.text
    assert f"Try again at {timezone.now() + timedelta(seconds=90.2):%Y-%m-%d}" in page.text


def test_the_static_files_are_collected_with_hashes(settings, tmp_path):
    from django.contrib.staticfiles import finders
    from django.core.management import call_command

    settings.STATIC_ROOT = tmp_path / "static"
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    }
    call_command("collectstatic", verbosity=0, interactive=False)
    manifest = (tmp_path / "static" / "staticfiles.json").read_text()
    for name in ("web/standings.css", "web/theme.js", "web/copy.js", "web/mark.svg", "css/bootstrap.min.css"):
        assert finders.find(name), name
        assert f'"{name}"' in manifest
