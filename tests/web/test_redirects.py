"""Nobody is sent to another host: wherever an address says where to go next, it is an address of this server."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from django.test import Client

ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "/\\evil.example/",
    "\\\\evil.example/",
    "http:evil.example",
    "https:///evil.example",
    "javascript:alert(1)",
    " https://evil.example/",
    "https://testserver@evil.example/",
    "https://testserver.evil.example/",
    "%2F%2Fevil.example",
]
CREDENTIALS = {"login": "root", "password": "correct horse battery"}


def leads_away(response) -> bool:
    """As a browser takes it: against the address that was asked for, with a backslash for a slash."""
    there = urlsplit(urljoin("http://testserver/accounts/login/", response.get("Location", "/").replace("\\", "/")))
    return (there.scheme, there.netloc) != ("http", "testserver")


@pytest.mark.parametrize("to", ELSEWHERE)
@pytest.mark.parametrize(
    ("path", "body", "logged_in"),
    [
        ("/accounts/login/", CREDENTIALS, False),
        ("/accounts/login/", {}, True),
        ("/accounts/logout/", {}, True),
        ("/accounts/reauthenticate/", {"password": "correct horse battery"}, True),
        ("/admin/login/", {"username": "root", "password": "correct horse battery"}, False),
        ("/admin/logout/", {}, True),
    ],
)
def test_next_leads_to_this_server_only(staff, path, body, logged_in, to):
    client = Client()
    if logged_in:
        client.force_login(staff)
    for method in ("get", "post"):
        given = {**body, "next": to}
        response = client.get(path, {"next": to}) if method == "get" else client.post(path, given)
        assert not leads_away(response), (method, response.get("Location"))
        assert response.status_code < 500


def test_next_leads_where_it_says_on_this_server(staff):
    response = Client().post("/accounts/login/", {**CREDENTIALS, "next": "/teams/"})
    assert response["Location"] == "/teams/"


def test_a_page_for_people_asks_to_log_in_and_comes_back(client, db):
    assert client.get("/teams/?a=b")["Location"] == "/accounts/login/?next=/teams/%3Fa%3Db"
