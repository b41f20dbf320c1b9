"""Schemathesis: requests made from the OpenAPI schema, valid and not, by a visitor, a person and a host. Every answer is one
that the schema announces, what breaks the schema is refused, and nothing is a fault of the server."""

from __future__ import annotations

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from leaderboard.accounts.models import Scope
from leaderboard.accounts.tokens import issue_token
from leaderboard.api.schema import openapi
from tests.api.conftest import submit

pytestmark = pytest.mark.usefixtures("no_broker", "something_to_find", "one_connection")

SEEDED = {"deadline": None, "derandomize": True, "suppress_health_check": list(HealthCheck)}
NOT_IN_THE_SCHEMA = [positive_data_acceptance]
"""A cursor, a board's slug: values that a schema can describe, and only the server can tell to be wrong."""


def application(environ, start_response):
    """The server, under the settings of the test that runs."""
    return WSGIHandler()(environ, start_response)


schema = schemathesis.openapi.from_dict(openapi())
schema.app = application


@pytest.fixture
def something_to_find(board, user):
    """A board with a submission."""
    submit(user, board)


@pytest.fixture
def one_connection(db):
    """The application runs in the test's own transaction, as it does under Django's test client."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@schema.parametrize()
@settings(max_examples=4, **SEEDED)
def test_a_visitor(case):
    case.call_and_validate(headers={"Host": "localhost"}, excluded_checks=NOT_IN_THE_SCHEMA)


@schema.parametrize()
@settings(max_examples=10, **SEEDED)
def test_a_person(case, user):
    _, text = issue_token(user=user, name="fuzz")
    headers = {"Host": "localhost", "Authorization": f"Bearer {text}"}
    case.call_and_validate(headers=headers, excluded_checks=NOT_IN_THE_SCHEMA)


@schema.parametrize()
@settings(max_examples=6, **SEEDED)
def test_a_host(case, user, board):
    """With every scope, on a board of the person's own."""
    board.cohosts.add(user)
    _, text = issue_token(user=user, name="fuzz", scopes=Scope.values)
    headers = {"Host": "localhost", "Authorization": f"Bearer {text}"}
    case.call_and_validate(headers=headers, excluded_checks=NOT_IN_THE_SCHEMA)
