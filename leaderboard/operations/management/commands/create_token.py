"""`manage.py create_token USER`: an API token for a person, printed once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from leaderboard.accounts.models import DEFAULT_SCOPES, Scope, User
from leaderboard.accounts.tokens import issue_token
from leaderboard.audit.recording import operator, record
from leaderboard.refusals import Refusal


class Command(BaseCommand):
    """For operators and scripts; people make their own on their account page."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user")
        parser.add_argument("--name", default="command line")
        parser.add_argument("--days", type=int, default=90, help="days until it expires")
        parser.add_argument(
            "--scope",
            action="append",
            choices=Scope.values,
            help="what it may do; may be repeated; default: read and submit",
        )
        parser.add_argument("--create-user", action="store_true", help="make the account (without a password) if there is none")

    def handle(
        self, *args: Any, user: str, name: str, days: int, scope: list[str] | None, create_user: bool, **options: Any
    ) -> None:
        del args, options
        owner = User.objects.filter(username=user).first()
        if owner is None:
            if not create_user:
                raise CommandError(f'there is no account "{user}"; --create-user makes one')
            owner = User.objects.create_user(user)
        try:
            self.stdout.write(_issued(owner, name=name, days=days, scopes=scope or DEFAULT_SCOPES.split()))
        except Refusal as refusal:
            raise CommandError(refusal.detail) from refusal


@transaction.atomic
def _issued(owner: User, *, name: str, days: int, scopes: list[str]) -> str:
    token, text = issue_token(user=owner, name=name, lifetime=timedelta(days=days), scopes=scopes)
    after = {"user": owner.username, "name": token.name, "scope": token.scope, "starts_with": token.token_key}
    record(operator("create_token"), "apitoken.create", token, after=after)
    return text
