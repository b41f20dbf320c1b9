"""The audit log in the administration, and the mixin by which everything that is done there gets into it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import models, transaction
from django.http import HttpRequest

from leaderboard.audit.models import AuditEntry, Via
from leaderboard.audit.recording import CHANGED, Values, actor_of, differences, record, snapshot

_BEFORE = "_audit_before"


class ReadOnly:
    """What the server writes by itself: to look at only."""

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        """No."""
        del request, args
        return False

    has_change_permission = has_delete_permission = has_add_permission


class Audited(admin.ModelAdmin):
    """Base of every admin that can change something. Django calls the three `log_` methods once for each thing done, in its
    transaction and after many-to-many fields are saved; deleting several at once is made one transaction here."""

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The object; what it looks like is kept until the change is logged."""
        found = super().get_object(request, object_id, from_field)
        if found is not None:
            setattr(request, _BEFORE, snapshot(found))
        return found

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> LogEntry:
        """An entry without a before."""
        _record(request, obj, "create", after=snapshot(obj))
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> LogEntry:
        """An entry with the fields that differ. A password that was set shows as changed."""
        before, after = differences(getattr(request, _BEFORE, {}), snapshot(obj._meta.model.objects.get(pk=obj.pk)))  # noqa: SLF001
        if _sets_password(request):
            after["password"] = CHANGED
        _record(request, obj, "change", before=before, after=after)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> Any:
        """An entry without an after for each."""
        with transaction.atomic():
            for each in queryset:
                _record(request, each, "delete", before=snapshot(each))
            return super().log_deletions(request, queryset)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, str] | None = None) -> Any:
        """The list, and its actions: what they do and its entries stand or fall together."""
        if request.method != "POST":
            return super().changelist_view(request, extra_context)
        with transaction.atomic():
            return super().changelist_view(request, extra_context)


def _record(
    request: HttpRequest, subject: models.Model, what: str, *, before: Values | None = None, after: Values | None = None
) -> None:
    board = subject if subject._meta.label == "boards.Board" else getattr(subject, "board", None)  # noqa: SLF001
    gone = what == "delete" and board is subject
    kind = str(subject._meta.model_name)  # noqa: SLF001
    actor = actor_of(request, via=Via.ADMIN)
    record(actor, f"{kind}.{what}", subject, board=None if gone else board, before=before, after=after)


def _sets_password(request: HttpRequest) -> bool:
    return request.method == "POST" and "password1" in request.POST


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly, admin.ModelAdmin):
    """Written by whatever is done; neither changed nor deleted."""

    list_display = ("at", "actor_name", "via", "action", "object_name", "board", "address")
    list_filter = ("via", "action", "at")
    list_select_related = ("board",)
    search_fields = ("actor_name", "object_name", "object_id", "request_id")
