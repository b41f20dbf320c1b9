"""Fixtures that every area shares: an SQLite file as in production, a folder for files, people, tokens, and a small
catalogue (tests/catalogue.json) that needs no torch.

    system                 the account that hosts the default boards
    user, other_user       two people; staff: an administrator
    token                  an API token of `user`, as text
    catalogue              two tracks, six models and the default boards as rows; returns the document they came from
    board                  the default board of digits-classification, which takes every kind
    graph_board            the default board of homophily-and-depth: configs only, two slices
"""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import hypothesis
import pytest

HERE = Path(__file__).parent

hypothesis.settings.register_profile("no clock", deadline=None)
hypothesis.settings.load_profile("no clock")


def pytest_collection_finish() -> None:
    """What is imported stays: the collector need not look at it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings, tmp_path_factory):
    """SQLite in a file instead of in memory: threads and processes then meet as they do in production (WAL, IMMEDIATE)."""
    from django.db import connections

    for connection in connections.all():
        if connection.vendor == "sqlite":
            connection.settings_dict["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "test.sqlite3")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """Drop the table that knox makes although our token model replaces it: PostgreSQL does not empty the table of users
    between tests while a table that Django does not know refers to it."""
    from django.db import connection

    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS knox_authtoken")


@pytest.fixture(autouse=True)
def own_files(settings, tmp_path):
    """Files go to a folder of the test, hidden data are the same in every run; passwords are hashed quickly; calls are not
    counted; mail stays in memory."""
    settings.TRACK_SECRET = "tests"
    settings.MEDIA_ROOT = tmp_path / "files"
    settings.STATIC_ROOT = tmp_path
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.CACHES = {
        name: {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": f"{name} of {tmp_path}"}
        for name in ("default", "limits")
    }
    settings.RATE_LIMITS = dict.fromkeys(settings.RATE_LIMITS, 0)
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    return settings.MEDIA_ROOT


@pytest.fixture
def system(db):
    """The system account "standings"."""
    from leaderboard.accounts.people import system_user

    return system_user()


@pytest.fixture
def user(db):
    """A person, username "ada"."""
    from leaderboard.accounts.models import User

    return User.objects.create_user("ada", email="ada@example.org", password="correct horse battery")


@pytest.fixture
def other_user(db):
    """Another person, username "ben"."""
    from leaderboard.accounts.models import User

    return User.objects.create_user("ben", email="ben@example.org", password="correct horse battery")


@pytest.fixture
def staff(db):
    """An administrator, username "root"."""
    from leaderboard.accounts.models import User

    return User.objects.create_superuser("root", email="root@example.org", password="correct horse battery")


@pytest.fixture
def token(user) -> str:
    """The text of an API token of `user`, for `Authorization: Bearer ...`."""
    from leaderboard.accounts.tokens import issue_token

    return issue_token(user=user, name="tests")[1]


@pytest.fixture
def catalogue_document() -> dict[str, Any]:
    """tests/catalogue.json, in the shape of evaluators.catalogue.build(). A fresh copy: change it as you like."""
    return json.loads((HERE / "catalogue.json").read_text())


@pytest.fixture
def catalogue(system, catalogue_document) -> dict[str, Any]:
    """The catalogue's rows and default boards."""
    from leaderboard.boards.catalogue_rows import write_catalogue

    write_catalogue(catalogue_document, fingerprint="tests")
    return catalogue_document


@pytest.fixture
def board(catalogue):
    """The default board of digits-classification: takes configs, weights, ONNX and predictions."""
    from leaderboard.boards.models import Board

    return Board.objects.select_related("track", "host").get(slug="digits-classification")


@pytest.fixture
def graph_board(catalogue):
    """The default board of homophily-and-depth: takes configs only, has two slices, one of which can be filled."""
    from leaderboard.boards.models import Board

    return Board.objects.select_related("track", "host").get(slug="homophily-and-depth")


@pytest.fixture
def no_broker(monkeypatch):
    """Committed evaluations are published to nobody: no worker runs in this test."""
    from leaderboard.celery import app

    monkeypatch.setattr(app, "send_task", lambda *args, **kwargs: None)
