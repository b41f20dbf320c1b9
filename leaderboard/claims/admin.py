"""Claims for administrators: those of hosts can be written and changed, those of papers come from the sources. Verdicts can
only be looked at: nobody writes one by hand."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.widgets import AdminTextareaWidget
from django.db.models import CharField
from django.http import HttpRequest

from leaderboard.audit.admin import Audited, ReadOnly
from leaderboard.claims.models import Claim, Paper, Verdict


@admin.register(Claim)
class ClaimAdmin(Audited):
    """A check is read when it is saved: a fault is told with its place, and with what was perhaps meant."""

    list_display = ("statement", "newest_verdict", "board", "paper_id", "available")
    list_filter = ("board", "available")
    list_select_related = ("board", "verdict")
    search_fields = ("statement", "check_text")
    formfield_overrides: ClassVar = {CharField: {"widget": AdminTextareaWidget(attrs={"rows": 2})}}

    @admin.display(description="verdict")
    def newest_verdict(self, claim: Claim) -> str:
        """As a word."""
        return claim.word

    def has_change_permission(self, request: HttpRequest, obj: Claim | None = None) -> bool:
        """Only claims that no paper made."""
        return super().has_change_permission(request, obj) and (obj is None or obj.paper_id is None)

    def has_delete_permission(self, request: HttpRequest, obj: Claim | None = None) -> bool:
        """Only claims that no paper made."""
        return super().has_delete_permission(request, obj) and (obj is None or obj.paper_id is None)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """The verdicts on a claim go with it, although nobody may delete one by itself."""
        shown, counts, forbidden, protected = super().get_deleted_objects(objs, request)
        return shown, counts, forbidden - {"verdict"}, protected


@admin.register(Paper)
class PaperAdmin(ReadOnly, admin.ModelAdmin):
    """Written by sync_claims."""

    list_display = ("id", "system", "family", "track", "status")
    list_filter = ("status", "family")
    search_fields = ("id", "title", "system")


@admin.register(Verdict)
class VerdictAdmin(ReadOnly, admin.ModelAdmin):
    """Written by judging."""

    list_display = ("claim", "verdict", "effect", "p_adjusted", "decided_at")
    list_filter = ("verdict",)
    list_select_related = ("claim",)
