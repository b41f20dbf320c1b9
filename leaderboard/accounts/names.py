"""Names that nobody can take: those of people who have left, and those that stand for them. Called by `accounts.leaving`, and
by the field of every new name."""

from __future__ import annotations

import hashlib

from django.apps import apps
from django.core.exceptions import ValidationError

PSEUDONYM = "deleted-user-"


def refuse_retired(username: str) -> None:
    """Raises ValidationError for a name that somebody had who has left, or that looks like what stands for them."""
    retired = apps.get_model("accounts", "RetiredName")
    if username.casefold().startswith(PSEUDONYM) or retired.objects.filter(digest=digest_of(username)).exists():
        raise ValidationError("This name was somebody else's; choose another one.", code="retired")


def digest_of(username: str) -> str:
    """What is kept of a name: enough to know it again."""
    return hashlib.sha256(f"retired {username.casefold()}".encode()).hexdigest()
