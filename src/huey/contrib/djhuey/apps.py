"""The Django application: INSTALLED_APPS names its package."""

from __future__ import annotations

from django.apps import AppConfig


class DjHueyConfig(AppConfig):
    """Brings the commands and the system checks; there are no models here."""

    name = "huey.contrib.djhuey"
    label = "djhuey"
    verbose_name = "Huey"

    def ready(self) -> None:
        """Register the system checks."""
        from huey.contrib.djhuey import checks

        checks.register_all()
