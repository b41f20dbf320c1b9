"""The world of tests/permissions/world.py, built once for the tests of a file: every request runs in a savepoint of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import transaction

from tests.permissions.world import FILE, SHA256, World, build

CATALOGUE = Path(__file__).parents[1] / "catalogue.json"


@pytest.fixture(scope="module")
def world(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), transaction.atomic():
        hashers, django_settings.PASSWORD_HASHERS = (
            django_settings.PASSWORD_HASHERS,
            ["django.contrib.auth.hashers.MD5PasswordHasher"],
        )
        yield build(json.loads(CATALOGUE.read_text()))
        django_settings.PASSWORD_HASHERS = hashers
        transaction.set_rollback(True)


@pytest.fixture
def stored(own_files):
    """The file that the submissions of the world have."""
    from leaderboard.submissions import storage

    assert storage.store(FILE)[0] == SHA256


@pytest.fixture
def scratch(world: World):
    """A savepoint: what the test does is undone."""
    with transaction.atomic():
        yield world
        transaction.set_rollback(True)


@pytest.fixture(autouse=True)
def unlimited(settings):
    """Each test asks often, from one address."""
    settings.ACCOUNT_RATE_LIMITS = False
