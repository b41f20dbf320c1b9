"""Evaluations and the processes that serve them, for administrators: to look at only."""

from __future__ import annotations

from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from evaluators.runtime import sandbox
from evaluators.runtime.jobs import CODE_FORMATS
from leaderboard.audit.admin import ReadOnly
from leaderboard.evaluations import overdue
from leaderboard.evaluations.models import Evaluation, Scheduler, Worker


@admin.register(Evaluation)
class EvaluationAdmin(ReadOnly, admin.ModelAdmin):
    """Written by the life cycle."""

    list_display = ("id", "submission", "state", "pool", "attempt", "faults", "stage", "worker", "queued_at", "finished_at")
    list_filter = ("state", "pool", "failure_code")
    list_select_related = ("submission",)
    search_fields = ("=id", "=submission__id", "submission__name", "worker")
    show_full_result_count = False


@admin.register(Worker)
class WorkerAdmin(ReadOnly, admin.ModelAdmin):
    """Written by pool processes, which found out what their machine's sandbox can do."""

    list_display = ("name", "pool", "host", "device", "opens", "missing_layers", "started_at", "seen_at")
    list_filter = ("pool",)

    @admin.display(description="Opens")
    def opens(self, worker: Worker) -> str:
        """What it may evaluate with the layers that it has."""
        if not sandbox.is_enough_for_untrusted(worker.layers):
            return "configs only"
        return "all files, and programs" if CODE_FORMATS in sandbox.active(worker.layers) else "all files"

    @admin.display(description="Layers of the sandbox that are missing")
    def missing_layers(self, worker: Worker) -> str:
        """Those that were tried and could not be had."""
        return (
            "; ".join(f"{name}: {state}" for name, state in worker.layers.items() if state.startswith("not active")) or "none"
        )


@admin.register(Scheduler)
class SchedulerAdmin(ReadOnly, admin.ModelAdmin):
    """Written by schedulers; what one found beyond its limits stands in its row."""

    list_display = ("name", "seen_at", "checked_at", "beyond_limits")
    exclude = ("findings",)
    readonly_fields = ("beyond_limits",)

    @admin.display(description="Evaluations beyond their limits")
    def beyond_limits(self, scheduler: Scheduler) -> SafeString | str:
        """One line each."""
        found = [overdue.Finding(**each) for each in scheduler.findings or []]
        return format_html_join("\n", "<div>{}</div>", ((str(each),) for each in found)) if found else "none"
