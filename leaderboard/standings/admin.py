"""Standings for administrators: to look at only."""

from __future__ import annotations

from django.contrib import admin

from leaderboard.audit.admin import ReadOnly
from leaderboard.standings.models import Standing


@admin.register(Standing)
class StandingAdmin(ReadOnly, admin.ModelAdmin):
    """Written by `standings.ranking`."""

    list_display = ("board", "rank", "submission", "value", "rule", "reason", "placed_at")
    list_select_related = ("board", "submission")
    list_filter = ("board",)
