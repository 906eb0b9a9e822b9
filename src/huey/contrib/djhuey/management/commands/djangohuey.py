"""``manage.py djangohuey --queue mail``: run_huey under its name in the package django-huey."""

from __future__ import annotations

from huey.contrib.djhuey.management.commands.run_huey import Command as RunHuey


class Command(RunHuey):
    """Runs the tasks of one queue; the same as ``run_huey``."""
