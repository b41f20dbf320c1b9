"""Submissions for administrators: to look at, and to withdraw; nothing else changes one after intake."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from leaderboard.audit.admin import ReadOnly
from leaderboard.audit.models import Via
from leaderboard.audit.recording import actor_of
from leaderboard.submissions.answering import withdraw
from leaderboard.submissions.models import Submission


@admin.register(Submission)
class SubmissionAdmin(ReadOnly, admin.ModelAdmin):
    """Written by intake."""

    list_display = ("name", "board", "user", "kind", "model", "origin", "visibility", "created_at", "withdrawn_at")
    list_filter = ("kind", "origin", "visibility", ("withdrawn_at", admin.EmptyFieldListFilter))
    list_select_related = ("board", "user")
    search_fields = ("name", "id", "user__username")
    actions = ("withdraw_chosen",)

    @admin.action(description="Withdraw for good: what was sent, and every result")
    def withdraw_chosen(self, request: HttpRequest, chosen: QuerySet[Submission]) -> None:
        """Those that were withdrawn before stay as they are."""
        actor = actor_of(request, via=Via.ADMIN)
        count = sum(withdraw(each, actor=actor) for each in chosen.select_related("board"))
        self.message_user(request, f"{count} submissions are withdrawn.", messages.SUCCESS)
