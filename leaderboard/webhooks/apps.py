"""App configuration."""

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    """Calls to addresses that people registered."""

    name = "leaderboard.webhooks"
    default_auto_field = "django.db.models.BigAutoField"
