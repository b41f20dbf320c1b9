"""People, their teams, and the tokens by which their programs speak for them."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone
from knox.models import AbstractAuthToken

from leaderboard.accounts.names import refuse_retired


class User(AbstractUser):  # type: ignore[django-manager-missing]  # knox, which declares the relation, has no types
    """A person, or the system account that owns the baselines (`is_system`)."""

    username = models.CharField(
        max_length=150,
        unique=True,
        validators=[AbstractUser.username_validator, refuse_retired],
        help_text="Up to 150 letters, digits and @ . + - _",
        error_messages={"unique": "A user with that username already exists."},
    )
    is_system = models.BooleanField(default=False, editable=False)

    class Meta(AbstractUser.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["is_system"], condition=models.Q(is_system=True), name="one_system_user")
        ]


class RetiredName(models.Model):
    """A digest of the name of somebody who has left (`accounts.leaving`): nobody else can take it."""

    digest = models.CharField(primary_key=True, max_length=64)


class Scope(models.TextChoices):
    """What a token may do of what its owner may."""

    READ = "read", "Read: whatever you may see"
    SUBMIT = "submit", "Submit: submissions, teams and tokens"
    HOST = "host", "Host: rules, members and claims of your boards"


DEFAULT_SCOPES = f"{Scope.READ} {Scope.SUBMIT}"


class ApiToken(AbstractAuthToken):
    """A bearer token. Only its digest is stored; the token itself is shown once, when it is made.

    `scope` holds words of Scope between spaces, in their order there. The default in the database is what tokens could do
    before there were scopes.
    """

    name = models.CharField(max_length=80)
    scope = models.CharField(max_length=40, default=DEFAULT_SCOPES, db_default=DEFAULT_SCOPES)
    last_used = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-created"]

    def __str__(self) -> str:
        return f"{self.name} ({self.token_key}…)"

    @property
    def scopes(self) -> list[str]:
        """The words of `scope`."""
        return self.scope.split()


class Team(models.Model):
    """People who compete as one. Changed by `accounts.teams`. One that has sent submissions is closed instead of deleted:
    its name stays on the boards."""

    slug = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=80, unique=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)
    members = models.ManyToManyField(settings.AUTH_USER_MODEL, through="Membership", related_name="teams")

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """One person in one team."""

    class Role(models.TextChoices):
        OWNER = "owner", "Owner"
        MEMBER = "member", "Member"

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role, default=Role.MEMBER)
    since = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["since", "id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["team", "user"], name="one_membership_per_team_and_person")]


class Invitation(models.Model):
    """An owner's offer to join a team, until it is accepted, declined or withdrawn."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="invitations")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="invitations")
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["team", "user"], name="one_invitation_per_team_and_person")]
