"""App configuration."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """The log of what hosts and administrators do."""

    name = "leaderboard.audit"
    default_auto_field = "django.db.models.BigAutoField"
