"""People, teams and tokens for administrators."""

from __future__ import annotations

from allauth.account.admin import EmailAddressAdmin
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from leaderboard.accounts.models import ApiToken, Membership, Team, User
from leaderboard.audit.admin import Audited, ReadOnly


@admin.register(User)
class PersonAdmin(Audited, UserAdmin):
    """Django's own, with an entry in the audit log for whatever is done. Administrators are those who have the staff status;
    `leaderboard.permissions` reads neither groups nor single permissions, so they are not offered."""

    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Roles", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    filter_horizontal = ()
    list_filter = ("is_staff", "is_superuser", "is_active")

    @transaction.atomic
    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002  Django's
        """The password and its entry stand or fall together."""
        return super().user_change_password(request, id, form_url)


@admin.register(Team)
class TeamAdmin(Audited):
    """Teams and who is in them. One that has sent submissions cannot be deleted: set the time of its closing."""

    list_display = ("name", "slug", "created_by", "created_at", "closed_at")
    list_select_related = ("created_by",)
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}
    autocomplete_fields = ("created_by",)


@admin.register(Membership)
class MembershipAdmin(Audited):
    """Who is in which team, for a team that has lost its owners."""

    list_display = ("team", "user", "role", "since")
    list_select_related = ("team", "user")
    search_fields = ("team__name", "user__username")
    autocomplete_fields = ("team", "user")


@admin.register(ApiToken)
class ApiTokenAdmin(Audited):
    """Tokens can be seen and revoked. They are made on their owner's page, which alone can show them."""

    list_display = ("name", "user", "scope", "created", "expiry", "last_used")
    list_select_related = ("user",)
    search_fields = ("name", "user__username")
    readonly_fields = ("user", "scope", "created", "expiry", "last_used")
    exclude = ("digest", "token_key")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """No."""
        del request
        return False


# The libraries' own, with the audit log. Groups give Django permissions, which nothing here reads.
for model in (Group, EmailAddress, Authenticator, UserSession):
    admin.site.unregister(model)


@admin.register(EmailAddress)
class AuditedEmailAddressAdmin(Audited, EmailAddressAdmin):
    """Addresses of accounts."""


@admin.register(Authenticator)
class SecondFactorAdmin(Audited):
    """Second factors can be removed, for somebody who has lost theirs. Their secrets are not shown."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type",)
    list_select_related = ("user",)
    search_fields = ("user__username",)
    readonly_fields = ("user", "type", "created_at", "last_used_at")
    exclude = ("data",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """No."""
        del request
        return False


@admin.register(UserSession)
class SessionAdmin(ReadOnly, admin.ModelAdmin):
    """Where people are logged in. They end their sessions themselves."""

    list_display = ("user", "ip", "created_at", "last_seen_at")
    list_select_related = ("user",)
    search_fields = ("user__username",)
    exclude = ("session_key", "data")
