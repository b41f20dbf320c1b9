"""`manage.py delete_account USERNAME`: for an administrator whom a person has asked."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from leaderboard.accounts.leaving import leave
from leaderboard.accounts.models import User
from leaderboard.refusals import Refusal


class Command(BaseCommand):
    """As the person could on the account page, without their password."""

    help = "Deletes an account for good: personal data goes, submissions are withdrawn, or stay without the name."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        choice = parser.add_mutually_exclusive_group(required=True)
        choice.add_argument("--withdraw", action="store_true", help="withdraw what the person has sent alone")
        choice.add_argument("--keep", action="store_true", help="leave it on the boards, without the name")

    def handle(self, *args: Any, username: str, withdraw: bool, **options: Any) -> None:
        del args, options
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f'there is no account "{username}"')
        try:
            self.stdout.write(f"{username} is {leave(user, withdraw=withdraw)} from now on")
        except Refusal as refusal:
            raise CommandError(refusal.detail) from refusal
