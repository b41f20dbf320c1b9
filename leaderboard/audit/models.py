"""The audit log: one row for each thing that a host or an administrator did, written in the transaction that did it
(`audit.recording`). Rows are added, and neither changed nor deleted."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from django.conf import settings
from django.db import models
from django.utils import timezone


class Via(models.TextChoices):
    """The way by which somebody came."""

    SESSION = "session", "Page or browser session"
    TOKEN = "token", "API token"
    ADMIN = "admin", "Administration"
    COMMAND = "command", "Command line"


class AuditEntry(models.Model):
    """Who did what to which object. `before` and `after` hold the fields that differ; None where the object did not exist
    before, or does not after. `board` lets the board's hosts read it. Names stand here as text: they outlive what they name."""

    at = models.DateTimeField(default=timezone.now)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField(max_length=150)
    via = models.CharField(max_length=10, choices=Via)
    token = models.CharField(max_length=80, blank=True, help_text="The name and the beginning of the token.")
    action = models.CharField(max_length=40, db_index=True, help_text='Such as "board.change".')
    object_type = models.CharField(max_length=60)
    object_id = models.CharField(max_length=64)
    object_name = models.CharField(max_length=200)
    board = models.ForeignKey("boards.Board", null=True, on_delete=models.SET_NULL, related_name="+")
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    request_id = models.CharField(max_length=64, blank=True)
    address = models.GenericIPAddressField(null=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name = "audit entry"
        verbose_name_plural = "audit log"
        indexes: ClassVar = [models.Index(fields=["board", "-id"], name="audit_of_board")]

    def __str__(self) -> str:
        return f"{self.actor_name}: {self.action} {self.object_name}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Raises TypeError for an entry that is written already."""
        if not self._state.adding:
            raise TypeError("an audit entry is never changed")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises TypeError."""
        del args, kwargs
        raise TypeError("an audit entry is never deleted")

    @property
    def changes(self) -> list[tuple[str, Any, Any]]:
        """Each field that differs, as it was and as it is; None where there was nothing, or is nothing."""
        before, after = self.before or {}, self.after or {}
        return [(name, before.get(name), after.get(name)) for name in {**before, **after}]
