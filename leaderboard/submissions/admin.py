"""Submissions for administrators: to look at, and to withdraw; nothing else changes one after intake."""

from __future__ import annotations

from typing import cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from leaderboard.accounts.models import User
from leaderboard.boards.admin import ReadOnly
from leaderboard.submissions.models import Submission
from leaderboard.submissions.withdrawing import withdraw


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
        user = cast("User", request.user)
        count = sum(withdraw(each, user) for each in chosen.select_related("board"))
        self.message_user(request, f"{count} submissions are withdrawn.", messages.SUCCESS)
