"""Boards, and the catalogue that they are made from, for administrators."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest

from leaderboard.audit.admin import Audited, ReadOnly
from leaderboard.boards.closing import shown_elsewhere
from leaderboard.boards.models import Board, Participation, QuotaUse, ReferenceModel, TeamQuotaUse, Track
from leaderboard.standings.waking import ask_for


@admin.register(Board)
class BoardAdmin(Audited):
    """Boards can be made and changed here. One that has submissions cannot be deleted."""

    list_display = ("title", "track", "host", "visibility", "entry", "opens_at", "closes_at", "pool")
    list_filter = ("visibility", "entry", "pool")
    list_select_related = ("track", "host")
    search_fields = ("title", "slug")
    prepopulated_fields = {"slug": ("title",)}
    autocomplete_fields = ("host", "cohosts", "members")
    readonly_fields = ("created_at", "revealed_at")
    fieldsets = (
        (None, {"fields": ("title", "slug", "track", "about", "host", "cohosts", "members", "visibility")}),
        ("Entry", {"fields": ("entry", "opens_at", "closes_at", "daily_quota", "total_quota", "max_concurrent", "pool")}),
        ("Ranking", {"fields": ("ranking_metric", "combination", "counts", "eligible")}),
        ("Hidden until it closes", {"fields": ("public_share", "ladder", "shows", "revealed_at")}),
    )

    def save_model(self, request: HttpRequest, obj: Board, form: Any, change: bool) -> None:  # noqa: FBT001
        """A new rule of ranking takes effect on what stands already. A test that other boards show is hidden from nobody."""
        super().save_model(request, obj, form, change)
        ask_for(obj)
        if told := shown_elsewhere(obj):
            self.message_user(request, told, level=messages.WARNING)


@admin.register(Track)
class TrackAdmin(ReadOnly, admin.ModelAdmin):
    """Written by sync_catalogue."""

    list_display = ("slug", "family", "role", "available", "synced_at")
    list_filter = ("family", "available")


@admin.register(ReferenceModel)
class ReferenceModelAdmin(ReadOnly, admin.ModelAdmin):
    """Written by sync_catalogue."""

    list_display = ("name", "role", "kind", "home", "available")
    list_filter = ("family", "kind", "available")
    search_fields = ("name", "title")


@admin.register(QuotaUse)
class QuotaUseAdmin(Audited):
    """`used` can be corrected, for a person who was treated unfairly."""

    list_display = ("board", "user", "period", "used")
    list_select_related = ("board", "user")
    readonly_fields = ("board", "user", "period")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Rows are made by the first submission of a period."""
        del request
        return False


@admin.register(TeamQuotaUse)
class TeamQuotaUseAdmin(Audited):
    """`used` can be corrected, for a team that was treated unfairly."""

    list_display = ("board", "team", "period", "used")
    list_select_related = ("board", "team")
    readonly_fields = ("board", "team", "period")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Rows are made by the first submission of a period."""
        del request
        return False


@admin.register(Participation)
class ParticipationAdmin(Audited):
    """For whom somebody competes. Deleting a row lets the person choose anew, with the next submission."""

    list_display = ("board", "user", "team", "since")
    list_select_related = ("board", "user", "team")
    list_filter = ("board",)
    search_fields = ("user__username", "team__name")
    autocomplete_fields = ("board", "user", "team")
    readonly_fields = ("since",)
