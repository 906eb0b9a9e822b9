"""No table: what gives the admin page its place in the menu and its permissions."""

from __future__ import annotations

from django.db import models


class HueyDashboard(models.Model):
    """Who may view it sees the page, who may change it may act on tasks."""

    class Meta:
        """It has a name and permissions only."""

        managed = False
        app_label = "hueystats"
        default_permissions = ("view", "change")
        verbose_name = "Huey queue"
        verbose_name_plural = "Huey queues"
